"""What a driver and its twin need to know, and all they may import of us; plug-ins of others import only this.

A driver is one class of one of four kinds, after who speaks first:

* `PolledDriver`: the gateway asks (`sample`) every `interval_s`;
* `EventDriver`: the device speaks when something changes (`events`);
* `MessageDriver`: a message comes over MQTT and is turned into readings (`decode`);
* `CommandDriver`: the device does what it is told (`command`), and says what it does.
* `OutputDriver`: one of these that is on or off.

Its bus is an argument of `open`, so that it never knows whether the other end is real, a twin or a trace.
Its twin sits at the other end of the same bus and answers in bytes. Both state `api = 1` in their class body;
when this interface changes in a way that breaks them, `API` counts up and they are refused by name.

A driver either gives readings or raises a `DriverError`; the gateway makes bad readings of the error
(`failed`). It keeps no clock, no task that outlives `close`, and nothing of the site it stands in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec

from golmok_drivers import rtu, waves
from golmok_drivers.errors import (
    BusBackoff,
    BusClosed,
    BusError,
    BusNack,
    BusTimeout,
    BusUrlError,
    CommandError,
    CrcError,
    DriverError,
    NotReady,
    OpenCircuit,
    OutOfRange,
    Overrun,
    PayloadError,
    ResetValue,
    ScenarioError,
    Shorted,
    Silent,
    UnknownDriver,
    Unplugged,
    WrongApi,
    WrongPart,
)
from golmok_drivers.radio import Advert, Ble, BleLink, BleTwin, Broadcast, Counters, Listening, Peripheral
from golmok_drivers.topics import check_filter, topic_matches
from golmok_drivers.units import UNITS, is_unit, nearest_unit, quantity_name, unit_sign

__all__ = [
    "API",
    "I2C",
    "I2C_WIRING",
    "SPI_WIRING",
    "UART_WIRING",
    "UNITS",
    "W1_WIRING",
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
    "CommandDriver",
    "CommandError",
    "Counters",
    "CrcError",
    "Driver",
    "DriverError",
    "DriverInfo",
    "EventDriver",
    "Gpio",
    "GpioCounter",
    "GpioInput",
    "GpioOutput",
    "GpioTwin",
    "I2CLine",
    "I2CTwin",
    "Identity",
    "Line",
    "Listening",
    "MessageDriver",
    "MqttTwin",
    "NotReady",
    "OneWire",
    "OneWireTwin",
    "OpenCircuit",
    "OutOfRange",
    "OutputDriver",
    "OutputTwin",
    "Overrun",
    "PayloadError",
    "Peripheral",
    "PolledDriver",
    "Publication",
    "PulseTwin",
    "Quality",
    "Reading",
    "ResetValue",
    "ScenarioError",
    "Settings",
    "Shorted",
    "Silent",
    "Spi",
    "SpiLine",
    "SpiTwin",
    "Twin",
    "Uart",
    "UartTwin",
    "UnknownDriver",
    "Unplugged",
    "Value",
    "World",
    "WrongApi",
    "WrongPart",
    "check_filter",
    "failed",
    "is_unit",
    "judged",
    "nearest_unit",
    "quantity_name",
    "rtu",
    "topic_matches",
    "unit_sign",
    "waves",
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

    `low` and `high` bound what the part can measure; None where that has no meaning (states, texts). A part that
    lives never gives the same value for `still_s` seconds (0: only the settings can say for how long), and never
    scatters by more than `noise` (its standard deviation) from one value to the next; None where it may. `is_event`:
    it happens at a moment (a button is pressed) instead of lasting; it is stored as an event, at once.
    """

    quantity: str
    unit: str = "1"
    low: float | None = None
    high: float | None = None
    resolution: float | None = None
    accuracy: float | None = None
    still_s: float | None = None
    noise: float | None = None
    is_event: bool = False


