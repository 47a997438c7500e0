"""`/v1/files`: gateways bring whole files, by tus 1.0.0 with creation, expiration, checksum and termination.

An offset that is told is on disk, and a file is here only once its SHA-256 is right. A file announced again is the
same upload. Whoever comes for an upload that still waits for bytes of an earlier request ends that one: a gateway
whose connection died comes again before this end knows of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from golmok_cloud_sync.protocol import MAX_REQUEST, ProtocolError
from golmok_cloud_sync.protocol.tus import MISMATCH, PIECE_TYPE, TUS, head_of, number
from golmok_cloud_sync.server import bodies, problems
from golmok_cloud_sync.server.access import Access
from golmok_cloud_sync.server.errors import ServerError
from golmok_cloud_sync.server.file_store import (
    DamagedError,
    FileStore,
    NoRoomError,
    OffsetError,
    TooLargeError,
    Upload,
)
from golmok_cloud_sync.server.problems import ProblemError

PIECE: Final = 256 << 10
"""So much is held in memory of a request, and written at once."""
IDLE_S: Final = 30.0
_MOST_S: Final = 600.0
"""How long one request may bring bytes; what came by then is kept."""
_MOST_READ: Final = 64
_MOST_READ_OF_ONE: Final = 4
_BUSY_S: Final = 30
_NOT_WAITED_FOR: Final = frozenset({401, 403, 408})
"""Else the rest of a body is read, so that its sender comes to read the answer."""
_EXTENSIONS: Final = "creation,expiration,checksum,termination"
_HASHES: Final[Mapping[str, Callable[[], Any]]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),  # the one that tus asks every server for
    "sha256": hashlib.sha256,
}
_T = TypeVar("_T")


@dataclass(slots=True)
class _Turn:
    """Who works on an upload, one after the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    deadline: asyncio.Timeout | None = None
    """Until when more bytes are waited for; None while none are."""


