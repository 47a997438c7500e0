"""`golmok_edge.gateway.decoding`: messages go to a driver's process and come back; what breaks it is named, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from golmok_drivers.errors import DriverError, DriverHangs, DriverLeaks, DriverRaises, Misbehaved, PayloadError
from golmok_edge.gateway.decoding import MOST_WAITING, PATIENCE, Decoder, Said, Together
from golmok_edge.gateway.devices import Deadlines

from .gateway_support import HandClock, VirtualTime, device, until

LOOP = VirtualTime


class FakeProcess:
    """Reads numbers; words it takes as orders: `hangs`, `dies`, `breaks`, `wrong`, `leaks`."""

    def __init__(self, topics: tuple[str, ...] = ("t",)) -> None:
        self.why: Misbehaved | None = None
        self.asked: list[str] = []
        self._topics = topics
        self._waiting: list[asyncio.Future[Any]] = []

    async def start(self) -> tuple[str, ...]:
        return self._topics

    async def call(self, what: str, *args: Any) -> Any:
        return None

    def send(self, what: str, *args: Any) -> asyncio.Future[Any]:
        if self.why:
            raise self.why
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        payload = args[1].decode()
        self.asked.append(payload)
        self._waiting.append(answer)
        if not any(not other.done() for other in self._waiting[:-1]):
            self._do(payload, answer)
        return answer

    def settled(self) -> None:
        pass

    def kill(self, why: Misbehaved) -> None:
        self.why = self.why or why
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(self.why)
                answer.exception()

    def _do(self, payload: str, answer: asyncio.Future[Any]) -> None:
        errors: dict[str, DriverError] = {"breaks": DriverRaises("KeyError"), "wrong": PayloadError("no")}
        if payload in errors:
            answer.set_exception(errors[payload])
        elif payload == "dies":
            self.kill(DriverRaises("its process ended by itself"))
        elif payload == "leaks":
            self.kill(DriverLeaks("too much"))
        elif payload != "hangs":
            answer.set_result([("x", float(payload), "good", "", None)])


class Stage:
    def __init__(self, topics: tuple[str, ...] = ("t",)) -> None:
        self.processes: list[FakeProcess] = []
        self.said: dict[int, list[Said]] = {}
        self.decoder = Decoder(device("one", "x"), topics, self._start, HandClock(), Deadlines())

    def say(self, *payloads: str) -> None:
        for payload in payloads:
            heard = self.said[len(self.said)] = []
            self.decoder.ask("t", payload.encode(), heard.append)

    def words(self) -> list[Any]:
        """What became of each message."""
        told = [said for (said,) in self.said.values() if said] if all(self.said.values()) else []
        return [one.error.reason if one.error else one.readings[0].value for one in told]

    def _start(self) -> FakeProcess:
        self.processes.append(FakeProcess())
        return self.processes[-1]


@asynccontextmanager
async def stage(topics: tuple[str, ...] = ("t",)) -> AsyncIterator[Stage]:
    stage = Stage(topics)
    running = asyncio.create_task(stage.decoder.run())
    try:
        yield stage
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_messages_become_readings() -> None:
    async with stage() as shop:
        shop.say("1")
        assert await until(shop.words) == [1.0]
        shop.say("2", "wrong", "3")
        assert await until(lambda: len(shop.words()) == 4 and shop.words()) == [1.0, 2.0, "parse", 3.0]
        assert (shop.decoder.state.state, len(shop.processes)) == ("good", 1)


async def test_the_one_on_which_it_hangs_is_named_and_the_others_go_to_the_next() -> None:
    async with stage() as shop:
        shop.say("hangs", "1", "2")
        assert await until(shop.words) == ["hangs", 1.0, 2.0]
        assert (len(shop.processes), type(shop.processes[0].why)) == (2, DriverHangs)
        assert shop.decoder.state.restarts == 1


async def test_the_one_on_which_it_dies_is_named() -> None:
    async with stage() as shop:
        shop.say("dies", "1")
        assert await until(shop.words) == ["raises", 1.0]


async def test_a_message_is_blamed_only_when_the_next_takes_too_much_at_it_as_well() -> None:
    async with stage() as shop:
        shop.say("leaks", "1")
        assert await until(shop.words) == ["leaks", 1.0]
        assert [process.asked for process in shop.processes] == [["leaks"], ["leaks"], ["1"]]


async def test_after_some_on_which_it_breaks_it_is_started_anew() -> None:
    async with stage() as shop:
        shop.say(*["breaks"] * PATIENCE, "1")
        assert await until(shop.words) == ["raises"] * PATIENCE + [1.0]
        assert len(shop.processes) == 2


async def test_what_is_too_much_to_wait_is_told_at_once() -> None:
    async with stage() as shop:
        shop.say(*["1"] * (MOST_WAITING + 5))
        too_much = [one for (one,) in list(shop.said.values())[MOST_WAITING:]]
        assert [said.error.reason for said in too_much if said.error] == ["floods"] * 5
        await until(lambda: all(shop.said.values()))
        assert sum(said.error is None for (said,) in shop.said.values()) == MOST_WAITING


async def test_one_that_says_late_what_it_wants_to_hear() -> None:
    async with stage(()) as shop:
        told: list[int] = []
        shop.decoder.on_topics = lambda: told.append(1)
        await until(lambda: told)
        assert shop.decoder.topics() == ("t",)


def test_together_is_done_when_all_have_said() -> None:
    done: list[Any] = []
    together = Together(2, done.append)
    hear: list[Callable[[Said], None]] = [together.hearing(place) for place in range(2)]
    hear[1](Said((), PayloadError("b")))
    assert not done
    hear[0](Said((), PayloadError("a")))
    assert [str(said.error) for said in done[0]] == ["a", "b"]
