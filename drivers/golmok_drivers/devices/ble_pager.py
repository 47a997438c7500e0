"""Guest pagers over Bluetooth: connected to when a ticket is ready, buzz, answer (`golmok_drivers.paging`).

A pager also broadcasts its battery, encrypted as BTHome v2, so that the gateway knows that it is near. Pages are
numbered, and the number is on disk before the page goes out: after a restart no pager takes a new page for an old one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final

import msgspec

from golmok_drivers.adverts import bthome
from golmok_drivers.adverts.driver import AdvertDriver, Thinned, read
from golmok_drivers.adverts.guard import Verdict
from golmok_drivers.adverts.keyed import KeyedDevice
from golmok_drivers.adverts.sender import BTHomeSender
from golmok_drivers.api import (
    Advert,
    Broadcast,
    BusError,
    BusTimeout,
    Channel,
    CommandDriver,
    CommandError,
    DriverError,
    DriverInfo,
    PayloadError,
    Reading,
    Value,
    World,
)
from golmok_drivers.ble_keys import KeySettings, needed_key_of
from golmok_drivers.paging import BUZZES, REFUSED, SERVICE, TELL, TOO_LATE, WRITE, Ack, Page, ack_of, page_of

PAGED: Final = Channel("paged", is_event=True)
FAILED: Final = Channel("failed", is_event=True)
BATTERY: Final = Channel("battery", "%", 0, 100, 1)
PAGE: Final = "page"
"""What it is told: a ticket's number, or `ticket/pattern/seconds`."""
_TRIES: Final = 3
_CONNECT_S: Final = 8.0
_ANSWER_S: Final = 3.0
_PAUSE_S: Final = 0.3
_BATTERY_EVERY_S: Final = 60.0
_WHY: Final = {TOO_LATE: "it came too late", REFUSED: "the pager refused it: its number is not above the last one"}


class BlePagerSettings(KeySettings):
    """Which pager it is; its key signs pages and encrypts its battery."""

    pattern: Annotated[int, msgspec.Meta(ge=0, le=255, description="How it buzzes if the page does not say.")] = 1
    ttl_s: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=65_535, description="How long a page is worth a buzz if it does not say.", examples=[300]
        ),
    ] = 300
    heartbeat_s: Annotated[
        float, msgspec.Meta(gt=0, le=86_400, description="How often it is heard; silent three times as long is bad.")
    ] = 60.0