@dataclass(frozen=True)
class DriverInfo:
    """What a driver is for, for people and for the settings check.

    `bus` is the bus URL's scheme without `sim+`: i2c, spi, uart, w1, gpio, ble, mqtt. `interval_s` is how often a
    polled device is asked if the settings do not say; `expect_s` how long an event or message driven one may be
    silent (None: as long as it likes). `has_serial`: each part has a number of its own, which `probe` gives, so that
    another one in its place is noticed. `wiring` says which of its pins goes where, `note` what else one must know to
    wire it. `examples` are settings of two devices of this kind that can stand on one bus: they are what the
    documentation shows and what the conformance suite runs.
    """

    name: str
    title: str
    title_ko: str
    bus: str
    datasheet: str
    channels: tuple[Channel, ...] = ()
    interval_s: float | None = None
    expect_s: float | None = None
    has_serial: bool = False
    wiring: tuple[tuple[str, str], ...] = ()
    note: str = ""
    examples: tuple[Mapping[str, Any], ...] = ()


I2C_WIRING: Final = (
    ("VDD", "3.3 V (pin 1)"),
    ("GND", "GND (pin 6)"),
    ("SDA", "GPIO2 (pin 3)"),
    ("SCL", "GPIO3 (pin 5)"),
)
"""Of a part on the first I2C bus of a Raspberry Pi (`i2c://1`)."""
SPI_WIRING: Final = (
    ("VDD", "3.3 V (pin 17)"),
    ("GND", "GND (pin 20)"),
    ("SCK", "GPIO11 (pin 23)"),
    ("SDO (MISO)", "GPIO9 (pin 21)"),
    ("SDI (MOSI)", "GPIO10 (pin 19)"),
    ("CS", "GPIO8 (pin 24) for select = 0, GPIO7 (pin 26) for select = 1"),
)
"""Of a part on the first SPI bus (`spi://0`)."""
UART_WIRING: Final = (
    ("RX", "TX of the USB adapter"),
    ("TX", "RX of the USB adapter"),
    ("GND", "GND of the USB adapter"),
)
"""Of a part at a USB serial adapter (`uart://ttyUSB0`)."""
W1_WIRING: Final = (
    ("VDD", "3.3 V (pin 1)"),
    ("GND", "GND (pin 6)"),
    ("DQ", "GPIO4 (pin 7), with 4.7 kOhm between DQ and VDD"),
)
"""Of a part on the 1-wire bus (`w1://0`)."""


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

    `probe` and `close` may be called at any time after `open`, `probe` not while it measures; `close` also twice.
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

    def resume(self, last: Mapping[str, Value]) -> None:  # noqa: B027  (most devices count nothing)
        """Go on counting from the values that the device last gave (quantity -> value); called before `open`."""

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


class CommandDriver(EventDriver):
    """A device that does what it is told: a pager, say. Its events say what it does."""

    command_s: float = 1.0
    """How long one command may take; afterwards it counts as not done."""

    @property
    def told(self) -> str:
        """The quantity that a command is about, if who commands names none."""
        return self.channels[0].quantity

    @abstractmethod
    async def command(self, quantity: str, value: Value) -> None:
        """Make the channel `quantity` that value; raises `CommandError` when it cannot be that, `DriverError`."""


class OutputDriver(CommandDriver):
    """A device that is on or off, as rules and people switch it: a relay, a buzzer."""

    when_on: Value = True
    """What its first channel is made when it is simply switched on."""
    _told: bool | None = None

    async def set(self, on: bool) -> None:
        """Switch it on or off; what it was told already since it was opened is not done again. Raises `DriverError`."""
        if on != self._told:
            await self.command(self.channels[0].quantity, self.when_on if on else False)
            self._told = on


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


T = TypeVar("T")


class Line(Protocol):
    """What a `session` has of its bus: it is called in the bus's own thread, and may block it."""

    def now_s(self) -> float:
        """The time on a clock of the bus that only goes forward (a twin's runs on while it is waited for)."""

    def sleep(self, seconds: float) -> None:
        """Wait so long."""


class I2CLine(Line, Protocol):
    """An I2C bus to a `session`."""

    def xfer(self, write: bytes = b"", read: int = 0) -> bytes:
        """See `I2C.xfer`."""


class SpiLine(Line, Protocol):
    """An SPI bus to a `session`."""

    def xfer(self, write: bytes) -> bytes:
        """See `Spi.xfer`."""


class I2C(Bus, Protocol):
    """An I2C bus."""

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """Write, then with a repeated start read `read` bytes, undivided; raises `BusError`.

        `timeout_s` counts from when the bus was free. An empty write without a read asks only for an ACK.
        """

    async def session(self, address: int, work: Callable[[I2CLine], T], *, timeout_s: float) -> T:
        """What `work` gives, run in the bus's thread without anybody else between; for what must not be late.

        Keep it short: everybody else on the bus waits meanwhile. `work` may raise `BusError`.
        """


