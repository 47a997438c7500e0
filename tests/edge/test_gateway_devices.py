"""`golmok_edge.gateway.devices`: each device has a task, and whatever it does, the others and the end do not wait."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_drivers.api import BusNack, Channel, CrcError, Driver, DriverInfo, EventDriver, PolledDriver, Reading
from golmok_edge.gateway.devices import Buses, DeviceTask

from .gateway_support import BOOT, HandClock, VirtualTime, device, until

LOOP = VirtualTime


class Fake(Driver):
    """What the fakes share: notes what it is told to do."""

    api = 1
    info = DriverInfo("fake", title="Fake", title_ko="", bus="fake", datasheet="", channels=(Channel("x", "Cel"),))

    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[str] = []

    async def open(self, bus: Any) -> None:
        self.told.append("open")

    async def close(self) -> None:
        self.told.append("close")


class Thermometer(Fake, PolledDriver):
    """Does what it is told, one after the other, then counts."""

    def __init__(self, *answers: Callable[[], Any]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.numbers = itertools.count()
        self.asked_s: list[float] = []

    async def sample(self) -> Sequence[Reading]:
        self.told.append("sample")
        self.asked_s.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if self.answers else self.count
        said = answer()
        return await said if asyncio.iscoroutine(said) else said

    def count(self) -> list[Reading]:
        return [Reading("x", next(self.numbers))]


class Button(Fake, EventDriver):
    """Says what it is told to, one list after the other; an exception is raised, and at the end it ends."""

    def __init__(self, *lives: Sequence[Any]) -> None:
        super().__init__()
        self.lives: Iterator[Sequence[Any]] = itertools.chain(lives, itertools.repeat([None]))

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        for said in next(self.lives):
            if said is None:
                await asyncio.Event().wait()
            if isinstance(said, BaseException):
                raise said
            yield [Reading("x", said)]


def raises(error: BaseException) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


async def hangs() -> Any:
    await asyncio.Event().wait()


class Stubborn:
    """Hangs, and does not even heed being cancelled, until it is released."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self) -> Any:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue
        return [Reading("x", "late")]


