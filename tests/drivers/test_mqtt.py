"""`golmok_drivers.buses.mqtt` against a real Mosquitto."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.api import BusError
from golmok_drivers.buses.broker import broker_config
from golmok_drivers.buses.mqtt import Callbacks, Message, Mqtt, subscription_id
from tests.drivers.broker import free_port, running_broker

PATIENCE_S = 60.0


class Listener:
    """Keeps what came; `acks` decides what is acknowledged at once."""

    def __init__(self, port: int, client_id: str = "golmok-test", acks: Callable[[Message], bool] = lambda _: True):
        self.messages: list[Message] = []
        self.sessions: list[bool] = []
        self.subscriptions: list[tuple[str, ...]] = []
        self.losses: list[str] = []
        self.refusals: list[str] = []
        self._changed = threading.Condition()
        self._acks = acks
        self.mqtt = Mqtt(
            client_id,
            Callbacks(
                on_connect=lambda present: self._note(self.sessions, present),
                on_subscribed=lambda topics: self._note(self.subscriptions, topics),
                on_disconnect=lambda why: self._note(self.losses, why),
                on_message=self._on_message,
                on_refused=lambda why: self._note(self.refusals, why),
            ),
        )
        self.mqtt.subscribe(["t/#"])
        self.mqtt.connect("127.0.0.1", port)

    def __enter__(self) -> Listener:
        self.wait_for(lambda: bool(self.subscriptions))
        return self

    def __exit__(self, *_: object) -> None:
        self.mqtt.close()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), (len(self.messages), self.sessions, self.refusals)

    def _on_message(self, message: Message) -> None:
        if self._acks(message):
            self.mqtt.ack(message)
        self._note(self.messages, message)

    def _note(self, notes: list[Any], note: Any) -> None:
        with self._changed:
            notes.append(note)
            self._changed.notify_all()


@pytest.fixture
def publisher(broker: int) -> Iterator[Mqtt]:
    connected = threading.Event()
    mqtt = Mqtt("publisher", Callbacks(on_connect=lambda _: connected.set()), keep_session=False)
    mqtt.connect("127.0.0.1", broker)
    assert connected.wait(PATIENCE_S)
    yield mqtt
    mqtt.close()


def numbers(messages: list[Message]) -> list[int]:
    return [int(message.payload) for message in messages]


def test_20_000_messages_at_full_speed_come_once_and_in_order(broker: int, publisher: Mqtt) -> None:
    with Listener(broker) as listener:
        sent = [publisher.publish("t/x", str(number).encode()) for number in range(20_000)]
        for delivery in sent:
            delivery.result(PATIENCE_S)
        listener.wait_for(lambda: len(listener.messages) >= 20_000)
        assert numbers(listener.messages) == list(range(20_000))
        assert not any(message.dup for message in listener.messages)


def test_a_full_window_waits_and_drops_nothing(broker: int, publisher: Mqtt) -> None:
    with Listener(broker, acks=lambda _: False) as listener:
        for delivery in [publisher.publish("t/x", str(number).encode()) for number in range(6000)]:
            delivery.result(PATIENCE_S)
        listener.wait_for(lambda: len(listener.messages) >= 4096)
        for message in list(listener.messages):
            assert listener.mqtt.ack(message)
        listener.wait_for(lambda: len(listener.messages) >= 6000)
        assert numbers(listener.messages) == list(range(6000))


KILLED_CLIENT = """
import sys, time
from golmok_drivers.buses.broker import broker_config
from golmok_drivers.buses.mqtt import Callbacks, Mqtt
def on_message(message):
    if int(message.payload) < 30:
        client.ack(message)
    print(message.packet_id, message.payload.decode(), flush=True)
