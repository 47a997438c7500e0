"""One shop: broker, gateway, devices, and a chaos proxy on each of the gateway's two lines."""

from __future__ import annotations

import json
import random
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .http_line import HttpLine
from .ledger import LedgerWatch
from .line import until
from .machine import Machine
from .mqtt_line import MqttLine
from .notes import Key, Notes
from .programs import DEADLINE_S, Broker, Cloud, Program
from .sources import DEVICES, Device, Source

TWIN: Final = "room"
TWIN_INTERVAL_S: Final = 0.5
TWIN_LIMIT_S: Final = TWIN_INTERVAL_S + 5.0
SILENCE_S: Final = 8.5
"""Longer than any limit of ours."""
_SAY_AGAIN_S: Final = 5.0
_MAIN: Final = """\
[site]
gateway = "{name}"
name = "한옥카페 {name}"

[store]
path = "var"
commit_interval_s = {commit_s}
max_bytes = {max_bytes}

[mqtt]
port = {broker}

[cloud]
url = "http://127.0.0.1:{cloud}"
interval_s = 0.3
"""
_TWIN: Final = f"""
[[device]]
name = "{TWIN}"
driver = "sht4x"
bus = "sim+i2c://scenario.toml"
interval_s = {TWIN_INTERVAL_S}
"""
_SCENARIO: Final = """\
seed = {seed}

[device.room]
fault = [{fault}]

[device.room.signal.temperature]
kind = "constant"
value = 22.0
noise = 8.0

[device.room.signal.humidity]
kind = "constant"
value = 50.0
noise = 8.0
"""


class StuckError(RuntimeError):
    """Something that must go on does not; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a shop is made of."""

    name: str
    folder: Path
    cloud: Cloud
    mosquitto: Path
    code: Path
    seed: str
    has_machine: bool = True
    """It runs on an invented machine, whose clocks are ours; else the installed command runs."""
    commit_s: float = 1.0
    devices: tuple[Device, ...] = DEVICES
    has_twin: bool = True
    first: int = 0
    """The number of the first message."""


