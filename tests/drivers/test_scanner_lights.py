"""Lasers are dark unless they must be lit: after errors, after a hanging thread, after `kill -9`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from golmok_drivers.errors import BusError
from golmok_drivers.scanner import Lights, Motor
from golmok_drivers.scanner.lights import LightPins
from golmok_drivers.scanner.twin import WorldPins
from golmok_drivers.scanner.world import ScannerWorld, Wire, Wiring

PINS = LightPins((17, 27), 22)
_HOLDER = """
import sys, time
from pathlib import Path
from golmok_drivers.scanner import Lights, Motor
from golmok_drivers.scanner.guard import GuardProcess
from golmok_drivers.scanner.lights import LightPins
from golmok_drivers.scanner.twin import WorldPins
from golmok_drivers.scanner.world import ScannerWorld, Wire, Wiring
file, pins = Path(sys.argv[1]), LightPins((17, 27))
factory = WorldPins(ScannerWorld(Wiring(Motor(20, 21), pins), Wire(file)))
with Lights(pins, factory, GuardProcess(pins.lasers, file)) as lights:
    lights.only(1)
    print("lit", flush=True)
    time.sleep(60)
"""


def made(folder: Path, longest_s: float = 20.0) -> tuple[Lights, Wire]:
    wire = Wire(folder / "wire")
    world = ScannerWorld(Wiring(Motor(20, 21), PINS), wire)
    return Lights(PINS, WorldPins(world), longest_s=longest_s), wire


def until(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.01)
    return False


def levels(wire: Wire) -> tuple[bool, bool, bool]:
    return wire.is_high(17), wire.is_high(27), wire.is_high(22)


def test_one_laser_at_a_time(tmp_path: Path) -> None:
    lights, wire = made(tmp_path)
    with lights:
        assert levels(wire) == (False, False, False)
        lights.only(0)
        assert levels(wire) == (True, False, False)
        lights.only(1)
        lights.lamp(on=True)
        assert levels(wire) == (False, True, True)
        lights.off()
        assert levels(wire) == (False, False, True)
    assert levels(wire) == (False, False, False)
    lights.close()


def test_no_exception_leaves_a_laser_lit(tmp_path: Path) -> None:
    lights, wire = made(tmp_path)

    def broken() -> None:
        with lights:
            lights.only(0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert levels(wire) == (False, False, False)


def test_a_laser_goes_out_by_itself(tmp_path: Path) -> None:
    lights, wire = made(tmp_path, longest_s=0.05)
    with lights:
        lights.only(0)
        assert until(lambda: levels(wire) == (False, False, False))


def test_a_pin_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    wire = Wire(tmp_path / "wire")
    factory = WorldPins(ScannerWorld(Wiring(Motor(20, 21), PINS), wire))
    with pytest.raises(BusError, match="pin 99"):
        Lights(LightPins((17, 99)), factory)
    with Lights(PINS, factory):  # the first one was given back
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_no_laser_lit(tmp_path: Path, number: signal.Signals) -> None:
    wire = Wire(tmp_path / "wire")
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "wire")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"lit\n"
        assert wire.is_high(27)
        os.killpg(holder.pid, number)
    assert until(lambda: not wire.is_high(27))
