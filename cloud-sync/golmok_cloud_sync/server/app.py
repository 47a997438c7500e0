"""The server, put together: the log, what is derived from it, and the routes that lead there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from golmok_cloud_sync.notify import Config
from golmok_cloud_sync.protocol import CONTENT_TYPE
from golmok_cloud_sync.server import metrics, models, pages, problems
from golmok_cloud_sync.server.access import Access
from golmok_cloud_sync.server.admission import Admission
from golmok_cloud_sync.server.alarm_api import AlarmApi
from golmok_cloud_sync.server.api import Api
from golmok_cloud_sync.server.chart import Charts
from golmok_cloud_sync.server.committer import Committer
from golmok_cloud_sync.server.dating import Dating
from golmok_cloud_sync.server.desk import Desk
from golmok_cloud_sync.server.file_api import FileApi
from golmok_cloud_sync.server.file_store import FileStore
from golmok_cloud_sync.server.fleet import Fleet
from golmok_cloud_sync.server.ingest import Sync
from golmok_cloud_sync.server.live import Hub
from golmok_cloud_sync.server.log import BatchLog, LogError
from golmok_cloud_sync.server.registry import Registry
from golmok_cloud_sync.server.room import Limits
from golmok_cloud_sync.server.uploads import PATHS, Uploads

_THREADS: Final = 4
_SYNC_THREADS: Final = 2
_FILE_THREADS: Final = 2
"""Their own, so that neither questions nor large requests nor files hold the others up."""
_SNAPSHOT_S: Final = 60.0
_SWEEP_S: Final = 3_600.0
_LATELY_S: Final = 10.0
"""Files wait for so long after something more urgent had to."""
_log = logging.getLogger(__name__)


@dataclass
class Cloud:
    """One running server, as uvicorn serves it; `end_streams` lets it end while pages watch."""

    app: FastAPI
    sync: Sync
    hub: Hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What gateways send goes straight to `sync`; all else to FastAPI."""
        if scope["type"] == "http" and scope["path"] == "/v1/sync" and scope["method"] == "POST":
            await self.sync(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def end_streams(self) -> None:
        """End the connections that would never end by themselves."""
        self.hub.close()


def build(
    log: BatchLog,
    registry: Registry,
    files: FileStore,
    *,
    is_open: bool,
    limits: Limits | None = None,
    notify: Config | None = None,
) -> Cloud:
    """The server on `log` and `registry`, which it closes when it ends. Raises `ConfigError` of `notify`."""
    fleet = Fleet()
    threads, syncing = ThreadPoolExecutor(_THREADS, "reader"), ThreadPoolExecutor(_SYNC_THREADS, "sync")
    filing = ThreadPoolExecutor(_FILE_THREADS, "files")
    admission = Admission(limits or Limits.of_memory())
    committer = Committer(log)
    counters = metrics.Metrics()
    access = Access(registry, is_open)
    desk = Desk(log, fleet, notify)

    async def dating(gateway: str) -> Dating:
        return await asyncio.get_running_loop().run_in_executor(threads, fleet.book(gateway).catch_up, log)

    hub = Hub(fleet, dating)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        derived = await asyncio.to_thread(fleet.load, log)
        _log.info("%d gateways known, %d batches derived", len(fleet.names()), derived)
        running = (hub.run(), _keep_snapshots(fleet, log), desk.run(), _sweep(files, filing))
        tasks = [asyncio.create_task(one) for one in running]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.close()
        await asyncio.to_thread(committer.close)
        await asyncio.to_thread(threads.shutdown)
        await asyncio.to_thread(syncing.shutdown)
        await asyncio.to_thread(filing.shutdown)
        _save(fleet, log)
        log.close()
        registry.close()

    app = FastAPI(
        title="Golmok cloud",
        version=version("golmok"),
        description="Takes what gateways send, once each, and gives it back.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere; /openapi.json is what is promised
        redoc_url=None,
    )
    problems.install(app)
    sync = Sync(log, committer, fleet, hub, access, counters, syncing, admission, desk.book.commands)
    app.router.routes.append(Route("/v1/sync", sync, methods=["POST"]))  # so that a GET is told 405
    app.include_router(Api(log, fleet, hub, access, Charts(log), threads, sync.load).router())
    app.include_router(AlarmApi(desk, log, fleet, access, threads).router())
    app.include_router(FileApi(files, access, threads).router())
    uploads = Uploads(files, access, filing, lambda: admission.is_overloaded(_LATELY_S))
    app.router.routes += [Route(path, uploads) for path in PATHS]
    app.include_router(pages.router())
    _add_health(app, fleet, hub, committer, sync)
    _add_schema(app)
    return Cloud(app, sync, hub)


async def _sweep(files: FileStore, threads: Executor) -> None:
    while True:
        for one in await asyncio.get_running_loop().run_in_executor(threads, files.sweep):
            _log.info("gave up a file of %s: %d of %d bytes had come", one.gateway, one.offset, one.head.size)
        await asyncio.sleep(_SWEEP_S)


async def _keep_snapshots(fleet: Fleet, log: BatchLog) -> None:
    while True:
        await asyncio.sleep(_SNAPSHOT_S)
        _save(fleet, log)


def _save(fleet: Fleet, log: BatchLog) -> None:
    try:
        fleet.save(log)
    except LogError as error:
        _log.warning("no snapshot was kept, the next start takes longer: %s", error)


def _add_health(app: FastAPI, fleet: Fleet, hub: Hub, committer: Committer, sync: Sync) -> None:
    @app.get("/healthz", tags=["health"], summary="That the server takes data")
    async def healthz() -> models.Health:
        return models.Health(status="ok", version=app.version)

    @app.get("/metrics", tags=["health"], summary="What the server counts, for Prometheus",
             response_class=PlainTextResponse)  # fmt: skip
    async def prometheus() -> PlainTextResponse:
        sync.metrics.queue = sync.queue()
        text = metrics.render(sync.metrics, fleet.states(), hub.watchers, committer.commits, committer.failures)
        return PlainTextResponse(text, media_type=metrics.MEDIA_TYPE)


def _add_schema(app: FastAPI) -> None:
    """`/openapi.json`, with the sync endpoint, which FastAPI does not know, and the problem document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
            schema["paths"] |= {"/v1/sync": {"post": _SYNC}, **PATHS}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


_SYNC: Final[dict[str, Any]] = {
    "tags": ["sync"],
    "summary": "What a gateway sends",
    "operationId": "sync",
    "description": (
        "One line of JSON (who speaks, how much waits, the heads of the parts), a newline, and the payloads of the "
        "frames end to end. Each part is judged alone; what is acknowledged is on the disk. 409: nothing was "
        "acknowledged; the problem document has all members of the reply as well."
    ),
    "requestBody": {"required": True, "content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    "responses": {
        "200": {
            "description": "The reply",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["server_ms", "streams", "results", "pace_s"],
                        "properties": {
                            "server_ms": {"type": "integer"},
                            "streams": {
                                "type": "object",
                                "additionalProperties": {
                                    "type": "object",
                                    "properties": {
                                        "next_seq": {"type": "integer"},
                                        "last_crc": {"type": "integer"},
                                        "fork": {"type": "boolean"},
                                        "crcs": {"type": "object"},
                                    },
                                },
                            },
                            "results": {"type": "array", "items": {"type": "object"}},
                            "settings_version": {"type": "string"},
                            "commands": {"type": "array", "items": {"type": "object"}},
                            "pace_s": {"type": "number"},
                            "retry_after_s": {"type": "number"},
                        },
                    }
                }
            },
        },
        **problems.documented(400, 401, 403, 408, 409, 413, 415, 429, 503),
    },
}
