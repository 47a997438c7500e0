"""One storage in a process of its own, for `bench/peers.py`: `python -m bench._storages KIND ACTION …`, JSON on stdout.

Runs in our environment for `golmok` and `raw`, in the peer's for the others, so nothing of either is imported before it
is asked for. A reading is a number here; each storage keeps it in the form that it gets in real use.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

PACK: Final = 1_000
"""Readings asked for at a time in a drain: kind to ThingsBoard, whose shipped value is 10."""
COMMIT_S: Final = 1.0
_EMPTY_S: Final = 1.5
"""A storage that gives nothing for so long is empty."""

Ack = Callable[[int], None]


class Storage(Protocol):
    """What is compared."""

    def put(self, number: int) -> None:
        """Take a reading; `ack` is called when its source would be told that it is taken."""

    def flush(self) -> None:
        """Wait until all that was put is where a drain finds it."""

    def drain(self) -> Iterator[list[int]]:
        """Everything, a pack at a time; a pack is done with when the next is asked for."""


class Golmok:
    """Our store behind its group commit: told after the commit."""

    def __init__(self, folder: Path, ack: Ack) -> None:
        store = import_module("golmok_edge.store")
        self._record = import_module("golmok_cloud_sync.protocol").Record
        self._item = store.Item
        self._store = store.Store.open(folder)
        self._put = self._acked = 0
        self._ack = ack
        self._group = store.GroupCommit(self._store, self._on_commit, self._on_refuse, interval_s=COMMIT_S)

    def put(self, number: int) -> None:
        self._put += 1
        record = self._record("kiln.temperature", number, "Cel", "8c3f0b6e5d2a4f19b7c1d0e9a8f76543", mono_ms())
        self._group.put(self._item("readings", [record], tag=number))

    def flush(self) -> None:
        while self._acked < self._put:
            time.sleep(0.005)

    def drain(self) -> Iterator[list[int]]:
        at = 1
        while part := self._store.read("readings", at, PACK):
            yield [record.value for record in part]
            at += len(part)
            self._store.note_acked("readings", at - 1)

    def _on_commit(self, commit: Any) -> None:
        for item in commit.items:
            self._ack(item.tag)
        self._acked += len(commit.items)

    def _on_refuse(self, items: Any, error: Exception) -> None:
        raise error


class Raw:
    """What a careful person would write by hand: a text a row, WAL, FULL, a commit a second or a thousand rows."""

    def __init__(self, folder: Path, ack: Ack) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "raw.db", isolation_level=None, check_same_thread=False)
        for line in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE IF NOT EXISTS q (id INTEGER PRIMARY KEY, msg TEXT)",
            "CREATE TABLE IF NOT EXISTS cursor (id INTEGER PRIMARY KEY, at INTEGER)",
            "INSERT OR IGNORE INTO cursor VALUES (1, 0)",
        ):
            self._db.execute(line)
        self._ack = ack
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        self._left = 0
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, number: int) -> None:
        with self._changed:
            self._waiting.append(number)
            self._left += 1
            if len(self._waiting) >= PACK:
                self._changed.notify()

    def flush(self) -> None:
        while self._left:
            time.sleep(0.005)

    def drain(self) -> Iterator[list[int]]:
        at = 0
        while rows := self._db.execute("SELECT id, msg FROM q WHERE id > ? ORDER BY id LIMIT ?", (at, PACK)).fetchall():
            yield [json.loads(text)["v"] for _, text in rows]
            at = rows[-1][0]
            self._db.execute("UPDATE cursor SET at = ? WHERE id = 1", (at,))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._waiting) >= PACK, COMMIT_S)
                now, self._waiting = self._waiting, []
            if now:
                texts = [(json.dumps({"c": "kiln.temperature", "t": mono_ms(), "v": number}),) for number in now]
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT INTO q (msg) VALUES (?)", texts)
                self._db.execute("COMMIT")
                for number in now:
                    self._ack(number)
                self._left -= len(now)


class ThingsBoard:
    """A storage of the ThingsBoard gateway, driven as its gateway does: told when `put` has returned True."""

    def __init__(self, module: str, name: str, options: dict[str, Any], ack: Ack) -> None:
        logger_class = import_module("thingsboard_gateway.tb_utility.tb_logger").TbLogger
        logger = logger_class("storage")
        logger.setLevel(logging.CRITICAL)
        made = getattr(import_module(module), name)
        self._storage = made(options, logger, threading.Event())
        self._ack = ack

    def put(self, number: int) -> None:
        reading = {"ts": time.time_ns() // 1_000_000, "values": {"temperature": number}}
        message = {"deviceName": "kiln", "deviceType": "default", "attributes": [], "telemetry": [reading]}
        if self._storage.put(json.dumps(message)):
            self._ack(number)

    def flush(self) -> None:
        queue = getattr(self._storage, "write_queue", None)
        while queue is not None and not queue.empty():
            time.sleep(0.005)
        time.sleep(0.5)  # the pack that its thread has taken out and not written yet

    def drain(self) -> Iterator[list[int]]:
        empty_since = time.monotonic()
        while time.monotonic() < empty_since + _EMPTY_S:
            pack = self._storage.get_event_pack()
            if not pack:
                time.sleep(0.02)
                continue
            yield [json.loads(text)["telemetry"][0]["values"]["temperature"] for text in pack]
            self._storage.event_pack_processing_done()
            empty_since = time.monotonic()


def opened(kind: str, folder: Path, ack: Ack = lambda _: None) -> Storage:
    """The storage `kind` in `folder`, with the settings that ThingsBoard ships but for the size of a pack."""
    slash = f"{folder}/"
    match kind:
        case "golmok":
            return Golmok(folder, ack)
        case "raw":
            return Raw(folder, ack)
        case "thingsboard-sqlite":
            options = {"data_file_path": slash, "max_read_records_count": PACK}
            module = "thingsboard_gateway.storage.sqlite.sqlite_event_storage"
            return ThingsBoard(module, "SQLiteEventStorage", options, ack)
        case "thingsboard-file":
            options = {
                "data_folder_path": slash,
                "max_file_count": 10,
                "max_records_per_file": 10_000,
                "max_read_records_count": PACK,
            }
            return ThingsBoard("thingsboard_gateway.storage.file.file_event_storage", "FileEventStorage", options, ack)
    raise SystemExit(f"{kind!r} is no storage")


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def written() -> int:
    """Bytes that this process has written to disk, as the kernel counts them."""
    text = Path("/proc/self/io").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes"))


def rss_mb() -> float:
    """Memory of this process that lies in RAM."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


