"""The body of a block: any records in, the same records out, and damage is noticed."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record
from golmok_edge.store.packing import MAX_COUNT, BodyError, Packer, Unpacker, blocks_of
from tests.cloud_sync.strategies import RUNS

from .store_support import reading, same, some


@given(RUNS)
def test_records_come_back_as_they_were(run: list[Record]) -> None:
    packer, unpacker = Packer(), Unpacker()
    blocks = blocks_of(run)
    bodies = [(packer.pack(block), block.count) for block in blocks]
    for _ in range(2):  # also from a warm unpacker
        assert same([record for body, count in bodies for record in unpacker.unpack(body, count)], run)


@given(RUNS)
def test_one_channel_is_found_without_the_others(run: list[Record]) -> None:
    (block, *_) = blocks_of([record._replace(boot="b") for record in run])
    body = Packer().pack(block)
    for channel in {record.channel for record in run} | {"other"}:
        expected = [(at, r._replace(boot="b")) for at, r in enumerate(run) if r.channel == channel]
        assert Unpacker().find(body, block.count, channel) == expected


@given(st.binary(max_size=200), st.integers(1, 5))
def test_noise_is_no_body(noise: bytes, count: int) -> None:
    with pytest.raises(BodyError):
        Unpacker().unpack(noise, count)


def test_every_changed_byte_of_a_body_is_noticed() -> None:
    (block,) = blocks_of(some(10))
    body = Packer().pack(block)
    for at in range(len(body)):
        changed = body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :]
        try:
            found = Unpacker().unpack(changed, block.count)
        except BodyError:
            continue
        assert same(found, some(10))  # a bit of zstd's head that means nothing


def test_a_body_that_claims_to_be_huge_is_not_unpacked() -> None:
    with pytest.raises(BodyError, match="larger than any"):
        Unpacker().unpack(zstandard.ZstdCompressor().compress(b"0" * (17 << 20)), 1)


def test_blocks_end_at_a_boot_and_at_their_bounds() -> None:
    assert [block.count for block in blocks_of(some(MAX_COUNT + 1))] == [MAX_COUNT, 1]
    assert [block.count for block in blocks_of([reading("x" * 60_000)] * 9)] == [4, 4, 1]
    boots = [reading(1.0)._replace(boot=boot) for boot in "aabba"]
    assert [(block.boot, block.count) for block in blocks_of(boots)] == [("a", 2), ("b", 2), ("a", 1)]
