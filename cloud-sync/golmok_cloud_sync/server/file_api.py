"""The routes of files for readers: which there are, and their bytes. How they come is `uploads`."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse

from golmok_cloud_sync.server import models
from golmok_cloud_sync.server.access import Access
from golmok_cloud_sync.server.file_store import DamagedError, FileStore, Upload
from golmok_cloud_sync.server.problems import ProblemError, documented
from golmok_cloud_sync.server.times import show

Kind = Literal["model", "report", "data", "other"]
_ANY: Final = "application/octet-stream"
KINDS: Final[Mapping[str, tuple[Kind, str]]] = {
    ".stl": ("model", "model/stl"),
    ".glb": ("model", "model/gltf-binary"),
    ".obj": ("model", "model/obj"),
    ".ply": ("model", _ANY),
    ".html": ("report", _ANY),  # what a gateway sends is never a page of this server
    ".json": ("data", "application/json"),
}
"""By the end of a file's name: what it is, and as what it is given out."""
_HARMLESS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-cache",
}


@dataclass
class FileApi:
    """The routes, and what they work with."""

    store: FileStore
    access: Access
    threads: Executor

    def router(self) -> APIRouter:
        """All routes below `/v1`."""
        allowed = APIRouter(
            prefix="/v1", dependencies=[Depends(self._check)], responses=documented(401, 403, 404), tags=["files"]
        )
        add = allowed.add_api_route
        add("/gateways/{gateway}/files", self.of_one, summary="The files of a gateway: those here, those coming")
        add("/gateways/{gateway}/files/{file}", self.one, response_class=FileResponse,
            summary="A file's bytes; ranges are possible")  # fmt: skip
        add("/gateways/{gateway}/files/{file}", self.one, methods=["HEAD"], include_in_schema=False)
        return allowed

    async def of_one(self, gateway: str) -> models.Files:
        self._check_known(gateway)
        found = await asyncio.get_running_loop().run_in_executor(self.threads, self.store.all, gateway)
        newest = found[::-1]
        return models.Files(
            files=[document(one) for one in newest if one.is_here],
            coming=[
                models.FileComing(
                    name=one.head.name,
                    group=one.head.group,
                    size=one.head.size,
                    received=one.offset,
                    expires=_when(one.expires_s),
                )
                for one in newest
                if not one.is_here
            ],
        )

    async def one(self, gateway: str, file: str) -> FileResponse:
        self._check_known(gateway)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.threads, self.store.find, gateway, file)
        except DamagedError:
            found = None
        if found is None or not found.is_here:
            remedy = f"/v1/gateways/{gateway}/files lists them"
            raise ProblemError(404, f"there is no file {file!r:.60}", remedy=remedy)
        head = found.head
        digest = b64encode(bytes.fromhex(head.sha256)).decode()
        return FileResponse(
            self.store.path(found),
            media_type=kind_of(head.name)[1],
            filename=f"{head.group}-{head.name}" if head.group else head.name,
            headers={**_HARMLESS, "ETag": f'"{head.sha256}"', "Repr-Digest": f"sha-256=:{digest}:"},
        )

    def _check_known(self, gateway: str) -> None:
        if gateway not in self.access.registry.gateways():
            raise ProblemError(404, f"there is no gateway {gateway!r:.60}", remedy="/v1/gateways lists them")

    def _check(self, request: Request) -> None:
        self.access.check_reader(request.headers.get("Authorization"))


def kind_of(name: str) -> tuple[Kind, str]:
    """What a file of this name is, and as what it may be given out."""
    return KINDS.get(PurePath(name).suffix.lower(), ("other", _ANY))


def document(one: Upload) -> models.FileHere:
    """What is told of a file that is here."""
    head = one.head
    return models.FileHere(
        id=one.id,
        name=head.name,
        group=head.group,
        kind=kind_of(head.name)[0],
        size=head.size,
        sha256=head.sha256,
        arrived=_when(one.touched_s),
    )


def _when(seconds: float) -> str:
    return show(int(seconds * 1000)) or ""
