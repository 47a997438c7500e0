"""What a Bluetooth driver is given, and what its twin is asked for; drivers take all of it from `golmok_drivers.api`.

An advert is one that was heard, as the radio has it; nothing here says that it is true: anybody may send any of them.
What proves itself (encrypted, with a counter) is judged in `adverts.guard`, with the `Counters` that the bus carries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = [
    "Advert",
    "Ble",
    "BleLink",
    "BleTwin",
    "Broadcast",
    "Counters",
    "ForgetfulCounters",
    "Listening",
    "Peripheral",
]


class Advert(NamedTuple):
    """One advert that was heard.

    Service data are keyed by 16-bit UUID, manufacturer data by company id. What BlueZ hands on may hold service data
    that the device stopped sending long ago. `heard_s` is by the event loop's clock, `rssi` in dBm, `receiver` the
    adapter that heard it (hci0).
    """

    address: str
    rssi: int
    service_data: Mapping[int, bytes]
    manufacturer_data: Mapping[int, bytes]
    name: str = ""
    receiver: str = ""
    heard_s: float = 0.0


class Listening(Protocol):
    """What one driver hears."""

    async def heard(self, timeout_s: float | None = None) -> Sequence[Advert]:
        """All adverts since the last call, waiting for the first; none after `timeout_s`.

        Raises `BusError` when the radio fails, `BusClosed` when it was closed.
        """

    def close(self) -> None:
        """Listen no more; closing twice does nothing."""


class BleLink(Protocol):
    """A connection to one device; characteristics are named by their 128-bit UUIDs."""

    async def read(self, characteristic: str) -> bytes:
        """The value now; raises `BusError`."""

    async def write(self, characteristic: str, data: bytes) -> None:
        """Write, and wait for the device to confirm it; raises `BusError`."""

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        """Call `on_value` with each value that the device tells by itself; raises `BusError`."""

    async def close(self) -> None:
        """Disconnect; closing twice does nothing."""


class Counters(Protocol):
    """The last counter of each device that has a key; what is written here survives kill -9 and a power cut.

    A device is named by whatever its driver names it by, address and key, say. It never goes back but by `renew`.
    """

    def last(self, device: str) -> int | None:
        """The highest counter that was ever accepted; None for a device that was never heard."""

    def may_renew(self, device: str) -> bool:
        """Whether an operator has just said that its counter begins anew (a battery was changed)."""

    async def rise(self, device: str, counter: int) -> None:
        """Note a counter that is higher than the last; it is on disk when this returns. Raises OSError."""

    async def renew(self, device: str, counter: int) -> None:
        """Begin anew at `counter`, which may be lower; ends what the operator allowed. Raises OSError."""


class ForgetfulCounters:
    """`Counters` for simulations and replays, in which devices begin anew each time, too: nothing is kept."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self.renewing: set[str] = set()

    def last(self, device: str) -> int | None:
        """See `Counters.last`."""
        return self._last.get(device)

    def may_renew(self, device: str) -> bool:
        """See `Counters.may_renew`."""
        return device in self.renewing

    async def rise(self, device: str, counter: int) -> None:
        """See `Counters.rise`."""
        self._last[device] = counter

    async def renew(self, device: str, counter: int) -> None:
        """See `Counters.renew`."""
        self._last[device] = counter
        self.renewing.discard(device)


class Ble(Protocol):
    """A Bluetooth radio, or several that listen together."""

    @property
    def counters(self) -> Counters:
        """The counters of devices that have a key."""

    async def listen(self, *, address: str = "", company: int | None = None) -> Listening:
        """Hear what this address sends, or what has manufacturer data of this company; neither: everything.

        Raises `BusError` when there is no radio to listen with.
        """

    async def connect(self, address: str, *, timeout_s: float = 10.0) -> BleLink:
        """Connect to a device that was heard; raises `BusError`. One connection at a time: others wait their turn."""

    async def close(self) -> None:
        """End it: who listens gets `BusClosed`; closing twice does nothing."""


class Broadcast(NamedTuple):
    """What a twin sends: `times` times the same advert, and what a right driver will read in it.

    `rssi` holds for a receiver that is not named in `at`.
    """

    service_data: Mapping[int, bytes] = {}
    manufacturer_data: Mapping[int, bytes] = {}
    name: str = ""
    rssi: int = -60
    at: Mapping[str, int] = {}
    times: int = 1
    given: tuple[tuple[str, Any], ...] = ()


class Peripheral(Protocol):
    """What a twin offers to who connects: characteristics that are read, written, and tell values by themselves."""

    @property
    def services(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """UUID of a service -> UUID of a characteristic -> what can be done with it (read, write, notify)."""

    def connected(self, tell: Callable[[str, bytes], None]) -> None:
        """Somebody connected; `tell(characteristic, value)` notifies."""

    def disconnected(self) -> None:
        """The link is gone."""

    def read(self, characteristic: str) -> bytes:
        """Its value."""

    def write(self, characteristic: str, data: bytes) -> None:
        """Take a value."""


class BleTwin(Protocol):
    """A twin that broadcasts by itself; one that can be connected to also has a `peripheral`."""

    @property
    def address(self) -> str:
        """Its address, as AA:BB:CC:DD:EE:FF."""

    @property
    def interval_s(self) -> float:
        """Seconds between two looks at what there is to send."""

    def broadcast(self) -> Broadcast | None:
        """What it sends now, or None while it is quiet."""
