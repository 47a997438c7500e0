"""A process of its own that puts the lasers out when the one that lit them is gone.

`kill -9` lets nobody clean up, and newer Raspberry Pi kernels leave a pin as it was when its owner ends. The guard
holds the reading end of a pipe: when its other end is closed without a word, by whatever way its owner ended, it takes
the pins and drives them low. It does not hear Ctrl-C or SIGTERM, which go to a whole group or unit at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from golmok_drivers.errors import BusError

_DISMISSED: Final = b"dark"
_URGENT: Final = -15
_PATIENCE_S: Final = 5.0
"""The kernel gives pins back only when all of a killed process is gone."""


class GuardProcess:
    """`lights.Guard` for the lasers at `pins`; with a twin these are bytes of the file `wire`."""

    def __init__(self, pins: Sequence[int], wire: Path | None = None) -> None:
        command = [sys.executable, "-m", "golmok_drivers.scanner.guard", *map(str, pins)]
        command += [] if wire is None else ["--wire", str(wire)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it is there, and has loaded all that it will need

    def dismiss(self) -> None:
        """See `lights.Guard.dismiss`."""
        self._process.communicate(_DISMISSED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait, and put out; 0: not needed or done, 1: the pins could not be had."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # where we may: on a machine that is busy a laser would stay lit for as long as we wait
        os.setpriority(os.PRIO_PROCESS, 0, _URGENT)
    parser = argparse.ArgumentParser(description="Puts the lasers out when the end of standard input comes.")
    parser.add_argument("pins", type=int, nargs="+", help="BCM numbers")
    parser.add_argument("--wire", type=Path, help="the pins are bytes of this file")
    asked = parser.parse_args(arguments)
    put_out = _real(asked.pins) if asked.wire is None else _simulated(asked.pins, asked.wire)
    print("watching", flush=True)
    if sys.stdin.buffer.read() == _DISMISSED:
        return 0
    until = time.monotonic() + _PATIENCE_S
    while not put_out():
        if time.monotonic() > until:
            return 1
        time.sleep(0.05)
    return 0


def _real(pins: Sequence[int]) -> Callable[[], bool]:
    import gpiozero

    from golmok_drivers.buses.gpio import lgpio_factory

    left = list(pins)
    held: list[Any] = []

    def put_out() -> bool:
        for pin in list(left):
            try:
                held.append(gpiozero.DigitalOutputDevice(pin, initial_value=False, pin_factory=lgpio_factory()))
            except (BusError, gpiozero.GPIOZeroError, OSError, RuntimeError):
                continue
            left.remove(pin)
        return not left

    return put_out


def _simulated(pins: Sequence[int], wire: Path) -> Callable[[], bool]:
    from golmok_drivers.scanner.world import Wire

    def put_out() -> bool:
        copper = Wire(wire)
        for pin in pins:
            copper.drive(pin, False)
        return True

    return put_out


if __name__ == "__main__":
    sys.exit(main())
