"""The file of counters: what was accepted is on disk, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from golmok_edge.gateway.counters import DOUBTFUL, NAME, CounterFile, CountersError, allow, is_renewed
from tests.edge.gateway_support import HandClock


@asynccontextmanager
async def counters(folder: Path, clock: HandClock | None = None) -> AsyncIterator[CounterFile]:
    it = CounterFile(folder, clock or HandClock())
    try:
        yield it
    finally:
        it.close()


async def test_what_rose_is_known_again_and_never_goes_back(tmp_path: Path) -> None:
    async with counters(tmp_path) as it:
        assert it.last("a") is None
        await it.rise("a", 5)
        await it.rise("a", 9)
        with pytest.raises(ValueError, match="not above"):
            await it.rise("a", 9)
        await it.rise("b", 0)
    async with counters(tmp_path) as it:
        assert (it.last("a"), it.last("b"), it.last("c")) == (9, 0, None)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


async def test_many_at_once_share_a_sync(tmp_path: Path) -> None:
    async with counters(tmp_path) as it:
        await asyncio.gather(*(it.rise(f"d{n}", 1) for n in range(500)))
        assert it.syncs < 100
    async with counters(tmp_path) as it:
        assert all(it.last(f"d{n}") == 1 for n in range(500))


async def test_a_line_that_the_power_cut_off_is_dropped_and_joins_no_other(tmp_path: Path) -> None:
    async with counters(tmp_path) as it:
        await it.rise("a", 5)
    whole = (tmp_path / NAME).read_bytes()
    for cut in (b"rise a 6 00", b"rise a 6 00000000\n", bytes(40)):
        (tmp_path / NAME).write_bytes(whole + cut)
        async with counters(tmp_path) as it:
            assert it.last("a") == 5
            await it.rise("a", 7)
        async with counters(tmp_path) as it:
            assert it.last("a") == 7
        (tmp_path / NAME).write_bytes(whole)


async def test_damage_before_the_end_leaves_in_doubt_whoever_has_no_line_behind_it(tmp_path: Path) -> None:
    async with counters(tmp_path) as it:
        for device, counter in (("a", 1), ("b", 1), ("c", 1), ("b", 2)):
            await it.rise(device, counter)
    data = bytearray((tmp_path / NAME).read_bytes())
    data[data.index(b"rise c") + 6] ^= 1
    (tmp_path / NAME).write_bytes(data)
    for _ in range(2):  # it stays so
        async with counters(tmp_path) as it:
            assert (it.last("a"), it.last("b"), it.last("c")) == (DOUBTFUL, 2, DOUBTFUL)
    allow(tmp_path, "a", HandClock())
    async with counters(tmp_path) as it:
        assert it.may_renew("a")
        await it.renew("a", 3)
        assert it.last("a") == 3


async def test_only_an_operator_takes_a_counter_back_for_a_minute_and_once(tmp_path: Path) -> None:
    clock = HandClock()
    async with counters(tmp_path, clock) as it:
        await it.rise("a", 1_000)
        assert not it.may_renew("a")
        allow(tmp_path, "a", clock)
        assert it.may_renew("a")
        assert not it.may_renew("b")
        clock.pass_ms(60_000)
        assert not it.may_renew("a")
        allow(tmp_path, "a", clock)
        assert not is_renewed(tmp_path, "a")
        await it.renew("a", 2)
        assert is_renewed(tmp_path, "a")
        assert not it.may_renew("a")
        await it.rise("a", 3)
    async with counters(tmp_path, clock) as it:
        assert it.last("a") == 3
        assert not it.may_renew("a")
    clock.boot = "another"
    allow(tmp_path, "a", HandClock())
    async with counters(tmp_path, clock) as it:
        assert not it.may_renew("a"), "an act of another boot is over"


async def test_a_disk_that_takes_nothing_is_an_error_and_the_counter_stays(tmp_path: Path) -> None:
    async with counters(tmp_path) as it:
        await it.rise("a", 1)
        file, it._file = it._file, os.open("/dev/full", os.O_RDWR)
        with pytest.raises(CountersError, match="no call button"):
            await it.rise("a", 2)
        it._file = file
        assert it.last("a") == 1
        await it.rise("a", 2)
    async with counters(tmp_path) as it:
        assert it.last("a") == 2


async def test_a_file_that_grew_long_is_written_anew_with_all_that_it_knew(tmp_path: Path) -> None:
    async with counters(tmp_path) as it:
        await it.rise("a", 1)
    path = tmp_path / NAME
    line = path.read_bytes()
    path.write_bytes(line * (1_100_000 // len(line)))
    async with counters(tmp_path) as it:
        assert it.last("a") == 1
    assert path.stat().st_size < 100


WRITER = """
import asyncio, sys
from pathlib import Path
from golmok_edge.gateway.clock import SystemClock
from golmok_edge.gateway.counters import CounterFile

async def main():
    it = CounterFile(Path(sys.argv[1]), SystemClock())
    async def rise(device):
        counter = it.last(device) or 0
        while True:
            counter += 1
            await it.rise(device, counter)
            print(device, counter, flush=True)
    await asyncio.gather(*(rise(f"d{n}") for n in range(20)))

asyncio.run(main())
"""


async def test_killed_at_any_moment_it_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    told: dict[str, int] = {}
    for kill in range(5):
        writer = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs in this loop
            [sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(100 + 37 * kill):
            device, counter = writer.stdout.readline().split()
            told[device] = int(counter)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            if line.endswith("\n"):
                device, counter = line.split()
                told[device] = int(counter)
        writer.wait()
        async with counters(tmp_path) as it:
            for device, last in told.items():
                assert (it.last(device) or 0) >= last
