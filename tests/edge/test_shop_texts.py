from __future__ import annotations

import re

import pytest

from golmok_cloud_sync.web import LANGUAGES, QUANTITIES, quantity, unit
from golmok_drivers import units
from golmok_edge.web import TEXTS, digits, duration, number


def test_every_text_is_there_in_every_language_with_the_same_names_to_fill_in() -> None:
    for key, row in TEXTS.items():
        assert set(row) == set(LANGUAGES), key
        assert all(row.values()), key
        names = {frozenset(re.findall(r"\{(\w+)\}", text)) for text in row.values()}
        assert len(names) == 1, f"{key}: {names}"


def test_no_text_puts_a_particle_after_a_name() -> None:
    """이/가, 은/는, 을/를 depend on how the name ends, which nobody knows beforehand."""
    for key, row in TEXTS.items():
        assert not re.search(r"\{(device|quantity|value)\}(이|가|은|는|을|를|와|과|로)", row["ko"]), key


def test_the_pages_know_every_quantity_and_unit_of_the_drivers() -> None:
    assert [name for name in units.QUANTITIES if name not in QUANTITIES] == []
    assert {code: unit(code) for code in units.UNITS} == dict(units.UNITS)


def test_quantities_that_are_the_same_have_one_name() -> None:
    assert {name: quantity("en", name) for name in ("temperature", "humidity", "power")} == {
        name: units.quantity_name(name, "en") for name in ("temperature", "humidity", "power")
    }


@pytest.mark.parametrize(
    ("seconds", "korean", "english"),
    [
        (0.2, "1초", "1 second"),
        (9, "9초", "9 seconds"),
        (59, "50초", "50 seconds"),
        (119, "110초", "110 seconds"),
        (120, "2분", "2 minutes"),
        (7199, "119분", "119 minutes"),
        (7200, "2시간", "2 hours"),
        (172_800, "2일", "2 days"),
    ],
)
def test_how_long_is_said_in_one_unit(seconds: float, korean: str, english: str) -> None:
    assert (duration("ko", seconds), duration("en", seconds)) == (korean, english)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.0, "Cel", "4.0"),
        (-0.01, "Cel", "0.0"),
        (-3.25, "Cel", "-3.2"),
        (45.6, "%", "46"),
        (1234567, "W.h", "1,234,567"),
        (1234.5, "W", "1,234"),
        (12.34, "W", "12.3"),
        (1.234, "W", "1.23"),
        (0.0, "W", "0.00"),
        (7, "1", "7"),
    ],
)
def test_numbers_have_as_many_digits_as_people_read(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text
    assert digits("W") is None
