"""Rooms by strength: noise does not move a tag, walking does."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.zones import LOST_S, Smoother, Zone


def walked(seed: int, noise_db: float, seconds: int = 600) -> list[str | None]:
    """A tag that lies in a: 6 dB stronger there, heard through noise once a second by both."""
    dice, zone, seen = random.Random(seed), Zone(), list[str | None]()
    for at_s in range(seconds):
        for receiver, rssi in (("a", -60), ("b", -66)):
            seen.append(zone.hear(receiver, round(dice.gauss(rssi, noise_db)), at_s))
    return seen


def flips(seen: list[str | None]) -> int:
    return sum(one != other for one, other in pairwise(seen))


def test_noise_moves_nobody() -> None:
    assert sum(flips(walked(seed, 8.0)) for seed in range(20)) <= 20, "once at the beginning, at most"


def test_the_strongest_of_single_adverts_would_flip_all_the_time() -> None:
    dice = random.Random(1)
    raw = ["a" if dice.gauss(-60, 8) > dice.gauss(-66, 8) else "b" for _ in range(600)]
    assert flips(list(raw)) > 100


@given(st.lists(st.integers(-100, -20), min_size=1, max_size=50))
def test_a_smoothed_strength_lies_within_what_was_heard(heard: list[int]) -> None:
    smoother = Smoother()
    for at_s, rssi in enumerate(heard):
        value = smoother.put(rssi, at_s)
        assert min(heard) <= value <= max(heard)


def test_a_receiver_that_fell_silent_gives_way_at_once_and_all_silent_is_nowhere() -> None:
    zone = Zone()
    for at_s in range(10):
        zone.hear("a", -50, at_s)
        zone.hear("b", -80, at_s)
    assert zone.now == "a"
    for at_s in range(10, 30):
        zone.hear("b", -80, at_s)
    assert zone.now == "b"
    assert zone.tick(30 + LOST_S) is None
