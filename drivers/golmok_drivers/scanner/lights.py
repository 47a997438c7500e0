"""The scanner's lasers and its lamp, at pins: dark unless they must be lit, whatever happens.

A laser is dangerous to eyes. So: one at a time; dark when made, when closed, when an exception passes `with`; dark by
itself `longest_s` after it was lit, also when our thread hangs; and a `guard` beside us sees to it when our process is
killed. What software cannot: a kernel that hangs, or this process and its guard killed in one moment. Hence the
wiring: the laser's switch (a MOSFET) has a pull-down, so that a pin that nobody drives is dark, and the supply has a
switch that a hand reaches.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol

from golmok_drivers.errors import BusError
from golmok_drivers.scanner.table import claimed, quietly_closed

LONGEST_S: Final = 20.0


class Guard(Protocol):
    """Whoever puts out the lasers when we cannot."""

    def dismiss(self) -> None:
        """All is dark, and stays so."""


@dataclass(frozen=True)
class LightPins:
    """BCM numbers; a high level lights."""

    lasers: tuple[int, ...]
    lamp: int | None = None


class Lights:
    """Use it in a `with`. Lasers are numbered as in the dataset: 0 is `l0`."""

    def __init__(self, pins: LightPins, factory: Any, guard: Guard | None = None, longest_s: float = LONGEST_S) -> None:
        self._guard = guard
        self._longest_s = longest_s
        self._timer: threading.Timer | None = None
        self._lasers: list[Any] = []
        self._lamp: Any = None
        try:
            for pin in pins.lasers:
                self._lasers.append(claimed("DigitalOutputDevice", factory, pin, initial_value=False))
            if pins.lamp is not None:
                self._lamp = claimed("DigitalOutputDevice", factory, pins.lamp, initial_value=False)
        except BusError:
            for device in self._lasers:
                quietly_closed(device)
            raise

    def __enter__(self) -> Lights:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def lasers(self) -> int:
        """How many there are."""
        return len(self._lasers)

    def only(self, laser: int) -> None:
        """This laser and no other."""
        self.off()
        self._timer = threading.Timer(self._longest_s, self._put_out, (self._lasers,))
        self._timer.daemon = True
        self._timer.start()
        self._lasers[laser].on()

    def lamp(self, *, on: bool) -> None:
        """The lamp for pictures in colour, where there is one."""
        if self._lamp is not None:
            self._lamp.value = on

    def off(self) -> None:
        """All lasers dark."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._put_out(self._lasers)

    def close(self) -> None:
        """All dark, and the pins given back; closing twice does nothing."""
        try:
            self.off()
            self.lamp(on=False)
        finally:
            for device in (*self._lasers, *((self._lamp,) if self._lamp is not None else ())):
                device.close()
            self._lasers, self._lamp = [], None
            if self._guard is not None:
                self._guard.dismiss()
                self._guard = None

    @staticmethod
    def _put_out(lasers: Sequence[Any]) -> None:
        """Each, even if one fails; that one's error is told."""
        failed: BaseException | None = None
        for device in lasers:
            try:
                device.off()
            except Exception as error:  # noqa: BLE001  (whatever it is: first the others must be dark)
                failed = error
        if failed is not None:
            raise failed
