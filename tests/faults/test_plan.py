"""Plans: the same for the same seed, with every kind, dealt to shops that can have them."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from .plan import KINDS, LIFE, Where, deal, draw

CORE = {name for name, kind in KINDS.items() if kind.is_core}
ABILITIES: list[frozenset[Where]] = [
    frozenset({"any", "disk"}),
    frozenset({"any", "clock"}),
    frozenset({"any", "clock"}),
]


def test_a_seed_gives_one_plan() -> None:
    first = list(islice(draw(7, frozenset()), 4))
    assert first == list(islice(draw(7, frozenset()), 4))
    assert first != list(islice(draw(8, frozenset()), 4))


def test_each_life_has_the_core_and_all_kinds_come_in_turn() -> None:
    lives = list(islice(draw(1, frozenset()), 40))
    for life in lives:
        assert len(life) == LIFE
        assert set(life[: len(CORE)]) == CORE
    counts = Counter(name for life in lives for name in life[len(CORE) :])
    assert counts.keys() == KINDS.keys()
    assert max(counts.values()) - min(counts.values()) <= 1


def test_what_shall_come_often_is_among_the_first() -> None:
    (life,) = islice(draw(1, frozenset(), "cloud-flip"), 1)
    assert len(life) == LIFE
    assert Counter(life[: len(CORE) + 3]) == Counter([*CORE, *["cloud-flip"] * 3])
    assert "cloud-flip" not in next(draw(1, frozenset({"cloud-flip"}), "cloud-flip"))


def test_what_is_left_out_does_not_come() -> None:
    for life in islice(draw(1, frozenset({"disk-full", "power-cut"})), 10):
        assert not {"disk-full", "power-cut"} & set(life)


def test_each_fault_is_dealt_once_to_a_shop_that_can_have_it() -> None:
    for plan in islice(draw(3, frozenset()), 20):
        hands = deal(plan, ABILITIES)
        assert Counter(name for hand in hands for name in hand) == Counter(plan)
        for hand, able in zip(hands, ABILITIES, strict=True):
            assert {KINDS[name].where for name in hand} <= able
        loads = [sum(KINDS[name].cost_s for name in hand) for hand in hands]
        assert max(loads) < 2 * min(loads)
