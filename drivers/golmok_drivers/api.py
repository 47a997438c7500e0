"""What a driver and its twin need to know, and all they may import of us; plug-ins of others import only this.

A driver is one class of one of three kinds, after who speaks first:

* `PolledDriver`: the gateway asks (`sample`) every `interval_s`;
* `EventDriver`: the device speaks when something changes (`events`);
* `MessageDriver`: a message comes over MQTT and is turned into readings (`decode`).

Its bus is an argument of `open`, so that it never knows whether the other end is real, a twin or a trace.
Its twin sits at the other end of the same bus and answers in bytes. Both state `api = 1` in their class body;
when this interface changes in a way that breaks them, `API` counts up and they are refused by name.

A driver either gives readings or raises a `DriverError`; the gateway makes bad readings of the error
(`failed`). It keeps no clock, no task that outlives `close`, and nothing of the site it stands in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from golmok_drivers.errors import (
    BusBackoff,
    BusClosed,
    BusError,
    BusNack,
    BusTimeout,
    BusUrlError,
    CrcError,
    DriverError,
    NotReady,
    OutOfRange,
    PayloadError,
    ResetValue,
    ScenarioError,
    Shorted,
    Silent,
    UnknownDriver,
    Unplugged,
    WrongApi,
)
from golmok_drivers.radio import Advert, Ble, BleLink, BleTwin, Broadcast, Counters, Listening, Peripheral
from golmok_drivers.topics import check_filter, topic_matches
from golmok_drivers.units import UNITS, is_unit, nearest_unit, quantity_name, unit_sign

__all__ = [
    "API",
    "I2C",
    "UNITS",
    "Advert",
    "Ble",
    "BleLink",
    "BleTwin",
    "Broadcast",
    "Bus",
    "BusBackoff",
    "BusClosed",
    "BusError",
    "BusNack",
    "BusTimeout",
    "BusUrlError",
    "Channel",
    "Counters",
    "CrcError",
    "Driver",
    "DriverError",
    "DriverInfo",
    "EventDriver",
    "Gpio",
    "GpioInput",
    "GpioTwin",
    "I2CTwin",
    "Identity",
    "Listening",
    "MessageDriver",
    "MqttTwin",
    "NotReady",
    "OneWire",
    "OneWireTwin",
    "OutOfRange",
    "PayloadError",
    "Peripheral",
    "PolledDriver",
    "Publication",
    "Quality",
    "Reading",
    "ResetValue",
    "ScenarioError",
    "Settings",
    "Shorted",
    "Silent",
    "Twin",
    "UnknownDriver",
    "Unplugged",
    "Value",
    "World",
    "WrongApi",
    "check_filter",
    "failed",
    "is_unit",
    "judged",
    "nearest_unit",
    "quantity_name",
    "topic_matches",
    "unit_sign",
]

API: Final = 1
"""The version of this interface."""

Value: TypeAlias = "bool | int | float | str | None"
Quality: TypeAlias = Literal["good", "uncertain", "bad"]


class Reading(NamedTuple):
    """One value of one quantity, with how far it may be believed.

    `wall_ms` (milliseconds since 1970, UTC) is there only when the device itself stated a time.
    """

    quantity: str
    value: Value
    quality: Quality = "good"
    reason: str = ""
    wall_ms: int | None = None


@dataclass(frozen=True)
class Channel:
    """A quantity that a driver gives: its UCUM unit and what the part can do.

    `low` and `high` bound what the part can measure; None where that has no meaning (states, texts). `is_event`:
    it happens at a moment (a button is pressed) instead of lasting; it is stored as an event, at once.
    """

    quantity: str
    unit: str = "1"
    low: float | None = None
    high: float | None = None
    resolution: float | None = None
    accuracy: float | None = None
    is_event: bool = False


@dataclass(frozen=True)
class DriverInfo:
    """What a driver is for, for people and for the settings check.

    `bus` is the bus URL's scheme without `sim+`: i2c, w1, gpio, ble, mqtt. `interval_s` is how often a polled
    device is asked if the settings do not say; `expect_s` how long an event or message driven one may be
    silent (None: as long as it likes).
    """

    name: str
    title: str
    title_ko: str
    bus: str
    datasheet: str
    channels: tuple[Channel, ...] = ()
    interval_s: float | None = None
    expect_s: float | None = None


class Identity(NamedTuple):
    """Who answered a probe."""

    part: str
    serial: str = ""


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of a driver's settings: only its own keys, checked when made.

    What a type cannot say is checked in `__post_init__` by a ValueError whose text is the remedy.
    """


class Driver(ABC):
    """What all three kinds of driver have in common.

    `probe` and `close` may be called at any time after `open`; `close` also twice.
    """

    api: ClassVar[int]
    info: ClassVar[DriverInfo]
    Settings: ClassVar[type[msgspec.Struct]] = Settings

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """`settings` is an instance of `Settings`; `timezone` is the site's, for devices that state local times."""
        self.settings = settings
        self.timezone = timezone

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels of this very device, in the order in which they are stored."""
        return self.info.channels

    async def open(self, bus: Any) -> None:  # noqa: B027  (message driven devices have no bus)
        """Take the bus and bring the device to a known state; raises `DriverError`."""

    async def probe(self) -> Identity:
        """Ask who is there; raises `DriverError` when it is not the part that this driver is for."""
        return Identity(self.info.title)

    async def close(self) -> None:  # noqa: B027  (most devices keep nothing)
        """Let go of the device. The bus is not the driver's to close."""


