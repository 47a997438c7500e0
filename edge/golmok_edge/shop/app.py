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
from ipaddress import ip_address
from typing import Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from golmok_cloud_sync.web import COOKIE, COOKIE_AGE_S, SECURITY_HEADERS, Language, assets, choose, is_language
from golmok_edge.settings import Settings
from golmok_edge.shop.curves import Span, curve, today
from golmok_edge.shop.link import Link, NoGatewayError, Row
from golmok_edge.shop.page import Page

_ASSETS: Final = assets("golmok_cloud_sync.web", "golmok_edge.web")
_METHODS: Final = ("GET", "HEAD")
_ACKNOWLEDGE: Final = "/alarms/acknowledge"
_MOST_BYTES: Final = 1_000
_BY: Final = {"ko": "가게 화면", "en": "the shop's page"}


def make_app(settings: Settings, link: Link, page: Page) -> FastAPI:
    """The app for the shop of `settings`."""
    app = FastAPI(title="golmok-shop", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
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
        await link.acknowledge(alarm, _BY[_language(request)])
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
        language = _language(request)
        response = HTMLResponse(self._page.html(language, time.monotonic()), headers={"Cache-Control": "no-store"})
        if is_language(request.query_params.get("lang")):
            response.set_cookie(COOKIE, language, max_age=COOKIE_AGE_S, samesite="lax", httponly=True)
        return response

    async def live(self, request: Request) -> Response:
        events = self._page.events(_language(request))
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
        return JSONResponse(curve(said["points"], span, said["gaps"], _language(request)))

    async def _said(self, channel: str, span: Span) -> Row:
        return await self._link.ask("history", channel=channel, **span.question)

    async def static(self, request: Request, name: str) -> Response:
        asset = _ASSETS.get(name)
        if asset is None:
            return PlainTextResponse(f"there is no {name!r} here", 404)
        if asset.is_held_by(request.headers.get("If-None-Match")):
            return Response(status_code=304, headers=dict(asset.headers))
        return Response(asset.body, headers=dict(asset.headers))


def _language(request: Request) -> Language:
    asked = request.query_params.get("lang")
    return choose(asked, request.cookies.get(COOKIE), request.headers.get("Accept-Language"))


class Guard:
    """Refuses what does not come from this machine's own pages, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                safe = [(name.lower().encode(), text.encode()) for name, text in SECURITY_HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *safe]}
            await send(message)

        await (_refusal(scope) or self._app)(scope, receive, guarded)


def _refusal(scope: Scope) -> Response | None:
    headers = dict(scope["headers"])
    if not is_this_machine(headers.get(b"host", b"").decode("latin-1")):
        return PlainTextResponse("this page is for this machine only: open it as http://127.0.0.1 or localhost", 421)
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


def is_this_machine(host: str) -> bool:
    """Whether a `Host` header names this machine and nothing that a name server could point at it."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