class BlePagerDriver(AdvertDriver, CommandDriver):
    """Pages, and tells which ticket buzzed (`paged`) and which did not (`failed`)."""

    api = 1
    info = DriverInfo(
        "ble-pager",
        title="Guest pager (Bluetooth)",
        title_ko="손님 진동벨 (블루투스)",
        bus="ble",
        datasheet="https://infocenter.nordicsemi.com/topic/sdk_nrf5_v17.1.0/ble_sdk_app_nus_eval.html",
        channels=(PAGED, FAILED, BATTERY),
        examples=(
            {"address": "D4:3A:2C:10:77:01", "key": "7b1f6c0d3a5e48929d04c6f1b7e2a835"},
            {"address": "D4:3A:2C:10:77:02", "key": "231d39c1d7cc1ab1aee224cd096db932"},
        ),
    )
    Settings = BlePagerSettings
    told = PAGE
    command_s = 60.0

    def __init__(self, settings: Any, *, timezone: str = "UTC") -> None:
        """See `Driver`."""
        super().__init__(settings, timezone=timezone)
        key = needed_key_of(settings)
        self._key = bytes.fromhex(key)
        self._keyed = KeyedDevice(settings.address, key)
        self._pages = f"{self._keyed.name}#pages"
        self._thinned = Thinned(_BATTERY_EVERY_S)
        self._said: asyncio.Queue[Sequence[Reading]] = asyncio.Queue()
        self._one_at_a_time = asyncio.Lock()

    async def taken(self, advert: Advert) -> Sequence[Reading]:
        """See `AdvertDriver.taken`: the battery, once a minute."""
        data = advert.service_data.get(bthome.UUID)
        if data is None or self.bus is None:
            return ()
        judged = self._keyed.judged(data, self.bus.counters)
        if judged is None or judged[1] is not Verdict.FRESH or not self._thinned.is_due(advert, data, numbered=True):
            return ()
        await self._keyed.note(judged[0], self.bus.counters)
        values = judged[0].by_name()
        return [read(BATTERY, values["battery"])] if "battery" in values else []

    def fell_silent(self) -> None:
        """See `AdvertDriver.fell_silent`."""
        self._thinned.forget()

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`: what it broadcasts, and what became of pages."""
        ended = object()
        merged: asyncio.Queue[Any] = asyncio.Queue()
        self._said = merged

        async def listen() -> None:
            try:
                async for readings in AdvertDriver.events(self):
                    merged.put_nowait(readings)
                merged.put_nowait(ended)
            except DriverError as error:
                merged.put_nowait(error)

        listening = asyncio.create_task(listen())
        try:
            while (said := await merged.get()) is not ended:
                if isinstance(said, DriverError):
                    raise said
                yield said
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def command(self, quantity: str, value: Value) -> None:
        """See `CommandDriver.command`: page a ticket; raises `BusError` when the pager did not buzz."""
        if quantity != PAGE:
            raise CommandError(f"a pager can be told {PAGE!r} only, not {quantity!r}")
        ticket, pattern, ttl_s = _asked(value, self.settings)
        async with self._one_at_a_time:
            try:
                await self._page(ticket, pattern, ttl_s)
            except DriverError:
                self._said.put_nowait([Reading(FAILED.quantity, str(ticket))])
                raise

    async def _page(self, ticket: int, pattern: int, ttl_s: int) -> None:
        if self.bus is None:
            raise BusError("the pager was not opened")
        counters = self.bus.counters
        number = (counters.last(self._pages) or 0) + 1
        try:
            await counters.rise(self._pages, number)
        except OSError as error:
            raise BusError(str(error)) from error
        page = Page(number, ticket, pattern, ttl_s)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + ttl_s
        for left in reversed(range(_TRIES)):
            try:
                ack = await self._tried(page)
                break
            except BusError:
                if not left or loop.time() >= end_s:
                    raise
                await asyncio.sleep(_PAUSE_S * (_TRIES - left))
        if ack.status != BUZZES:
            raise BusError(f"{self.settings.address}: ticket {ticket}: {_WHY.get(ack.status, 'it did not buzz')}")
        self._said.put_nowait([Reading(PAGED.quantity, str(ticket)), read(BATTERY, ack.battery)])

    async def _tried(self, page: Page) -> Ack:
        """Connect, write, wait for the answer, disconnect."""
        assert self.bus is not None
        answered: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()

        def on_value(data: bytes) -> None:
            with suppress(PayloadError):  # whoever else speaks there is not the pager
                ack = ack_of(data, self._key)
                if ack.number == page.number and not answered.done():
                    answered.set_result(ack)

        link = await self.bus.connect(self.settings.address, timeout_s=_CONNECT_S)
        try:
            await link.subscribe(TELL, on_value)
            await link.write(WRITE, page.packed(self._key))
            async with asyncio.timeout(_ANSWER_S):
                return await answered
        except TimeoutError:
            raise BusTimeout(f"{self.settings.address}: no answer to the page within {_ANSWER_S:g} s") from None
        finally:
            await link.close()


def _asked(value: Value, settings: BlePagerSettings) -> tuple[int, int, int]:
    """Ticket, pattern and seconds; raises `CommandError`."""
    parts = str(value).split("/")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    ticket, pattern, ttl_s = (
        (numbers + [settings.pattern, settings.ttl_s][len(numbers) - 1 :])[:3] if numbers else (-1, 0, 0)
    )
    if len(parts) > 3 or not (0 <= ticket <= 0xFFFF and 0 <= pattern <= 0xFF and 1 <= ttl_s <= 0xFFFF):
        raise CommandError(
            f"a page is a ticket of 0 to 65535, or ticket/pattern/seconds: 17 or 17/2/300, not {value!r}"
        )
    return ticket, pattern, ttl_s


class BlePagerTwin(BTHomeSender):
    """A pager: it is there, it buzzes, it answers; it remembers the number of its last page."""

    api: ClassVar[int] = 1
    services: Final = {SERVICE: {WRITE: ("write",), TELL: ("notify",)}}

    def __init__(self, settings: BlePagerSettings, world: World) -> None:
        key = needed_key_of(settings)
        super().__init__(settings.address, key, world)
        self._page_key = bytes.fromhex(key)
        self._last = 0
        self.buzzed: list[int] = []
        """Tickets."""
        self._tell: Callable[[str, bytes], None] | None = None

    @classmethod
    def defaults(cls, settings: Any) -> dict[str, dict[str, Any]]:
        """A battery that is nearly full."""
        return {"battery": {"kind": "constant", "value": 88}}

    @property
    def interval_s(self) -> float:
        """See `BleTwin.interval_s`."""
        return 1.0

    def broadcast(self) -> Broadcast | None:
        """See `BleTwin.broadcast`."""
        return self.frame({"battery": self.world.feel("battery")})._replace(given=())

    @property
    def peripheral(self) -> BlePagerTwin:
        """It is its own."""
        return self

    def connected(self, tell: Callable[[str, bytes], None]) -> None:
        """See `Peripheral.connected`."""
        self._tell = tell

    def disconnected(self) -> None:
        """See `Peripheral.disconnected`."""
        self._tell = None

    def read(self, characteristic: str) -> bytes:
        """See `Peripheral.read`."""
        raise BusError("Read not permitted")

    def write(self, characteristic: str, data: bytes) -> None:
        """See `Peripheral.write`."""
        try:
            page = page_of(data, self._page_key)
        except PayloadError:
            return  # not for it, and not worth an answer
        status = BUZZES if page.number >= self._last else REFUSED
        if page.number > self._last:
            self._last = page.number
            self.buzzed.append(page.ticket)
            self.world.give("paged", str(page.ticket))
        if self._tell is not None:
            self._tell(TELL, Ack(page.number, status, round(self.world.feel("battery"))).packed(self._page_key))
