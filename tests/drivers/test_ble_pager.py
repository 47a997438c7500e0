"""Guest pagers: what is written is signed and numbered, an answer is waited for, and failures are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers.adverts.keyed import name_of
from golmok_drivers.api import BusError, CommandError, PayloadError, Reading
from golmok_drivers.devices.ble_pager import BlePagerDriver, BlePagerSettings, BlePagerTwin
from golmok_drivers.paging import Ack, Page, ack_of, page_of
from golmok_drivers.radio import ForgetfulCounters
from golmok_drivers.twins.bluez import FakeBlueZ, Heard
from tests.drivers.air import air, needs_dbus, radio
from tests.drivers.frames import ADDRESS, KEY
from tests.drivers.worlds import StillWorld

KEY_BYTES = bytes.fromhex(KEY)
SETTINGS = BlePagerSettings(address=ADDRESS, key=KEY)
U8, U16, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))


@given(st.builds(Page, U32, U16, U8, U16), st.builds(Ack, U32, U8, U8), st.integers(0, 10_000), st.integers(1, 255))
def test_pages_and_answers_come_back_and_not_a_bit_may_differ(page: Page, ack: Ack, place: int, change: int) -> None:
    for one, opened in ((page, page_of), (ack, ack_of)):
        data = one.packed(KEY_BYTES)
        assert opened(data, KEY_BYTES) == one
        assert len(data) <= 20, "as much as every device takes at once"
        spoilt = bytearray(data)
        spoilt[place % len(data)] ^= change
        for wrong in (bytes(spoilt), data[:-1], b""):
            with pytest.raises(PayloadError):
                opened(wrong, KEY_BYTES)
        with pytest.raises(PayloadError):
            opened(data, bytes(16))


def test_an_answer_is_no_page() -> None:
    with pytest.raises(PayloadError):
        page_of(Ack(1, 0, 90).packed(KEY_BYTES), KEY_BYTES)


class Desk:
    """A pager in the air, its driver, and what that said."""

    def __init__(self, bluez: FakeBlueZ, driver: BlePagerDriver, twin: BlePagerTwin) -> None:
        self.bluez, self.driver, self.twin = bluez, driver, twin
        self.said: list[Reading] = []

    async def listen(self) -> None:
        async for readings in self.driver.events():
            self.said += readings

    def told(self, quantity: str) -> list[Any]:
        return [reading.value for reading in self.said if reading.quantity == quantity]


@asynccontextmanager
async def desk(counters: ForgetfulCounters | None = None) -> AsyncIterator[Desk]:
    async with air() as bluez, radio(counters=counters) as it:
        twin = BlePagerTwin(SETTINGS, StillWorld(battery=88.0))
        bluez.attach(ADDRESS, twin)
        driver = BlePagerDriver(SETTINGS)
        await driver.open(it)
        found = Desk(bluez, driver, twin)
        listening = asyncio.create_task(found.listen())
        broadcast = twin.broadcast()
        assert broadcast is not None
        while ADDRESS not in it._devices:
            bluez.hear(Heard(ADDRESS, broadcast.service_data))
            await asyncio.sleep(0.02)
        try:
            yield found
        finally:
            await driver.close()
            await asyncio.wait_for(listening, 5)


@needs_dbus
async def test_a_ticket_buzzes_and_is_told() -> None:
    async with desk() as it:
        await it.driver.command("page", "17/2/60")
        await it.driver.command("page", 18)
        assert it.twin.buzzed == [17, 18]
        await asyncio.sleep(0.05)
        assert it.told("paged") == ["17", "18"]
        assert it.told("battery") == [88, 88, 88], "once by the broadcast, and with each answer"


@needs_dbus
async def test_links_that_fail_are_tried_again_and_it_buzzes_once() -> None:
    async with desk() as it:
        it.bluez.refusals[ADDRESS] = 2
        await it.driver.command("page", 17)
        assert it.twin.buzzed == [17]
        tell, it.twin._tell = it.twin.write, None  # the first answer gets lost on its way

        def deaf_once(characteristic: str, data: bytes) -> None:
            it.twin._tell, kept = None, it.twin._tell
            tell(characteristic, data)
            it.twin._tell = kept
            it.twin.write = tell  # type: ignore[method-assign]

        it.twin.write = deaf_once  # type: ignore[method-assign]
        await it.driver.command("page", 18)
        assert it.twin.buzzed == [17, 18]


@needs_dbus
async def test_a_pager_that_is_away_or_mute_is_told_and_the_next_page_goes_out() -> None:
    async with desk() as it:
        for fault in ("refusals", "mute"):
            if fault == "refusals":
                it.bluez.refusals[ADDRESS] = 3
            else:
                it.bluez.mute.add(ADDRESS)
            with pytest.raises(BusError):
                await it.driver.command("page", 20)
        it.bluez.mute.clear()
        await it.driver.command("page", 21)
        await asyncio.sleep(0.05)
        assert it.told("failed") == ["20", "20"]
        assert it.twin.buzzed == [21]


@needs_dbus
async def test_numbers_go_on_after_a_restart_and_an_old_page_buzzes_nobody() -> None:
    counters = ForgetfulCounters()
    async with desk(counters) as it:
        await it.driver.command("page", 17)
        it.twin.write("", Page(1, 99).packed(KEY_BYTES))  # recorded, and written again
        it.twin.write("", Page(9, 99).packed(bytes(16)))  # of somebody without the key
        assert it.twin.buzzed == [17]
    assert counters.last(f"{name_of(ADDRESS, KEY)}#pages") == 1
    counters = ForgetfulCounters()  # lost
    async with desk(counters) as it:
        it.twin._last = 50
        with pytest.raises(BusError, match="not above the last one"):
            await it.driver.command("page", 18)


@pytest.mark.parametrize("value", ["", "x", "70000", "1/2/3/4", "1/999", None, "1/2/0", -1])
async def test_what_is_no_page_is_refused(value: Any) -> None:
    driver = BlePagerDriver(SETTINGS)
    with pytest.raises(CommandError, match="17/2/300"):
        await driver.command("page", value)
    with pytest.raises(CommandError, match="only"):
        await driver.command("colour", 1)
