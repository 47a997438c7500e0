from __future__ import annotations

import math

import pytest
from hypothesis import given

from golmok_cloud_sync.protocol import Record, RecordError, canonical, check, record_crc, void_crc

from .strategies import records

GOOD = Record("fridge.temperature", 21.37, "Cel", "b1", 1_000)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": math.nan}, "fridge.temperature: the value is nan"),
        ({"value": math.inf}, "fridge.temperature: the value is inf"),
        ({"value": -math.inf}, "fridge.temperature: the value is -inf"),
        ({"value": 2**63}, "does not fit in 64 bits"),
        ({"value": -(2**63) - 1}, "does not fit in 64 bits"),
        ({"value": b"x"}, "a value of type bytes"),
        ({"value": "x" * 65_537}, "longer than 65536 bytes"),
        ({"value": "\ud800"}, "not valid Unicode"),
        ({"channel": ""}, "needs a channel"),
        ({"channel": "가" * 100}, "at most 255 bytes"),
        ({"unit": None}, "unit must be text"),
        ({"quality": "fine"}, "must be one of good, uncertain, bad"),
        ({"mono_ms": -1}, "mono_ms"),
        ({"mono_ms": 1.5}, "mono_ms"),
        ({"mono_ms": True}, "mono_ms"),
        ({"wall_ms": 2**53}, "wall_ms"),
        ({"waited_ms": -1}, "waited_ms"),
    ],
)
def test_refuses_by_name(change: dict[str, object], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        check(GOOD._replace(**change))  # type: ignore[arg-type]  # wrong on purpose


def test_minus_zero_is_zero() -> None:
    assert math.copysign(1, check(GOOD._replace(value=-0.0)).value) == 1  # type: ignore[arg-type]  # a float


def test_canonical_bytes_are_fixed() -> None:
    """Golden: these bytes are on disks and in clouds. They may never change."""
    record = Record("a.b", -3, "%", "bt", 7, "bad", "crc", 9, None)
    assert canonical(record).hex() == (
        "03fdffffffffffffff" "0700000000000000" "010900000000000000" "00" "02"
        "03000000612e62" "0100000025" "020000006274" "03000000637263"
    )  # fmt: skip
    assert canonical(GOOD).hex().startswith("041f85eb51b85e3540e8030000000000000001000000000000000000")
    assert void_crc("readings", 42, "evicted") == 0xA1DEAB12


@given(records())
def test_values_of_another_type_have_other_bytes(record: Record) -> None:
    others = [record._replace(value=v) for v in (None, True, False, 0, 1, 0.0, 1.0, "", "1")]
    crcs = {canonical(other) for other in others}
    assert len(crcs) == len(others)
    assert record_crc(record) == record_crc(Record(*record))
