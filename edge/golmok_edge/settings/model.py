"""What stands in a settings file, as types; `docs/settings.md` and most of the check are made from them.

Each key bears its meaning and an example. Paths are absolute once read: relative ones begin at the file's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from golmok_drivers.api import Channel

if TYPE_CHECKING:
    from golmok_edge.settings.rules import AnyRule

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,31}\Z"
DAY_S: Final = 86_400
SHARES: Final[Mapping[str, float]] = {"readings": 0.7, "files": 0.1, "events": 0.1}
"""Of `max_bytes`, for a stream without a budget of its own. What is left is for orders."""
MOST_SHARED: Final = 0.95
"""Of `max_bytes`, for all budgets together."""
MOST_PER_S: Final = 1_000.0
MOST_PER_S_ON_THE_BUS: Final = 50_000.0
"""Of devices on MQTT: what they say in a burst is acknowledged piece by piece, and must not be cut off for it."""
MOST_MB: Final = 64

Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN)]
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section, also of those that applications register."""


class Site(Section, frozen=True):
    """Which gateway this is and where it stands."""

    gateway: Annotated[
        Name,
        Meta(description="The gateway's name, unique in its tenant: a-z, 0-9 and -, at most 32.", examples=["gw-0001"]),
    ]
    name: Annotated[
        str,
        Meta(
            max_length=200,
            description="What people call the place; the gateway's name if empty.",
            examples=["한옥카페"],
        ),
    ] = ""
    timezone: Annotated[
        Text,
        Meta(description="The place's time zone, as the tz database names it.", examples=["Asia/Seoul"]),
    ] = "Asia/Seoul"

    @property
    def title(self) -> str:
        """What people call the place."""
        return self.name or self.gateway


class Budgets(Section, frozen=True):
    """What the streams of the store may take, each in bytes."""

    readings: Annotated[
        Annotated[int, Meta(ge=100_000, le=2**53)] | None,
        Meta(description="Of measured values; 70 % of `max_bytes` if left out.", examples=[1_400_000_000]),
    ] = None
    events: Annotated[
        Annotated[int, Meta(ge=50_000, le=2**53)] | None,
        Meta(
            description="Of events; 10 % of `max_bytes` if left out. Half of it is kept for alarms.",
            examples=[200_000_000],
        ),
    ] = None
    files: Annotated[
        Annotated[int, Meta(ge=50_000, le=2**53)] | None,
        Meta(description="Of what is known of files; 10 % of `max_bytes` if left out.", examples=[200_000_000]),
    ] = None


class Store(Section, frozen=True):
    """Where readings are kept on this machine, and how."""

    path: Annotated[
        Path,
        Meta(description="A folder; it is made if it is not there.", examples=["var"]),
    ] = Path("var")
    commit_interval_s: Annotated[
        float,
        Meta(
            ge=0.01,
            le=60,
            description="Readings wait at most so long until they are on disk. 5 spares the SD card of a slow site.",
            examples=[1.0],
        ),
    ] = 1.0
    max_bytes: Annotated[
        int,
        Meta(
            ge=1_000_000,
            le=2**53,
            description="How large the store may grow. Beyond it what the cloud has is deleted, the oldest first; then "
            "`when_full` decides.",
            examples=[2_000_000_000],
        ),
    ] = 2_000_000_000
    when_full: Annotated[
        Literal["drop-oldest", "refuse"],
        Meta(
            description="What happens to readings when the store is full of what the cloud does not have: the oldest "
            "make room and become a named gap, or new ones are refused (MQTT messages then stay at the broker). Orders "
            "and alarms are never dropped.",
            examples=["drop-oldest"],
        ),
    ] = "drop-oldest"
    budgets: Annotated[
        Budgets | None,
        Meta(
            description="The share of each stream in bytes; those left out get theirs of `max_bytes`. Together at most "
            "95 % of it: orders have no budget.",
            examples=[{"readings": 1_400_000_000, "events": 200_000_000}],
        ),
    ] = None
    card_endurance_bytes: Annotated[
        Annotated[int, Meta(ge=1_000_000_000, le=2**60)] | None,
        Meta(
            description="How many bytes can be written to the SD card until it is worn out, by its data sheet (TBW). "
            "Left out: its size x 1,000 cycles / 10, which is an assumption.",
            examples=[30_000_000_000_000],
        ),
    ] = None

    @property
    def shares(self) -> dict[str, int]:
        """The budget of each stream that has one, in bytes."""
        return shares_of(self.max_bytes, self.budgets)


