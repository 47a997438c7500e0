"""A run of records as bytes, two ways: 1 is small, 0 can be read with curl and gunzip. Both give back equal records.

Codec 0 is gzip over one JSON object with a column for each thing that varies (see `_to_json`).

Codec 1 is one zstd frame over the blocks of `flat.py`: a JSON header that names the series, then every number as
the residual of a prediction, cut into byte planes, like by like. A zstd block ends with each of ours, so that
each gets its own Huffman code (measured: 12 % smaller than one code for all). Decimals are integers with an
exponent: 21.37 is 2137 and 2.

Neither direction reads a clock or touches a file. `decode` believes nothing: sizes are capped before anything is
unpacked, and whatever it returns would pass `record.check`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, NoReturn

import zstandard

from . import columns as cols
from . import flat
from .columns import MAX_COUNT, Columns, Series, State
from .record import Record

MAX_PAYLOAD: Final = 4 << 20
"""Most bytes of a frame's payload, compressed."""
MAX_RAW: Final = 16 << 20
"""Most bytes that a payload may unpack to."""
CODECS: Final = (0, 1)

_LEVEL: Final = 5


class CodecError(ValueError):
    """A payload that does not decode; the message says why."""


class TooLargeError(CodecError):
    """These records do not fit into one payload: cut them into fewer."""


def encode(records: Sequence[Record], codec: int = 1) -> bytes:
    """The payload that stands for `records` (1 to `MAX_COUNT`, each passed by `record.check`).

    Raises `TooLargeError` if it would exceed `MAX_PAYLOAD` or `MAX_RAW` bytes.
    """
    if not 0 < len(records) <= MAX_COUNT:
        raise TooLargeError(f"{len(records)} records in one payload, must be 1 to {MAX_COUNT}")
    blocks = _coding(codec).write(cols.split(records))
    size = sum(map(len, blocks))
    if size > MAX_RAW:
        raise TooLargeError(f"{len(records)} records take {size} bytes, more than {MAX_RAW}")
    payload = _coding(codec).pack(blocks)
    if len(payload) > MAX_PAYLOAD:
        raise TooLargeError(f"{len(records)} records pack to {len(payload)} bytes, more than {MAX_PAYLOAD}")
    return payload


def decode(payload: bytes, codec: int, count: int) -> list[Record]:
    """The `count` records that `payload` stands for. Raises `CodecError`."""
    return cols.join(decode_columns(payload, codec, count))


def decode_columns(payload: bytes, codec: int, count: int) -> Columns:
    """The checked columns of `payload`: all that a server must know, without building each record."""
    if not 0 < count <= MAX_COUNT:
        raise CodecError(f"{count} records in one payload, must be 1 to {MAX_COUNT}")
    if len(payload) > MAX_PAYLOAD:
        raise CodecError(f"the payload has {len(payload)} bytes, more than {MAX_PAYLOAD}")
    try:
        columns = _coding(codec).read(_coding(codec).unpack(payload))
        if columns.count != count:
            raise CodecError(f"the payload holds {columns.count} records, its frame says {count}")
        return cols.check(columns)
    except CodecError:
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise CodecError(f"the payload is not codec {codec}: {error}") from error


class _Coding(NamedTuple):
    write: Callable[[Columns], list[bytes]]
    read: Callable[[bytes], Columns]
    pack: Callable[[list[bytes]], bytes]
    unpack: Callable[[bytes], bytes]


def _coding(codec: int) -> _Coding:
    try:
        return _CODINGS[codec]
    except KeyError:
        raise CodecError(f"codec {codec} is not known here; known are {', '.join(map(str, _CODINGS))}") from None


# --- codec 0: columnar JSON, gzip -------------------------------------------------------------------------------


