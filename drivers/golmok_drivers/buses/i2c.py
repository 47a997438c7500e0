"""The machine's own I2C bus, by Linux's /dev/i2c-N (smbus2, raw transactions: Sensirion's parts need them)."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from typing import Any, Final, TypeVar

from golmok_drivers.api import I2CLine
from golmok_drivers.buses.worker import BusWorker
from golmok_drivers.errors import BusError, BusNack, BusTimeout, Shorted

T = TypeVar("T")

HELD: Final = "{}: SDA or SCL is held: a shorted wire, or a part that hangs; unplug one after another to find it"
_NOBODY: Final = 0x03
"""Reserved (I2C specification, table 4): no part answers there."""

_I2C_TIMEOUT: Final = 0x0702
"""linux/i2c-dev.h: the adapter's timeout in units of 10 ms."""
_ADAPTER_TIMEOUT_S: Final = 0.2

_NACK: Final = (errno.ENXIO, errno.EREMOTEIO)
_GONE: Final = (errno.ENODEV, errno.EBADF, errno.ENOENT)


def open_smbus(number: int) -> Any:
    """Open /dev/i2c-N, with an adapter timeout well below our deadline, so that the kernel frees the bus first."""
    from smbus2 import SMBus

    bus: Any = SMBus(number)
    with suppress(OSError):  # some adapters have no such setting; the deadline still holds
        ioctl(bus.fd, _I2C_TIMEOUT, int(_ADAPTER_TIMEOUT_S * 100))
    return bus


class LinuxI2C:
    """`api.I2C` on /dev/i2c-N. Opened at the first transaction, and again after the adapter was gone."""

    def __init__(self, number: int, opener: Callable[[int], Any] = open_smbus) -> None:
        self._number = number
        self._opener = opener
        self._bus: Any = None
        self._worker = BusWorker(f"i2c://{number}")

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        """See `api.I2C.xfer`."""
        return await self._worker.run(f"0x{address:02x}", lambda: self._transact(address, write, read), timeout_s)

    async def session(self, address: int, work: Callable[[I2CLine], T], *, timeout_s: float) -> T:
        """See `api.I2C.session`."""
        line = _Line(lambda write, read: self._transact(address, write, read))
        return await self._worker.run(f"0x{address:02x}", lambda: work(line), timeout_s)

    async def close(self) -> None:
        """End the bus."""
        await self._worker.close()
        self._let_go()

    def _transact(self, address: int, write: bytes, read: int) -> bytes:
        from smbus2 import i2c_msg

        reply = i2c_msg.read(address, read) if read else None
        messages = [i2c_msg.write(address, write)] if write or not read else []
        try:
            if self._bus is None:
                self._bus = self._opener(self._number)
            self._bus.i2c_rdwr(*messages, *([reply] if reply else []))
        except OSError as error:
            raise self._explained(error, address) from error
        return bytes(reply) if reply else b""

    def _explained(self, error: OSError, address: int) -> BusError:
        where = f"i2c://{self._number}"
        if error.errno in _NACK:
            return BusNack(f"{where}: nobody answers at 0x{address:02x}; check its wiring and its address")
        if error.errno == errno.ETIMEDOUT and self._is_held():
            return Shorted(HELD.format(where))
        if error.errno == errno.ETIMEDOUT:
            return BusTimeout(f"{where}: 0x{address:02x} did not end in time; long wires, or a part that hangs?")
        if error.errno in (errno.EACCES, errno.EPERM):
            return BusError(f"{where}: not permitted; add the user to the group i2c")
        if error.errno in _GONE:
            self._let_go()
            return BusError(f"{where}: there is no /dev/i2c-{self._number}; switch I2C on (raspi-config, Interfaces)")
        return BusError(f"{where}: 0x{address:02x}: {error}")

    def _is_held(self) -> bool:
        """Whether not even nobody can be asked: on a free bus that ends at once, unacknowledged."""
        from smbus2 import i2c_msg

        try:
            self._bus.i2c_rdwr(i2c_msg.write(_NOBODY, b""))
        except OSError as error:
            return error.errno == errno.ETIMEDOUT
        return True  # an SDA at ground acknowledges everything

    def _let_go(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            with suppress(OSError):  # the adapter may be gone already
                bus.close()


class _Line:
    """`api.I2CLine` in real time."""

    def __init__(self, transact: Callable[[bytes, int], bytes]) -> None:
        self._transact = transact

    def xfer(self, write: bytes = b"", read: int = 0) -> bytes:
        """See `api.I2C.xfer`."""
        return self._transact(write, read)

    def now_s(self) -> float:
        """See `api.Line.now_s`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `api.Line.sleep`."""
        time.sleep(max(0.0, seconds))
