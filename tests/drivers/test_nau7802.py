from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.api import DriverError, NotReady, ResetValue, WrongPart
from golmok_drivers.devices.nau7802 import END, Nau7802Driver, Nau7802Settings, Nau7802Twin, kilograms
from tests.drivers.blinka import BlinkaI2C
from tests.drivers.direct import DirectI2C
from tests.drivers.worlds import StillWorld


def scale(*faults: str, weight: float = 2.0, **label: float) -> tuple[Nau7802Driver, DirectI2C, StillWorld]:
    world = StillWorld(*faults, weight=weight)
    world.random = random.Random(1).random  # type: ignore[method-assign]
    cell = Nau7802Settings(**({"full_kg": 5.0} | label))  # type: ignore[arg-type]  # numbers all
    bus = DirectI2C(Nau7802Twin(cell, world), world)
    xfer = bus.xfer

    async def later(*words: object, **more: object) -> bytes:
        world.passes(0.006)
        return await xfer(*words, **more)  # type: ignore[arg-type]

    bus.xfer = later  # type: ignore[method-assign]  # the part's clock goes on while it is spoken to
    return Nau7802Driver(cell), bus, world


def test_a_cell_s_label_says_what_a_code_weighs() -> None:
    """5 kg at 1 mV/V, 3.0 V: 3 mV of the 11.7 mV that the converter takes at a gain of 128."""
    cell = Nau7802Settings(full_kg=5.0, mv_per_v=1.0)
    assert kilograms((END + 1) * 3.0 / (3000 / 2 / 128), cell) == pytest.approx(5.0)
    assert kilograms(0, cell) == 0.0
    assert kilograms(-1_000_000, cell) == -kilograms(1_000_000, cell)


@settings(max_examples=6, deadline=None)
@given(st.floats(-4, 7), st.sampled_from([1.0, 2.0]), st.sampled_from([1.0, 5.0, 200.0]))
def test_what_lies_on_it_is_what_is_read(share: float, mv_per_v: float, full: float) -> None:
    weight = share / 5 * full

    async def read() -> None:
        driver, bus, world = scale(weight=weight, mv_per_v=mv_per_v, full_kg=full)
        await driver.open(bus)
        for _ in range(2):
            (reading,) = await driver.sample()
            assert [(reading.quantity, reading.value)] == world.given[-1:]
            assert reading.value == pytest.approx(weight, abs=full / 5_000)
            assert reading.quality == "good"
        assert len(world.given) == 2, "what is let go by after a calibration is not given"

    asyncio.run(read())


@pytest.mark.parametrize(("fault", "error"), [("swapped", WrongPart), ("reset", NotReady), ("not-ready", NotReady)])
async def test_what_is_wrong_is_named(fault: str, error: type[DriverError]) -> None:
    driver, bus, _ = scale(fault)
    await driver.open(bus)
    with pytest.raises(error):
        await driver.sample()


async def test_a_restart_is_noticed_and_it_weighs_again() -> None:
    driver, bus, world = scale()
    await driver.open(bus)
    await driver.sample()
    world.faults = ("reset",)
    with pytest.raises(ResetValue):
        await driver.sample()
    world.faults = ()
    assert (await driver.sample())[0].value == pytest.approx(2.0, abs=0.001)


async def test_a_converter_without_noise_is_stuck_and_one_at_its_end_is_beyond_its_range() -> None:
    driver, bus, world = scale("stuck")
    await driver.open(bus)
    assert ((await driver.sample())[0].quality, (await driver.sample())[0].reason) == ("uncertain", "stuck")
    world.faults, world.felt["weight"] = (), 1e6
    (reading,) = await driver.sample()
    assert (reading.quality, reading.reason) == ("bad", "range")


def test_cedar_grove_s_library_reads_the_same_from_the_same_twin() -> None:
    theirs = pytest.importorskip("cedargrove_nau7802")
    _, bus, world = scale(weight=3.3)
    chip = theirs.NAU7802(BlinkaI2C(bus.twin), active_channels=1)
    assert chip.chip_revision == 0x0F
    world.passes(1.0)
    chip._pu_cycle_start = True
    for _ in range(5):
        world.passes(0.2)
        assert chip.available()
        their_code = chip.read() / 2  # it says twice the 24 bits
        assert their_code == int.from_bytes(bus.twin.xfer(b"\x12", 3), "big", signed=True)
        cell = Nau7802Settings(full_kg=5.0)
        assert kilograms(their_code, cell) == pytest.approx(3.3, abs=0.001)