@dataclass
class Uploads:
    """The endpoint, and what it works with."""

    store: FileStore
    access: Access
    threads: Executor
    is_overloaded: Callable[[], bool]
    """Whether gateways are turned away now: then files wait first of all."""
    _turns: dict[tuple[str, ...], _Turn] = field(default_factory=dict)
    _reading: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_read = False

        async def hear() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = not message.get("more_body", False)
            return message

        request = Request(scope, hear)
        try:
            response = await self._answer(request)
        except ProblemError as problem:
            if problem.status not in _NOT_WAITED_FOR and not is_read:
                await bodies.pass_over(hear, min(_told_length(request), MAX_REQUEST))
            response = problem.response()
        response.headers["Tus-Resumable"] = TUS
        await response(scope, hear, send)

    async def _answer(self, request: Request) -> Response:
        method = request.headers.get("x-http-method-override", request.method).upper()
        if method == "OPTIONS":
            return self._capabilities()
        if request.headers.get("tus-resumable") != TUS:
            raise ProblemError(
                412, "this speaks tus 1.0.0", remedy=f"send Tus-Resumable: {TUS}", headers={"Tus-Version": TUS}
            )
        possible = self._methods("upload" in request.path_params)
        if method not in possible:
            raise ProblemError(405, f"{method:.20} is not possible here", headers={"Allow": ", ".join(possible)})
        try:
            return await possible[method](request, await self._gateway(request))
        except (ProtocolError, ServerError) as error:
            raise _problem(error) from error

    def _methods(self, is_upload: bool) -> Mapping[str, Callable[[Request, str], Awaitable[Response]]]:
        if not is_upload:
            return {"POST": self._announce}
        return {"HEAD": self._tell, "PATCH": self._take, "DELETE": self._forget}

    def _capabilities(self) -> Response:
        return Response(
            status_code=204,
            headers={
                "Tus-Version": TUS,
                "Tus-Extension": _EXTENSIONS,
                "Tus-Max-Size": str(self.store.limits.most_of_one),
                "Tus-Checksum-Algorithm": ",".join(_HASHES),
            },
        )

    async def _gateway(self, request: Request) -> str:
        """Whose files these are, if the sender is that gateway."""
        gateway: str = request.path_params["gateway"]
        token = request.headers.get("authorization")
        holder = self.access.sender(None if token is None else token.encode("latin-1"))
        if self.access.check_sender(holder, gateway):
            await self._run(self.access.enrol, gateway)
        return gateway

    # --- what can be asked

    async def _announce(self, request: Request, gateway: str) -> Response:
        self._check_load(gateway)
        head = head_of(request.headers.get("upload-length"), request.headers.get("upload-metadata"))
        async with self._turn(gateway), self._turn(gateway, head.id):
            upload = await self._run(self.store.announce, gateway, head)
        return Response(status_code=201, headers={"Location": f"{gateway}/{upload.id}", **_place(upload)})

    async def _tell(self, request: Request, gateway: str) -> Response:
        async with self._turn(gateway, request.path_params["upload"]):
            upload = await self._found(request, gateway)
        length = {"Upload-Length": str(upload.head.size), "Upload-Metadata": upload.head.metadata()}
        return Response(headers={**_place(upload), **length, "Cache-Control": "no-store"})

    async def _take(self, request: Request, gateway: str) -> Response:
        if request.headers.get("content-type") != PIECE_TYPE:
            raise ProblemError(415, f"bytes of a file are {PIECE_TYPE}")
        offset = number(request.headers.get("upload-offset"))
        checksum = _Checksum(request.headers.get("upload-checksum"))
        self._check_load(gateway)
        self._reading[gateway] += 1
        try:
            async with self._turn(gateway, request.path_params["upload"]) as turn:
                upload = await self._found(request, gateway)
                if offset != upload.offset:
                    raise OffsetError(upload.offset)
                if offset + int(request.headers.get("content-length", 0)) > upload.head.size:
                    raise ProblemError(400, f"more bytes than Upload-Length has: {upload.head.size}")
                is_whole = await self._keep(request, upload, turn, checksum)
                if is_whole and not checksum.is_right:
                    await self._run(self.store.take_back, upload, offset)
                    raise DamagedError("these bytes are not those of Upload-Checksum; none of them were kept")
                upload = await self._found(request, gateway)
        finally:
            self._reading -= Counter({gateway: 1})
        if not is_whole:
            raise ProblemError(
                408, "the rest did not come in time; what came was kept", headers={"Connection": "close"}
            )
        return Response(status_code=204, headers=_place(upload))

    async def _forget(self, request: Request, gateway: str) -> Response:
        async with self._turn(gateway, request.path_params["upload"]):
            upload = await self._found(request, gateway)
            if upload.is_here:
                raise ProblemError(403, "this file is here", remedy="delete it on the server: golmok-cloud files")
            await self._run(self.store.drop, upload)
        return Response(status_code=204)

    # --- how

    def _check_load(self, gateway: str) -> None:
        is_full = self._reading.total() >= _MOST_READ or self._reading[gateway] >= _MOST_READ_OF_ONE
        if is_full or self.is_overloaded():
            raise ProblemError(
                429,
                "there is too much to do: files wait for orders, alarms and readings",
                remedy="send it again after the time that Retry-After says",
                headers={"Retry-After": str(_BUSY_S)},
            )

    async def _found(self, request: Request, gateway: str) -> Upload:
        upload = await self._run(self.store.find, gateway, request.path_params["upload"])
        if upload is None:
            raise ProblemError(404, "there is no such upload", remedy=f"announce it: POST /v1/files/{gateway}")
        return upload

    async def _keep(self, request: Request, upload: Upload, turn: _Turn, checksum: _Checksum) -> bool:
        """Lay down what comes; whether all of it came."""
        offset, is_whole = upload.offset, True
        async for piece, is_whole_so_far in self._pieces(request, turn):
            is_whole = is_whole_so_far
            if piece:
                offset = await self._run(self.store.append, upload, offset, piece)
                checksum.update(piece)
        return is_whole

    async def _pieces(self, request: Request, turn: _Turn) -> AsyncIterator[tuple[bytes, bool]]:
        """What comes, some of it at a time; with the last piece, whether that was all."""
        now_s = asyncio.get_running_loop().time
        until_s, stream, held = now_s() + _MOST_S, request.stream(), bytearray()
        is_over = is_whole = False
        while not is_over:
            try:
                async with asyncio.timeout(min(IDLE_S, until_s - now_s())) as turn.deadline:
                    held += await anext(stream)
                is_over = turn.users > 1
            except StopAsyncIteration:
                is_over = is_whole = True
            except (TimeoutError, ClientDisconnect):
                is_over = True
            finally:
                turn.deadline = None
            if is_over or len(held) >= PIECE:
                yield bytes(held), is_whole or not is_over
                held.clear()

    @asynccontextmanager
    async def _turn(self, *key: str) -> AsyncIterator[_Turn]:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        if turn.deadline is not None:
            turn.deadline.reschedule(asyncio.get_running_loop().time())
        try:
            async with turn.lock:
                yield turn
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

    async def _run(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)


