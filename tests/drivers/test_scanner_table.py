"""The stepper turntable on gpiozero's pins: its ramp, its home, and a motor that loses steps when it is hurried."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.scanner import HomeNotFound, Motor, PositionUnknown, StepperTable
from golmok_drivers.scanner.lights import LightPins
from golmok_drivers.scanner.table import ramp
from golmok_drivers.scanner.twin import WorldPins
from golmok_drivers.scanner.world import ScannerWorld, Wire, Wiring

MOTOR = Motor(20, 21, 16, 26)


class Bench:
    """A table of twins whose plate stands anywhere."""

    def __init__(
        self, folder: Path, motor: Motor = MOTOR, *faults: str, plate: int = 1234, per_turn: int = 3200
    ) -> None:
        self.wire = Wire(folder / "wire", plate)
        self.world = ScannerWorld(Wiring(motor, LightPins((17, 27)), per_turn, frozenset(faults)), self.wire)
        self.table = StepperTable(motor, WorldPins(self.world), self.world)


@settings(deadline=None)
@given(steps=st.integers(1, 3000), start=st.floats(50, 800), more=st.floats(0, 3000), gain=st.floats(100, 20_000))
def test_a_ramp_never_speeds_up_faster_than_it_may(steps: int, start: float, more: float, gain: float) -> None:
    motor = Motor(0, 1, start_hz=start, top_hz=start + more, ramp_hz_s=gain)
    pauses = ramp(steps, motor)
    speeds = [1 / pause for pause in pauses]
    assert len(pauses) == steps
    assert max(speeds) <= motor.top_hz * 1.001
    assert speeds[0] == pytest.approx(start) == speeds[-1]
    for (before, after), pause in zip(pairwise(speeds), pauses, strict=False):
        assert after - before <= gain * pause * 1.01


@pytest.mark.parametrize("per_turn", [3200, 6400, 513])
def test_home_is_the_same_step_wherever_it_begins(tmp_path: Path, per_turn: int) -> None:
    for nth, plate in enumerate((0, 7, 24, 25, per_turn - 1, per_turn // 2, -3)):
        bench = Bench(tmp_path / str(nth), plate=plate, per_turn=per_turn)
        assert bench.table.position is None
        bench.table.home()
        assert bench.table.position == 0
        assert bench.wire.plate % per_turn == 0


@settings(max_examples=25, deadline=None)
@given(
    moves=st.lists(st.integers(-300, 300), min_size=1, max_size=4), reverse=st.booleans(), backlash=st.integers(0, 50)
)
def test_the_plate_goes_where_it_is_sent(
    tmp_path_factory: pytest.TempPathFactory, moves: list[int], reverse: bool, backlash: int
) -> None:
    motor = replace(MOTOR, reverse=reverse, backlash=backlash)
    bench = Bench(tmp_path_factory.mktemp("bench"), motor, plate=0)
    bench.table.call_zero()
    for place in moves:
        bench.table.go(place)
        assert bench.wire.plate == place == bench.table.position


def test_a_motor_that_is_hurried_loses_steps(tmp_path: Path) -> None:
    hurried = Bench(tmp_path, replace(MOTOR, start_hz=400, top_hz=1600), "weak-motor", plate=0)
    hurried.table.call_zero()
    hurried.table.go(1000)
    assert 0 <= hurried.wire.plate < 1000


def test_nobody_moves_a_plate_of_which_nobody_knows_how_it_stands(tmp_path: Path) -> None:
    with pytest.raises(PositionUnknown, match="home"):
        Bench(tmp_path).table.go(10)


@pytest.mark.parametrize("fault", ["home-dead", "motor-dead"])
def test_a_home_that_is_not_found_is_told_with_the_remedy(tmp_path: Path, fault: str) -> None:
    with pytest.raises(HomeNotFound, match=r"GPIO26.*ENABLE"):
        Bench(tmp_path, MOTOR, fault).table.home()


def test_without_a_switch_there_is_no_home(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(MOTOR, home_pin=None))
    assert not bench.table.has_home
    with pytest.raises(HomeNotFound, match="home_pin"):
        bench.table.home()


def test_an_interrupted_move_is_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, plate=0)
    bench.table.call_zero()
    sleep, naps = bench.world.sleep, iter(range(401))

    def interrupted(seconds: float) -> None:
        sleep(seconds)
        if next(naps, None) is None:
            raise KeyboardInterrupt

    bench.world.sleep = interrupted  # type: ignore[method-assign]  # the person at the keyboard
    with pytest.raises(KeyboardInterrupt):
        bench.table.go(3000)
    assert 0 < bench.wire.plate < 3000
    assert bench.table.position in (bench.wire.plate, bench.wire.plate - 1)


def test_a_motor_rests_when_it_is_let_go(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.table.close()
    bench.table.close()
    assert not bench.wire.is_high(20)
