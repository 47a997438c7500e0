"""What is wired to a bus: each place on it is asked by each driver that could be there; whoever answers is looked at.

Nothing is known of the shop's settings here. A driver is found when its `probe` is content; how a part is, a few
samples in a row say. GPIO pins cannot be asked who is there.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from golmok_drivers import catalogue
from golmok_drivers.api import (
    BusNack,
    Channel,
    Driver,
    DriverError,
    EventDriver,
    Identity,
    NotReady,
    OutOfRange,
    PolledDriver,
    Reading,
    ResetValue,
    Unplugged,
    failed,
)
from golmok_drivers.watch import NOISY, STUCK, Watch

SELECTS: Final = (0, 1)
UART_NUMBERS: Final = (*range(1, 9), 248)
"""Modbus numbers that are asked: each that is not there costs a third of a second."""
_EVERYBODY: Final = {"address": 248}
"""To this Modbus number a PZEM answers whatever its own is: asked where nobody else was found."""
_I2C_ADDRESSES: Final = range(0x08, 0x78)
_LOOKS: Final = 15
_WORSE: Final = ("good", "uncertain", "bad")
_LISTEN_S: Final = 5.0
"""Devices that speak by themselves are listened to for so long: a loose wire shows within that. Who is asked, and gives
the same value again and again, is stuck if it does so for so long."""
_PAUSE_S: Final = 0.25
_SETTLING: Final = 3
"""A part that says that it was reset, or has nothing yet, is asked so often again."""
_MOST_STILL_S: Final = 7200.0
"""A part that is never still for longer than that does not give one value so often in a row."""


_WORDS: Final[Mapping[str, str]] = {
    STUCK: "it gives the same value on and on",
    NOISY: "its values scatter; a loose wire?",
    "open-circuit": "the sensor's wire is broken or unplugged",
    "shorted": "its wire, or one of its bus, touches ground or the supply",
    "range": "it says more than it can measure",
}
"""What reasons of readings mean, where no error says it."""


@dataclass(frozen=True)
class Find:
    """Something at a place: `driver` is empty where it answers, and nobody knows it."""

    bus: str
    driver: str
    options: Mapping[str, Any]
    part: str = ""
    serial: str = ""
    state: str = "good"
    reason: str = ""
    detail: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """How a device is: good, uncertain or bad, and why; and what it measured last."""

    state: str
    reason: str = ""
    detail: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def present_buses(root: Path = Path("/")) -> list[str]:
    """The URLs of the buses that this machine has."""
    dev = root / "dev"
    i2c = {f"i2c://{path.name[4:]}" for path in dev.glob("i2c-*") if path.name[4:].isdecimal()}
    spi = {f"spi://{path.name[6:].partition('.')[0]}" for path in dev.glob("spidev*.*")}
    by_id = sorted(dev.glob("serial/by-id/*"))
    ports = by_id or sorted(dev.glob("ttyUSB*"))
    uart = [f"uart:///dev/serial/by-id/{port.name}" if by_id else f"uart://{port.name}" for port in ports]
    masters = (root / "sys/bus/w1/devices").glob("w1_bus_master*")
    return [*sorted(i2c), *sorted(spi), *uart, *sorted(f"w1://{path.name[13:]}" for path in masters)]


async def scan_bus(url: str, kind: str, bus: Any, numbers: Sequence[int] = UART_NUMBERS) -> AsyncIterator[Find]:
    """Whatever is found on it, as it is found; raises `BusError` when the bus itself is not there."""
    drivers = [name for name in catalogue.names() if catalogue.load(name).info.bus == kind]
    is_any_there = False
    async for options in _PLACES[kind](bus, numbers):
        if is_any_there and options == _EVERYBODY:
            continue
        if (find := await _asked(url, bus, drivers, options)) is not None:
            is_any_there = True
            yield find


async def _asked(url: str, bus: Any, names: Sequence[str], options: Mapping[str, Any]) -> Find | None:
    """Who is at that place; None when nobody is."""
    heard: dict[str, DriverError] = {}
    for name in names:
        kind = catalogue.load(name)
        try:
            settings = msgspec.convert(dict(options), kind.Settings)
        except msgspec.ValidationError:
            continue  # this part cannot be there
        driver = kind(settings)
        try:
            identity = await opened(driver, bus)
        except DriverError as error:
            heard[name] = error
            continue
        health = await examine(driver)
        await driver.close()
        return Find(
            url,
            name,
            options,
            identity.part,
            identity.serial,
            health.state,
            health.reason,
            health.detail,
            health.values,
        )
    said = [f"{name}: {error}" for name, error in heard.items() if not isinstance(error, Unplugged | BusNack)]
    if not said and "address" not in options:
        return None
    if all(isinstance(error, Unplugged) for error in heard.values()) and heard:
        return None
    detail = "; ".join(said) or "no driver that we have is for a part at this place"
    reason = next((e.reason for e in heard.values() if not isinstance(e, Unplugged | BusNack)), "unknown")
    return Find(url, "", options, state="bad", reason=reason, detail=detail)


async def opened(driver: Driver, bus: Any) -> Identity:
    """Open it and ask who it is; raises `DriverError`, after which it is closed."""
    try:
        await driver.open(bus)
        return await driver.probe()
    except BaseException:
        await driver.close()
        raise


async def examine(driver: Driver, looks: int = _LOOKS) -> Health:
    """How an open device is, by a few samples in a row."""
    if isinstance(driver, EventDriver):
        return await _listened(driver)
    if not isinstance(driver, PolledDriver):
        return Health("good")
    channels = [_as_looked_at(channel) for channel in driver.channels]
    lively = {channel.quantity for channel in channels if channel.still_s}
    watch = Watch(channels, still_s=_LISTEN_S)
    least = looks if any(channel.still_s or channel.noise for channel in driver.channels) else _SETTLING
    began_s = time.monotonic()
    first: Mapping[str, Any] = {}
    readings: Sequence[Reading] = ()
    for at in itertools.count(1):
        sampled, detail = await _sampled(driver)
        after_s = time.monotonic() - began_s
        readings = watch.look(sampled, after_s)
        bad = next((reading.reason for reading in readings if reading.quality == "bad"), "")
        if bad and bad != OutOfRange.reason:  # beyond its range, it may only scatter
            return Health("bad", bad, detail or _WORDS.get(bad, ""), _values(readings))
        values = {reading.quantity: reading.value for reading in sampled if reading.quantity in lively}
        first = first or values
        is_still = bool(lively) and values == first
        if at >= least and (not is_still or after_s >= _LISTEN_S):
            break
        if at >= least:  # it may measure once a second, and give each value many times when asked so fast
            await asyncio.sleep(_PAUSE_S)
    worst = max(readings, key=lambda reading: _WORSE.index(reading.quality))
    return Health(worst.quality, worst.reason, _WORDS.get(worst.reason, ""), _values(readings))


async def _listened(driver: EventDriver) -> Health:
    """How one is that speaks by itself, by the last that it says in a moment."""
    said: dict[str, Reading] = {}
    try:
        async with (
            asyncio.timeout(_LISTEN_S),
            aclosing(cast(AsyncGenerator[Sequence[Reading]], driver.events())) as told,
        ):
            async for readings in told:
                said |= {reading.quantity: reading for reading in readings}
    except TimeoutError:
        pass
    except DriverError as error:
        return Health("bad", error.reason, str(error))
    if not said:
        return Health("good")
    worst = max(said.values(), key=lambda reading: _WORSE.index(reading.quality))
    return Health(worst.quality, worst.reason, _WORDS.get(worst.reason, ""), _values(list(said.values())))


def _as_looked_at(channel: Channel) -> Channel:
    """A part that may be still for hours cannot be called stuck in seconds."""
    return replace(channel, still_s=None) if (channel.still_s or 0.0) > _MOST_STILL_S else channel


async def _sampled(driver: PolledDriver) -> tuple[Sequence[Reading], str]:
    for attempt in range(_SETTLING):
        try:
            return await driver.sample(), ""
        except (NotReady, ResetValue) as error:
            if attempt == _SETTLING - 1:
                return failed(driver.channels, error), str(error)
        except DriverError as error:
            return failed(driver.channels, error), str(error)
    raise AssertionError


def _values(readings: Sequence[Reading]) -> dict[str, Any]:
    return {reading.quantity: reading.value for reading in readings}


async def _i2c_places(bus: Any, numbers: Sequence[int]) -> AsyncIterator[dict[str, Any]]:
    for address in _I2C_ADDRESSES:
        try:
            await bus.xfer(address, timeout_s=0.25)
        except BusNack:
            continue
        yield {"address": address}


async def _spi_places(bus: Any, numbers: Sequence[int]) -> AsyncIterator[dict[str, Any]]:
    for select in SELECTS:
        yield {"select": select}


async def _uart_places(bus: Any, numbers: Sequence[int]) -> AsyncIterator[dict[str, Any]]:
    for number in numbers:
        yield {"address": number}


async def _w1_places(bus: Any, numbers: Sequence[int]) -> AsyncIterator[dict[str, Any]]:
    for address in await bus.devices():
        yield {"address": address}


async def _no_places(bus: Any, numbers: Sequence[int]) -> AsyncIterator[dict[str, Any]]:
    for nowhere in list[dict[str, Any]]():
        yield nowhere


_PLACES: Final[dict[str, Callable[[Any, Sequence[int]], AsyncIterator[dict[str, Any]]]]] = {
    "i2c": _i2c_places,
    "spi": _spi_places,
    "uart": _uart_places,
    "w1": _w1_places,
    "gpio": _no_places,
    "ble": _no_places,
    "mqtt": _no_places,
}
"""Kind of bus -> the places on it, as the settings that name them."""