class Stage:
    """Runs device tasks and keeps what they put."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.clock = HandClock(mono=5_000)
        self.tasks: list[tuple[DeviceTask, asyncio.Task[None]]] = []

    def start(self, driver: Driver, name: str = "one", interval_s: float = 1.0) -> DeviceTask:
        task = DeviceTask(
            device(name, "x", interval_s=interval_s), driver, lambda _: "bus", self.clock, self.records.extend
        )
        self.tasks.append((task, asyncio.create_task(task.run())))
        return task

    def values(self, name: str = "one") -> list[Any]:
        return [(r.value if r.quality == "good" else r.reason) for r in self.records if r.channel == f"{name}.x"]

    async def end(self) -> float:
        """As the gateway ends them; how long that took."""
        now_s = asyncio.get_running_loop().time
        begun_s = now_s()
        await asyncio.gather(*(task.finish_turn() for task, _ in self.tasks))
        for _, running in self.tasks:
            running.cancel()
        await asyncio.wait([running for _, running in self.tasks], timeout=30)
        assert all(running.cancelled() for _, running in self.tasks)
        self.tasks.clear()
        return now_s() - begun_s


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    try:
        yield stage
    finally:
        if stage.tasks:
            await stage.end()


async def takes(seconds: float) -> list[Reading]:
    await asyncio.sleep(seconds)
    return [Reading("x", seconds)]


async def test_it_is_asked_on_a_grid_whatever_an_answer_takes() -> None:
    driver = Thermometer(*[partial(takes, seconds) for seconds in (0.9, 0.2, 2.5, 1.0, 0.0, 0.1)])
    async with stage() as shop:
        shop.start(driver)
        await until(lambda: len(driver.asked_s) == 8)
    assert driver.asked_s == pytest.approx([0, 1, 2, 4.5, 5.5, 6, 7, 8])


async def test_a_record_says_what_when_and_of_whom() -> None:
    async with stage() as shop:
        shop.start(Thermometer())
        await until(lambda: shop.records)
    assert shop.records[0] == Record("one.x", 0, "Cel", BOOT, 5_000)


async def test_a_failure_is_a_bad_reading_with_its_reason_and_the_next_turn_is_asked() -> None:
    driver = Thermometer(raises(BusNack("nobody")), raises(CrcError("wrong")))
    async with stage() as shop:
        task = shop.start(driver)
        await until(lambda: len(shop.values()) >= 4)
        assert shop.values()[:4] == ["nack", "crc", 0, 1]
        assert (task.state.state, task.state.failures, task.state.restarts) == ("good", 2, 0)
    assert driver.told[:1] == ["open"]


async def test_after_three_failures_it_is_opened_anew() -> None:
    driver = Thermometer(*[raises(BusNack("nobody"))] * 3)
    async with stage() as shop:
        task = shop.start(driver)
        await until(lambda: 0 in shop.values())
        assert task.state.restarts == 1
    assert driver.told[:6] == ["open", "sample", "sample", "sample", "close", "open"]


async def test_a_driver_that_breaks_is_a_bad_reading_and_is_opened_anew() -> None:
    driver = Thermometer(raises(KeyError("oops")), lambda: None, lambda: [5], lambda: [Reading("x" * 300, 1)])
    async with stage() as shop:
        shop.start(driver)
        await until(lambda: 0 in shop.values())
        assert shop.values()[:5] == ["raises", "nonsense", "nonsense", "nonsense", 0]
    assert driver.told.count("open") == 5


async def test_a_driver_that_cancels_itself_is_no_end() -> None:
    driver = Thermometer(raises(asyncio.CancelledError()))
    async with stage() as shop:
        shop.start(driver)
        await until(lambda: 0 in shop.values())
    assert shop.values()[0] == "raises"


async def test_one_that_hangs_is_cut_off_and_delays_no_other() -> None:
    driver, other = Thermometer(hangs, hangs), Thermometer()
    async with stage() as shop:
        shop.start(driver)
        shop.start(other, "other")
        await until(lambda: 0 in shop.values())
        assert shop.values() == ["timeout", "timeout", 0]
        assert other.asked_s == pytest.approx(range(21)), "a turn a second all the while"


async def test_one_that_cannot_be_cut_off_is_left_alone_until_it_ends() -> None:
    stubborn = Stubborn()
    driver = Thermometer(stubborn)
    async with stage() as shop:
        task = shop.start(driver)
        await until(lambda: len(shop.values()) >= 6)
        assert set(shop.values()) == {"timeout", "hangs"}
        assert task.state.left_behind == 1
        assert driver.told.count("sample") == 1, "no second one beside it"
        stubborn.release.set()
        await until(lambda: 0 in shop.values())
        assert "late" not in shop.values()


async def test_pauses_grow_until_something_good_comes() -> None:
    class Never(Thermometer):
        def __init__(self) -> None:
            super().__init__()
            self.opened_s: list[float] = []
            self.is_there = False

        async def open(self, bus: Any) -> None:
            self.opened_s.append(asyncio.get_running_loop().time())
            if not self.is_there:
                raise BusNack("nobody")

    driver = Never()
    async with stage() as shop:
        task = shop.start(driver)
        await until(lambda: len(driver.opened_s) == 8)
        assert driver.opened_s == pytest.approx(list(itertools.accumulate([0, 2, 4, 8, 16, 32, 60, 60])))
        driver.is_there = True
        await until(lambda: task.state.state == "good")
        driver.is_there = False
        driver.answers += [raises(BusNack("gone"))] * 3
        count = len(driver.opened_s)
        failed_s = await until(lambda: task.state.restarts == count and asyncio.get_running_loop().time())
        await until(lambda: len(driver.opened_s) > count)
    assert driver.opened_s[count] - failed_s <= 1.0, "something good had come: the pause is short again"


async def test_what_a_device_says_by_itself() -> None:
    async with stage() as shop:
        task = shop.start(Button([True, False, None]))
        await until(lambda: len(shop.values()) == 2)
        assert (shop.values(), task.state.state) == ([True, False], "good")


async def test_one_that_stops_speaking_or_breaks_is_listened_to_anew() -> None:
    driver = Button([True], [False, CrcError("wrong")], [BusNack("gone")], [KeyError("oops")], [True, None])
    async with stage() as shop:
        shop.start(driver)
        await until(lambda: len(shop.values()) == 6)
        assert shop.values() == [True, False, "crc", "nack", "raises", True]
    assert driver.told == ["open", "close"] * 5


async def test_cancelling_closes_the_driver() -> None:
    polled, speaking, hanging = Thermometer(), Button(), Thermometer(hangs)
    async with stage() as shop:
        for name, driver in (("a", polled), ("b", speaking), ("c", hanging)):
            shop.start(driver, name)
        await until(lambda: polled.told and speaking.told and "sample" in hanging.told)
        await shop.end()
    assert polled.told[-1] == speaking.told[-1] == hanging.told[-1] == "close"


async def test_the_last_answer_is_put_before_the_end() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def at_the_end() -> list[Reading]:
        asked.set()
        await may_answer.wait()
        return [Reading("x", "the last")]

    driver = Thermometer(at_the_end)
    async with stage() as shop:
        task = shop.start(driver)
        await asked.wait()
        finishing = asyncio.create_task(task.finish_turn())
        await asyncio.sleep(0)
        may_answer.set()
        await finishing
        assert shop.values() == ["the last"]
        await asyncio.sleep(30)
        assert driver.told.count("sample") == 1, "it is asked no more"


class HangsAt(Thermometer):
    """Hangs in one of its steps, politely or not."""

    def __init__(self, step: str, is_stubborn: bool) -> None:
        super().__init__()
        self.step = step
        self.hang: Callable[[], Any] = Stubborn() if is_stubborn else hangs

    async def open(self, bus: Any) -> None:
        await super().open(bus)
        if self.step == "open":
            await self.hang()

    async def sample(self) -> Sequence[Reading]:
        said = await super().sample()
        if self.step == "sample":
            await self.hang()
        return said

    async def close(self) -> None:
        await super().close()
        if self.step == "close":
            await self.hang()


@pytest.mark.parametrize("is_stubborn", [False, True])
@pytest.mark.parametrize("step", ["open", "sample", "close"])
async def test_no_driver_holds_up_the_end(step: str, is_stubborn: bool) -> None:
    driver = HangsAt(step, is_stubborn)
    async with stage() as shop:
        shop.start(driver)
        await until(lambda: driver.told)
        assert await shop.end() <= 4
    if isinstance(driver.hang, Stubborn):
        driver.hang.release.set()


class SpeaksOn(Button):
    """Does not heed being cancelled."""

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        yield [Reading("x", True)]
        await Stubborn.__call__(self.stubborn)

    def __init__(self) -> None:
        super().__init__()
        self.stubborn = Stubborn()


async def test_no_device_that_speaks_holds_up_the_end() -> None:
    driver = SpeaksOn()
    async with stage() as shop:
        shop.start(driver)
        await until(shop.values)
        assert await shop.end() <= 4
    driver.stubborn.release.set()


async def test_a_bus_that_cannot_be_opened_is_a_bad_reading() -> None:
    records: list[Record] = []

    def no_bus(url: str) -> Any:
        raise OSError(f"{url}: no such file")

    task = DeviceTask(device("one", "x", interval_s=1), Thermometer(), no_bus, HandClock(), records.extend)
    running = asyncio.create_task(task.run())
    await until(lambda: len(records) > 1)
    running.cancel()
    assert (records[0].quality, task.state.detail) == ("bad", "OSError: fake://: no such file")


class FakeBus:
    """A bus that ends as it is told."""

    def __init__(self, end: Callable[[], Any]) -> None:
        self.end, self.is_closed = end, False

    async def close(self) -> None:
        self.is_closed = True
        said = self.end()
        if asyncio.iscoroutine(said):
            await said


async def test_each_bus_is_opened_once_and_all_are_closed(tmp_path: Any) -> None:
    ends = {"a": hangs, "b": raises(OSError("broken")), "c": lambda: None}
    made = {url: FakeBus(end) for url, end in ends.items()}
    opened: list[str] = []

    def open_one(url: str) -> FakeBus:
        opened.append(url)
        return made[url]

    buses = Buses(tmp_path, open_one)
    assert [buses(url) for url in "abcabc"] == [made[url] for url in "abcabc"]
    assert opened == ["a", "b", "c"]
    await buses.close()
    assert all(bus.is_closed for bus in made.values())
