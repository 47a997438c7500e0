"""What the tests of the gateway's parts share: a clock set by hand, devices, messages, and waiting in the loop."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from golmok_cloud_sync.protocol import Record
from golmok_drivers.api import Channel, DriverInfo, MessageDriver, Reading
from golmok_drivers.buses.mqtt import Message
from golmok_edge.gateway.inbox import Listener
from golmok_edge.settings import Device

BOOT = "8c3f0b6e5d2a4f19b7c1d0e9a8f76543"
T0 = 1_700_000_000_000
"""The time of day when the boot of `HandClock` was at 0."""
PATIENCE_S = 30.0


@dataclass
class HandClock:
    """Stands still until somebody moves it."""

    mono: int = 0
    wall: int = T0
    kept: int | None = None
    boot: str = BOOT

    def mono_ms(self) -> int:
        return self.mono

    def wall_ms(self) -> int:
        return self.wall

    def kept_within_ms(self) -> int | None:
        return self.kept

    def pass_ms(self, ms: int) -> None:
        self.mono += ms
        self.wall += ms


def device(name: str, *quantities: str, unit: str = "Cel", interval_s: float | None = None, **more: Any) -> Device:
    """A device as the settings give it."""
    fields: dict[str, Any] = {
        "title": "",
        "driver": "fake",
        "bus": "fake://",
        "expect_s": None,
        "limits": {},
        "options": msgspec.defstruct("Nothing", [])(),
        "channels": tuple(Channel(quantity, unit) for quantity in quantities),
    }
    return Device(name=name, interval_s=interval_s, **(fields | more))


class WordsDriver(MessageDriver):
    """Hears `quantity=number` words, and what it is told to do with others."""

    api = 1
    info = DriverInfo("words", title="Words", title_ko="", bus="mqtt", datasheet="")

    def __init__(self, *topics: str, odd: Callable[[bytes], Sequence[Reading]] | None = None) -> None:
        super().__init__(None)
        self._topics, self._odd = topics, odd

    def topics(self) -> tuple[str, ...]:
        return self._topics

    def decode(self, topic: str, payload: bytes) -> Sequence[Reading]:
        if self._odd:
            return self._odd(payload)
        pairs = [word.split("=") for word in payload.decode().split()]
        return [Reading(quantity, float(number)) for quantity, number in pairs]


def listener(name: str, *topics: str, odd: Callable[[bytes], Sequence[Reading]] | None = None) -> Listener:
    return Listener(device(name, "a", "b"), WordsDriver(*topics, odd=odd))


def message(topic: str = "t/1", payload: bytes = b"a=1", packet_id: int = 1, **more: Any) -> Message:
    fields = {"dup": False, "retain": False, "qos": 1, "connection": 1} | more
    return Message(topic, payload, packet_id, **fields)


def record(channel: str = "fridge.temperature", value: Any = 5.0, mono_ms: int = 0, **more: Any) -> Record:
    fields: dict[str, Any] = {"unit": "Cel", "boot": BOOT} | more
    return Record(channel, value, mono_ms=mono_ms, **fields)


class VirtualTime(asyncio.SelectorEventLoop):
    """A loop in which time passes only while everybody waits, and then at once: exact, and never slow."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Leaping(self.leap))

    def time(self) -> float:
        return self._now

    def leap(self, seconds: float) -> None:
        self._now += seconds


class _Leaping(selectors.SelectSelector):
    def __init__(self, leap: Callable[[float], None]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "all wait for each other"
            self._leap(timeout)
        return ready


async def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """Wait in the loop for something to become true; its value."""
    loop = asyncio.get_running_loop()
    is_virtual = isinstance(loop, VirtualTime)
    end = loop.time() + (100 if is_virtual else 1) * PATIENCE_S
    while not (value := condition()):
        assert loop.time() < end, f"not in time: {what}"
        await asyncio.sleep(0.05 if is_virtual else 0.002)
    return value
