"""The machine's own SPI bus, by Linux's /dev/spidevN.M (spidev)."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from golmok_drivers.api import SpiLine
from golmok_drivers.buses.worker import BusWorker
from golmok_drivers.errors import BusError

T = TypeVar("T")

MOST_BYTES: Final = 4096
"""In one transaction: spidev's own buffer, unless it was told otherwise."""


class Manner(NamedTuple):
    """How a part wants to be spoken to."""

    mode: int
    speed_hz: int


def open_spidev(bus: int, select: int) -> Any:
    """Open /dev/spidevN.M. Raises OSError, or `BusError` when the library is missing."""
    try:
        from spidev import SpiDev
    except ImportError as error:
        raise BusError(f"spi://{bus}: spidev is missing ({error}); install python3-spidev") from error
    device: Any = SpiDev()
    device.open(bus, select)
    return device


class LinuxSpi:
    """`api.Spi` on /dev/spidevN.*; each chip select is opened at its first transaction."""

    def __init__(self, number: int, opener: Callable[[int, int], Any] = open_spidev) -> None:
        self._number = number
        self._opener = opener
        self._open: dict[int, Any] = {}
        self._worker = BusWorker(f"spi://{number}")

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        """See `api.Spi.xfer`."""
        manner = Manner(mode, speed_hz)
        return await self._worker.run(f"select {select}", lambda: self._transact(select, write, manner), timeout_s)

    async def session(
        self,
        select: int,
        work: Callable[[SpiLine], T],
        *,
        mode: int = 0,
        speed_hz: int = 1_000_000,
        timeout_s: float,
    ) -> T:
        """See `api.Spi.session`."""
        line = _Line(lambda write: self._transact(select, write, Manner(mode, speed_hz)))
        return await self._worker.run(f"select {select}", lambda: work(line), timeout_s)

    async def close(self) -> None:
        """End the bus."""
        await self._worker.close()
        for device in self._open.values():
            device.close()
        self._open.clear()

    def _transact(self, select: int, write: bytes, manner: Manner) -> bytes:
        if len(write) > MOST_BYTES:
            raise BusError(f"spi://{self._number}: {len(write)} bytes at once, more than {MOST_BYTES}")
        try:
            if select not in self._open:
                self._open[select] = self._opener(self._number, select)
            device = self._open[select]
            device.mode, device.max_speed_hz = manner
            return bytes(device.xfer2(list(write)))
        except OSError as error:
            if isinstance(error, BusError):
                raise
            raise self._explained(error, select) from error

    def _explained(self, error: OSError, select: int) -> BusError:
        where = f"spi://{self._number}"
        if error.errno in (errno.EACCES, errno.EPERM):
            return BusError(f"{where}: not permitted; add the user to the group spi")
        if error.errno in (errno.ENOENT, errno.ENODEV):
            self._open.pop(select, None)
            return BusError(
                f"{where}: there is no /dev/spidev{self._number}.{select}; switch SPI on (raspi-config, Interfaces)"
            )
        return BusError(f"{where}: select {select}: {error}")


class _Line:
    """`api.SpiLine` in real time."""

    def __init__(self, transact: Callable[[bytes], bytes]) -> None:
        self._transact = transact

    def xfer(self, write: bytes) -> bytes:
        """See `api.Spi.xfer`."""
        return self._transact(write)

    def now_s(self) -> float:
        """See `api.Line.now_s`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `api.Line.sleep`."""
        time.sleep(max(0.0, seconds))