client = Mqtt("golmok-test", Callbacks(on_message=on_message))
client.subscribe(["t/#"])
client.connect("127.0.0.1", int(sys.argv[1]))
time.sleep(600)
"""


def test_after_kill_9_the_unacknowledged_come_again_with_their_packet_ids(broker: int, publisher: Mqtt) -> None:
    with Listener(broker):
        pass  # so that the session exists before anything is published
    for delivery in [publisher.publish("t/x", str(number).encode()) for number in range(100)]:
        delivery.result(PATIENCE_S)
    with subprocess.Popen([sys.executable, "-c", KILLED_CLIENT, str(broker)], stdout=subprocess.PIPE) as client:
        assert client.stdout
        first = [tuple(map(int, client.stdout.readline().split())) for _ in range(100)]
        client.send_signal(signal.SIGKILL)
    with Listener(broker) as listener:
        assert listener.sessions == [True]
        listener.wait_for(lambda: bool(listener.messages) and numbers(listener.messages)[-1] == 99)
        again = [message for message in listener.messages if message.dup]
    ids = {number: packet_id for packet_id, number in first}
    assert set(range(30, 100)) <= set(numbers(again)), "what was not acknowledged comes again"
    assert all(message.packet_id == ids[int(message.payload)] for message in again)
    assert len(numbers(listener.messages)) == len(set(numbers(listener.messages)))


def test_what_was_published_while_we_were_away_waits(broker: int, publisher: Mqtt) -> None:
    with Listener(broker) as before:
        assert before.sessions == [False]
    publisher.publish("t/x", b"1").result(PATIENCE_S)
    with Listener(broker) as listener:
        listener.wait_for(lambda: len(listener.messages) == 1)
        assert not listener.messages[0].dup


def test_a_late_acknowledgement_of_a_former_connection_does_nothing(tmp_path: Path) -> None:
    port = free_port()
    with running_broker(tmp_path, port), Listener(port, acks=lambda _: False) as listener:
        listener.mqtt.publish("t/x", b"1").result(PATIENCE_S)
        listener.wait_for(lambda: len(listener.messages) == 1)
        with Listener(port, acks=lambda _: False):  # the same client id: the broker throws the first out
            listener.wait_for(lambda: len(listener.losses) == 1)
            assert not listener.mqtt.ack(listener.messages[0])
        listener.wait_for(lambda: len(listener.messages) == 2)
        first, second = listener.messages
        assert (second.dup, second.packet_id) == (True, first.packet_id)
        assert not listener.mqtt.ack(first)
        assert listener.mqtt.ack(second)


def test_it_connects_when_the_broker_comes_later_and_again_when_it_comes_back(tmp_path: Path) -> None:
    port = free_port()
    listener = Listener(port)
    with running_broker(tmp_path, port):
        listener.wait_for(lambda: len(listener.subscriptions) == 1)
        waiting = listener.mqtt.publish("t/x", b"1")
        waiting.result(PATIENCE_S)
    listener.wait_for(lambda: len(listener.losses) == 1)
    kept = listener.mqtt.publish("t/x", b"2")
    with pytest.raises(BusError):
        listener.mqtt.publish("t/x", b"3", qos=0).result(PATIENCE_S)
    with running_broker(tmp_path, port):
        kept.result(PATIENCE_S)
        listener.wait_for(lambda: numbers(listener.messages) == [1, 2])
        assert listener.sessions == [False, False], "a new broker knows no session"
        listener.mqtt.close()


def test_retained_messages_come_once(broker: int, publisher: Mqtt) -> None:
    publisher.publish("t/kept", b"7", retain=True).result(PATIENCE_S)
    with Listener(broker) as listener:
        listener.wait_for(lambda: len(listener.messages) == 1)
        assert listener.messages[0].retain
    with Listener(broker) as again:
        publisher.publish("t/x", b"8").result(PATIENCE_S)
        again.wait_for(lambda: bool(again.messages))
        assert numbers(again.messages) == [8]


def test_each_copy_says_for_which_subscription_it_came(broker: int, publisher: Mqtt) -> None:
    """Also when it comes again, and when the subscription is of an earlier run."""
    with Listener(broker, acks=lambda _: False) as listener:
        listener.mqtt.subscribe(["+/x", "t/x"])
        listener.wait_for(lambda: len(listener.subscriptions) == 3)
        publisher.publish("t/x", b"1").result(PATIENCE_S)
        listener.wait_for(lambda: len(listener.messages) == 3)
    with Listener(broker) as again:
        publisher.publish("t/x", b"2").result(PATIENCE_S)
        again.wait_for(lambda: len(again.messages) == 6)
    wanted = sorted((subscription_id(topic),) for topic in ("t/#", "+/x", "t/x"))
    for messages in (listener.messages, again.messages[:3], again.messages[3:]):
        assert sorted(message.subscriptions for message in messages) == wanted


def test_a_refused_connection_says_why(tmp_path: Path) -> None:
    with running_broker(tmp_path, extra="allow_anonymous false\n") as port:
        listener = Listener(port)
        listener.wait_for(lambda: bool(listener.refusals))
        assert "Not authorized" in listener.refusals[0]
        assert not listener.mqtt.is_connected
        listener.mqtt.close()


def test_the_broker_s_configuration(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    lines = broker_config(1883, password_file=passwords, queued_bytes=5).splitlines()
    for line in ("listener 1883 127.0.0.1", "allow_anonymous false", "persistence false", "max_queued_messages 0",
                 "max_queued_bytes 5", "max_inflight_messages 0", f"password_file {passwords}"):  # fmt: skip
        assert line in lines
