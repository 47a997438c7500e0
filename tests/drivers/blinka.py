"""Adafruit's idea of buses and pins, with our twins at the other end: so their libraries run on the same twin."""

from __future__ import annotations

from typing import Any


class BlinkaI2C:
    """An I2C bus."""

    def __init__(self, *twins: Any) -> None:
        self._twins = {twin.address: twin for twin in twins}

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        pass

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        self._twins[address].xfer(bytes(buffer[start:end]), 0)

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self._twins[address].xfer(b"", end - start)

    def writeto_then_readfrom(
        self,
        address: int,
        buffer_out: Any,
        buffer_in: Any,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        in_end = len(buffer_in) if in_end is None else in_end
        reply = self._twins[address].xfer(bytes(buffer_out[out_start:out_end]), in_end - in_start)
        buffer_in[in_start:in_end] = reply


class BlinkaSpi:
    """An SPI bus; a transaction lasts as long as the chip select is low."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin
        self._said = b""
        self._is_done = True
        self.select = ChipSelect(self)

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        pass

    def configure(self, **how: Any) -> None:
        pass

    def write(self, buffer: Any, start: int = 0, end: int | None = None) -> None:
        self._said += bytes(buffer[start:end])
        self._is_done = False

    def readinto(self, buffer: Any, start: int = 0, end: int | None = None, write_value: int = 0) -> None:
        end = len(buffer) if end is None else end
        buffer[start:end] = self._twin.xfer(self._said + bytes(end - start))[len(self._said) :]
        self._is_done = True

    def over(self) -> None:
        if not self._is_done:
            self._twin.xfer(self._said)
        self._said, self._is_done = b"", True


class ChipSelect:
    """A `digitalio.DigitalInOut`."""

    def __init__(self, spi: BlinkaSpi) -> None:
        self._spi = spi
        self._value = True

    def switch_to_output(self, value: bool = True) -> None:
        self._value = value

    @property
    def value(self) -> bool:
        return self._value

    @value.setter
    def value(self, value: bool) -> None:
        if value:
            self._spi.over()
        self._value = value
