"""The local bus of a laptop: found, or unpacked without being root, and really running."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from golmok_edge.demo import debian
from golmok_edge.demo.broker import Broker, BrokerError, Mosquitto, find, provide

NOWHERE = "/nonexistent"
SIMULATED = """\
Reading package lists...
Inst libcjson1 (1.7.15-1+deb12u4 Debian:12.12/oldstable [amd64])
Inst libssl3 [3.0.1-1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
Inst mosquitto (2.0.11-1.2+deb12u2 Debian:12.12/oldstable [amd64])
Conf mosquitto (2.0.11-1.2+deb12u2 Debian:12.12/oldstable [amd64])
"""
WORKING = "#!/bin/sh\necho mosquitto version 9.9.9\nexit 3\n"
BROKEN = "#!/bin/sh\necho 'error while loading shared libraries: libcjson.so.1' >&2\nexit 127\n"


class FakeApt:
    """apt-get and dpkg as a machine without root sees them; every package holds the same files."""

    def __init__(self, simulated: str = SIMULATED, program: str = WORKING, lists: bool = True) -> None:
        self.simulated, self.program, self.lists = simulated, program, lists
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str], folder: Path) -> str:
        self.commands.append(" ".join(command))
        if command[0] == "dpkg":
            self._unpack(Path(command[-1]))
        elif "update" in command:
            self.lists = True
        elif not self.lists:
            raise debian.UnpackError("apt-get failed (100): E: Unable to locate package mosquitto")
        elif "download" in command:
            for name in command[command.index("download") + 1 :]:
                (folder / f"{name}.deb").touch()
        return self.simulated

    def _unpack(self, target: Path) -> None:
        program, library = target / "usr/sbin/mosquitto", target / "usr/lib/x86_64-linux-gnu/libcjson.so.1"
        for file, text in ((program, self.program), (library, "")):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755)

    def downloads(self) -> list[str]:
        return [command.split(" download ")[1] for command in self.commands if " download " in command]


def put_program(folder: Path) -> Path:
    program = folder / "mosquitto"
    folder.mkdir(parents=True)
    program.write_text(WORKING, encoding="utf-8")
    program.chmod(0o755)
    return program


def test_the_installed_one_is_found_first(tmp_path: Path) -> None:
    installed = put_program(tmp_path / "bin")
    put_program(tmp_path / "home/usr/sbin")
    assert find(str(tmp_path / "bin"), tmp_path / "home") == Mosquitto(installed)


def test_one_unpacked_earlier_is_found_and_needs_no_apt(tmp_path: Path) -> None:
    program = put_program(tmp_path / "home/usr/sbin")
    apt = FakeApt()
    assert provide(NOWHERE, tmp_path / "home", apt).program == program
    assert apt.commands == []


def test_without_root_the_package_and_its_missing_libraries_are_unpacked(tmp_path: Path) -> None:
    home, apt = tmp_path / "venv" / "mosquitto", FakeApt()
    mosquitto = provide(NOWHERE, home, apt)
    assert mosquitto.program == home / "usr/sbin/mosquitto"
    assert mosquitto.libraries == (home / "usr/lib/x86_64-linux-gnu",)
    assert mosquitto.environment()["LD_LIBRARY_PATH"].startswith(str(mosquitto.libraries[0]))
    assert mosquitto.version() == "9.9.9"
    assert apt.downloads() == [
        "libcjson1=1.7.15-1+deb12u4 libssl3=3.0.17-1~deb12u2 mosquitto=2.0.11-1.2+deb12u2",
    ]


def test_what_is_installed_already_is_not_downloaded_again(tmp_path: Path) -> None:
    apt = FakeApt(simulated="mosquitto is already the newest version.\n0 newly installed\n")
    provide(NOWHERE, tmp_path / "mosquitto", apt)
    assert apt.downloads() == ["mosquitto"]


def test_empty_lists_are_fetched_into_a_folder_of_ours(tmp_path: Path) -> None:
    apt = FakeApt(lists=False)
    assert provide(NOWHERE, tmp_path / "mosquitto", apt).version() == "9.9.9"
    (update,) = [command for command in apt.commands if command.endswith(" update")]
    assert f"Dir::State::Lists={tmp_path}" in update
    assert [entry.name for entry in tmp_path.iterdir()] == ["mosquitto"]


def test_a_package_that_does_not_run_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"libcjson\.so\.1"):
        provide(NOWHERE, tmp_path / "mosquitto", FakeApt(program=BROKEN))
    assert list(tmp_path.iterdir()) == []


def test_apt_without_a_network_ends_in_one_line_with_a_remedy(tmp_path: Path) -> None:
    def offline(command: Sequence[str], folder: Path) -> str:
        raise debian.UnpackError("apt-get failed (100): E: Failed to fetch")

    with pytest.raises(BrokerError, match=r"sudo apt install mosquitto.*Failed to fetch") as caught:
        provide(NOWHERE, tmp_path / "mosquitto", offline)
    assert "\n" not in str(caught.value)


def test_elsewhere_it_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="brew install mosquitto"):
        provide(NOWHERE, tmp_path / "mosquitto", run=None)


def test_a_failing_tool_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(debian.UnpackError, match=r"ls failed \(2\): .*No such file"):
        debian.run_tool(["ls", "/nonexistent"], tmp_path)
    assert debian.run_tool(["pwd"], tmp_path).strip() == str(tmp_path)


@pytest.mark.slow
def test_debians_own_package_unpacked_runs(tmp_path: Path) -> None:
    if not debian.is_here():
        pytest.skip("no apt-get and dpkg on this machine")
    mosquitto = provide(NOWHERE, tmp_path / "with a space" / "mosquitto")
    assert mosquitto.program.is_relative_to(tmp_path)
    with Broker.start(tmp_path / "run", mosquitto=mosquitto) as broker:
        assert Path(f"/proc/{broker.pid}/exe").resolve() == mosquitto.program


class Client:
    """A sensor or a gateway on the bus, with a session that never expires."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.payloads: list[bytes] = []
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self.subscribed = threading.Event()
        never = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho left it bare
        never.SessionExpiryInterval = 0xFFFFFFFF
        self._client.connect(broker.host, broker.port, clean_start=False, properties=never)
        self._client.loop_start()

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        assert self.subscribed.wait(10)

    def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        for sent in [self._client.publish(topic, payload, qos=1) for payload in payloads]:
            sent.wait_for_publish(20)
            assert sent.is_published()

    def wait_for(self, count: int) -> list[bytes]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.payloads) >= count, 20), f"{len(self.payloads)} of {count}"
        return self.payloads

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_subscribe(self, *_: object) -> None:
        self.subscribed.set()

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.payloads.append(bytes(message.payload))
            self._changed.notify_all()


