"""What the servers of the gateway's pages share: who may ask, in which language, files, templates, headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from golmok_cloud_sync.web import COOKIE, COOKIE_AGE_S, Asset, Language, choose, is_language

Refusal = Callable[[Scope], Response | None]
"""Why a request is not heard, if so."""


class Guard:
    """Refuses what may not be asked, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, *, refusal: Refusal, headers: Mapping[str, str]) -> None:
        self._app = app
        self._refusal = refusal
        self._headers = [(name.lower().encode(), text.encode()) for name, text in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, guarded)


def not_this_machine(host: str) -> Response | None:
    """The refusal of a request by another name than this machine's."""
    if is_this_machine(host):
        return None
    return PlainTextResponse("this page is for this machine only: open it as http://127.0.0.1 or localhost", 421)


def is_this_machine(host: str) -> bool:
    """Whether a `Host` header names this machine and nothing that a name server could point at it."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def language_of(request: Request) -> Language:
    """What the reader asked for, or chose before, or has the browser say."""
    asked = request.query_params.get("lang")
    return choose(asked, request.cookies.get(COOKIE), request.headers.get("Accept-Language"))


def with_choice(response: Response, request: Request, language: Language) -> Response:
    """The page, and the language remembered if it was asked for."""
    if is_language(request.query_params.get("lang")):
        response.set_cookie(COOKIE, language, max_age=COOKIE_AGE_S, samesite="lax", httponly=True)
    return fresh(response)


def fresh(response: Response) -> Response:
    """Nobody may keep it."""
    response.headers["Cache-Control"] = "no-store"
    return response


def static(assets: Mapping[str, Asset], name: str, request: Request) -> Response:
    """A script, a style or a picture of ours."""
    asset = assets.get(name)
    if asset is None:
        return PlainTextResponse(f"there is no {name!r} here", 404)
    if asset.is_held_by(request.headers.get("If-None-Match")):
        return Response(status_code=304, headers=dict(asset.headers))
    return Response(asset.body, headers=dict(asset.headers))


def templates(*packages: str) -> Environment:
    """Those of the packages, and those that all pages of the gateway share."""
    loaders = [PackageLoader(package) for package in (*packages, "golmok_edge.web")]
    return Environment(loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
