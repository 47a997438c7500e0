"""The machine's own serial lines, by pyserial: an RS-485 or TTL adapter with devices that answer when asked."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from golmok_drivers.buses.worker import BusWorker
from golmok_drivers.errors import BusError, Unplugged

DEFAULTS: Final[Mapping[str, str]] = {"baud": "9600", "parity": "N"}
SILENCE_S: Final = 0.04
"""An answer has ended when nothing came for so long; USB adapters hold bytes back for up to 16 ms."""
_MARGIN_S: Final = 1.0
"""For the bytes themselves, beyond the wait for the first."""


def open_serial(port: str, options: Mapping[str, str]) -> Any:
    """Open the port. Raises OSError, or `BusError` when the library is missing."""
    try:
        from serial import Serial
    except ImportError as error:
        raise BusError(f"uart://{port}: pyserial is missing ({error}); install python3-serial") from error
    path = port if port.startswith("/") else f"/dev/{port}"
    chosen = {**DEFAULTS, **options}
    return Serial(path, int(chosen["baud"]), parity=chosen["parity"], exclusive=True)


class SerialUart:
    """`api.Uart` on a port. Opened at the first question, and again after the adapter was pulled."""

    def __init__(
        self, port: str, options: Mapping[str, str], opener: Callable[[str, Mapping[str, str]], Any] = open_serial
    ) -> None:
        self._port, self._options, self._opener = port, options, opener
        self._serial: Any = None
        self._worker = BusWorker(f"uart://{port}")

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        """See `api.Uart.ask`."""
        return await self._worker.run(
            device, lambda: self._converse(device, write, read, timeout_s), timeout_s + _MARGIN_S
        )

    async def close(self) -> None:
        """End the bus."""
        await self._worker.close()
        self._let_go()

    def _converse(self, device: int, write: bytes, read: int, timeout_s: float) -> bytes:
        try:
            if self._serial is None:
                self._serial = self._opener(self._port, self._options)
            self._serial.reset_input_buffer()  # what an earlier question has left behind
            self._serial.write(write)
            self._serial.flush()
            reply = self._listen(read, timeout_s)
        except OSError as error:  # pyserial's own derive from it
            if isinstance(error, BusError):
                raise
            self._let_go()
            raise self._explained(error) from error
        if not reply:
            raise Unplugged(
                f"uart://{self._port}: device {device} says nothing; check its wiring (A, B; RX, TX), its supply and "
                "its number"
            )
        return reply

    def _listen(self, read: int, timeout_s: float) -> bytes:
        self._serial.timeout = timeout_s
        reply: bytes = self._serial.read(1)
        self._serial.timeout = SILENCE_S
        while reply and len(reply) < read and (more := self._serial.read(read - len(reply))):
            reply += more
        return reply

    def _explained(self, error: OSError) -> BusError:
        where = f"uart://{self._port}"
        if error.errno in (errno.EACCES, errno.EPERM):
            return BusError(f"{where}: not permitted; add the user to the group dialout")
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO):
            return BusError(
                f"{where}: the port is not there; plug the adapter in, or name its port as in ls /dev/serial/by-id"
            )
        if error.errno in (errno.EBUSY, errno.EAGAIN):
            return BusError(f"{where}: another program has the port; end it, or give the device another port")
        return BusError(f"{where}: {error}")

    def _let_go(self) -> None:
        serial, self._serial = self._serial, None
        if serial is not None:
            with suppress(OSError):  # the adapter may be gone already
                serial.close()
