"""What runs in the guest: the real gateway, a real bluetoothd, and a radio into which sensors and buttons are put.

Twice: as Debian sets bluetoothd up (an active scan), and with its experimental interfaces (a passive one). Each step
says what was wrong, or nothing; the last line is the verdict for who started the machine.
"""

from __future__ import annotations

import asyncio
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus

from golmok_cloud_sync.protocol.record import Stream
from golmok_edge.store import Reader
from tests.bluez.controller import CONNECTABLE, NONCONNECTABLE, SCAN_RESPONSE, Controller, Vhci
from tests.drivers.frames import ADDRESS, KEY, press, sealed
from tests.edge.running import Gateway

VERDICT: Final = "VERDICT "
SENSOR: Final = "A4:C1:38:0B:5E:ED"
SETTINGS: Final = f"""
[site]
gateway = "gw-0001"
[[device]]
name = "bell"
driver = "ble-button"
bus = "ble://hci0"
address = "{ADDRESS}"
key = "{KEY}"
[[device]]
name = "room"
driver = "bthome"
bus = "ble://hci0"
address = "{SENSOR}"
channels = ["temperature"]
every_s = 0
"""
EVENTS: Final = ("press", "double_press", "triple_press", "long_press")
BURST: Final = 6
BETWEEN_S: Final = 0.04
LOSS: Final = 0.3
PRESSES: Final = 40
REPLAYS: Final = 200
PATIENCE_S: Final = 300.0
"""QEMU without KVM is slow, and its machine may be busy."""
_EACH_S: Final = 0.25
_BLUETOOTHD: Final = "/usr/libexec/bluetooth/bluetoothd"
_FLAGS: Final = b"\x02\x01\x06"
_NAME: Final = b"\x0a\x09SBBT-002C"


class FailureError(Exception):
    """A step showed something else than it should."""


def service_data(payload: bytes) -> bytes:
    """An advert with BTHome's service data."""
    return _FLAGS + bytes([3 + len(payload), 0x16]) + b"\xd2\xfc" + payload