class Spi(Bus, Protocol):
    """An SPI bus; `select` is the number of the chip select."""

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        """Clock out `write`; what came in meanwhile, as many bytes. Raises `BusError`."""

    async def session(
        self,
        select: int,
        work: Callable[[SpiLine], T],
        *,
        mode: int = 0,
        speed_hz: int = 1_000_000,
        timeout_s: float,
    ) -> T:
        """See `I2C.session`."""


class Uart(Bus, Protocol):
    """A serial line with devices that answer when they are asked. Speed and parity stand in the bus's URL."""

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        """Send `write`; the answer, up to `read` bytes: it ends there, or where the line falls silent.

        `device` is whom it is for (all hear it). Raises `Unplugged` when nothing came for `timeout_s`, `BusError`.
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


class GpioCounter(Protocol):
    """One pin whose pulses are counted: each time that something pulls it against its resistor."""

    @property
    def pulses(self) -> int:
        """Pulses since it was claimed."""

    def close(self) -> None:
        """Give the pin back; closing twice does nothing."""


class GpioOutput(Protocol):
    """One pin, claimed as an output."""

    @property
    def is_high(self) -> bool:
        """The level it drives."""

    def write(self, is_high: bool) -> None:
        """Drive that level; raises `BusError`."""

    def close(self) -> None:
        """Let go of the pin: it drives nothing any more. Closing twice does nothing."""


class Gpio(Bus, Protocol):
    """The pins of the board, by their BCM numbers."""

    async def input(self, pin: int, *, pull_up: bool, on_edge: Callable[[], None]) -> GpioInput:
        """Claim `pin`; `on_edge` is called in the event loop's thread after each edge (edges may merge)."""

    async def count(self, pin: int, *, pull_up: bool) -> GpioCounter:
        """Claim `pin` to count its pulses, none of which merge."""

    async def output(self, pin: int, *, is_high: bool) -> GpioOutput:
        """Claim `pin` and drive that level from the first moment."""


# --- Twins: the other end of a bus -----------------------------------------------------------------------------


class World(Protocol):
    """What a twin feels of the simulation, and where it says what it gave."""

    def now_s(self) -> float:
        """The simulation's time: seconds since the midnight before it began."""

    def part_s(self) -> float:
        """The part's own clock, in seconds: it goes on also where the simulation's stands still."""

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
    keys are those of a scenario's signal table). It may have more tables: `faults` (what is seen of its part's own
    faults: fault -> reason, "" where it is none to it), `unseen` (of unplugged, shorted, noisy, stuck and swapped,
    those that no driver could see: fault -> why) and `ungiven` (quantities that it cannot know: they depend on the
    asker's clock).
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


class SpiTwin(Twin, Protocol):
    """A twin on an SPI bus. The bus makes the faults for it; unplugged, it reads all ones (a pull-up at MISO)."""

    @property
    def select(self) -> int:
        """The chip select it hangs at."""

    def xfer(self, write: bytes) -> bytes:
        """One transaction, from the falling edge of the chip select to its rising edge: as many bytes."""


class UartTwin(Twin, Protocol):
    """A twin at a serial line. The bus makes the faults nack, unplugged, timeout, crc and garbage for it."""

    @property
    def address(self) -> int:
        """The device's number on the line."""

    def hear(self, request: bytes) -> bytes:
        """What it sends for that; nothing when it was not meant or did not understand."""


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


class PulseTwin(Twin, Protocol):
    """A twin that pulls pulses at a pin which is counted."""

    @property
    def pin(self) -> int:
        """The pin's BCM number."""

    def pulses(self) -> int:
        """Pulses made since the last call."""

    def counted(self, pulses: int) -> None:
        """The gateway has just read that number of pulses, all there were: give what it means."""


class OutputTwin(Twin, Protocol):
    """A twin at a pin that the gateway drives."""

    @property
    def pin(self) -> int:
        """The pin's BCM number."""

    def driven(self, is_high: bool) -> None:
        """The pin is driven to that level now: give what it does."""


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
