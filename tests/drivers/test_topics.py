from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from golmok_drivers.api import check_filter, topic_matches


@pytest.mark.parametrize("topic", ["a", "a/b", "+", "#", "a/#", "a/+/b", "/a", "a//b", "$SYS/#"])
def test_right_filters(topic: str) -> None:
    assert check_filter(topic) == topic


@pytest.mark.parametrize("topic", ["", "a#", "#/a", "a/#/#", "a+", "+a/b", "a\0b", "x" * 65536])
def test_wrong_filters(topic: str) -> None:
    with pytest.raises(ValueError, match=r"topic|#|level"):
        check_filter(topic)


levels = st.lists(st.sampled_from(["a", "b", "", "$x"]), min_size=1, max_size=4)
wanted = st.lists(st.sampled_from(["a", "b", "", "+", "$x"]), min_size=1, max_size=4)


@given(wanted, st.booleans(), levels)
def test_it_matches_as_paho_does(want: list[str], all_below: bool, topic: list[str]) -> None:
    topic_filter, name = "/".join([*want, *(["#"] if all_below else [])]), "/".join(topic)
    if name and topic_filter:
        assert topic_matches(topic_filter, name) == topic_matches_sub(topic_filter, name)
