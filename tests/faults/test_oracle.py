"""The oracle finds what was doctored, and nothing where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from .doctored import BEGAN, LIMITS, Doctored
from .notes import Delivery
from .sources import QUANTITIES
from .stalls import Stalls

ALL = len(QUANTITIES)


@pytest.fixture
def shop() -> Doctored:
    return Doctored()


def test_all_is_well(shop: Doctored) -> None:
    done = shop.judged()
    assert done.findings == []
    assert done.records == 2 * 10 * ALL + 10


def test_a_lost_record(shop: Doctored) -> None:
    place = shop.at("flow.warm", 4)
    del shop.rows[place]
    assert shop.verdicts() == {"lost": 2}  # by its value and by its number


def test_a_lost_message_that_left_no_hole_in_the_numbers(shop: Doctored) -> None:
    shop.drop("flow", range(4, 5))
    assert shop.verdicts() == {"lost": ALL}


def test_lost_is_also_what_the_broker_still_had_to_deliver(shop: Doctored) -> None:
    shop.drop("flow", range(9, 10))
    shop.message("flow", 9).taken_at = None
    assert shop.verdicts() == {"lost": ALL}


def test_what_no_broker_had_accepted_may_be_missing_or_there(shop: Doctored) -> None:
    for n in (8, 9):
        shop.message("flow", n).taken_at = shop.message("flow", n).accepted_at = None
    shop.drop("flow", range(9, 10))
    assert shop.verdicts() == {}


def test_a_doubled_record(shop: Doctored) -> None:
    row = shop.rows[shop.at("flow.n", 4)]
    shop.rows.append(replace(row, seq=len(shop.rows) + 1))
    assert shop.verdicts() == {"doubled": 1}


def test_a_message_doubled_in_another_epoch(shop: Doctored) -> None:
    shop.rows += [
        replace(shop.rows[shop.at(f"flow.{quantity}", 4)], epoch="e2", seq=seq)
        for seq, quantity in enumerate(QUANTITIES, 1)
    ]
    assert shop.verdicts() == {"doubled": ALL}


@pytest.mark.parametrize(
    ("channel", "value"),
    [
        ("flow.n", 4.0),
        ("flow.n", "4"),
        ("flow.n", 40),
        ("flow.large", float(2**53 + 9)),
        ("flow.large", 2**53 + 8),
        ("flow.warm", 4.250000001),
        ("flow.text", "4 plain?"),
        ("flow.open", 0),
        ("flow.open", True),
        ("flow.nothing", False),
        ("timed.text", "4 한옥카페 2총"),
    ],
)
def test_a_wrong_value_or_type(shop: Doctored, channel: str, value: Any) -> None:
    shop.change(channel, 4, value=value)
    assert shop.verdicts() == {"wrong": 1}


def test_a_wrong_unit_or_quality(shop: Doctored) -> None:
    shop.change("flow.warm", 4, unit="K")
    shop.change("flow.text", 5, quality="uncertain")
    assert shop.verdicts() == {"wrong": 2}


def test_records_in_another_order(shop: Doctored) -> None:
    a, b = shop.at("flow.n", 3), shop.at("flow.n", 4)
    for step in range(ALL):
        one, other = shop.rows[a + step], shop.rows[b + step]
        shop.rows[a + step] = replace(other, seq=one.seq)
        shop.rows[b + step] = replace(one, seq=other.seq)
    assert shop.verdicts() == {"wrong": ALL}


def test_what_nobody_said(shop: Doctored) -> None:
    shop.say("flow", 99, BEGAN + 9.5)
    del shop.notes.messages[shop.message("flow", 99).key]
    assert shop.verdicts() == {"wrong": ALL}


# --- time


@pytest.mark.parametrize(("channel", "off_s"), [("flow.n", 1.2), ("flow.n", -1.2), ("timed.n", 0.01)])
def test_a_wrong_time(shop: Doctored, channel: str, off_s: float) -> None:
    ts = shop.rows[shop.at(channel, 4)].ts
    assert ts is not None
    shop.change(channel, 4, ts=ts + off_s)
    assert shop.verdicts() == {"wrong": 1}


def test_a_time_that_is_a_little_off_is_right(shop: Doctored) -> None:
    shop.change("flow.n", 4, ts=BEGAN + 4.9)
    assert shop.verdicts() == {}


def test_a_time_is_off_by_what_this_machine_stood_still(shop: Doctored) -> None:
    shop.change("flow.n", 4, ts=BEGAN + 5.5)
    assert shop.verdicts() == {"wrong": 1}
    shop.stalls.note(BEGAN + 4, 0)
    shop.stalls.note(BEGAN + 5, 0.7)
    assert shop.verdicts() == {}
    shop.change("flow.n", 5, ts=BEGAN + 6.5)  # not that time
    assert shop.verdicts() == {"wrong": 1}


def test_stalls_are_counted_between_two_moments() -> None:
    stalls = Stalls(is_watching=False)
    assert stalls.between(0, 10) == 0
    for at, for_s in ((10.0, 0.0), (11.0, 0.5), (12.0, 0.0), (13.0, 0.25)):
        stalls.note(at, for_s)
    assert stalls.between(10, 11) == 0.5
    assert stalls.between(13, 9) == 0.75
    assert stalls.between(11.5, 12) == 0
    assert stalls.between(10.4, 10.6) == pytest.approx(0.2)  # it cannot have stood still for longer than that
    assert stalls.between(20, 30) == 0


def test_an_unknown_time_that_was_known(shop: Doctored) -> None:
    shop.change("flow.n", 4, ts=None)
    shop.change("timed.n", 4, ts=None)
    assert shop.verdicts() == {"wrong": 2}


def test_a_time_may_be_unknown_in_a_boot_that_nobody_told_it(shop: Doctored) -> None:
    shop.boot.knows = False
    shop.change("flow.n", 4, ts=None)
    assert shop.verdicts() == {}
    shop.change("timed.n", 4, ts=None)  # this one says it itself
    assert shop.verdicts() == {"wrong": 1}


def waits_at_the_broker(shop: Doctored, n: int) -> None:
    message = shop.message("flow", n)
    message.deliveries[:] = [Delivery(message.sent_at + 30, False, shop.boot)]


def test_a_time_may_be_unknown_of_what_waited_at_the_broker_but_never_a_guess(shop: Doctored) -> None:
    waits_at_the_broker(shop, 4)
    assert shop.verdicts() == {"wrong": ALL}
    for quantity in QUANTITIES:
        shop.change(f"flow.{quantity}", 4, ts=None, ts_min=BEGAN, ts_max=BEGAN + 40)
    assert shop.verdicts() == {}


@pytest.mark.parametrize("bounds", [{"ts_max": BEGAN}, {"ts_min": BEGAN + 36}])
def test_bounds_of_a_time_that_exclude_it(shop: Doctored, bounds: dict[str, float]) -> None:
    waits_at_the_broker(shop, 4)
    for quantity in QUANTITIES:
        shop.change(f"flow.{quantity}", 4, ts=None, **bounds)
    assert shop.verdicts() == {"wrong": ALL}


# --- wired parts


def test_a_value_of_a_part_that_is_doubled_invented_or_wrongly_timed(shop: Doctored) -> None:
    place = shop.at("room.temperature", 4)
    for doctored in (
        replace(shop.rows[place], value=99.5),
        replace(shop.rows[place], value=shop.rows[shop.at("room.temperature", 3)].value),
        replace(shop.rows[place], ts=BEGAN + 6),
    ):
        other = Doctored()
        other.rows[place] = doctored
        assert other.verdicts() == {"wrong": 1}


# --- holes


def test_a_hole_must_be_named(shop: Doctored) -> None:
    shop.drop("flow", range(1, 9))
    for n in range(1, 9):
        message = shop.message("flow", n)
        message.taken_at = message.accepted_at = None
    assert shop.verdicts() == {"unnamed_gaps": ALL - 1}  # what is always null has no value to miss
    shop.gap("silent", "timed.n", BEGAN, BEGAN + 9)  # of another channel
    shop.gap("silent", "flow.n", BEGAN, BEGAN + 9)
    assert shop.verdicts() == {"unnamed_gaps": ALL - 2}
    shop.gap("off", None, BEGAN + 0.2, BEGAN + 4)
    shop.gap("broker", None, BEGAN + 4.5, BEGAN + 8.7)
    assert shop.verdicts() == {}


@pytest.mark.parametrize(("begin", "end"), [(BEGAN, BEGAN + 5), (BEGAN + 4, BEGAN + 9), (None, None)])
def test_a_name_for_a_part_of_a_hole_is_none(shop: Doctored, begin: float | None, end: float | None) -> None:
    shop.rows = [row for row in shop.rows if row.channel != "room.temperature"]
    shop.rows = [replace(row, seq=seq) for seq, row in enumerate(shop.rows, 1)]
    shop.notes.given = [one for one in shop.notes.given if one.at < BEGAN + 1 or one.at > BEGAN + 8]
    for one in shop.notes.given:
        shop._add(one.channel, one.value, "Cel", one.at)
    shop.gap("silent", "room.temperature", begin, end)
    assert shop.verdicts() == {"unnamed_gaps": 1}
    shop.gap("silent", "room.temperature", BEGAN, None)  # open since then
    assert shop.verdicts() == {}


def test_what_was_destroyed_may_have_stood_at_the_edge_of_its_line(shop: Doctored) -> None:
    """So what is left of a hole beside it is a hole only if it is long enough itself."""
    shop.rows = [row for row in shop.rows if row.channel != "room.temperature"]
    shop.rows = [replace(row, seq=seq) for seq, row in enumerate(shop.rows, 1)]
    shop.notes.given = [one for one in shop.notes.given if one.at < BEGAN + 1 or one.at > BEGAN + 8]
    for one in shop.notes.given:
        shop._add(one.channel, one.value, "Cel", one.at)
    limit_s = LIMITS["room"] + 1
    shop.gap("quarantined", "room.temperature", BEGAN + limit_s + 1.5, BEGAN + 9)
    assert shop.verdicts() == {"unnamed_gaps": 1}
    shop.gap("quarantined", "room.temperature", BEGAN + limit_s - 0.5, BEGAN + 9)
    assert shop.verdicts() == {}


def test_messages_lost_with_the_broker_must_be_named_so(shop: Doctored) -> None:
    shop.drop("flow", range(4, 6))
    for n in (4, 5):
        shop.message("flow", n).taken_at = None
        shop.message("flow", n).may_be_lost_with_broker = True
    assert shop.verdicts() == {"unnamed_gaps": ALL - 1}  # nobody misses what is always null
    shop.gap("silent", None, BEGAN + 3, BEGAN + 6)
    assert shop.verdicts() == {"unnamed_gaps": ALL - 1}
    shop.gap("broker", None, BEGAN + 3, BEGAN + 6)
    assert shop.verdicts() == {}


def test_what_a_gateway_that_did_not_listen_never_heard_must_be_named_so(shop: Doctored) -> None:
    shop.drop("flow", range(4, 6))
    for n in (4, 5):
        shop.message("flow", n).taken_at = None
        shop.message("flow", n).deliveries.clear()
    assert shop.verdicts() == {"lost": 2 * ALL}
    shop.gap("flood", None, BEGAN + 3, BEGAN + 6)
    assert shop.verdicts() == {}
    shop.message("flow", 4).taken_at = BEGAN + 5
    assert shop.verdicts() == {"lost": ALL}


def test_what_the_gateway_took_is_never_lost_with_the_broker(shop: Doctored) -> None:
    shop.drop("flow", range(4, 5))
    shop.message("flow", 4).may_be_lost_with_broker = True
    shop.gap("broker", None, BEGAN, BEGAN + 9)
    assert shop.verdicts() == {"lost": ALL}


# --- damage


def test_what_a_damaged_medium_destroyed_must_be_counted(shop: Doctored) -> None:
    first = shop.rows[shop.at("flow.n", 4)].seq
    gone = [shop.at(f"flow.{quantity}", 4) for quantity in QUANTITIES]
    shop.rows = [row for place, row in enumerate(shop.rows) if place not in gone]
    void: dict[str, Any] = {"store": "gateway", "epoch": "e1", "stream": "readings", "seq": first, "seq_end": first + 5}
    shop.gap("quarantined", None, BEGAN + 3, BEGAN + 5, counts={"flow.n": 1, "flow.warm": 1}, **void)
    done = shop.judged()
    assert (done.total("lost"), done.quarantined) == (ALL - 2, 2)
    shop.gap("quarantined", None, BEGAN + 3, BEGAN + 5, counts={f"flow.{q}": 1 for q in QUANTITIES}, **void)
    assert shop.verdicts() == {}


def test_values_that_tell_no_number_are_known_by_what_follows(shop: Doctored) -> None:
    gone = [shop.at(f"flow.{quantity}", 4) for quantity in QUANTITIES if quantity not in ("open", "nothing")]
    first = shop.rows[gone[0]].seq
    shop.rows = [row for place, row in enumerate(shop.rows) if place not in gone]
    counts = {f"flow.{quantity}": 1 for quantity in QUANTITIES if quantity not in ("open", "nothing")}
    void: dict[str, Any] = {"store": "gateway", "epoch": "e1", "stream": "readings", "seq": first, "seq_end": first + 3}
    shop.gap("quarantined", None, BEGAN + 3, BEGAN + 5, counts=counts, **void)
    assert shop.verdicts() == {}
