"""The routes of alarms: which stand, and browsers that want to be told (Web Push)."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request

from golmok_cloud_sync.server import models
from golmok_cloud_sync.server.access import Access
from golmok_cloud_sync.server.alarms import Told
from golmok_cloud_sync.server.desk import Desk
from golmok_cloud_sync.server.fleet import Fleet
from golmok_cloud_sync.server.log import BatchLog
from golmok_cloud_sync.server.problems import ProblemError, documented
from golmok_cloud_sync.server.times import show
from golmok_cloud_sync.web.alarms import sentence


@dataclass
class AlarmApi:
    """The routes, and what they work with."""

    desk: Desk
    log: BatchLog
    fleet: Fleet
    access: Access
    threads: Executor

    def router(self) -> APIRouter:
        """All routes below `/v1`."""
        allowed = APIRouter(
            prefix="/v1", dependencies=[Depends(self._check)], responses=documented(401, 403, 422), tags=["alarms"]
        )
        add = allowed.add_api_route
        add("/alarms", self.every, summary="The open alarms of all gateways, the newest first")
        add("/gateways/{gateway}/alarms", self.of_one, summary="The alarms of a gateway: open ones, and recent ones",
            responses=documented(404))  # fmt: skip
        add("/gateways/{gateway}/alarms/{alarm}/acknowledge", self.acknowledge, methods=["POST"], status_code=202,
            summary="Somebody has seen it; its gateway is told", responses=documented(404))  # fmt: skip
        add("/push/key", self.key, summary="What a browser needs to subscribe; null where this cloud sends none")
        add("/push/subscriptions", self.subscribe, methods=["POST"], status_code=201,
            summary="Tell this browser of alarms", responses=documented(400, 404))  # fmt: skip
        add("/push/subscriptions", self.unsubscribe, methods=["DELETE"], status_code=204,
            summary="Tell it no more", responses=documented(404))  # fmt: skip
        return allowed

    async def every(self) -> models.Alarms:
        return await self._document(self.desk.book.open())

    async def of_one(self, gateway: str) -> models.Alarms:
        if self.fleet.get(gateway) is None:
            raise ProblemError(404, f"no gateway {gateway!r:.60} is known here", remedy="GET /v1/gateways lists them")
        recent = [told for told in self.desk.book.over() if told.gateway == gateway]
        return await self._document([*self.desk.book.open(gateway), *recent])

    async def acknowledge(self, gateway: str, alarm: str, seen: models.Seen) -> models.AlarmNow:
        told = await self.desk.acknowledge(gateway, alarm, seen.by)
        if told is None:
            remedy = f"GET /v1/gateways/{gateway:.60}/alarms lists those that are open"
            raise ProblemError(404, f"there is no open alarm {alarm!r:.60}", remedy=remedy)
        return self._row(told)

    async def key(self) -> models.PushKey:
        return models.PushKey(key=self.desk.push.public_key if self.desk.push else None)

    async def subscribe(
        self, subscription: Annotated[dict[str, Any], Body()], language: Literal["ko", "en"] = "ko"
    ) -> models.Subscribed:
        try:
            one = await asyncio.to_thread(self._push.subscribe, _only(subscription), language)
        except ValueError as error:
            remedy = "send what the browser's PushSubscription.toJSON() gives"
            raise ProblemError(400, f"this is no subscription: {error}", remedy=remedy) from error
        return models.Subscribed(endpoint=one.endpoint)

    async def unsubscribe(self, endpoint: str) -> None:
        if not await asyncio.to_thread(self._push.unsubscribe, endpoint):
            raise ProblemError(404, "there is no such subscription")

    @property
    def _push(self) -> Any:
        if self.desk.push is None:
            raise ProblemError(
                404, "this cloud sends no Web Push", remedy="put [push] into the file of golmok-cloud serve --notify"
            )
        return self.desk.push

    async def _document(self, found: list[Told]) -> models.Alarms:
        names = {told.gateway for told in found}
        loop = asyncio.get_running_loop()
        for name in names:
            await loop.run_in_executor(self.threads, self.fleet.book(name).catch_up, self.log)
        rows = [self._row(told) for told in found]
        rows.sort(key=lambda row: (row.state != "cleared", row.ts or ""), reverse=True)
        return models.Alarms(alarms=rows, notices=models.Notices(**self.desk.document()))

    def _row(self, told: Told) -> models.AlarmNow:
        now = self.fleet.know(told.gateway)
        return models.AlarmNow(
            gateway=told.gateway,
            site=now.title or told.gateway,
            ts=show(told.at_ms(self.desk.dating(told.gateway))),
            seen_by=self.desk.book.seen_by(told),
            text={"ko": sentence("ko", told.alarm), "en": sentence("en", told.alarm)},
            **told.alarm._asdict(),
        )

    def _check(self, request: Request) -> None:
        self.access.check_reader(request.headers.get("Authorization"))


def _only(subscription: dict[str, Any]) -> dict[str, Any]:
    """What is asked of a browser; it says more."""
    return {name: subscription[name] for name in ("endpoint", "keys") if name in subscription}
