"""The query API: what operators, their programs and the pages read. Nothing here changes anything.

Everything that reads the log runs in a few threads of its own, so that a long question delays no sync.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from golmok_cloud_sync.protocol import Stream
from golmok_cloud_sync.server import gaps, models, query
from golmok_cloud_sync.server.access import Access
from golmok_cloud_sync.server.chart import Charts
from golmok_cloud_sync.server.fleet import Fleet, GatewayNow
from golmok_cloud_sync.server.formats import CSV, FORMATS, GAP_FORMATS, JSON_LINES, PARQUET, PARQUET_NOTE, Format
from golmok_cloud_sync.server.gaps import Line
from golmok_cloud_sync.server.live import Hub
from golmok_cloud_sync.server.log import BatchLog, LogError
from golmok_cloud_sync.server.problems import ProblemError, documented
from golmok_cloud_sync.server.times import TimeError, parse, show

DEFAULT_LIMIT: Final = 10_000
HEARD_UNTIL: Final = "Golmok-Heard-Until"
"""Until when it is known what is missing: a gateway that is out of reach tells later."""
_MAX_POINTS: Final = 5_000
_DAY_MS: Final = 86_400_000
_T = TypeVar("_T")

Channel = Annotated[str | None, Query(description="only this channel (`device.quantity`)")]
From = Annotated[str | None, Query(alias="from", description="from this time on (RFC 3339); leaves out unknown times")]
To = Annotated[str | None, Query(description="before this time (RFC 3339); leaves out unknown times")]
After = Annotated[str | None, Query(alias="cursor", description="go on here: from the `Link` of the page before")]
Limit = Annotated[int, Query(ge=1, le=query.MAX_LIMIT, description="at most so many records on this page")]
Kind = Literal["readings", "events", "orders"]


@dataclass
class Api:
    """The routes, and what they work with."""

    log: BatchLog
    fleet: Fleet
    hub: Hub
    access: Access
    charts: Charts
    threads: Executor
    load: Callable[[], models.Load]

    def router(self) -> APIRouter:
        """All routes below `/v1` but the sync."""
        reading = [Depends(self._check_reader)]
        allowed = APIRouter(prefix="/v1", dependencies=reading, responses=documented(401, 403, 422), tags=["query"])
        add = allowed.add_api_route
        add("/gateways", self.gateways, summary="All gateways at a glance")
        add("/gateways/{gateway}", self.gateway, summary="One gateway: its stores and the newest values",
            responses=documented(404))  # fmt: skip
        for kind in ("readings", "events", "orders"):
            add(f"/gateways/{{gateway}}/{kind}", partial(self.records, kind), response_class=StreamingResponse,
                name=kind, summary=f"The {kind} of a gateway", description=_PAGES + PARQUET_NOTE,
                responses={**documented(400, 404, 406), 200: _page_schema(_RECORD)})  # fmt: skip
        add("/gateways/{gateway}/gaps", self.gaps, response_class=StreamingResponse, name="gaps",
            summary="What is missing of a gateway's records, and why", description=_PAGES + _HEARD,
            responses={**documented(400, 404, 406), 200: _page_schema(_GAP, HEARD_UNTIL)})  # fmt: skip
        add("/gateways/{gateway}/chart", self.chart, summary="A channel's readings, thinned for a chart",
            responses=documented(404))  # fmt: skip
        add("/live", self.live, response_class=StreamingResponse, summary="New values and contacts as they come",
            description=_LIVE, responses={**documented(404), 200: {"content": {"text/event-stream": {}}}})  # fmt: skip
        add("/load", self.now, summary="How much the server has to do, and whether that is too much")
        return allowed

    async def now(self) -> models.Load:
        return self.load()

    async def gateways(self) -> list[models.GatewayStatus]:
        return [self.fleet.status(self.fleet.know(name)) for name in self._names()]

    async def gateway(self, gateway: str) -> models.GatewayDetail:
        now = self._known(gateway)
        return self.fleet.detail(now, await self._run(self.fleet.book(gateway).catch_up, self.log))

    async def records(
        self, kind: Kind, request: Request, gateway: str, channel: Channel = None, from_: From = None, to: To = None,
        after: After = None, limit: Limit = DEFAULT_LIMIT,
    ) -> Response:  # fmt: skip
        self._known(gateway)
        way = _accepted(request, FORMATS)
        wanted = query.Filter(channel, _time("from", from_), _time("to", to))
        cursor = _cursor(after)
        return await self._run(self._records_page, request, way, kind, gateway, wanted, cursor, limit)

    def _records_page(
        self, request: Request, way: Format, stream: Stream, gateway: str, wanted: query.Filter,
        cursor: query.Cursor | None, limit: int,
    ) -> Response:  # fmt: skip
        asked = query.Query(self.log, gateway, stream, wanted, self.fleet.book(gateway).catch_up(self.log))
        page = asked.plan(cursor, limit)
        pieces = way.write(lambda: asked.rows(page))
        return StreamingResponse(self._pieces(pieces), headers=_next(request, page.next), media_type=way.media_type)

    async def gaps(
        self, request: Request, gateway: str, channel: Channel = None, from_: From = None, to: To = None,
        after: After = None, limit: Limit = DEFAULT_LIMIT,
    ) -> Response:  # fmt: skip
        self._known(gateway)
        way = _accepted(request, GAP_FORMATS)
        wanted = query.Filter(channel, _time("from", from_), _time("to", to))
        cursor = _cursor(after)
        found, heard_ms = await self._run(self._gaps, gateway, wanted)
        if cursor is not None:
            found = [gap for gap in found if gap.stands >= (cursor.store, cursor.epoch_order, cursor.rank, cursor.seq)]
        page, rest = found[:limit], found[limit:]
        following = query.Cursor(rest[0].store, rest[0].epoch_order, rest[0].seq, rest[0].rank) if rest else None
        pieces = way.write(lambda: [[gaps.document(gap) for gap in page]])
        headers = _next(request, following) | ({} if heard_ms is None else {HEARD_UNTIL: str(show(heard_ms))})
        return StreamingResponse(self._pieces(pieces), headers=headers, media_type=way.media_type)

    def _gaps(self, gateway: str, wanted: query.Filter) -> tuple[list[Line], int | None]:
        book = self.fleet.book(gateway)
        found = gaps.ledger(self.log, gateway, book, wanted)
        return found, gaps.heard_until_ms(self.log, self.fleet.know(gateway), book.dating)

    async def chart(
        self, gateway: str, channel: Annotated[str, Query(description="the channel to draw")],
        from_: From = None, to: To = None, points: Annotated[int, Query(ge=1, le=_MAX_POINTS)] = 300,
    ) -> models.Chart:  # fmt: skip
        self._known(gateway)
        to_ms = _time("to", to)
        to_ms = time.time_ns() // 1_000_000 + 1 if to_ms is None else to_ms
        from_ms = _time("from", from_)
        from_ms = to_ms - _DAY_MS if from_ms is None else from_ms
        if from_ms >= to_ms:
            raise ProblemError(422, "from: must lie before to")
        return await self._run(self._chart, gateway, channel, from_ms, to_ms, points)

    def _chart(self, gateway: str, channel: str, from_ms: int, to_ms: int, points: int) -> models.Chart:
        book = self.fleet.book(gateway)
        missing, heard_ms = self._gaps(gateway, query.Filter(channel, from_ms, to_ms))
        unit, drawn = self.charts.draw(gateway, channel, from_ms, to_ms, points, book.dating)
        shown = [
            models.ChartGap(
                **{"from": line.from_ms},
                to=line.to_ms,
                reason=line.reason,
                count=line.missing,
                open=line.is_open,
                detail=line.detail,
            )
            for line in missing
        ]
        return models.Chart(channel=channel, unit=unit, points=drawn, gaps=shown, heard_until=heard_ms)

    async def live(
        self, gateway: Annotated[str | None, Query(description="only this gateway; else all of them")] = None
    ) -> StreamingResponse:
        if gateway is not None:
            self._known(gateway)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self.hub.watch(gateway), headers=headers, media_type="text/event-stream")

    def _check_reader(self, request: Request) -> None:
        self.access.check_reader(request.headers.get("authorization"))

    def _names(self) -> list[str]:
        return sorted({*self.fleet.names(), *self.access.registry.gateways()})

    def _known(self, gateway: str) -> GatewayNow:
        now = self.fleet.get(gateway)
        if now is None and gateway in self.access.registry.gateways():
            now = self.fleet.know(gateway)
        if now is None:
            raise ProblemError(404, f"there is no gateway {gateway!r:.60}", remedy="/v1/gateways lists them")
        return now

    async def _run(self, function: Callable[..., _T], *args: Any) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)
        except LogError as error:
            raise ProblemError(503, str(error), headers={"Retry-After": "5"}) from error

    async def _pieces(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while (piece := await self._run(next, pieces, None)) is not None:
            yield piece


def _time(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse(text)
    except TimeError as error:
        raise ProblemError(422, f"{name}: {error}") from error


def _cursor(text: str | None) -> query.Cursor | None:
    try:
        return None if text is None else query.Cursor.decode(text)
    except query.CursorError as error:
        raise ProblemError(422, f"cursor: {error}", remedy="take it from the Link header as it is") from error


def _next(request: Request, cursor: query.Cursor | None) -> dict[str, str]:
    """The header that leads to the next page, if there may be more."""
    if cursor is None:
        return {}
    url = request.url.include_query_params(cursor=cursor.encode())
    return {"Link": f'<{url}>; rel="next"'}


def _accepted(request: Request, formats: tuple[Format, ...]) -> Format:
    """The way of sending that the client likes best. Raises 406."""
    best, liking = formats[0], 0.0
    for way in reversed(formats):
        quality = _quality(request.headers.get("accept") or "*/*", way.media_type)
        if quality >= liking and quality > 0:
            best, liking = way, quality
    if not liking:
        kinds = ", ".join(way.media_type for way in formats)
        raise ProblemError(406, "this cannot be sent in a form you accept", remedy=f"accept one of {kinds}")
    return best


def _quality(accept: str, media_type: str) -> float:
    """How much `accept` (RFC 9110, 12.5.1) likes this media type."""
    found: dict[str, float] = {}
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        found[kind] = float(weight) if weight.replace(".", "", 1).isdigit() else 1.0
    names = [media_type, *({JSON_LINES: ("application/jsonl", "application/json")}.get(media_type, ()))]
    exact = [found[name] for name in names if name in found]
    if exact:
        return max(exact)
    return found.get(f"{media_type.partition('/')[0]}/*", found.get("*/*", 0.0))


# --- what /openapi.json says of the streams ----------------------------------------------------------------------

_PAGES: Final = (
    "In the order (store, epoch by first contact, seq); one record a line. A page holds at most `limit` records "
    'and may hold fewer; as long as there may be more, a header `Link: <…>; rel="next"` leads on, exactly where this '
    "page ends, whatever has arrived meanwhile. `Accept` chooses JSON lines, CSV or Parquet. "
)
_HEARD: Final = (
    f"The header `{HEARD_UNTIL}` says until when the gateway has told what it has: what is missing later is not known "
    "yet. "
)
_LIVE: Final = (
    "Server-sent events. `value`: {gateway, channel, ts, value, unit, quality, reason}; `gateway`: as in "
    "/v1/gateways. A connection begins with all that is known now; a comment every 10 s says that it still stands. "
    "While somebody watches a gateway, it is asked to call every 2 s."
)
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_PLACE: Final[dict[str, Any]] = {
    "store": {"type": "string"},
    "epoch": {"type": "string"},
    "seq": {"type": "integer", "minimum": 1},
    "ts": {**_TIME, "description": "UTC, with milliseconds; null where the time is not known"},
    "channel": {"type": "string"},
    "value": {"type": ["number", "boolean", "string", "null"]},
    "unit": {"type": "string", "description": "UCUM"},
    "quality": {"enum": ["good", "uncertain", "bad"]},
    "reason": {"type": "string", "description": "why it is not good; only where there is a reason"},
}
_RECORD: Final[dict[str, Any]] = {
    **_PLACE,
    "ts_min": {
        **_TIME,
        "description": "where ts is null or may be wrong by more than a second: it was not before this",
    },
    "ts_max": {**_TIME, "description": "where ts is null or may be wrong by more than a second: it was not after this"},
}
_GAP: Final[dict[str, Any]] = {
    **_PLACE,
    "channel": {"type": ["string", "null"], "description": "null: several, see counts; or not known"},
    "stream": {"type": "string"},
    "seq_end": {"type": "integer", "description": "the last seq of the gap"},
    "from": _TIME,
    "to": {**_TIME, "description": "null where it is open, or its end cannot be dated yet"},
    "count": {"type": ["integer", "null"], "description": "records missing, where known; also in value"},
    "counts": {
        "type": "object",
        "additionalProperties": {"type": ["integer", "null"]},
        "description": "the same by channel; empty: all of the gateway",
    },
    "open": {"type": "boolean", "description": "whether it still goes on, as far as the gateway has said"},
    "detail": {"type": "string", "description": "what the driver said, where a device was silent"},
}


def _page_schema(line: dict[str, Any], *more: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": line}
    return {
        "description": "A page",
        "headers": {
            "Link": {"description": 'rel="next"', "schema": {"type": "string"}},
            **{name: {"description": "RFC 3339, UTC", "schema": {"type": "string"}} for name in more},
        },
        "content": {JSON_LINES: {"schema": schema}, CSV: {}, PARQUET: {}},
    }