class Shop:
    """A shop that runs."""

    def __init__(self, site: Site) -> None:
        site.folder.mkdir(parents=True)
        self.site, self.folder, self.chance = site, site.folder, random.Random(site.seed)
        self.store = site.folder / "var"
        self.notes = Notes()
        self.clones: list[Notes] = []
        """What was noted of those who had a copy of the card."""
        self.broker = Broker(site.folder, site.mosquitto)
        self.mqtt = MqttLine(self.broker.port, self.notes)
        self.http = HttpLine(site.cloud.port, self.notes.told_time)
        self.machine = Machine(site.folder / "clock", self.chance.choice((-50, 50))) if site.has_machine else None
        self.notes.booted(self.machine.boot if self.machine else "real")
        self.sources: list[Source] = []
        self.ledger = LedgerWatch(site.folder / "ledger.jsonl", self.notes)
        self._write_settings()
        self.gateway = self._program()

    def open(self) -> None:
        """Start all of it; returns when the devices speak and are heard."""
        self.broker.start()
        self.gateway.start()
        self.wait_ready()
        for device in self.site.devices:
            self.sources.append(Source(device, self.broker.port, self.notes, self.site.seed, first=self.site.first))
        self.wait_moving()

    def close(self) -> None:
        """End all of it."""
        for source in self.sources:
            source.close()
        self.gateway.kill()
        self.broker.kill()
        self.mqtt.close()
        self.http.close()
        self.ledger.close()

    # --- looking

    def status(self) -> Mapping[str, Any]:
        """What the gateway says of itself; empty if it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(5)
                line.connect(str(self.store / "gateway.sock"))
                line.sendall(b'{"get":"status"}\n')
                with line.makefile("rb") as answers:
                    return json.loads(answers.readline() or b"{}")  # type: ignore[no-any-return]  # an object
        except (OSError, ValueError):
            return {}

    def set_aside(self) -> str:
        """Why a store was set aside; empty if none was."""
        found = sorted(self.store.glob("damaged-*/about.json"))
        return str(json.loads(found[0].read_bytes())["why"]) if found else ""

    def wait_ready(self) -> None:
        """Until the gateway says that it is."""
        if not until(lambda: self.status().get("ready"), DEADLINE_S, 0.05):
            raise StuckError(f"{self.site.name} is not ready within {DEADLINE_S:g} s: {self.gateway.said()}")

    def wait_moving(self, *, needs_cloud: bool = True) -> None:
        """Until messages are taken again, and the cloud answers again."""
        taken, replies = self.notes.count["taken"], self.http.replies

        def moves() -> bool:
            has_reply = not needs_cloud or self.http.replies > replies
            return has_reply and (self.notes.count["taken"] > taken or all(one.is_silent for one in self.sources))

        if not until(moves, DEADLINE_S):
            what = "messages" if self.notes.count["taken"] == taken else "replies of the cloud"
            raise StuckError(f"{self.site.name}: no {what} within {DEADLINE_S:g} s: {self.gateway.said()}")

    def wait_open_commit(self) -> None:
        """Until messages lie with the gateway that it may not have committed yet."""
        delivered = self.notes.count["delivered"]
        until(lambda: self.notes.count["delivered"] >= delivered + 3, 5.0, 0.005)

    # --- acting

    def kill_gateway(self) -> None:
        """kill -9."""
        self.notes.ended()
        self.gateway.kill()

    def stop_gateway(self) -> None:
        """SIGTERM."""
        self.notes.ended()
        self.gateway.stop()

    def start_gateway(self) -> None:
        """Start it again."""
        self.gateway.start()

    def reboot(self, wall_ms: int) -> None:
        """The invented machine, on which nothing runs now, starts anew with its wall clock at that time."""
        assert self.machine is not None
        self.machine.reboot_at(wall_ms)
        self.notes.booted(self.machine.boot)

    def kill_broker(self) -> None:
        """kill -9, and what it had is gone."""
        self.broker.kill()
        self.notes.broker_died()

    def silence_twin(self, for_s: float) -> None:
        """At the next start of the gateway, the simulated part does not answer for so long."""
        self._write_scenario(f'{{ kind = "nack", start_s = 0.5, duration_s = {for_s} }}' if for_s else "")

    def calm(self) -> None:
        """No more trouble on the lines."""
        self.http.calm()
        self.http.come_back()
        self.mqtt.calm()
        self.mqtt.come_back()

    def settle(self, deadline_s: float) -> None:
        """Say a last thing on each device, and wait until all is taken and all is in the cloud."""
        for source in self.sources:
            source.pause()
        self.calm()
        last: dict[Source, tuple[Key | None, float]] = {source: (source.say(), 0.0) for source in self.sources}

        def is_taken() -> bool:
            for source, (key, waited_s) in last.items():
                # It went down with a connection, or the gateway did not listen just then: say another.
                is_gone = key is None or (self.notes.messages[key].accepted_at is None and not source.unanswered)
                last[source] = (source.say(), 0.0) if is_gone or waited_s > _SAY_AGAIN_S else (key, waited_s + 0.1)
            return all(key and self.notes.messages[key].taken_at for key, _ in last.values())

        if not until(is_taken, deadline_s, 0.1):
            raise StuckError(f"{self.site.name}: not all messages are taken within {deadline_s:g} s")
        left = sys.maxsize
        while (now := self._unsalvaged()) < left:  # one after the other, and gently: on a busy machine it takes long
            left = now
            if until(self._is_synced, deadline_s, 0.1):
                time.sleep(self.site.commit_s + 0.5)  # the gap that a commit ended is told in the next one
                if until(self._is_synced, deadline_s, 0.1):
                    break
        else:
            raise StuckError(f"{self.site.name}: not all is in the cloud within {deadline_s:g} s: {self._backlog()}")

    def go_on(self) -> None:
        """The devices speak again."""
        for source in self.sources:
            source.go_on()

    def image(self, to: Path) -> None:
        """Copy the store of a gateway that is dead."""
        shutil.copytree(self.store, to, ignore=shutil.ignore_patterns("*.sock"))

    def put_image(self, image: Path) -> None:
        """Put the store back as it was."""
        for file in self.store.iterdir() if self.store.exists() else ():
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()
        shutil.copytree(image, self.store, dirs_exist_ok=True)

    # --- inside

    def _is_synced(self) -> bool:
        status = self.status()
        if not status.get("backlog") or any(status["backlog"].values()):
            return False
        return all(one["state"] in ("done", "kept") for one in status["store"].get("set_aside", ()))

    def _unsalvaged(self) -> int:
        """How many of the stores that were set aside are not done with."""
        asides = self.status().get("store", {}).get("set_aside", ())
        return sum(one["state"] not in ("done", "kept") for one in asides)

    def _backlog(self) -> object:
        status = self.status()
        names = ("backlog", "cloud", "mqtt", "store", "disk_full", "detail")
        return {name: status.get(name) for name in names} | {"said": self.gateway.said()}

    def _program(self) -> Program:
        config = str(self.folder / "gateway.toml")
        ledger = str(self.folder / "ledger.jsonl")
        if self.machine:
            command = [sys.executable, "-m", "tests.faults.starter", config, str(self.machine.file), ledger]
        else:
            run = ["-m", "golmok_edge.gateway.cli", "run", "--config", config, "--ledger", ledger]
            command = [sys.executable, *run]
        return Program(command, self.folder / "gateway.log", self.site.code)

    def _write_settings(self) -> None:
        main = _MAIN.format(
            name=self.site.name,
            commit_s=self.site.commit_s,
            max_bytes=2_000_000,
            broker=self.mqtt.port,
            cloud=self.http.port,
        )
        devices = "".join(device.settings for device in self.site.devices)
        twin = _TWIN if self.site.has_twin else ""
        (self.folder / "gateway.toml").write_text(main + devices + twin, encoding="utf-8")
        self._write_scenario("")

    def _write_scenario(self, fault: str) -> None:
        seed = self.chance.randrange(1, 1_000_000)
        (self.folder / "scenario.toml").write_text(_SCENARIO.format(seed=seed, fault=fault), encoding="utf-8")
