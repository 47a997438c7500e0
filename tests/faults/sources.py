"""The devices of a shop on the local bus: values of every type, at a steady rate, each message said once.

A message that was on its way when the broker died is never said again: that is the source's own loss, and would
blur what is the gateway's.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from . import packets
from .line import HOST, reset
from .notes import Key, Message, Notes, Value

_WORDS: Final = ("냉장고 문이 열렸습니다", "한옥카페 2층", "주문 12번 아메리카노", "plain", "é ü ß", "'\"\\ \u2028 끝")


class Device(NamedTuple):
    """A device on the local bus."""

    name: str
    per_s: float
    expect_s: float
    has_time: bool = False

    @property
    def topic(self) -> str:
        """Where it speaks."""
        return f"shop/{self.name}"

    @property
    def limit_s(self) -> float:
        """A longer hole must have a name."""
        return max(2.5 * self.expect_s, self.expect_s + 5.0)

    @property
    def settings(self) -> str:
        """Its part of the settings file."""
        channels = ", ".join(f'{name} = {{ path = "{name}", unit = "{unit}" }}' for name, unit in QUANTITIES.items())
        own = 'time = "at"\n' if self.has_time else ""
        return (
            f'\n[[device]]\nname = "{self.name}"\ndriver = "mqtt-json"\ntopic = "{self.topic}"\n'
            f"expect_s = {self.expect_s}\n{own}channels = {{ {channels} }}\n"
        )


QUANTITIES: Final = {"n": "1", "large": "1", "warm": "Cel", "text": "1", "open": "1", "nothing": "1"}
"""Quantities and their units."""
WITNESS: Final = "n"
"""A quantity that always has a value: what is missing of a device is missing here, too."""
DEVICES: Final = (
    Device("flow", 20.0, 1.0),
    Device("timed", 10.0, 1.0, has_time=True),
    Device("rare", 2.0, 1.0),
)


def values(n: int) -> dict[str, Value]:
    """What message `n` says. All but `open` and `nothing` tell its number."""
    return {
        "n": n,
        "large": 2**53 + 2 * n + 1,
        "warm": n + (0.25, 0.1, 0.7000000001, 1e-9)[n % 4],
        "text": f"{n} {_WORDS[n % len(_WORDS)]}",
        "open": n % 3 == 0,
        "nothing": None,
    }


def number_in(quantity: str, value: object) -> int | None:
    """The number of the message that a value belongs to; None if it does not tell."""
    try:
        match quantity:
            case "n" if type(value) is int:
                return value
            case "large" if type(value) in (int, float):
                return (int(value) - 2**53 - 1) // 2  # type: ignore[call-overload, no-any-return]  # a number
            case "warm" if type(value) in (int, float):
                return int(value)  # type: ignore[call-overload, no-any-return]  # a number
            case "text" if isinstance(value, str):
                return int(value.partition(" ")[0])
    except ValueError:
        pass
    return None


def key_of(topic: str, payload: bytes) -> Key | None:
    """Which message it is; None if it is not one of ours."""
    if not topic.startswith("shop/"):
        return None
    return Key(topic.removeprefix("shop/"), json.loads(payload)["n"])


class Source:
    """Plays a device, by a connection of its own to the broker."""

    def __init__(self, device: Device, broker_port: int, notes: Notes, seed: str, first: int = 0) -> None:
        self.device = device
        self._port, self._notes = broker_port, notes
        self._chance = random.Random(f"{seed}/{device.name}")
        self._next = first
        self._client_id = f"{device.name}-{first}"
        self._silent_until = 0.0
        self._is_over = threading.Event()
        self._may_speak = threading.Event()
        self._may_speak.set()
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._waiting: dict[int, Key] = {}
        self._thread = threading.Thread(target=self._run, name=device.name, daemon=True)
        self._thread.start()

    @property
    def is_silent(self) -> bool:
        """Whether the device was told to say nothing for a while."""
        return time.time() < self._silent_until

    def be_silent(self, for_s: float) -> None:
        """Say nothing for a while."""
        self._silent_until = time.time() + for_s

    def pause(self) -> None:
        """Say nothing until `go_on`; when this returns, nothing more is on its way from here."""
        self._may_speak.clear()
        with self._lock:
            pass

    def go_on(self) -> None:
        """Speak again."""
        self._may_speak.set()

    @property
    def unanswered(self) -> int:
        """Messages that the broker has not yet accepted."""
        return len(self._waiting)

    def say(self) -> Key | None:
        """Say the next message; None where there is no broker."""
        with self._lock:
            return self._say()

    def close(self) -> None:
        """Say no more."""
        self._is_over.set()
        self._may_speak.set()
        self._thread.join(10)
        with self._lock:
            if self._line:
                self._lost(self._line)

    def _say(self) -> Key | None:
        line = self._line
        if line is None:
            return None
        message = self._message()
        packet_id = self._next % 65_535 + 1
        self._next += 1
        self._waiting[packet_id] = message.key
        self._notes.said(message)
        try:
            line.sendall(packets.publish(self.device.topic, _payload(message), packet_id))
        except OSError:
            self._lost(line)
        return message.key

    def _message(self) -> Message:
        now = time.time()
        stated_ms = int(now * 1000) if self.device.has_time else None
        return Message(Key(self.device.name, self._next), values(self._next), stated_ms, now)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._is_over.is_set():
            self._may_speak.wait()
            if self._line is None:
                self._connect()
            elif not self.is_silent:
                with self._lock:
                    if self._may_speak.is_set() and not self._is_over.is_set():  # they may have come in between
                        self._say()
            due = max(due + self._chance.uniform(0.4, 1.6) / self.device.per_s, time.monotonic())
            self._is_over.wait(due - time.monotonic())

    def _connect(self) -> None:
        try:
            line = socket.create_connection((HOST, self._port), timeout=5)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(packets.connect(self._client_id))
            buffer, answer = packets.Buffer(), b""
            while not answer:
                data = line.recv(256)
                if not data:
                    raise ConnectionResetError
                answer = next(iter(buffer.feed(data)), b"")
        except OSError:
            self._is_over.wait(0.05)
            return
        line.settimeout(None)
        with self._lock:
            self._line = line
            self._waiting.clear()
        threading.Thread(target=self._listen, args=(line,), daemon=True).start()

    def _listen(self, line: socket.socket) -> None:
        buffer = packets.Buffer()
        with suppress(OSError):
            while data := line.recv(65_536):
                for packet in buffer.feed(data):
                    if packets.kind(packet) == packets.PUBACK:
                        packet_id, is_well = packets.puback_of(packet)
                        key = self._waiting.pop(packet_id, None)
                        if key and is_well:
                            self._notes.accepted(key)
        with self._lock:
            self._lost(line)

    def _lost(self, line: socket.socket) -> None:
        if self._line is line:
            self._line = None
            self._waiting.clear()
        reset(line)


def _payload(message: Message) -> bytes:
    said: dict[str, object] = dict(message.values)
    if message.stated_ms is not None:
        moment = datetime.fromtimestamp(message.stated_ms / 1000, UTC)
        said["at"] = moment.isoformat(timespec="milliseconds") if message.key.n % 2 else message.stated_ms
    return json.dumps(said, ensure_ascii=False).encode()
