"""The messages of `POST /v1/sync` as bytes: no socket, no clock, no framework.

A request is one line of JSON, a newline, and the payloads of its frames end to end. The line is the hello, with
the heads of the parts under `parts`, each frame's with the length of its payload. A reply is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .cas import MAX_PROBES, Verdict
from .codec import MAX_PAYLOAD
from .columns import MAX_COUNT
from .frame import Frame, Part, Void
from .record import MAX_NAME_BYTES, STREAMS, Record, RecordError, Stream, check

CONTENT_TYPE: Final = "application/vnd.golmok.sync"
VERSION: Final = 1
MAX_PARTS: Final = 16
MAX_LATEST: Final = 1_000
MAX_REQUEST: Final = 8 << 20
"""Most bytes of a request."""
MAX_HEAD: Final = 1 << 20
"""Most bytes of a request's first line."""
LANE_HEADER: Final = "Golmok-Lane"
"""The header of a request that has only parts of `URGENT_STREAMS` and must not wait behind telemetry."""
URGENT: Final = "urgent"
URGENT_STREAMS: Final[tuple[Stream, ...]] = ("orders", "events")
MAX_URGENT: Final = 64 << 10
"""Most bytes of an urgent request; a larger one is an ordinary one."""
MAX_SEQ: Final = 2**53 - 1
_MAX_COUNTS: Final = 1_000


