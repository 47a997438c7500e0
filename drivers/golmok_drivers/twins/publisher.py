"""Twins of devices that publish by themselves: to the real broker, by a connection of their own.

Only what the broker has acknowledged goes into the ledger, in the moment of the acknowledgement: what was lost
on its way to the broker was never "made", and what the broker has is no longer the device's to lose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from uuid import uuid4

from golmok_drivers.api import MqttTwin, Publication
from golmok_drivers.buses.mqtt import Callbacks, Mqtt
from golmok_drivers.errors import BusError
from golmok_drivers.twins.ends import Other
from golmok_drivers.twins.world import Ledger

log = logging.getLogger(__name__)

LAST_WAIT_S = 5.0
"""How long acknowledgements are awaited at the end."""


async def publish_all(
    publishers: Sequence[tuple[Other, float]],
    ledger: Ledger,
    host: str,
    port: int,
    username: str | None,
    password: str | None,
) -> None:
    """Publish for each twin every so many seconds, until cancelled; then wait for what is on its way."""
    loop = asyncio.get_running_loop()
    connected = asyncio.Event()

    def on_connect(_: bool) -> None:
        with suppress(RuntimeError):  # the loop has closed since
            loop.call_soon_threadsafe(connected.set)

    mqtt = Mqtt(
        f"golmok-twins-{uuid4().hex[:12]}",
        Callbacks(on_connect=on_connect, on_refused=lambda why: log.warning("twins: %s", why)),
        username=username,
        password=password,
        keep_session=False,
    )
    mqtt.connect(host, port)
    running: set[asyncio.Future[None]] = set()
    try:
        await connected.wait()
        async with asyncio.TaskGroup() as group:
            for other, interval_s in publishers:
                group.create_task(_publish_one(mqtt, other, interval_s, ledger, running))
    finally:
        if running:
            await asyncio.wait(running, timeout=LAST_WAIT_S)
        await asyncio.to_thread(mqtt.close)


async def _publish_one(
    mqtt: Mqtt, other: Other, interval_s: float, ledger: Ledger, running: set[asyncio.Future[None]]
) -> None:
    twin: MqttTwin = other.twin
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        publication = twin.publish()
        if publication is not None:
            delivery = mqtt.publish(publication.topic, publication.payload)
            delivery.add_done_callback(_noting(ledger, other.name, publication))
            waiting = asyncio.ensure_future(asyncio.wrap_future(delivery))
            running.add(waiting)
            waiting.add_done_callback(running.discard)
            with suppress(BusError):  # refused: not made, and not noted
                await asyncio.shield(waiting)
        due = max(due + interval_s, loop.time())
        await asyncio.sleep(due - loop.time())


class _noting:  # noqa: N801  (a callback with a memory; used like a function)
    def __init__(self, ledger: Ledger, name: str, publication: Publication) -> None:
        self._ledger, self._name, self._publication = ledger, name, publication

    def __call__(self, delivery: Future[None]) -> None:
        if not delivery.cancelled() and delivery.exception() is None:
            self._ledger.write(self._name, self._publication.topic, list(self._publication.given))
