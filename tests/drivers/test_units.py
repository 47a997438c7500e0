from __future__ import annotations

import pytest

from golmok_drivers.api import UNITS, is_unit, nearest_unit, quantity_name, unit_sign
from golmok_drivers.units import _ALIASES, QUANTITIES


@pytest.mark.parametrize("code", ["Cel", "%", "mm/s", "1", "[ppm]", "kW.h", "lx", "W"])
def test_units_we_know(code: str) -> None:
    assert is_unit(code)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("°C", "Cel"), ("cel", "Cel"), ("Celsius", "Cel"), ("lux", "lx"), ("kWh", "kW.h"), ("ppm", "[ppm]"), ("w", "W"),
     ("mms", "mm/s"), ("", "1"), ("%rh", "%")],
)  # fmt: skip
def test_what_people_write_leads_to_the_code(wrong: str, right: str) -> None:
    assert not is_unit(wrong)
    assert nearest_unit(wrong) == right


def test_nonsense_leads_nowhere() -> None:
    assert nearest_unit("frobnicate-per-fortnight") is None


def test_tables_are_sound() -> None:
    assert set(_ALIASES.values()) <= UNITS.keys()
    assert not _ALIASES.keys() & UNITS.keys()
    assert all(ko and en for ko, en in QUANTITIES.values())


def test_signs_and_names() -> None:
    assert unit_sign("Cel") == "°C"
    assert unit_sign("furlong") == "furlong"
    assert quantity_name("temperature", "ko") == "온도"
    assert quantity_name("oven-left") == "oven left"
