"""A bound never says less than there is, and measures only where it must."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from golmok_edge.store.bound import UNKNOWN, Bound


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("grow"), st.integers(0, 100), st.integers(0, 100)),
            st.tuples(st.just("unknown"), st.integers(-500, 500), st.just(0)),
            st.tuples(st.just("ask"), st.integers(0, 1_000), st.just(0)),
        )
    )
)
def test_it_answers_as_if_it_measured_each_time(steps: list[tuple[str, int, int]]) -> None:
    size = 0
    bound = Bound(lambda: size)
    for kind, number, slack in steps:
        if kind == "ask":
            assert bound.is_at_most(number) == (size <= number)
            assert size <= number or bound.most == size
        elif kind == "grow":
            size += number
            bound.grow(number + slack)
        else:
            size = max(0, size + number)
            bound.grow(UNKNOWN)
        assert bound.most >= size


def test_it_measures_only_near_the_limit() -> None:
    asked: list[int] = []

    def measure() -> int:
        asked.append(len(asked))
        return 100

    bound = Bound(measure)
    for _ in range(10):
        assert bound.is_at_most(1_000)
        bound.grow(90)
    assert len(asked) == 1
    bound.grow(90)
    assert bound.is_at_most(1_000)
    assert len(asked) == 2
