"""The operator's page: which gateways there are, how each one is, and what its channels say.

It is a frame of HTML in the reader's language and a few scripts that read the public API (`/v1/…`) like any other
client would; nothing here knows how the server keeps its data.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from golmok_cloud_sync.server.pages.texts import TEXTS, for_script
from golmok_cloud_sync.web import COOKIE, COOKIE_AGE_S, LANGUAGES, SECURITY_HEADERS, assets, choose, is_language

__all__ = ["router"]

_ASSETS: Final = assets("golmok_cloud_sync.web", "golmok_cloud_sync.server.pages")
_TEMPLATES: Final = Environment(
    loader=PackageLoader("golmok_cloud_sync.server.pages"), autoescape=True, undefined=StrictUndefined
)


def router() -> APIRouter:
    """The routes `/`, `/gateways/{gateway}` and `/static/…`, to be included in the server's app."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/", fleet, methods=["GET", "HEAD"])
    routes.add_api_route("/gateways/{gateway}", gateway, methods=["GET", "HEAD"])
    routes.add_api_route("/static/{name}", static, methods=["GET", "HEAD"])
    return routes


async def fleet(request: Request) -> Response:
    """Every gateway at a glance."""
    return _page(request, "fleet.html", origin=str(request.base_url).rstrip("/"))


async def gateway(request: Request, gateway: str) -> Response:
    """One gateway with a chart for every channel."""
    return _page(request, "gateway.html", gateway=gateway)


async def static(request: Request, name: str) -> Response:
    """One of the pages' own files."""
    asset = _ASSETS.get(name)
    if asset is None:
        raise HTTPException(404)
    headers = {**SECURITY_HEADERS, **asset.headers}
    if asset.is_held_by(request.headers.get("If-None-Match")):
        return Response(status_code=304, headers=headers)
    return Response(asset.body, headers=headers)


def _page(request: Request, template: str, **values: Any) -> Response:
    asked = request.query_params.get("lang")
    language = choose(asked, request.cookies.get(COOKIE), request.headers.get("Accept-Language"))
    html = _TEMPLATES.get_template(template).render(
        language=language,
        languages=LANGUAGES,
        text={key: row[language] for key, row in TEXTS.items()},
        texts=for_script(language),
        **values,
    )
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}
    response = Response(html, headers=headers, media_type="text/html")
    if is_language(asked):
        response.set_cookie(COOKIE, asked, max_age=COOKIE_AGE_S, samesite="lax", httponly=True)
    return response
