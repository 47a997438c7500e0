"""Every error that leaves this server is an RFC 9457 problem document, with a line that says what to do.

FastAPI and Starlette raise their own errors (no such path, wrong method, a query that does not validate); they
are turned into the same shape here, so that a client has one way to read them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from golmok_cloud_sync.protocol.tus import MISMATCH
from golmok_cloud_sync.server.errors import ServerError

MEDIA_TYPE: Final = "application/problem+json"
_log = logging.getLogger(__name__)


class ProblemError(ServerError):
    """Answer the request with `status` and say why and what to do about it."""

    def __init__(self, status: int, detail: str, *, remedy: str = "", headers: Mapping[str, str] | None = None,
                 **members: Any) -> None:  # fmt: skip
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.remedy = remedy
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> Response:
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": _title(self.status),
            "status": self.status,
            "detail": self.detail,
        }
        if self.remedy:
            document["remedy"] = self.remedy
        document.update(self.members)
        return Response(
            json.dumps(document, ensure_ascii=False, allow_nan=False), self.status, self.headers, MEDIA_TYPE
        )


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {404: f"there is no {request.url.path} here", 405: f"{request.method} is not possible here"}
    detail = details.get(error.status_code, str(error.detail))
    remedy = "/openapi.json lists all there is" if error.status_code in details else ""
    return ProblemError(error.status_code, detail, remedy=remedy, headers=error.headers).response()


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    mistakes = [{"parameter": ".".join(map(str, e["loc"][1:])), "mistake": str(e["msg"])} for e in error.errors()]
    detail = "; ".join(f"{m['parameter']}: {m['mistake']}" for m in mistakes)
    return ProblemError(422, detail, errors=mistakes).response()


async def _crash(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return ProblemError(500, "the server failed at this; its log says why").response()


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _crash)


SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": "string", "description": "what to do about it"},
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _title(status), "content": content} for status in statuses}


def _title(status: int) -> str:
    return "Checksum Mismatch" if status == MISMATCH else HTTPStatus(status).phrase