def test_it_carries_messages_and_frees_its_port(tmp_path: Path) -> None:
    with Broker.start(tmp_path) as broker:
        shop, sensor = Client(broker, "shop"), Client(broker, "sensor")
        shop.subscribe("room/#")
        sensor.publish("room/1", [b"21.5"])
        assert shop.wait_for(1) == [b"21.5"]
        shop.leave()
        sensor.leave()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((broker.host, broker.port))
    broker.close()


def test_it_keeps_every_message_for_a_gateway_that_is_away(tmp_path: Path) -> None:
    messages = [b"%d" % number for number in range(3000)]  # Debian's defaults drop all but the first 1,000, silently
    with Broker.start(tmp_path) as broker:
        away = Client(broker, "golmok-gw-0001")
        away.subscribe("room/1")
        away.leave()
        sensor = Client(broker, "sensor")
        sensor.publish("room/1", messages)
        sensor.leave()
        back = Client(broker, "golmok-gw-0001")
        assert back.wait_for(len(messages)) == messages
        back.leave()
    assert {file.name for file in tmp_path.iterdir()} == {"mosquitto.conf", "mosquitto.log"}


def test_a_killed_broker_starts_again_on_its_port(tmp_path: Path) -> None:
    with Broker.start(tmp_path) as first:
        first.kill()
        with Broker.start(tmp_path, port=first.port) as second:
            assert (second.port, second.pid == first.pid) == (first.port, False)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with Broker.start(tmp_path / "one") as one, pytest.raises(BrokerError, match=rf"port {one.port}: .*in use"):
        Broker.start(tmp_path / "two", port=one.port)