def backlog(kind: str, folder: Path, count: int) -> dict[str, float]:
    """Take `count` readings as fast as they come, then give them back."""
    empty_mb = rss_mb()
    acked: list[int] = []
    storage = opened(kind, folder, acked.append)
    bytes_before, began = written(), time.perf_counter()
    for number in range(count):
        storage.put(number)
    taken_s = time.perf_counter() - began
    storage.flush()
    stored_s, stored_bytes = time.perf_counter() - began, written() - bytes_before
    full_mb = rss_mb()
    seen: set[int] = set()
    packs, began, last_s = 0, time.perf_counter(), 0.0
    for pack in storage.drain():
        seen.update(pack)
        packs += len(pack)
        last_s = time.perf_counter() - began
    drained_bytes = written() - bytes_before - stored_bytes
    return {
        "put_per_s": round(count / taken_s),
        "stored_per_s": round(count / stored_s),
        "bytes_per_reading": round(stored_bytes / count, 1),
        "drained_per_s": round(packs / max(last_s, 1e-9)),
        "drained_bytes_per_reading": round(drained_bytes / count, 1),
        "lost": len(set(acked) - seen),
        "doubled": packs - len(seen),
        "rss_mb": round(full_mb, 1),
        "rss_before_mb": round(empty_mb, 1),
    }


def at_rate(kind: str, folder: Path, per_s: float, seconds: float) -> dict[str, float]:
    """Readings at a steady rate: what each costs the card."""
    storage = opened(kind, folder)
    time.sleep(1.0)  # what the making of the file costs is not of the readings
    before, began, count = written(), time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        while count < now * per_s:
            storage.put(count)
            count += 1
        time.sleep(min(0.05, 0.5 / per_s))
    storage.flush()
    return {"bytes_per_reading": round((written() - before) / count, 1), "readings": count}


def acks(kind: str, folder: Path, per_s: float) -> None:
    """Put readings at a rate until killed, and say on stdout which are told to be taken, at once."""

    def say(number: int) -> None:
        os.write(1, b"%d\n" % number)

    storage = opened(kind, folder, say)
    began, count, dice = time.monotonic(), 0, random.Random(per_s)
    while True:
        while count < (time.monotonic() - began) * per_s:
            storage.put(count)
            count += 1
        time.sleep(dice.uniform(0, min(0.02, 1 / per_s)))


def left(kind: str, folder: Path) -> dict[str, list[int]]:
    """What a storage holds after it was killed."""
    storage = opened(kind, folder)
    return {"numbers": [number for pack in storage.drain() for number in pack]}


def weight(module: str) -> dict[str, float]:
    """What a process weighs that has only imported `module`."""
    began = time.perf_counter()
    import_module(module)
    return {"rss_mb": round(rss_mb(), 1), "import_s": round(time.perf_counter() - began, 2)}


def main(kind: str, action: str, *arguments: str) -> None:
    """Do one thing and print what came of it."""
    match action:
        case "backlog":
            result: object = backlog(kind, Path(arguments[0]), int(arguments[1]))
        case "rate":
            result = at_rate(kind, Path(arguments[0]), float(arguments[1]), float(arguments[2]))
        case "acks":
            acks(kind, Path(arguments[0]), float(arguments[1]))
        case "left":
            result = left(kind, Path(arguments[0]))
        case "weight":
            result = weight(arguments[0])
        case _:
            raise SystemExit(f"{action!r} is nothing to do")
    json.dump(result, sys.stdout)
    print(flush=True)
    os._exit(0)  # a peer's threads would not end


if __name__ == "__main__":
    main(*sys.argv[1:])
