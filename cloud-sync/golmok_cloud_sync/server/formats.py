"""A page of records as JSON lines, CSV or Parquet: the same records, the same values, made a piece at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from golmok_cloud_sync.protocol import Value
from golmok_cloud_sync.server.query import Row
from golmok_cloud_sync.server.times import show

Rows = Iterable[Sequence[Row]]

JSON_LINES: Final = "application/x-ndjson"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"
_ENCODER: Final = msgspec.json.Encoder()
_LINE_ENDS: Final = tuple((end.encode(), f"\\u{ord(end):04x}".encode()) for end in "\x85\u2028\u2029")
_ROW_GROUP: Final = 20_000
CSV_COLUMNS: Final = (
    "store",
    "epoch",
    "seq",
    "ts",
    "channel",
    "value",
    "unit",
    "quality",
    "reason",
    "ts_min",
    "ts_max",
)


def document(row: Row) -> dict[str, Any]:
    """A record as one line of JSON shows it."""
    store, epoch, seq, dated, record = row
    doc: dict[str, Any] = {
        "store": store,
        "epoch": epoch,
        "seq": seq,
        "ts": show(dated.ms),
        "channel": record.channel,
        "value": record.value,
        "unit": record.unit,
        "quality": record.quality,
    }
    if record.reason:
        doc["reason"] = record.reason
    if dated.min_ms is not None:
        doc["ts_min"] = show(dated.min_ms)
    if dated.max_ms is not None:
        doc["ts_max"] = show(dated.max_ms)
    return doc


def one_line_each(encoded: bytes) -> bytes:
    """JSON in which what some programs take for the end of a line (U+0085, U+2028, U+2029) is escaped."""
    for raw, escaped in _LINE_ENDS:
        encoded = encoded.replace(raw, escaped)
    return encoded


def json_lines(rows: Rows) -> Iterator[bytes]:
    """One JSON object a line."""
    encode = _ENCODER.encode_lines
    for some in rows:
        yield one_line_each(encode([document(row) for row in some]))


def csv_text(rows: Rows) -> Iterator[bytes]:
    """A header, then a line a record (RFC 4180). Truth values are `true` and `false`; no value is an empty field."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for some in rows:
        for row in some:
            doc = document(row)
            doc["value"] = _csv_value(row.record.value)
            writer.writerow([doc.get(name) for name in CSV_COLUMNS])
        yield _drain(buffer).encode()
    yield _drain(buffer).encode()