class PolledDriver(Driver):
    """A device that answers when asked."""

    @abstractmethod
    async def sample(self) -> Sequence[Reading]:
        """Measure now: one reading a channel, in their order; raises `DriverError`.

        Cancelling it must leave the device usable by the next `sample`.
        """


class EventDriver(Driver):
    """A device that speaks by itself."""

    @abstractmethod
    def events(self) -> AsyncIterator[Sequence[Reading]]:
        """First the state as it is, then each change, until `close`; raises `DriverError`."""


class MessageDriver(Driver):
    """A device whose messages come over MQTT; the gateway subscribes, and acknowledges after the commit."""

    @abstractmethod
    def topics(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""

    @abstractmethod
    def decode(self, topic: str, payload: bytes) -> Sequence[Reading]:
        """The readings in one message (none if it says nothing of our channels); raises `PayloadError`."""


def judged(channel: Channel, value: float) -> Reading:
    """A reading of `value`, bad with reason `range` when the part cannot have measured it."""
    inside = (channel.low is None or value >= channel.low) and (channel.high is None or value <= channel.high)
    return Reading(channel.quantity, value) if inside else Reading(channel.quantity, value, "bad", OutOfRange.reason)


def failed(channels: Sequence[Channel], error: DriverError) -> list[Reading]:
    """One bad reading without a value for each channel, for the reason that `error` names."""
    return [Reading(channel.quantity, None, "bad", error.reason) for channel in channels]


# --- Buses: what `open` is given -------------------------------------------------------------------------------


class Bus(Protocol):
    """Any bus."""

    async def close(self) -> None:
        """End it: waiting transactions raise `BusClosed`; closing twice does nothing."""


class I2C(Bus, Protocol):
    """An I2C bus."""

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """Write, then with a repeated start read `read` bytes, undivided; raises `BusError`.

        `timeout_s` counts from when the bus was free. An empty write without a read asks only for an ACK.
        """


class OneWire(Bus, Protocol):
    """A 1-wire bus as Linux shows it: a folder for each device, with files that measure when read."""

    async def devices(self) -> tuple[str, ...]:
        """The ids on the bus, such as `28-00000a1b2c3d`."""

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        """The whole text of a device's file; raises `Unplugged`, `BusTimeout`, `BusError`."""


class GpioInput(Protocol):
    """One pin, claimed as an input."""

    @property
    def is_high(self) -> bool:
        """The level now."""

    def close(self) -> None:
        """Give the pin back; closing twice does nothing."""


class Gpio(Bus, Protocol):
    """The pins of the board, by their BCM numbers."""

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> GpioInput:
        """Claim `pin`; `on_edge` is called in the event loop's thread after each edge (edges may merge)."""


# --- Twins: the other end of a bus -----------------------------------------------------------------------------


class World(Protocol):
    """What a twin feels of the simulation, and where it says what it gave."""

    def now_s(self) -> float:
        """The simulation's time: seconds since the midnight before it began."""

    def feel(self, quantity: str) -> float:
        """The true value now (frozen while the fault `stuck` lasts)."""

    def has(self, fault: str) -> bool:
        """Whether that fault acts on this device now."""

    def random(self) -> float:
        """The next of this device's seeded random numbers, 0 <= x < 1."""

    def give(self, quantity: str, value: Value) -> None:
        """Note what a right driver will make of the answer; kept only if the answer arrives whole."""


class Twin(Protocol):
    """The simulated device, made with its driver's settings.

    Its signals play by themselves; `defaults` says for each quantity what an unwritten scenario plays (the
    keys are those of a scenario's signal table).
    """

    api: ClassVar[int]

    def __init__(self, settings: Any, world: World) -> None: ...

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """Quantity -> signal table; `settings` lets a device with free channels name its own."""


class I2CTwin(Twin, Protocol):
    """A twin on an I2C bus. The bus makes the faults nack, unplugged, timeout, crc and garbage for it."""

    @property
    def address(self) -> int:
        """Where it answers."""

    def xfer(self, write: bytes, read: int) -> bytes:
        """One transaction; raises `BusNack` where the part would not acknowledge."""


class OneWireTwin(Twin, Protocol):
    """A twin on a 1-wire bus. The bus, as the kernel does, makes the text of `w1_slave` from the scratchpad."""

    @property
    def address(self) -> str:
        """Its id, such as `28-00000a1b2c3d`."""

    def scratchpad(self) -> bytes:
        """The nine bytes it sends, the last of them the CRC."""


class GpioTwin(Twin, Protocol):
    """A twin that pulls at a pin."""

    @property
    def pin(self) -> int:
        """The pin's BCM number."""

    def level(self, pull_up: bool) -> bool:
        """The level on the wire now, given which way the board pulls."""

    def read(self, is_high: bool, pull_up: bool) -> None:
        """The gateway has just read a level other than the last: give what it means."""


class Publication(NamedTuple):
    """A message that a twin wants published, and what a right driver will read in it."""

    topic: str
    payload: bytes
    given: tuple[tuple[str, Value], ...] = ()


class MqttTwin(Twin, Protocol):
    """A twin that publishes by itself."""

    @property
    def interval_s(self) -> float:
        """Seconds between its messages."""

    def publish(self) -> Publication | None:
        """The message due now, or None when it has nothing to say."""
