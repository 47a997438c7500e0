"""Messages as a trace: written down when a driver reads them, and read again at the pace at which they came.

A device on MQTT has no bus of its own, so it is its driver that records (`record+mqtt://?to=trace.jsonl`) or is played
to (`replay+mqtt://trace.jsonl`). A replay needs no broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from golmok_drivers.api import Channel, DriverError, EventDriver, MessageDriver, Reading, failed, topic_matches
from golmok_drivers.buses.trace import TraceWriter, read_trace
from golmok_drivers.errors import BusClosed, BusError

_log = logging.getLogger(__name__)

_DO: Final = "message"


class RecordedMessages(MessageDriver):
    """A driver whose messages are written down before it reads them."""

    api = 1

    def __init__(self, driver: MessageDriver, trace: TraceWriter) -> None:
        super().__init__(driver.settings, timezone=driver.timezone)
        self._driver, self._trace = driver, trace
        self.info = driver.info  # type: ignore[misc]  # it stands for that driver

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return self._driver.channels

    def topics(self) -> tuple[str, ...]:
        """See `MessageDriver.topics`."""
        return self._driver.topics()

    def decode(self, topic: str, payload: bytes) -> Sequence[Reading]:
        """See `MessageDriver.decode`."""
        self._trace.write(topic, _DO, (), payload)
        return self._driver.decode(topic, payload)


class ReplayedMqtt:
    """A bus on which a trace's messages come again, from the moment at which somebody listens."""

    def __init__(self, path: Path, kind: str) -> None:
        """Raises `BusUrlError`."""
        self._events = [event for event in read_trace(path, kind) if event.do == _DO]
        self._closed = asyncio.Event()

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """Topic and payload of each; then it is silent until it is closed, as devices are that have gone."""
        loop = asyncio.get_running_loop()
        began_s, first_t = loop.time(), self._events[0].t if self._events else 0.0
        for event in self._events:
            await asyncio.sleep(max(0.0, began_s + event.t - first_t - loop.time()))
            if self._closed.is_set():
                break
            yield event.device, bytes.fromhex(event.result)
        await self._closed.wait()
        raise BusClosed("replay: the bus was closed")

    async def close(self) -> None:
        """End it."""
        self._closed.set()


class Played(EventDriver):
    """A driver of messages that hears a trace instead of a broker."""

    api = 1

    def __init__(self, driver: MessageDriver) -> None:
        super().__init__(driver.settings, timezone=driver.timezone)
        self._driver = driver
        self._bus: ReplayedMqtt | None = None
        self.info = driver.info  # type: ignore[misc]  # it stands for that driver

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return self._driver.channels

    async def open(self, bus: Any) -> None:
        """See `Driver.open`."""
        self._bus = bus

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`: of each message that it wanted to hear then."""
        assert self._bus is not None
        async for topic, payload in self._bus.messages():
            if any(topic_matches(one, topic) for one in self._driver.topics()):
                yield self._read(topic, payload)

    def _read(self, topic: str, payload: bytes) -> Sequence[Reading]:
        try:
            return self._driver.decode(topic, payload)
        except DriverError as error:
            return failed(self.channels, error)


def standing_for(driver: MessageDriver, url: str | None, record_to: Path | None) -> MessageDriver | EventDriver:
    """The driver of a device on MQTT, or what plays or records for it.

    Where no trace can be written none is: that is no reason not to hear the device.
    """
    if url is not None:
        return Played(driver)
    if record_to is None:
        return driver
    try:
        return RecordedMessages(driver, TraceWriter(record_to, "mqtt", "mqtt://"))
    except BusError as error:
        _log.error("not recorded: %s", error)
        return driver