def _csv_value(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def _drain(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


# --- Parquet ----------------------------------------------------------------------------------------------------

_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_TIME: Final = pa.timestamp("ms", tz="UTC")
_EXACT: Final = 2**53
_TYPES: Final = {
    frozenset[type](): pa.float64(),
    frozenset[type]({int}): pa.int64(),
    frozenset[type]({bool}): pa.bool_(),
    frozenset[type]({str}): pa.string(),
}
PARQUET_NOTE: Final = (
    "`value` has the type of the page's values where they are of one kind (double, int64, bool, string), else it "
    "is their JSON text. `value_number`, `value_bool` and `value_text` are there on every page with the same "
    "types: a record has at most one of them; integers beyond 2^53 are exact in `value` only."
)


def value_type(values: Iterable[Value]) -> pa.DataType | None:
    """The type of the column `value` for these values; None: their JSON text."""
    kinds: set[type] = set()
    doubles_hold_all = True
    for value in values:
        kinds.add(type(value))
        if type(value) is int and not -_EXACT <= value <= _EXACT:
            doubles_hold_all = False
    kinds.discard(type(None))
    if kinds <= {int, float} and float in kinds and doubles_hold_all:
        return pa.float64()
    return _TYPES.get(frozenset(kinds))


def parquet(rows: Callable[[], Rows]) -> Iterator[bytes]:
    """A Parquet file. `rows` gives the page's records each time it is called: first for the type of `value`."""
    kind = value_type(row.record.value for some in rows() for row in some)
    sink = _Sink()
    with pq.ParquetWriter(sink, _schema(kind), compression="zstd") as writer:
        for group in _groups(rows()):
            writer.write_table(_table(group, kind))
            yield sink.drain()
    yield sink.drain()


class _Sink(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def drain(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _schema(kind: pa.DataType | None) -> pa.Schema:
    return pa.schema(
        [
            ("store", _TEXT), ("epoch", _TEXT), ("seq", pa.int64()), ("ts", _TIME), ("channel", _TEXT),
            ("value", kind or pa.string()), ("unit", _TEXT), ("quality", _TEXT), ("reason", _TEXT),
            ("ts_min", _TIME), ("ts_max", _TIME),
            ("value_number", pa.float64()), ("value_bool", pa.bool_()), ("value_text", pa.string()),
        ]
    )  # fmt: skip


def _table(rows: list[Row], kind: pa.DataType | None) -> pa.Table:
    values = [row.record.value for row in rows]
    columns: list[Any] = [
        [row.store for row in rows],
        [row.epoch for row in rows],
        [row.seq for row in rows],
        [row.dated.ms for row in rows],
        [row.record.channel for row in rows],
        _values(values, kind),
        [row.record.unit for row in rows],
        [row.record.quality for row in rows],
        [row.record.reason or None for row in rows],
        [row.dated.min_ms for row in rows],
        [row.dated.max_ms for row in rows],
        [float(v) if type(v) in (int, float) else None for v in values],  # type: ignore[arg-type]  # a number
        [v if type(v) is bool else None for v in values],
        [v if type(v) is str else None for v in values],
    ]
    schema = _schema(kind)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _values(values: list[Value], kind: pa.DataType | None) -> list[Any]:
    if kind is None:
        return [None if v is None else _ENCODER.encode(v).decode() for v in values]
    if kind == pa.float64():
        return [None if v is None else float(v) for v in values]
    return values


def _groups(rows: Rows) -> Iterator[list[Row]]:
    group: list[Row] = []
    for some in rows:
        group += some
        if len(group) >= _ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


class Format(NamedTuple):
    """One way to send a page. `write` is given what gives the page, each time it is called."""

    media_type: str
    write: Callable[[Callable[[], Any]], Iterator[bytes]]


FORMATS: Final = (
    Format(JSON_LINES, lambda rows: json_lines(rows())),
    Format(CSV, lambda rows: csv_text(rows())),
    Format(PARQUET, parquet),
)
"""All ways, the usual one first."""


# --- gaps: the same three ways, for documents ---------------------------------------------------------------------

Documents = Iterable[Sequence[dict[str, Any]]]
_GAP_SCHEMA: Final = pa.schema(
    [
        ("store", pa.string()), ("epoch", pa.string()), ("seq", pa.int64()), ("ts", _TIME), ("channel", pa.string()),
        ("value", pa.int64()), ("unit", pa.string()), ("quality", pa.string()), ("reason", pa.string()),
        ("stream", pa.string()), ("seq_end", pa.int64()), ("from", _TIME), ("to", _TIME), ("count", pa.int64()),
        ("counts", pa.string()), ("open", pa.bool_()), ("detail", pa.string()),
    ]
)  # fmt: skip


def _gap_lines(documents: Documents) -> Iterator[bytes]:
    for some in documents:
        yield one_line_each(_ENCODER.encode_lines(some))


def _gap_csv(documents: Documents) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, _GAP_SCHEMA.names)
    writer.writeheader()
    for some in documents:
        writer.writerows({**doc, "counts": _ENCODER.encode(doc["counts"]).decode()} for doc in some)
    yield _drain(buffer).encode()


def _gap_parquet(documents: Documents) -> Iterator[bytes]:
    rows = [
        {
            **doc,
            "counts": _ENCODER.encode(doc["counts"]).decode(),
            **{name: doc[name] and datetime.fromisoformat(doc[name]) for name in ("ts", "from", "to")},
        }
        for some in documents
        for doc in some
    ]
    sink = _Sink()
    pq.write_table(pa.Table.from_pylist(rows, schema=_GAP_SCHEMA), sink, compression="zstd")
    yield sink.drain()


GAP_FORMATS: Final = (
    Format(JSON_LINES, lambda documents: _gap_lines(documents())),
    Format(CSV, lambda documents: _gap_csv(documents())),
    Format(PARQUET, lambda documents: _gap_parquet(documents())),
)
