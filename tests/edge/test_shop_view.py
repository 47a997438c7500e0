from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golmok_edge.shop.view import Slot, curve, is_outside, slots, value, words
from tests.edge.shop_support import said, settings

FRIDGE, DOOR, PLUG = "fridge.temperature", "door.open", "stall-plug.power"


@pytest.fixture
def by_channel(tmp_path: Path) -> dict[str, Slot]:
    return {slot.channel: slot for device in settings(tmp_path).devices for slot in slots(device, {})}


def test_a_device_has_the_channels_of_its_settings_before_it_has_said_anything(by_channel: dict[str, Slot]) -> None:
    assert list(by_channel) == [FRIDGE, DOOR, PLUG]
    assert by_channel[PLUG].unit == "W"
    assert by_channel[FRIDGE].limit is not None


def test_what_a_device_says_besides_is_shown_too(tmp_path: Path) -> None:
    door = settings(tmp_path).devices[1]
    assert [slot.quantity for slot in slots(door, said("door.battery") | said("fridge.battery"))] == ["open", "battery"]


@pytest.mark.parametrize(
    ("channel", "raw", "shown"),
    [
        (FRIDGE, 4.25, ("4.2", "°C")),
        (FRIDGE, -0.04, ("0.0", "°C")),
        (PLUG, 1234, ("1,234", "W")),
        (PLUG, 45.32, ("45.3", "W")),
        (PLUG, 4.5, ("4.50", "W")),
        (DOOR, False, ("닫힘", "")),
        (DOOR, True, ("열림", "")),
        (DOOR, "<b>ajar</b>", ("<b>ajar</b>", "")),
        (DOOR, None, ("–", "")),
    ],
)
def test_values_are_said_as_people_say_them(
    by_channel: dict[str, Slot], channel: str, raw: Any, shown: tuple[str, str]
) -> None:
    assert words("ko", by_channel[channel], raw) == shown


def test_a_quantity_nobody_knows_is_shown_as_it_is() -> None:
    told = value("ko", Slot("a.froth", "froth", "cm", None), said("a.froth", value=2.0)["a.froth"], 0.0)
    assert (told.name, told.text, told.unit) == ("froth", "2.00", "cm")


def test_a_value_grows_older_by_the_clock_of_the_shop(by_channel: dict[str, Slot]) -> None:
    heard = said(FRIDGE, heard_s=100.0, age_s=2.0)[FRIDGE]
    assert value("en", by_channel[FRIDGE], heard, 103.5).age_s == 5.5
    assert value("en", by_channel[FRIDGE], None, 103.5).age_s is None


@pytest.mark.parametrize(
    ("changes", "level", "note"),
    [
        ({}, "good", ""),
        ({"value": 8.5}, "bad", ""),
        ({"quality": "uncertain"}, "warn", "This value is uncertain"),
        ({"quality": "bad"}, "bad", "This value cannot be trusted"),
        ({"quality": "bad", "value": None}, "bad", "The sensor does not answer"),
    ],
)
def test_doubt_and_danger_are_said(by_channel: dict[str, Slot], changes: Any, level: str, note: str) -> None:
    told = value("en", by_channel[FRIDGE], said(FRIDGE, **changes)[FRIDGE], 0.0)
    assert (told.level, told.note) == (level, note)


def test_bad_values_are_not_drawn(by_channel: dict[str, Slot]) -> None:
    assert value("en", by_channel[FRIDGE], said(FRIDGE, quality="bad")[FRIDGE], 0.0).number is None
    assert value("en", by_channel[DOOR], said(DOOR, value=True)[DOOR], 0.0).number == 1.0


@pytest.mark.parametrize(
    ("raw", "side"), [(0.9, "low"), (1.0, ""), (8.0, ""), (8.1, "high"), (True, ""), ("hot", ""), (None, "")]
)
def test_limits_themselves_are_still_good(by_channel: dict[str, Slot], raw: object, side: str) -> None:
    assert is_outside(by_channel[FRIDGE].limit, raw) == side


def test_a_curve_has_words_for_states_and_lines_for_limits(by_channel: dict[str, Slot]) -> None:
    door, fridge = curve("ko", by_channel[DOOR], None), curve("ko", by_channel[FRIDGE], None)
    assert door is not None
    assert fridge is not None
    assert (door.states, door.limits) == (("닫힘", "열림"), ())
    assert (fridge.states, fridge.limits, fridge.digits) == (None, (1.0, 8.0), 1)
    assert curve("ko", by_channel[DOOR], said(DOOR, value="text")[DOOR]) is None
