from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from golmok_drivers import catalogue
from golmok_drivers.api import Driver, DriverInfo, MessageDriver, PolledDriver, Reading, UnknownDriver, WrongApi

OURS = catalogue.names(lambda group: [])


class GoodDriver(PolledDriver):
    api = 1
    info = DriverInfo("kiln-x", "Kiln", "가마", "i2c", "https://example.org")

    async def sample(self) -> list[Reading]:
        return []


class OldDriver(GoodDriver):
    api = 0


class StatesNoApi(PolledDriver):
    async def sample(self) -> list[Reading]:
        return []


class NoDriver:
    api = 1


def found(group: str) -> list[EntryPoint]:
    if group != catalogue.DRIVERS:
        return []
    names = {
        "kiln-x": "GoodDriver",
        "old": "OldDriver",
        "silent": "StatesNoApi",
        "none": "NoDriver",
        "sht4x": "OldDriver",
    }
    return [EntryPoint(name, f"{__name__}:{value}", group) for name, value in names.items()]


def test_names_are_ours_and_others() -> None:
    assert catalogue.names(lambda group: []) == OURS
    assert catalogue.names(found) == sorted([*OURS, "kiln-x", "old", "silent", "none"])


@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_loads_with_its_twin(name: str) -> None:
    driver = catalogue.load(name)
    assert driver.info.name == name
    assert driver.api == catalogue.twin(name).api == 1
    assert driver.info.title
    assert driver.info.title_ko
    assert driver.info.datasheet.startswith("https://")
    assert issubclass(driver, MessageDriver) == (driver.info.bus == "mqtt")


def test_a_driver_of_another_distribution_loads_and_ours_win() -> None:
    assert catalogue.load("kiln-x", found) is GoodDriver
    assert issubclass(catalogue.load("sht4x", found), Driver)
    assert catalogue.load("sht4x", found).__module__ == "golmok_drivers.devices.sht4x"


@pytest.mark.parametrize(("name", "what"), [("old", "api 0"), ("silent", "api None"), ("none", "derived from")])
def test_plug_ins_that_do_not_fit_are_refused_by_name(name: str, what: str) -> None:
    with pytest.raises(WrongApi, match=what) as caught:
        catalogue.load(name, found)
    assert repr(name) in str(caught.value)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownDriver, match="did you mean sht4x"):
        catalogue.load("sht40")
    with pytest.raises(UnknownDriver, match="there are: ads1115"):
        catalogue.load("zzz", lambda group: [])
    with pytest.raises(UnknownDriver, match="no twin"):
        catalogue.twin("kiln-x", found)


def test_the_gateway_stays_lean() -> None:
    """Loading every driver brings in no library that a bus would not open for itself."""
    heavy = [
        "numpy",
        "pydantic",
        "fastapi",
        "sqlite_utils",
        "paho",
        "gpiozero",
        "smbus2",
        "lgpio",
        "bleak",
        "dbus_fast",
    ]
    code = (
        "import sys; from golmok_drivers import catalogue, buses;"
        "[catalogue.load(n) and catalogue.twin(n) for n in catalogue.names()];"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
