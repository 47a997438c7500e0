"""What travels: one record is one thing that was measured or that happened, with what is known of its time.

A record never changes after it was stored; how it is encoded may. Its identity is
(gateway, store, epoch, stream, seq), which stands outside it. Its *canonical bytes* are the same on every
machine and in every codec; their CRC-32 is what both ends compare to know that they speak of the same history.
"""

from __future__ import annotations

import math
import struct
from typing import Final, Literal, NamedTuple, TypeAlias, get_args
from zlib import crc32

Value: TypeAlias = bool | int | float | str | None
Quality: TypeAlias = Literal["good", "uncertain", "bad"]
Stream: TypeAlias = Literal["orders", "events", "files", "readings"]

STREAMS: Final[tuple[Stream, ...]] = get_args(Stream)
"""Every stream, the most urgent first."""
QUALITIES: Final[tuple[Quality, ...]] = get_args(Quality)

MAX_NAME_BYTES: Final = 255
"""Most bytes of UTF-8 in a channel, unit, reason or boot id."""
MAX_TEXT_BYTES: Final = 65_536
"""Most bytes of UTF-8 in a text value."""
MAX_TIME_MS: Final = 2**53 - 1


class RecordError(ValueError):
    """A record that may not exist; the message names the channel and what is wrong with it."""


class Record(NamedTuple):
    """One reading, event or order, and what is known of its time.

    `boot` and `mono_ms` say when the gateway took it: milliseconds on the boot-time clock (CLOCK_BOOTTIME) of
    that boot. `wall_ms` (milliseconds since 1970, UTC) is there only when the source itself stated a time, which
    then is the record's time. `waited_ms` bounds how long the record had been waiting somewhere (a broker's
    queue) before `mono_ms`: 0 it had not, None nobody knows, else at most so long.
    """

    channel: str
    value: Value
    unit: str
    boot: str
    mono_ms: int
    quality: Quality = "good"
    reason: str = ""
    wall_ms: int | None = None
    waited_ms: int | None = 0


def check(record: Record) -> Record:
    """Give back `record` if it may be stored (with -0.0 made 0.0), else raise `RecordError`."""
    channel, value, unit, boot, mono_ms, quality, reason, wall_ms, waited_ms = record
    for name, text in (("channel", channel), ("unit", unit), ("boot", boot), ("reason", reason)):
        if type(text) is not str or _utf8_length(channel, name, text) > MAX_NAME_BYTES:
            raise RecordError(f"{channel!r:.80}: its {name} must be text of at most {MAX_NAME_BYTES} bytes")
    if not channel:
        raise RecordError("a record needs a channel")
    if quality not in QUALITIES:
        raise RecordError(f"{channel}: quality is {quality!r}, must be one of {', '.join(QUALITIES)}")
    _check_int(channel, "mono_ms", mono_ms, 0)
    if wall_ms is not None:
        _check_int(channel, "wall_ms", wall_ms, -MAX_TIME_MS)
    if waited_ms is not None:
        _check_int(channel, "waited_ms", waited_ms, 0)
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]  # kind says float
            raise RecordError(f"{channel}: the value is {value}, which is not a number one can store")
        if value == 0.0:
            return record._replace(value=0.0)
    elif kind is int:
        if not -(2**63) <= value < 2**63:  # type: ignore[operator]  # kind says int
            raise RecordError(f"{channel}: {value} does not fit in 64 bits")
    elif kind is str:
        if _utf8_length(channel, "value", value) > MAX_TEXT_BYTES:  # type: ignore[arg-type]  # kind says str
            raise RecordError(f"{channel}: the text is longer than {MAX_TEXT_BYTES} bytes")
    elif value is not None and kind is not bool:
        raise RecordError(f"{channel}: a value of type {kind.__name__} cannot be stored")
    return record


def canonical(record: Record) -> bytes:
    """The bytes that stand for `record` on every machine (little-endian, lengths before texts).

    `value tag + value`, then `mono_ms` i64, `wall_ms` and `waited_ms` each as a presence byte and i64, the
    quality's index u8, and channel, unit, boot, reason as u32 length + UTF-8. Value tags: 0 none, 1 false,
    2 true, 3 int (i64), 4 float (IEEE 754 f64), 5 text (u32 length + UTF-8).
    """
    channel, value, unit, boot, mono_ms, quality, reason, wall_ms, waited_ms = record
    return b"".join(
        (
            _canonical_value(value),
            mono_ms.to_bytes(8, "little", signed=True),
            _optional(wall_ms),
            _optional(waited_ms),
            bytes((QUALITIES.index(quality),)),
            _text(channel),
            _text(unit),
            _text(boot),
            _text(reason),
        )
    )


def record_crc(record: Record) -> int:
    """CRC-32 (zlib's) of the record's canonical bytes."""
    return crc32(canonical(record))


def void_crc(stream: Stream, seq: int, reason: str) -> int:
    """CRC-32 that stands for record `seq` of `stream` where it was declared void for `reason`.

    It does not depend on where the void began or was cut, so both ends find it again after any loss.
    """
    return crc32(f"void {stream} {seq} {reason}".encode())


def _check_int(channel: str, name: str, number: int, least: int) -> None:
    if type(number) is not int or not least <= number <= MAX_TIME_MS:
        raise RecordError(f"{channel}: {name} is {number!r:.40}, must be a whole number from {least} to {MAX_TIME_MS}")


def _utf8_length(channel: str, name: str, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise RecordError(f"{channel!a:.80}: its {name} is not valid Unicode text ({error.reason})") from None


def _canonical_value(value: Value) -> bytes:
    match value:
        case None:
            return b"\x00"
        case bool():
            return b"\x02" if value else b"\x01"
        case int():
            return b"\x03" + value.to_bytes(8, "little", signed=True)
        case float():
            return b"\x04" + struct.pack("<d", value)
        case str():
            return b"\x05" + _text(value)


def _optional(number: int | None) -> bytes:
    return b"\x00" if number is None else b"\x01" + number.to_bytes(8, "little", signed=True)


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "little") + data
