"""`golmok_edge.gateway.ask`: the socket that `status` and the pages ask, with real connections."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import Gap, Moment, events
from golmok_edge.gateway.address import LONGEST, make_room, socket_path
from golmok_edge.gateway.ask import AskServer
from golmok_edge.gateway.live import Live, newest_of
from golmok_edge.gateway.past import Past
from golmok_edge.gateway.timekeeper import Timekeeper
from golmok_edge.store import Store

from .gateway_support import BOOT, T0, HandClock, record, until
from .store_support import prepared

STATUS = {"gateway": "gw-1", "running": True, "이름": "카페"}


class Asker:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def at(cls, path: Path) -> Asker:
        return cls(*await asyncio.open_unix_connection(path, limit=1 << 24))

    def say(self, question: Any) -> None:
        self.writer.write(question if isinstance(question, bytes) else json.dumps(question).encode() + b"\n")

    async def heard(self) -> Any:
        async with asyncio.timeout(30):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def ask(self, question: Any) -> Any:
        self.say(question)
        return await self.heard()


class Stage:
    """A server with all that it needs."""

    def __init__(self, folder: Path, patience_s: float = 30.0) -> None:
        self.clock = HandClock(mono=100_000, wall=T0 + 100_000)
        self.store = Store.open(prepared(folder / "var"))
        self.time = Timekeeper(self.clock)
        self.live = Live(self.clock, self.time, {})
        self.reader = self.store.new_reader()
        self.past = Past(self.reader, self.clock, self.time)
        self.server = AskServer(folder / "s.sock", self.status, self.live, self.past, patience_s=patience_s)

    async def status(self) -> dict[str, Any]:
        return dict(STATUS)

    def commit(self, *records: Record) -> None:
        ranges = self.store.append({"readings": records})
        self.live.committed(newest_of(records, ranges["readings"]))

    async def asker(self) -> Asker:
        return await Asker.at(self.server.path)


@asynccontextmanager
async def running(folder: Path, patience_s: float = 30.0) -> AsyncIterator[Stage]:
    stage = Stage(folder, patience_s)
    await stage.server.open()
    try:
        yield stage
    finally:
        await stage.server.close()
        stage.reader.close()
        stage.store.close()


async def test_status_and_latest(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        asker = await stage.asker()
        assert await asker.ask({"get": "status"}) == STATUS
        assert await asker.ask({"get": "latest"}) == {"channels": []}
        stage.commit(record("b.x", 2), record("a.x", True, 99_000), record("b.x", 3, 98_000))
        rows = (await asker.ask({"get": "latest"}))["channels"]
        assert [(row["channel"], row["value"], row["age_s"], row["seq"]) for row in rows] == [
            ("a.x", True, 1.0, 2),
            ("b.x", 3, 2.0, 3),
        ]
        assert rows[0] | {"ts": None, "unit": "Cel", "quality": "good", "reason": ""} == rows[0]


GARBAGE: list[bytes] = [
    b"\n",
    b"status\n",
    b"{}\n",
    b"[]\n",
    b"null\n",
    b'{"get": "orders"}\n',
    b'{"get": ["status"]}\n',
    b"\xff\xfe\n",
    b"[" * 4000 + b"\n",
    b'{"get": "history"}\n',
    b'{"get": "history", "channel": 5, "from_ms": 0, "to_ms": 1, "points": 1}\n',
    b'{"get": "history", "channel": "a.x", "from_ms": 5, "to_ms": 5, "points": 1}\n',
    b'{"get": "history", "channel": "a.x", "from_ms": -1, "to_ms": 5, "points": 1}\n',
    b'{"get": "history", "channel": "a.x", "from_ms": 0, "to_ms": 5, "points": 0}\n',
    b'{"get": "history", "channel": "a.x", "from_ms": 0, "to_ms": 5, "points": 10001}\n',
    b'{"get": "history", "channel": "a.x", "from_ms": 0, "to_ms": 1e300, "points": 1}\n',
    b'{"get": "history", "channel": "a.x", "from_ms": 0, "to_ms": 99999999999999999999, "points": 1}\n',
]


@pytest.mark.parametrize("line", GARBAGE)
async def test_what_is_not_understood_is_answered_and_the_line_stays(tmp_path: Path, line: bytes) -> None:
    async with running(tmp_path) as stage:
        asker = await stage.asker()
        assert list(await asker.ask(line)) == ["error"]
        assert await asker.ask({"get": "status"}) == STATUS


@pytest.mark.parametrize("line", [b"x" * 5_000 + b"\n", b"x" * 1_000_000])
async def test_a_line_without_an_end_ends_the_conversation(tmp_path: Path, line: bytes) -> None:
    async with running(tmp_path) as stage:
        asker = await stage.asker()
        assert "4096" in (await asker.ask(line))["error"]
        other = await stage.asker()
        assert await other.ask({"get": "status"}) == STATUS


async def test_a_question_cut_off_is_answered_with_an_error(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        asker = await stage.asker()
        asker.say(b'{"get": "sta')
        asker.writer.write_eof()
        assert list(await asker.heard()) == ["error"]
        assert await asker.heard() is None


async def test_only_this_user_may_connect(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        mode = stage.server.path.stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    assert not stage.server.path.exists(), "and it is gone at the end"


async def test_a_socket_left_by_a_dead_gateway_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s.sock"))
    async with running(tmp_path) as stage:
        assert await (await stage.asker()).ask({"get": "status"}) == STATUS


async def test_many_ask_at_once_and_too_many_are_told(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        askers = [await stage.asker() for _ in range(64)]
        assert await asyncio.gather(*(one.ask({"get": "status"}) for one in askers)) == [STATUS] * 64
        refused = await stage.asker()
        assert await refused.heard() == {"error": "too many ask at once"}
        assert await refused.heard() is None
        askers[0].writer.close()
        await until(lambda: stage.server.askers == 63)
        assert await (await stage.asker()).ask({"get": "status"}) == STATUS


async def test_who_watches_sees_each_committed_value(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        askers = [await stage.asker() for _ in range(3)]
        for asker in askers:
            asker.say({"get": "watch"})
        await until(lambda: stage.live.watchers == 3)
        for value in range(100):
            stage.commit(record("a.x", value))
        for asker in askers:
            assert [(await asker.heard())["value"] for _ in range(100)] == list(range(100))


async def test_who_vanishes_while_watching_is_forgotten_though_nothing_happens(tmp_path: Path) -> None:
    """A door may stay shut for days: a page that is opened again and again must not use up all places."""
    async with running(tmp_path) as stage:
        for _ in range(100):
            asker = await stage.asker()
            asker.say({"get": "watch"})
            await until(lambda: stage.live.watchers == 1)
            asker.writer.close()
            await until(lambda: stage.live.watchers == 0)
        assert await (await stage.asker()).ask({"get": "status"}) == STATUS


async def test_who_does_not_read_is_let_go(tmp_path: Path) -> None:
    async with running(tmp_path, patience_s=0.2) as stage:
        deaf, other = await stage.asker(), await stage.asker()
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]  # the only way not to read
        deaf.say({"get": "watch"})
        await until(lambda: stage.live.watchers == 1)

        def flood() -> bool:
            stage.live.committed(newest_of([record("a.x", "x" * 10_000)], [1]))
            return stage.live.watchers == 0

        await until(flood, "he is let go")
        assert await other.ask({"get": "status"}) == STATUS


async def test_the_end_does_not_wait_for_who_does_not_read(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        deaf = await stage.asker()
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        deaf.say({"get": "watch"})
        await until(lambda: stage.live.watchers == 1)
        stage.live.committed(newest_of([record("a.x", "x" * 5_000_000)], [1]))
        async with asyncio.timeout(10):
            await stage.server.close()


HISTORY = {"get": "history", "channel": "fridge.temperature", "points": 4}


async def test_history_when_the_time_is_known(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        stage.clock.kept = 3
        assert stage.time.heed_kernel()
        stage.commit(*(record(value=float(at), mono_ms=at * 1_000) for at in range(8)), record("other.x", 99))
        chart = await (await stage.asker()).ask(HISTORY | {"from_ms": T0, "to_ms": T0 + 8_000})
        assert chart == {
            "channel": "fridge.temperature",
            "unit": "Cel",
            "points": [[T0 + 2_000 * at, 2.0 * at, 2.0 * at + 0.5, 2.0 * at + 1] for at in range(4)],
            "gaps": [],
            "approximate": False,
        }


async def test_what_is_missing_can_be_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        stage.clock.kept = 3
        for anchor in stage.time.heed_kernel():
            stage.store.append({"events": [anchor]})
        ends = Moment(stage.clock.boot, 1_000), Moment(stage.clock.boot, 61_000)
        stage.store.append({"events": list(events(Gap("silent", {"fridge.temperature": 5}, *ends), BOOT, 61_000))})
        asker = await stage.asker()
        (row,) = (await asker.ask({"get": "gaps"}))["gaps"]
        assert (row["reason"], row["channels"], row["open"]) == ("silent", {"fridge.temperature": 5}, False)
        assert (row["from_ms"], row["to_ms"]) == (T0 + 1_000, T0 + 61_000)
        assert (await asker.ask({"get": "gaps", "channel": "door.open"}))["gaps"] == []
        assert (await asker.ask({"get": "gaps", "to_ms": T0 + 1_000}))["gaps"] == []
        drawn = await asker.ask(HISTORY | {"from_ms": T0, "to_ms": T0 + 8_000})
        assert [(gap["from_ms"], gap["count"]) for gap in drawn["gaps"]] == [(T0 + 1_000, 5)]
        for wrong in ({"channel": 5}, {"from_ms": "x"}, {"to_ms": -1}, {"from_ms": True}, {"since": 5}):
            assert "gaps may be asked for" in (await asker.ask({"get": "gaps", **wrong}))["error"]


async def test_history_by_the_machines_own_clock_while_nobody_keeps_it(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        stage.clock.wall += 5_000
        stage.commit(record(value=1.0, mono_ms=0), record(value=2.0, mono_ms=1_000, waited_ms=None))
        chart = await (await stage.asker()).ask(HISTORY | {"from_ms": T0 + 5_000, "to_ms": T0 + 9_000})
        assert chart["points"] == [[T0 + 5_000, 1.0, 1.0, 1.0]], "what had waited has no time"
        assert chart["approximate"]


async def test_history_leaves_out_what_has_no_time(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        stage.commit(record(boot="another boot"), record(quality="bad", value=None))
        chart = await (await stage.asker()).ask(HISTORY | {"from_ms": 0, "to_ms": T0 * 2})
        assert chart["points"] == []


async def test_a_store_that_fails_is_an_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as stage:
        stage.reader.close()
        answer = await (await stage.asker()).ask(HISTORY | {"from_ms": 0, "to_ms": 5})
        assert list(answer) == ["error"]


def test_the_socket_lies_in_the_store_where_its_name_is_short_enough(tmp_path: Path) -> None:
    assert socket_path(Path("/var/lib/golmok")) == Path("/var/lib/golmok/gateway.sock")
    deep = Path("/") / ("x" * 60) / ("y" * 60)
    assert len(os.fsencode(socket_path(deep))) <= LONGEST
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep) != socket_path(deep / "z")


async def test_a_socket_of_a_deep_store_can_be_asked(tmp_path: Path) -> None:
    path = socket_path(tmp_path / ("가" * 50))
    stage = Stage(tmp_path)
    server = AskServer(path, stage.status, stage.live, stage.past)
    await server.open()
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0 or path.parent == Path(os.environ["XDG_RUNTIME_DIR"])
    assert await (await Asker.at(path)).ask({"get": "status"}) == STATUS
    await server.close()
    assert not path.exists()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of somebody else")
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(PermissionError, match="another user"):
        make_room(tmp_path / "s.sock")