def _to_json(columns: Columns) -> list[bytes]:
    """`series` (mono_ms as first and differences), and only where needed `shifts`, `states`, `wall_ms`, `waited_ms`."""
    out: dict[str, Any] = {
        "count": columns.count,
        "series": [
            {
                "channel": s.channel,
                "unit": s.unit,
                "boot": s.boot,
                "mono_ms": _differences(s.mono_ms),
                "value": s.values,
            }
            for s in columns.series
        ],
    }
    if columns.shifts is not None:
        out["shifts"] = columns.shifts
    if columns.state_codes is not None or columns.states != [State("good", "")]:
        out["states"] = {"table": columns.states, "code": columns.state_codes}
    if columns.wall_ms is not None:
        out["wall_ms"] = columns.wall_ms
    if columns.waited_ms is not None:
        out["waited_ms"] = columns.waited_ms
    return [json.dumps(out, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()]


def _from_json(raw: bytes) -> Columns:
    doc = json.loads(raw, parse_constant=_refuse_constant)
    series = [
        Series(s["boot"], s["channel"], s["unit"], _sums(_ints(s["mono_ms"])), [_no_minus_zero(v) for v in s["value"]])
        for s in doc["series"]
    ]
    columns = Columns(_int(doc["count"]), series, shifts=_column(doc.get("shifts")))
    if "states" in doc:
        columns.states = [State(quality, reason) for quality, reason in doc["states"]["table"]]
        columns.state_codes = _column(doc["states"]["code"])
    columns.wall_ms = _column(doc.get("wall_ms"))
    columns.waited_ms = _column(doc.get("waited_ms"))
    return columns


def _differences(numbers: Sequence[int]) -> list[int]:
    return [numbers[0], *(b - a for a, b in pairwise(numbers))]


def _sums(numbers: list[int]) -> list[int]:
    total = 0
    return [total := total + number for number in numbers]


def _int(number: Any) -> int:
    if type(number) is not int:
        raise CodecError(f"{number!r:.40} must be a whole number")
    return number


def _ints(numbers: Any) -> list[int]:
    return [_int(number) for number in numbers]


def _column(numbers: Any) -> Any:
    if numbers is not None and type(numbers) is not list:
        raise CodecError("a column must be a list")
    return numbers


def _no_minus_zero(value: Any) -> Any:
    return 0.0 if type(value) is float and value == 0.0 else value


def _refuse_constant(name: str) -> NoReturn:
    raise CodecError(f"{name} is not a number one can store")


def _gzip(blocks: list[bytes]) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: gzip's header, with no time in it
    return b"".join((*map(packer.compress, blocks), packer.flush()))


def _gunzip(payload: bytes) -> bytes:
    unpacker = zlib.decompressobj(31)
    try:
        raw = unpacker.decompress(payload, MAX_RAW)
    except zlib.error as error:
        raise CodecError(f"the payload is not gzip: {error}") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise CodecError(f"the payload is cut short or unpacks to more than {MAX_RAW} bytes")
    if unpacker.unused_data:
        raise CodecError("bytes follow the end of the payload")
    return raw


# --- codec 1: flat columns, zstd --------------------------------------------------------------------------------


_DICTIONARY: Final = zstandard.ZstdCompressionDict(
    b'"battery","voltage","mm/s","occupancy","contact","open","clock.anchor","{\\"mono_ms\\":'
    b'"good","vibration",".power","W",60,[60,1,2,8640000,999000],[1,[60,2,1,1000,0]]],'
    b'".humidity","%",60,[60,1,2,8640000,999000],[2,[60,1,1,5000,0]]],'
    b'".temperature","Cel",60,[60,1,2,8640000,999000],[2,[60,1,1,2000,0]]],[0,"',
    dict_type=zstandard.DICT_TYPE_RAWCONTENT,
)
"""What headers are made of, the likeliest last. It is part of codec 1: never change a byte of it."""


# Made anew for each payload (3 us): one of them must not be used by two threads at a time.


def _compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=_LEVEL, dict_data=_DICTIONARY)


def _decompressor() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_DICTIONARY, max_window_size=1 << 25)


def _zstd(blocks: list[bytes]) -> bytes:
    packer = _compressor().compressobj(size=sum(map(len, blocks)))
    pieces: list[bytes] = []
    for block in blocks:
        pieces += packer.compress(block), packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return b"".join((*pieces, packer.flush()))


def _unzstd(payload: bytes) -> bytes:
    try:
        size = zstandard.get_frame_parameters(payload).content_size
        if size > MAX_RAW:  # an unknown size reads as 2**64 - 1
            raise CodecError(f"the payload unpacks to more than {MAX_RAW} bytes or does not say to how many")
        return _decompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodecError(f"the payload is not zstd: {error}") from None


_CODINGS: Final = {
    0: _Coding(_to_json, _from_json, _gzip, _gunzip),
    1: _Coding(flat.write, flat.read, _zstd, _unzstd),
}