class ProtocolError(ValueError):
    """Bytes that are no message of this protocol; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What the sender has of a stream: its last seq, how far it knows to be acknowledged, seqs whose CRC it asks."""

    tail: int = 0
    acked: int = 0
    probes: tuple[int, ...] = ()

    @property
    def backlog(self) -> int:
        """Records that are not yet known to be acknowledged."""
        return self.tail - self.acked


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, what time it is there, and how much waits."""

    gateway: str
    store: str
    epoch: str
    boot: str
    mono_ms: int
    wall_ms: int
    settings_version: str = ""
    software: str = ""
    streams: Mapping[Stream, StreamReport] = field(default_factory=dict)
    latest: Sequence[Record] = ()
    """The newest value of each channel, outside all sequences: pages are live while a backlog drains."""
    title: str = ""
    """What people call the place."""
    earlier: bool = False
    """This is not the store as it is now but what was saved of an earlier one; it comes beside the present one."""
    timezone: str = ""
    """The place's, a name of the tz database: what people there mean by a time of day."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """What became of one part."""

    stream: Stream
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StreamReply:
    """What the receiver has of a stream, and the CRCs that were asked for (None: not known any more)."""

    next_seq: int
    last_crc: int
    fork: bool = False
    crcs: Mapping[int, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """The receiver's answer: what it has now, what became of each part, and what it wants."""

    server_ms: int
    streams: Mapping[Stream, StreamReply] = field(default_factory=dict)
    results: Sequence[PartResult] = ()
    settings_version: str = ""
    commands: Sequence[Mapping[str, Any]] = ()
    pace_s: float = 60.0
    retry_after_s: float = 0.0


def encode_request(hello: Hello, parts: Sequence[Part] = ()) -> bytes:
    """The body of a request."""
    head = {
        "golmok": VERSION,
        "gateway": hello.gateway,
        "store": hello.store,
        "epoch": hello.epoch,
        "boot": hello.boot,
        "mono_ms": hello.mono_ms,
        "wall_ms": hello.wall_ms,
        "settings_version": hello.settings_version,
        "software": hello.software,
        "title": hello.title,
        **({"earlier": True} if hello.earlier else {}),
        **({"timezone": hello.timezone} if hello.timezone else {}),
        "streams": {
            name: {"tail": s.tail, "acked": s.acked, **({"probes": s.probes} if s.probes else {})}
            for name, s in hello.streams.items()
        },
        "latest": hello.latest,
        "parts": [_part_head(part) for part in parts],
    }
    payloads = [part.payload for part in parts if isinstance(part, Frame)]
    return b"".join((_dump(head), b"\n", *payloads))


def decode_request(body: bytes) -> tuple[Hello, list[Part]]:
    """The hello and the parts of a request. Raises `ProtocolError`. Payloads are cut out, not yet looked into."""
    if len(body) > MAX_REQUEST:
        raise ProtocolError(f"a request of {len(body)} bytes, at most {MAX_REQUEST} are taken")
    end = body.find(b"\n", 0, MAX_HEAD)
    if end < 0:
        raise ProtocolError("the first line, a JSON object, does not end")
    head = _Object(_load(body[:end]), "the first line")
    if head.take("golmok", int) != VERSION:
        raise ProtocolError(f"another version of the protocol; this end speaks {VERSION}")
    parts = list(_parts(head.take_list("parts", MAX_PARTS), body, end + 1))
    hello = Hello(
        gateway=head.name("gateway"),
        store=head.name("store"),
        epoch=head.name("epoch"),
        boot=head.name("boot"),
        mono_ms=head.number("mono_ms"),
        wall_ms=head.take("wall_ms", int),
        settings_version=head.text("settings_version"),
        software=head.text("software"),
        title=head.text("title"),
        earlier=head.fields.get("earlier") is True,
        timezone=head.text("timezone") if "timezone" in head.fields else "",  # older gateways do not say
        streams={_stream(name): _report(report) for name, report in head.take("streams", dict).items()},
        latest=[_record(row) for row in head.take_list("latest", MAX_LATEST)],
    )
    return hello, parts


def encode_reply(reply: Reply) -> bytes:
    """The body of a reply."""
    return _dump(
        {
            "server_ms": reply.server_ms,
            "streams": {
                name: {
                    "next_seq": s.next_seq,
                    "last_crc": s.last_crc,
                    **({"fork": True} if s.fork else {}),
                    **({"crcs": s.crcs} if s.crcs else {}),
                }
                for name, s in reply.streams.items()
            },
            "results": [
                {"stream": r.stream, "result": r.verdict, **({"detail": r.detail} if r.detail else {})}
                for r in reply.results
            ],
            "settings_version": reply.settings_version,
            "commands": reply.commands,
            "pace_s": reply.pace_s,
            "retry_after_s": reply.retry_after_s,
        }
    )


def decode_reply(body: bytes) -> Reply:
    """The reply that `body` holds. Raises `ProtocolError`."""
    if len(body) > MAX_REQUEST:
        raise ProtocolError(f"a reply of {len(body)} bytes, at most {MAX_REQUEST} are taken")
    head = _Object(_load(body), "the reply")
    return Reply(
        server_ms=head.number("server_ms"),
        streams={_stream(name): _stream_reply(reply) for name, reply in head.take("streams", dict).items()},
        results=[_result(row) for row in head.take_list("results", MAX_PARTS)],
        settings_version=head.text("settings_version"),
        commands=[_Object(row, "a command").fields for row in head.take_list("commands", 1_000)],
        pace_s=head.seconds("pace_s"),
        retry_after_s=head.seconds("retry_after_s"),
    )


# --- out --------------------------------------------------------------------------------------------------------


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _part_head(part: Part) -> dict[str, Any]:
    if isinstance(part, Void):
        return {
            "stream": part.stream,
            "lo": part.lo,
            "hi": part.hi,
            "reason": part.reason,
            "counts": dict(part.counts),
            "prev_crc": part.prev_crc,
        }
    return {
        "stream": part.stream,
        "lo": part.lo,
        "count": part.count,
        "codec": part.codec,
        "crc32": part.crc32,
        "prev_crc": part.prev_crc,
        "bytes": len(part.payload),
    }


# --- in ---------------------------------------------------------------------------------------------------------


def _load(line: bytes) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ProtocolError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object of which each field is taken with its type."""

    fields: dict[str, Any]
    what: str

    def __post_init__(self) -> None:
        if type(self.fields) is not dict:
            raise ProtocolError(f"{self.what} must be a JSON object")

    def take(self, key: str, kind: type) -> Any:
        value = self.fields.get(key)
        if type(value) is not kind:
            raise ProtocolError(f"{self.what}: {key} must be {kind.__name__}, not {value!r:.40}")
        return value

    def take_list(self, key: str, most: int) -> list[Any]:
        rows: list[Any] = self.take(key, list)
        if len(rows) > most:
            raise ProtocolError(f"{self.what}: {len(rows)} {key}, at most {most} are taken")
        return rows

    def number(self, key: str, least: int = 0, most: int = MAX_SEQ) -> int:
        value: int = self.take(key, int)
        if not least <= value <= most:
            raise ProtocolError(f"{self.what}: {key} must lie between {least} and {most}, not {value!r:.40}")
        return value

    def crc(self, key: str) -> int | None:
        return None if self.fields.get(key) is None else self.number(key, 0, 2**32 - 1)

    def text(self, key: str) -> str:
        value: str = self.take(key, str)
        if len(value.encode(errors="replace")) > MAX_NAME_BYTES or not value.isprintable():
            raise ProtocolError(f"{self.what}: {key} must be printable text of at most {MAX_NAME_BYTES} bytes")
        return value

    def name(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise ProtocolError(f"{self.what}: {key} must not be empty")
        return value

    def seconds(self, key: str) -> float:
        value = self.fields.get(key)
        if (type(value) is int or type(value) is float) and 0 <= value <= 1e6:
            return float(value)
        raise ProtocolError(f"{self.what}: {key} must be seconds, not {value!r:.40}")


def _stream(name: Any) -> Stream:
    if name not in STREAMS:
        raise ProtocolError(f"there is no stream {name!r:.40}")
    stream: Stream = name
    return stream


def _report(fields: Any) -> StreamReport:
    report = _Object(fields, "a stream's report")
    probes = report.take_list("probes", MAX_PROBES) if "probes" in report.fields else []
    if any(type(seq) is not int or not 0 < seq <= MAX_SEQ for seq in probes):
        raise ProtocolError("probes must be seqs")
    return StreamReport(report.number("tail"), report.number("acked"), tuple(probes))


def _record(row: Any) -> Record:
    try:
        return check(Record(*row))
    except (RecordError, TypeError) as error:
        raise ProtocolError(f"latest: {error}") from None


def _parts(heads: Sequence[Any], body: bytes, at: int) -> Iterator[Part]:
    for fields in heads:
        head = _Object(fields, "a part")
        stream, lo = _stream(head.take("stream", str)), head.number("lo", 1)
        if "reason" in head.fields:
            yield _void(head, stream, lo)
            continue
        size = head.number("bytes", 0, MAX_PAYLOAD)
        payload = body[at : at + size]
        if len(payload) != size:
            raise ProtocolError("the request is cut short")
        at += size
        count, codec = head.number("count", 1, MAX_COUNT), head.number("codec", 0, 255)
        yield Frame(stream, lo, count, codec, head.number("crc32", 0, 2**32 - 1), head.crc("prev_crc"), payload)
    if at != len(body):
        raise ProtocolError("bytes follow the last payload")


def _void(head: _Object, stream: Stream, lo: int) -> Void:
    counts = head.take("counts", dict)
    if len(counts) > _MAX_COUNTS or any(type(n) is not int or not 0 <= n <= MAX_SEQ for n in counts.values()):
        raise ProtocolError("a void's counts must be whole numbers by channel")
    return Void(stream, lo, head.number("hi", lo + 1), head.name("reason"), counts, head.crc("prev_crc"))


def _stream_reply(fields: Any) -> StreamReply:
    reply = _Object(fields, "a stream's reply")
    crcs = reply.fields.get("crcs", {})
    try:
        known = {int(seq): crc for seq, crc in crcs.items() if crc is None or type(crc) is int}
    except (ValueError, AttributeError):
        raise ProtocolError("crcs must be CRCs by seq") from None
    fork = reply.fields.get("fork", False) is True
    return StreamReply(reply.number("next_seq", 1), reply.number("last_crc", 0, 2**32 - 1), fork, known)


def _result(fields: Any) -> PartResult:
    row = _Object(fields, "a result")
    try:
        verdict = Verdict(row.take("result", str))
    except ValueError as error:
        raise ProtocolError(str(error)) from None
    return PartResult(_stream(row.take("stream", str)), verdict, str(row.fields.get("detail", "")))
