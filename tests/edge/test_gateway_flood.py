"""`golmok_edge.gateway.flood`: who floods the local bus, for how long it rests, and who rests with it."""

from __future__ import annotations

from typing import Any

from golmok_edge.gateway.flood import BUSY, LATE_S, Flood, Floods
from golmok_edge.gateway.inbox import Listener

from .gateway_support import HandClock, WordsDriver, device


def listener(name: str, *topics: str, **more: Any) -> Listener:
    return Listener(device(name, "a", **({"most_per_s": 10.0} | more)), WordsDriver(*topics))


def say(floods: Floods, one: Listener, count: int, now_s: float) -> Flood | None:
    return next((flood for _ in range(count) if (flood := floods.heard(one, 1, now_s))), None)


def test_one_that_keeps_to_its_bounds_is_heard() -> None:
    one = listener("one", "t/1")
    floods = Floods([one], HandClock())
    assert not any(say(floods, one, 10, float(second)) for second in range(1000))
    assert floods.states["one"].state == "good"


def test_one_that_says_more_for_long_rests_and_then_longer() -> None:
    one, other = listener("one", "t/1"), listener("two", "t/2")
    floods = Floods([one, other], HandClock(mono=7_000))
    now_s, pauses = 1_000.0, []
    for _ in range(8):
        flood = say(floods, one, 1_000, now_s)
        assert flood is not None
        assert (flood.topics, [victim.device.name for victim in flood.victims]) == (("t/1",), ["one"])
        pauses.append(flood.pause_s)
        assert say(floods, one, 1_000, now_s) is None, "what was on its way is no news"
        now_s += flood.pause_s
        floods.over(flood, now_s)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    state = floods.states["one"]
    assert (state.state, state.reason, state.restarts) == ("bad", "floods", 8)
    assert floods.states["two"].state == "good"
    assert say(floods, one, 1, now_s + 2) is None
    assert state.state == "good"
    flood = say(floods, one, 1_000, now_s + 100)
    assert flood is not None
    assert flood.pause_s == 1, "it had behaved for a minute"


def test_those_that_share_its_topic_rest_with_it() -> None:
    one, two, three = listener("one", "t/1"), listener("two", "t/1", "t/2"), listener("three", "t/3")
    floods = Floods([one, two, three], HandClock(mono=7_000))
    flood = say(floods, one, 1_000, 1.0)
    assert flood is not None
    assert floods.is_resting([one, two])
    assert not floods.is_resting([one, three])
    assert not floods.is_resting([])
    assert "one" in floods.states["two"].detail
    assert list(flood.devices) == ["one", "two"]


def test_what_was_held_back_and_comes_at_once_is_no_flood() -> None:
    one = listener("one", "t/1", most_per_s=1_000.0)
    floods = Floods([one], HandClock())
    assert say(floods, one, 20, 9.0) is None
    assert say(floods, one, BUSY, 10.0) is None
    assert floods.echo_is_due(10.1)
    assert say(floods, one, 144, 10.4) is None, "a line stood still for some seconds"
    assert say(floods, one, 1_200, 11.5) is None, "and once more, longer"


def test_one_that_makes_the_others_wait_rests_after_a_second_though_it_has_much_left() -> None:
    one, other = listener("one", "t/1", most_per_s=1_000.0), listener("two", "t/2", most_per_s=1_000.0)
    floods = Floods([one, other], HandClock())
    assert not floods.echo_is_due(8.0), "nobody says much"
    assert say(floods, one, 1_500, 9.0) is None
    assert say(floods, one, BUSY, 10.0) is None
    assert floods.echo_is_due(10.1)
    assert say(floods, one, 200, 10.09 + LATE_S) is None, "not late yet"
    assert say(floods, other, 1, 10.2 + LATE_S) is None, "it is not the one"
    assert say(floods, one, 1, 10.2 + LATE_S) is not None


def test_one_that_says_little_is_not_blamed_for_what_comes_late() -> None:
    one = listener("one", "t/1", most_per_s=1_000.0)
    floods = Floods([one], HandClock())
    say(floods, one, BUSY, 10.0)
    assert floods.echo_is_due(10.1)
    assert say(floods, one, 20, 11.0) is None, "the machine was slow, or the broker"
    floods.echo_came()
    assert say(floods, one, 1_000, 11.0) is None