def shares_of(max_bytes: int, given: Budgets | None) -> dict[str, int]:
    """The budgets that are given, and for the other streams their share of `max_bytes`."""
    said: dict[str, int | None] = msgspec.structs.asdict(given) if given else {}
    return {
        stream: int(max_bytes * share) if (budget := said.get(stream)) is None else budget
        for stream, share in SHARES.items()
    }


class Mqtt(Section, frozen=True):
    """The local bus. Without this section the gateway connects to it (on 127.0.0.1) only if a device needs it."""

    host: Annotated[
        Text,
        Meta(description="Name or address of the broker's machine.", examples=["127.0.0.1"]),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535, description="The broker's port.", examples=[1883])] = 1883
    username: Annotated[
        Text | None,
        Meta(description="The gateway's user at the broker, if it asks for one.", examples=["golmok"]),
    ] = None
    password_file: Annotated[
        Path | None,
        Meta(description="A file with the password on its only line; nobody else may read it.", examples=["mqtt.pw"]),
    ] = None


class Cloud(Section, frozen=True):
    """Where readings are sent. Without this section they stay on this machine."""

    url: Annotated[
        Text,
        Meta(description="The cloud's address; https:// except on this machine.", examples=["http://127.0.0.1:8400"]),
    ]
    interval_s: Annotated[
        float,
        Meta(ge=0.1, le=3_600, description="At most this long until new readings are sent.", examples=[60]),
    ] = 60.0
    token_file: Annotated[
        Path | None,
        Meta(
            description="A file with the gateway's token on its only line. It may come later: without it the gateway "
            "can join only a cloud with open enrolment.",
            examples=["enrol.token"],
        ),
    ] = None


class Web(Section, frozen=True):
    """The owner's page, served by golmok-shop."""

    listen: Annotated[
        Text,
        Meta(
            description="Host and port. This machine only (127.0.0.1, ::1, localhost) until the page has a login.",
            examples=["127.0.0.1:8480"],
        ),
    ] = "127.0.0.1:8480"

    @property
    def host(self) -> str:
        """The host, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.listen.rpartition(":")[2])


class Limit(Section, frozen=True):
    """When a quantity's value is an alarm: outside low … high for `for_s` seconds."""

    low: Annotated[float | None, Meta(description="Alarm below this.", examples=[2])] = None
    high: Annotated[float | None, Meta(description="Alarm above this.", examples=[8.0])] = None
    for_s: Annotated[float, Meta(ge=0, le=7 * DAY_S, description="Only when it lasts so long.", examples=[600])] = 0.0
    hysteresis: Annotated[
        float, Meta(ge=0, description="It is over only when the value is back by so much.", examples=[0.5])
    ] = 0.0
    silent_s: Annotated[
        Annotated[float, Meta(gt=0, le=31 * DAY_S)] | None,
        Meta(
            description="An alarm too when nothing good came for so long; left out: three times its longest normal "
            "silence, 10 minutes at least.",
            examples=[900],
        ),
    ] = None
    outputs: Annotated[
        tuple[Name, ...],
        Meta(description="Devices (relay, buzzer) that are switched on meanwhile.", examples=[["horn"]]),
    ] = ()