async def until(condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Its value, once it is true."""
    end_s = time.monotonic() + within_s
    while not (value := await asyncio.to_thread(condition)):
        if time.monotonic() > end_s:
            raise FailureError(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(0.05)
    return value


class Ring:
    """The shop: its gateway, bluetoothd and the air; `expected` are the calls that were made so far."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.gateway = Gateway(folder, SETTINGS)
        self._options = options
        self._bluetoothd: subprocess.Popen[bytes] | None = None
        self._vhci: Vhci | None = None
        self._dice = random.Random(1)
        self._counter = 500
        self.kind = NONCONNECTABLE
        """Of the button's adverts."""
        self._packet = 0
        self.recorded: list[bytes] = []
        self.expected: list[str] = []
        self.made = 0
        """Presses."""

    # --- the machine

    def start_bluetoothd(self) -> None:
        """Start it, as systemd would."""
        self._bluetoothd = subprocess.Popen([_BLUETOOTHD, "--nodetach", *self._options], stderr=subprocess.DEVNULL)

    def kill_bluetoothd(self) -> None:
        """kill -9."""
        assert self._bluetoothd is not None
        self._bluetoothd.kill()
        self._bluetoothd.wait()

    def plug(self) -> None:
        """Put the radio into the machine."""
        self._vhci = Vhci(Controller())

    def unplug(self) -> None:
        """Pull it."""
        assert self._vhci is not None
        self._vhci.close()

    @property
    def vhci(self) -> Vhci:
        """The radio."""
        assert self._vhci is not None
        return self._vhci

    async def power(self, on: bool) -> None:
        """What `bluetoothctl power on` does."""
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        try:
            end_s = time.monotonic() + PATIENCE_S
            while True:
                reply = await bus.call(
                    Message(
                        destination="org.bluez",
                        path="/org/bluez/hci0",
                        interface="org.freedesktop.DBus.Properties",
                        member="Set",
                        signature="ssv",
                        body=["org.bluez.Adapter1", "Powered", Variant("b", on)],
                    )
                )
                assert reply is not None
                if reply.message_type.name == "METHOD_RETURN":
                    return
                if time.monotonic() > end_s:
                    raise FailureError(f"the radio cannot be switched {'on' if on else 'off'}: {reply.body}")
                await asyncio.sleep(0.2)
        finally:
            bus.disconnect()

    async def ready(self) -> None:
        """Wait until the gateway is."""
        await until(lambda: self.gateway.status()["ready"], "the gateway is ready")

    async def hears(self) -> float:
        """Let the sensor speak until its value is on disk; how long that took, seconds."""
        began_s = time.monotonic()
        before = len(await asyncio.to_thread(self.temperatures))
        while len(await asyncio.to_thread(self.temperatures)) == before:
            if time.monotonic() - began_s > PATIENCE_S:
                raise FailureError(f"after {PATIENCE_S:g} s the gateway hears nothing")
            self.say(2_000)
            await asyncio.sleep(_EACH_S)
        await asyncio.sleep(2)  # all that was sent meanwhile is on disk
        return time.monotonic() - began_s - 2

    def say(self, hundredths: int) -> None:
        """The sensor speaks once."""
        self._packet = (self._packet + 1) % 256
        payload = b"\x40\x00" + bytes([self._packet]) + b"\x02" + hundredths.to_bytes(2, "little")
        self.vhci.hear(SENSOR, service_data(payload))

    def end(self) -> None:
        """Put everything away."""
        if self.gateway.process is not None and self.gateway.process.poll() is None:
            self.gateway.end()
        self.kill_bluetoothd()
        self.unplug()

    # --- the air

    async def send(self, address: str, data: bytes, times: int = 3) -> None:
        """The same advert a few times, as devices do; of which some are lost on their way, but not all."""
        kept = [self._dice.random() >= LOSS for _ in range(times)]
        kept[self._dice.randrange(times)] = True
        for arrives in kept:
            if arrives:
                self.vhci.hear(address, data, kind=self.kind, rssi=-50 - self._dice.randrange(20))
                if self.kind == CONNECTABLE:
                    self.vhci.hear(address, _NAME, kind=SCAN_RESPONSE)
            await asyncio.sleep(BETWEEN_S)

    async def press(self) -> None:
        """Somebody presses the button."""
        self._counter += 1 + self._dice.randrange(3)
        event = self._dice.randrange(len(EVENTS))
        frame = press(self._counter, event=event + 1)
        self.recorded.append(frame)
        self.expected.append(EVENTS[event])
        self.made += 1
        await self.send(ADDRESS, service_data(frame), BURST)

    def told(self, channel: str, stream: Stream = "events") -> list[Any]:
        """What is on the gateway's disk."""
        reader = Reader.open(self.gateway.folder / "var")
        try:
            return [found.record.value for found in reader.find(channel, stream)]
        finally:
            reader.close()

    def temperatures(self) -> list[float]:
        """What was heard of the sensor; that it is silent is no value."""
        return [value for value in self.told("room.temperature", "readings") if value is not None]

    async def all_told(self, settle_s: float = 2.0) -> None:
        """Each press is on disk once, in order, and nothing else is."""
        with suppress(FailureError):  # what is missing is said below
            await until(lambda: len(self.told("bell.call")) >= len(self.expected), "all presses", 30)
        await asyncio.sleep(settle_s)
        told = await asyncio.to_thread(self.told, "bell.call")
        if told != self.expected:
            raise FailureError(f"{len(self.expected)} presses, {len(told)} calls: {_difference(self.expected, told)}")
        names = await asyncio.to_thread(self.told, "bell.call-id")
        if len(set(names)) != len(told):
            raise FailureError(f"{len(told)} calls have {len(set(names))} names")


def _difference(expected: list[str], told: list[str]) -> str:
    at = next(
        (n for n, (a, b) in enumerate(zip(expected, told, strict=False)) if a != b), min(len(expected), len(told))
    )
    return f"first difference at {at}: {expected[at : at + 5]} against {told[at : at + 5]}"


# --- the steps


async def sensor(ring: Ring) -> None:
    """Values of a plain sensor: each of them once, as they were sent."""
    before = len(await asyncio.to_thread(ring.temperatures))
    sent = [(400 + 13 * number) / 100 for number in range(20)]
    for value in sent:
        ring.say(round(value * 100))
        await asyncio.sleep(_EACH_S)

    def values() -> list[Any]:
        return ring.temperatures()[before:]

    with suppress(FailureError):
        await until(lambda: len(values()) >= len(sent), "all temperatures are on disk", 30)
    told = await asyncio.to_thread(values)
    if told != sent:
        raise FailureError(f"sent {sent}, on disk {told}")


async def presses(ring: Ring) -> None:
    """Presses while a sensor speaks, over more than one of BlueZ's own rounds of scanning."""
    for number in range(PRESSES):
        await ring.press()
        ring.say(500 + number)
        await asyncio.sleep(0.3)
    await ring.all_told()


async def connectable(ring: Ring) -> None:
    """A button that can be connected to, alone in the air.

    In an active scan Linux (6.1, `process_adv_report`) keeps its advert back until its scan response or another device
    comes, and drops it when the next comes before: not ours to mend, so there the sensor speaks after each press.
    """
    ring.kind = CONNECTABLE
    for _ in range(10):
        await ring.press()
        if ring.vhci.controller.is_active:
            ring.say(700)
        await asyncio.sleep(0.3)
    ring.kind = NONCONNECTABLE
    await ring.all_told()


async def replays(ring: Ring) -> None:
    """All that was recorded, low counters, plain frames and frames of another key."""
    dice = random.Random(2)
    for number in range(REPLAYS):
        other = sealed(b"\x00\x01\x3a\x01", 10_000 + number, key="00" * 16)
        low = press(dice.randrange(100), dice.randrange(256))
        plain = b"\x40\x00" + bytes([number % 256]) + b"\x3a\x01"
        frame = (dice.choice(ring.recorded), low, plain, other)[number % 4]
        ring.vhci.hear(ADDRESS, service_data(frame))
        await asyncio.sleep(0.02)
    await ring.all_told()
    refused = set(await asyncio.to_thread(ring.told, "bell.refused"))
    if not {"replay", "plain"} <= refused:
        raise FailureError(f"of replays and plain frames only {sorted(refused)} were told as refused")


async def stale(ring: Ring) -> None:
    """The button sends something else: BlueZ hands its last press on along with it."""
    await ring.press()
    for number in range(30):
        ring.vhci.hear(ADDRESS, _FLAGS + b"\x05\xff\xa9\x0b\x01" + bytes([number]))
        await asyncio.sleep(0.05)
    await ring.all_told()


async def gateway_killed(ring: Ring) -> None:
    """kill -9 of the gateway: what BlueZ still has of old presses is no press."""
    ring.gateway.kill()
    ring.gateway.start()
    await ring.ready()
    await ring.hears()
    for frame in ring.recorded[-3:]:
        await ring.send(ADDRESS, service_data(frame))
    await _a_few(ring)


async def bluetoothd_killed(ring: Ring) -> float:
    """bluetoothd dies, and systemd starts it again."""
    ring.kill_bluetoothd()
    await asyncio.sleep(1)
    ring.start_bluetoothd()
    return await _hears_again(ring, on=True)


async def radio_off(ring: Ring) -> float:
    """Somebody switches Bluetooth off and on again."""
    await ring.power(False)
    await until(lambda: not ring.vhci.controller.is_scanning, "the radio is silent")
    await asyncio.sleep(2)
    return await _hears_again(ring, on=True)


async def radio_pulled(ring: Ring) -> float:
    """The stick is pulled, and put in again."""
    ring.unplug()
    await asyncio.sleep(2)
    ring.plug()
    return await _hears_again(ring, on=True)


async def _hears_again(ring: Ring, *, on: bool) -> float:
    if on:
        await ring.power(True)
    deaf_s = await ring.hears()
    for frame in ring.recorded[-3:]:
        await ring.send(ADDRESS, service_data(frame))
    await _a_few(ring)
    return deaf_s


async def _a_few(ring: Ring) -> None:
    for _ in range(5):
        await ring.press()
        await asyncio.sleep(0.3)
    await ring.all_told()


STEPS: Final[tuple[Callable[[Ring], Awaitable[float | None]], ...]] = (
    sensor,
    presses,
    connectable,
    replays,
    stale,
    gateway_killed,
    bluetoothd_killed,
    radio_off,
    radio_pulled,
)


WAYS: Final[dict[str, tuple[str, ...]]] = {"active": (), "passive": ("--experimental",)}
"""How it scans -> what bluetoothd is started with."""


async def ring(name: str, options: Sequence[str], folder: Path) -> dict[str, Any]:
    """All steps with one way to start bluetoothd; what was wrong with each."""
    it = Ring(folder, options)
    it.start_bluetoothd()
    it.plug()
    said: dict[str, Any] = {}
    try:
        await it.power(True)
        it.gateway.start()
        await it.ready()
        await it.hears()
        for step in STEPS:
            began_s = time.monotonic()
            try:
                deaf_s = await step(it)
                said[step.__name__] = "ok" if deaf_s is None else f"ok, deaf for {deaf_s:.1f} s"
            except (FailureError, AssertionError) as error:
                said[step.__name__] = str(error) or repr(error)
                it.expected = await asyncio.to_thread(it.told, "bell.call")
            print(f"guest: {name}: {step.__name__}: {said[step.__name__]} ({time.monotonic() - began_s:.0f} s)")
        said["made"], said["told"] = it.made, len(await asyncio.to_thread(it.told, "bell.call"))
        said["is_active"], said["unknown"] = it.vhci.controller.is_active, sorted(set(it.vhci.controller.unknown))
    finally:
        print(f"guest: {name}: the gateway said: {it.gateway.said()[-3000:]}")
        it.end()
    return said


def _version() -> str:
    return subprocess.run([_BLUETOOTHD, "--version"], capture_output=True, text=True, check=True).stdout.strip()


async def main() -> None:
    """Both ways, and the verdict."""
    verdict: dict[str, Any] = {"bluetoothd": _version(), "linux": platform.release()}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in WAYS.items():
            verdict[name] = await ring(name, options, Path(folder) / name)
    print(VERDICT + json.dumps(verdict))


if __name__ == "__main__":
    print("guest: started")
    sys.exit(asyncio.run(main()))
