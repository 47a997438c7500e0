"""Records of every kind, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record, Value, check
from golmok_cloud_sync.protocol.record import QUALITIES

CHANNELS = st.sampled_from(["fridge.temperature", "fridge.humidity", "kiln.온도", "door.open", "clock.anchor", "x"])
BOOTS = st.sampled_from(["3f2c9b0e5d7a4c1e8f6b2a9d0c4e7f11", "b", "00000000000000000000000000000000"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DECIMALS = st.builds(lambda m, e: m / 10**e, st.integers(-(10**7), 10**7), st.integers(0, 11))
VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 5),
    DECIMALS,
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
TIMES = st.one_of(st.integers(0, 100), st.integers(86_400_000, 86_500_000), st.integers(0, 2**53 - 1))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any record that may exist."""
    return check(
        Record(
            channel=draw(CHANNELS),
            value=draw(VALUES),
            unit=draw(st.sampled_from(["Cel", "%", "", "mm/s"])),
            boot=draw(BOOTS),
            mono_ms=draw(TIMES),
            quality=draw(st.sampled_from(QUALITIES)),
            reason=draw(st.sampled_from(["", "", "", "crc", "시간 초과"])),
            wall_ms=draw(st.one_of(st.none(), st.integers(-(2**40), 2**42))),
            waited_ms=draw(st.one_of(st.just(0), st.none(), st.integers(0, 10**9))),
        )
    )


@st.composite
def plain_readings(draw: st.DrawFn) -> list[Record]:
    """A run as sensors make it: a few channels polled in turn, all good."""
    step = draw(st.integers(1, 60_000))
    names = draw(st.lists(CHANNELS, min_size=1, max_size=4, unique=True))
    kinds = [draw(st.sampled_from([DECIMALS, st.booleans(), st.integers(-100, 100)])) for _ in names]
    return [
        check(Record(name, draw(kind), "Cel", "b", draw(st.integers(0, 3)) + i * step))
        for i in range(draw(st.integers(1, 12)))
        for name, kind in zip(names, kinds, strict=True)
    ]


RUNS = st.one_of(st.lists(records(), min_size=1, max_size=40), plain_readings())