class Common(Section, frozen=True):
    """The keys that every device may have, whatever its driver; the driver's own stand beside them."""

    name: Annotated[
        Name,
        Meta(
            description="The device's name, unique in the file; its channels are `name.quantity`.", examples=["fridge"]
        ),
    ]
    driver: Annotated[
        Text,
        Meta(description="What reads it: a name of `golmok-gateway devices list`.", examples=["ds18b20"]),
    ]
    title: Annotated[
        str,
        Meta(max_length=200, description="What people call it; its name if empty.", examples=["음료 냉장고"]),
    ] = ""
    bus: Annotated[
        Text | None,
        Meta(
            description="The bus it is wired to: i2c://1, w1://0, gpio://, ble://hci0, or with sim+ before it a "
            "simulated one, with replay+ a trace. Devices on MQTT have none, but record+mqtt://?to=trace.jsonl writes "
            "their messages down and replay+mqtt://trace.jsonl plays them.",
            examples=["w1://0"],
        ),
    ] = None
    interval_s: Annotated[
        Annotated[float, Meta(ge=0.01, le=DAY_S)] | None,
        Meta(description="How often it is asked; the driver's own pace if left out.", examples=[10]),
    ] = None
    expect_s: Annotated[
        Annotated[float, Meta(ge=0.1, le=31 * DAY_S)] | None,
        Meta(
            description="The longest silence that is still normal, for devices that speak by themselves.",
            examples=[300],
        ),
    ] = None
    limits: Annotated[
        dict[str, Limit],
        Meta(
            description="Quantity -> when its value is an alarm.",
            examples=[{"temperature": {"high": 8.0, "for_s": 600}}],
        ),
    ] = msgspec.field(default_factory=dict)
    serial: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(
            description="The number of the part that belongs here, as `devices scan` says it; the values of another "
            "are uncertain (`swapped`).",
            examples=["0f3a91c2"],
        ),
    ] = None
    still_s: Annotated[
        Annotated[float, Meta(ge=0, le=31 * DAY_S)] | None,
        Meta(
            description="After so long without the smallest change its values are uncertain (`stuck`); 0 never; left "
            "out: what its part never does.",
            examples=[3600],
        ),
    ] = None
    most_per_s: Annotated[
        Annotated[float, Meta(ge=0.1, le=100_000)] | None,
        Meta(
            description="How many readings a second it may give for long; who gives more floods and is paused. "
            "If not set: 1,000, and 50,000 for a device on the local bus (MQTT).",
            examples=[1_000],
        ),
    ] = None
    apart: Annotated[
        bool | None,
        Meta(
            description="Whether its driver runs in a process of its own; left out: those of others do, ours do not.",
            examples=[True],
        ),
    ] = None
    most_mb: Annotated[
        int,
        Meta(
            ge=4,
            le=4_096,
            description="How many MB its driver's own process may take beyond what it took once it was opened.",
            examples=[64],
        ),
    ] = MOST_MB


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device that can be opened: its driver is there and has taken its settings.

    Make the driver with `golmok_drivers.catalogue.load(device.driver)(device.options, timezone=site.timezone)`.
    """

    name: str
    title: str
    driver: str
    bus: str | None
    """None for devices on MQTT, but for those that are replayed."""
    interval_s: float | None
    """How often to ask; None for devices that speak by themselves."""
    expect_s: float | None
    """The longest normal silence; None if any silence is."""
    limits: Mapping[str, Limit]
    options: msgspec.Struct
    """The driver's own settings."""
    channels: tuple[Channel, ...]
    """What it measures, in the order in which it is stored."""
    serial: str | None = None
    """The number of the part that belongs here."""
    still_s: float | None = None
    """How long its values may stay the same; None: what its part allows, 0: for ever."""
    most_per_s: float = MOST_PER_S
    """Readings a second that it may give for long."""
    apart: bool = False
    """Whether its driver runs in a process of its own."""
    record_to: Path | None = None
    """Where the messages of a device on MQTT are written down."""
    most_mb: int = MOST_MB
    """What that process may take beyond what it took at first."""

    @property
    def lasting(self) -> tuple[Channel, ...]:
        """The channels that have a value at any time; the others are events, which are stored as such."""
        return tuple(channel for channel in self.channels if not channel.is_event)


def normal_silence_s(device: Device) -> float | None:
    """The longest time between two readings of `device` that is no gap; None if any silence is normal."""
    if device.interval_s is not None:
        return max(2.5 * device.interval_s, device.interval_s + 5.0)
    return device.expect_s


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A settings file without mistakes."""

    file: Path
    version: str
    """Changes when the file does: 16 hex digits of its SHA-256."""
    site: Site
    store: Store
    mqtt: Mqtt | None
    """None: no local bus."""
    cloud: Cloud | None
    """None: nothing is sent."""
    web: Web
    devices: tuple[Device, ...]
    rules: tuple[AnyRule, ...] = ()
    """What is an alarm, beside the devices' own limits."""
    applications: Mapping[str, msgspec.Struct]
    """Sections of applications (entry points `golmok.settings`), those that stand in the file."""