class _Checksum:
    """The header `Upload-Checksum`, held against what comes."""

    def __init__(self, told: str | None) -> None:
        name, _, digest = (told or "").partition(" ")
        if told is not None and name not in _HASHES:
            raise ProblemError(400, f"Upload-Checksum: {name!r:.40} is not known", remedy=f"use {', '.join(_HASHES)}")
        self._hash = _HASHES[name]() if told is not None else None
        try:
            self._wanted = b64decode(digest, validate=True)
        except ValueError as error:
            raise ProblemError(400, "Upload-Checksum is no base64") from error

    def update(self, piece: bytes) -> None:
        if self._hash is not None:
            self._hash.update(piece)

    @property
    def is_right(self) -> bool:
        return self._hash is None or self._hash.digest() == self._wanted


def _place(upload: Upload) -> dict[str, str]:
    """How far it is, and until when it is kept unfinished."""
    expires = {} if upload.is_here else {"Upload-Expires": formatdate(upload.expires_s, usegmt=True)}
    return {"Upload-Offset": str(upload.offset), **expires}


def _told_length(request: Request) -> int:
    told = request.headers.get("content-length", "")
    return int(told[:20]) if told.isascii() and told.isdigit() else MAX_REQUEST


def _problem(error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case ProtocolError():
            return ProblemError(400, str(error))
        case OffsetError():
            return ProblemError(409, str(error), remedy="go on there", headers={"Upload-Offset": str(error.offset)})
        case TooLargeError():
            return ProblemError(413, str(error), remedy="send a smaller file")
        case NoRoomError():
            return ProblemError(507, str(error), remedy=error.remedy)
        case DamagedError():
            return ProblemError(MISMATCH, str(error), remedy="send it again")
    raise error


PATHS: Final[dict[str, Any]] = {
    "/v1/files/{gateway}": {
        "post": {
            "tags": ["files"],
            "summary": "A gateway announces a file (tus 1.0.0)",
            "operationId": "announce_file",
            "description": (
                "Headers: `Tus-Resumable: 1.0.0`, `Upload-Length`, `Upload-Metadata` with `filename`, `sha256` (64 hex "
                "digits of all of it) and, if it belongs to something, `group`. The answer's `Location` is where the "
                "bytes go, `Upload-Offset` how many are there: announced again, the same file is the same upload."
            ),
            "responses": {
                "201": {"description": "Send the bytes to its Location"},
                **problems.documented(400, 401, 403, 412, 413, 429, 507),
            },
        }
    },
    "/v1/files/{gateway}/{upload}": {
        "head": {
            "tags": ["files"],
            "summary": "How much of a file is on the server's disk",
            "operationId": "file_offset",
            "responses": {"200": {"description": "In Upload-Offset"}, **problems.documented(401, 403, 404, 412)},
        },
        "patch": {
            "tags": ["files"],
            "summary": "Bytes of a file",
            "operationId": "append_file",
            "requestBody": {"required": True, "content": {PIECE_TYPE: {}}},
            "description": (
                "What came of a request that was cut is kept. With the last byte the file's SHA-256 is looked at: 460 "
                "if it is another, and the file must be announced anew."
            ),
            "responses": {
                "204": {"description": "They are on disk"},
                **problems.documented(400, 401, 403, 404, 408, 409, 412, 415, 429, MISMATCH, 507),
            },
        },
        "delete": {
            "tags": ["files"],
            "summary": "Give up a file that is still coming",
            "operationId": "forget_file",
            "responses": {"204": {"description": "It is gone"}, **problems.documented(401, 403, 404, 412)},
        },
    },
}
"""What /openapi.json says of it."""
