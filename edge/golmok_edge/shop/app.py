"""The shop's web server: the owner's page, its curves and its live changes, for this machine only.

There is no login yet, so it listens on loopback only; and because every page of the Internet can make a browser send
requests to loopback, it answers only to names that a person at this machine would type (DNS rebinding). It only reads,
but for one thing: that somebody has seen an alarm is taken from our own page, as its `Origin` and its kind of content
say, which no other page can have a browser send.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import Scope

from golmok_cloud_sync.web import SECURITY_HEADERS, assets
from golmok_edge.settings import Settings
from golmok_edge.shop.curves import Span, curve, today
from golmok_edge.shop.link import Link, NoGatewayError, Row
from golmok_edge.shop.page import Page
from golmok_edge.web.serving import Guard, language_of, not_this_machine, static, with_choice

_ASSETS: Final = assets("golmok_cloud_sync.web", "golmok_edge.web")
_METHODS: Final = ("GET", "HEAD")
_ACKNOWLEDGE: Final = "/alarms/acknowledge"
_MOST_BYTES: Final = 1_000
_BY: Final = {"ko": "가게 화면", "en": "the shop's page"}


def make_app(settings: Settings, link: Link, page: Page) -> FastAPI:
    """The app for the shop of `settings`."""
    app = FastAPI(title="golmok-shop", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, refusal=_refusal, headers=SECURITY_HEADERS)
    for path, endpoint in _Routes(settings, link, page).table().items():
        app.add_api_route(path, endpoint, methods=list(_METHODS), response_model=None)
    app.add_api_route(_ACKNOWLEDGE, partial(acknowledge, link), methods=["POST"], response_model=None)
    return app


async def acknowledge(link: Link, request: Request) -> Response:
    """Somebody in front of the page has seen an alarm."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return PlainTextResponse("too long", 413)
    try:
        alarm = json.loads(body)["alarm"]
    except (ValueError, KeyError, TypeError, RecursionError):
        alarm = None
    if not isinstance(alarm, str):
        return PlainTextResponse('send {"alarm": "ID"}', 400)
    try:
        await link.acknowledge(alarm, _BY[language_of(request)])
    except NoGatewayError as error:
        return PlainTextResponse(str(error), 409)  # it is over, or the gateway is down: the page shows which
    return Response(status_code=204)


class _Routes:
    def __init__(self, settings: Settings, link: Link, page: Page) -> None:
        self._link = link
        self._page = page
        self._zone = ZoneInfo(settings.site.timezone)
        self._devices = {device.name: device for device in settings.devices}

    def table(self) -> dict[str, Callable[..., Awaitable[Response]]]:
        return {"/": self.owner, "/live": self.live, "/curve": self.curve, "/static/{name}": self.static}

    async def owner(self, request: Request) -> Response:
        language = language_of(request)
        return with_choice(HTMLResponse(self._page.html(language, time.monotonic())), request, language)

    async def live(self, request: Request) -> Response:
        events = self._page.events(language_of(request))
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def curve(self, request: Request, channel: str) -> Response:
        device = self._devices.get(channel.partition(".")[0])
        if device is None:
            return PlainTextResponse(f"no device of the settings has the channel {channel!r}", 404)
        day = today(datetime.now(UTC), self._zone)
        try:
            said = await self._said(channel, day)
            span = day.narrowed(said["points"], said["gaps"])
            if span.is_much_shorter_than(day):
                said = await self._said(channel, span)
                span = span.narrowed(said["points"], said["gaps"])
        except NoGatewayError:
            return Response(status_code=204)  # the page says that it is down; its last curve stays
        return JSONResponse(curve(said["points"], span, said["gaps"], language_of(request)))

    async def _said(self, channel: str, span: Span) -> Row:
        return await self._link.ask("history", channel=channel, **span.question)

    async def static(self, request: Request, name: str) -> Response:
        return static(_ASSETS, name, request)


def _refusal(scope: Scope) -> Response | None:
    headers = dict(scope["headers"])
    if (elsewhere := not_this_machine(headers.get(b"host", b"").decode("latin-1"))) is not None:
        return elsewhere
    if scope["method"] == "POST" and scope["path"] == _ACKNOWLEDGE:
        return None if _is_own_page(headers) else PlainTextResponse("only this page itself may do that", 403)
    if scope["method"] not in _METHODS:
        return PlainTextResponse("this page can only be read", 405, headers={"Allow": ", ".join(_METHODS)})
    return None


def _is_own_page(headers: dict[bytes, bytes]) -> bool:
    """Whether our own page sent it. JSON needs a preflight from anywhere else, and that is refused."""
    host, origin = headers.get(b"host", b""), headers.get(b"origin", b"")
    is_json = headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"application/json"
    return is_json and origin in (b"http://" + host, b"https://" + host)
