from __future__ import annotations

import gzip
import json
import random
import resource
import struct
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import (
    CodecError,
    Record,
    TooLargeError,
    canonical,
    check,
    decode,
    decode_columns,
    encode,
)
from golmok_cloud_sync.protocol.codec import CODECS, MAX_RAW
from golmok_cloud_sync.protocol.columns import last, newest

from .golden import GOLDEN_CODEC_0, GOLDEN_CODEC_1, GOLDEN_RECORDS
from .strategies import RUNS

BOTH = pytest.mark.parametrize("codec", CODECS)


def same(a: list[Record], b: list[Record]) -> bool:
    return list(map(canonical, a)) == list(map(canonical, b))


@BOTH
@given(run=RUNS)
def test_comes_back_equal(codec: int, run: list[Record]) -> None:
    payload = encode(run, codec)
    assert same(decode(payload, codec, len(run)), run)
    columns = decode_columns(payload, codec, len(run))
    assert canonical(last(columns)) == canonical(run[-1])
    by_series = {(r.boot, r.channel, r.unit): r for r in run}
    assert {(n.boot, n.channel, n.unit): n.mono_ms for n in newest(columns)} == {
        key: r.mono_ms for key, r in by_series.items()
    }


@given(run=RUNS)
@example([Record("a", v, "", "b", 1) for v in (0.1 + 0.2, 1e300, 5e-324, -0.1, 1e15, 123456.789, 2**53 + 0.0, 4.5e-10)])
@example([Record("a", v, "", "b", 1) for v in (2**53, -(2**53), 2**53 + 1, -(2**63), 2**63 - 1, 0)])
def test_both_codecs_say_the_same(run: list[Record]) -> None:
    assert same(decode(encode(run, 0), 0, len(run)), decode(encode(run, 1), 1, len(run)))


def test_golden_vectors() -> None:
    """Bytes that a gateway sent in 2026 must decode for ever."""
    assert same(decode(bytes.fromhex(GOLDEN_CODEC_1), 1, len(GOLDEN_RECORDS)), GOLDEN_RECORDS)
    assert same(decode(bytes.fromhex(GOLDEN_CODEC_0), 0, len(GOLDEN_RECORDS)), GOLDEN_RECORDS)


def test_codec_0_is_read_with_gunzip() -> None:
    run = [Record("room.temperature", 21.5 + i / 10, "Cel", "b1", 1000 + 10 * i) for i in range(3)]
    assert json.loads(gzip.decompress(encode(run, 0))) == {
        "count": 3,
        "series": [
            {
                "channel": "room.temperature",
                "unit": "Cel",
                "boot": "b1",
                "mono_ms": [1000, 10, 10],
                "value": [21.5, 21.6, 21.7],
            }
        ],
    }


@BOTH
def test_nothing_and_too_much_are_refused(codec: int) -> None:
    record = Record("a", 1, "", "b", 1)
    with pytest.raises(TooLargeError):
        encode([], codec)
    with pytest.raises(TooLargeError):
        encode([record] * 10_001, codec)
    noise = random.Random(1)
    with pytest.raises(TooLargeError):
        encode([Record("a", noise.randbytes(30_000).hex(), "", "b", 1) for _ in range(400)], codec)


@BOTH
def test_a_count_that_lies_is_refused(codec: int) -> None:
    payload = encode([Record("a", 1, "", "b", 1)] * 3, codec)
    for count in (0, 2, 4, 10_001, -1):
        with pytest.raises(CodecError):
            decode(payload, codec, count)
    with pytest.raises(CodecError, match="codec 7 is not known"):
        decode(payload, 7, 3)


def test_bombs_are_not_unpacked() -> None:
    zeros = bytes(MAX_RAW * 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bombs = [(0, gzip.compress(zeros)), (1, zstandard.compress(zeros)), (0, gzip.compress(b"[" * 5_000_000))]
    without_size = zstandard.ZstdCompressor(write_content_size=False).compress(zeros)
    for codec, payload in [*bombs, (1, without_size)]:
        with pytest.raises(CodecError):
            decode(payload, codec, 1)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 4 * MAX_RAW


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9223372036854775808", "-0.0", "[]", "{}"])
def test_json_that_no_record_holds(text: str) -> None:
    series = f'{{"channel":"a","unit":"","boot":"b","mono_ms":[1],"value":[{text}]}}'
    payload = gzip.compress(f'{{"count":1,"series":[{series}]}}'.encode())
    if text == "-0.0":
        assert canonical(decode(payload, 0, 1)[0]) == canonical(Record("a", 0.0, "", "b", 1))
    else:
        with pytest.raises(CodecError):
            decode(payload, 0, 1)


def _try(payload: bytes, codec: int, count: int) -> None:
    """Whatever the bytes are: records that may exist, or a CodecError."""
    try:
        found = decode(payload, codec, count)
    except CodecError:
        return
    for record in found:
        assert canonical(check(record)) == canonical(record)
    assert len(found) == count


def _damage(noise: random.Random, data: bytes) -> bytes:
    """One of the things that happen to bytes."""
    out = bytearray(data)
    for _ in range(noise.choice((1, 1, 2, 8))):
        at = noise.randrange(len(out) + 1)
        match noise.randrange(4):
            case 0:
                out[at : at + 1] = noise.randbytes(1)
            case 1:
                del out[at : at + noise.randrange(1, 9)]
            case 2:
                out[at:at] = noise.randbytes(noise.randrange(1, 9))
            case _:
                digits = [i for i, byte in enumerate(out) if 48 <= byte <= 57]
                if digits:
                    out[noise.choice(digits)] = noise.randrange(48, 58)
    return bytes(out)


def _unpack_1(payload: bytes) -> bytes:
    from golmok_cloud_sync.protocol import codec

    return codec._unzstd(payload)


def _pack_1(raw: bytes) -> bytes:
    from golmok_cloud_sync.protocol import codec

    return codec._zstd([raw])


LAYERS: dict[int, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    0: (gzip.decompress, lambda raw: gzip.compress(raw, 1)),
    1: (_unpack_1, _pack_1),
}
"""How to take off and put on a codec's compression, so that damage also reaches what is below it."""


@BOTH
def test_fuzzed_frames(codec: int) -> None:
    """10^5 in all: no crash, no memory over the cap."""
    _fuzz(codec, 50_000, seed=codec)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@BOTH
def test_fuzzed_frames_for_long(codec: int) -> None:
    """10^6 in all, others each time."""
    _fuzz(codec, 500_000, seed=random.randrange(2**32))


def _fuzz(codec: int, rounds: int, seed: int) -> None:
    """Bytes turned, cut and inserted, above and below the compression."""
    noise = random.Random(seed)
    seeds = [GOLDEN_RECORDS, GOLDEN_RECORDS[:1], [Record("a", i / 10, "Cel", "b", 10 * i) for i in range(9)]]
    unpack, pack = LAYERS[codec]
    payloads = [(encode(run, codec), len(run)) for run in seeds]
    raws = [(unpack(payload), count) for payload, count in payloads]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(rounds):
        if i % 4 == 0:
            payload, count = noise.choice(payloads)
            _try(_damage(noise, payload), codec, count)
        else:
            raw, count = noise.choice(raws)
            _try(pack(_damage(noise, raw)), codec, count)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 8 * MAX_RAW


@BOTH
@settings(max_examples=200)
@given(payload=st.binary(max_size=300), count=st.integers(1, 50))
def test_any_bytes(codec: int, payload: bytes, count: int) -> None:
    _try(payload, codec, count)


@given(planes=st.lists(st.binary(max_size=8), max_size=4), header=st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=9),
    max_leaves=30,
))  # fmt: skip
def test_any_header(planes: list[bytes], header: object) -> None:
    text = json.dumps(header).encode()
    _try(_pack_1(struct.pack("<I", len(text)) + text + b"".join(planes)), 1, 3)
