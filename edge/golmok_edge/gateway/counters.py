"""The last counter of each Bluetooth device that has a key, in a file: on disk before anybody hears of the event.

Lines are appended, each with its CRC; a thread writes what has piled up and syncs it once, so that many buttons cost no
more than one, and none waits longer than a sync takes. Only `golmok-gateway ble battery-changed` writes beside the
gateway (`allow`), a line that says what an operator allows; both hold a lock for as long as they write.

A line that the power cut off at the end was never acknowledged and is dropped. A damaged line before the end may have
been anybody's: whoever has no line behind it is in doubt then, and is believed only after an operator's act.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from golmok_edge.gateway.clock import Clock

NAME: Final = "ble-counters"
ALLOWED_S: Final = 60.0
"""How long an operator's act holds."""
DOUBTFUL: Final = 1 << 32
"""Above every counter that can be sent: nothing is believed."""
_WRITTEN_ANEW_BYTES: Final = 1_000_000
_RISE, _RENEW, _ALLOW, _DOUBT = "rise", "renew", "allow", "doubt"


class CountersError(OSError):
    """The file cannot be read or written; the text says which and what to do."""


class _Line(NamedTuple):
    """`value` is a counter, or for `allow` the boot and the millisecond in it until which the act holds."""

    kind: str
    device: str
    value: str

    def packed(self) -> bytes:
        """As it stands in the file."""
        text = f"{self.kind} {self.device} {self.value}"
        return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()


class _Job(NamedTuple):
    line: _Line
    done: asyncio.Future[None]


class CounterFile:
    """`golmok_drivers.api.Counters` in a file of `folder`; open it in a running event loop. Raises `CountersError`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.syncs = 0
        """How often it went to disk so far."""
        self._path, self._clock = folder / NAME, clock
        self._last: dict[str, int] = {}
        self._allowed: dict[str, str] = {}
        self._is_doubtful = False
        self._looked: tuple[int, int] = (0, 0)
        folder.mkdir(parents=True, exist_ok=True)
        with _explained(self._path):
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with _locked(self._path):
                self._read()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="ble-counters", daemon=True)
        self._thread.start()

    def last(self, device: str) -> int | None:
        """See `Counters.last`."""
        return self._last.get(device, DOUBTFUL if self._is_doubtful else None)

    def may_renew(self, device: str) -> bool:
        """See `Counters.may_renew`."""
        with suppress(OSError):
            self._look()
        boot, _, until_ms = self._allowed.get(device, "").partition(":")
        return boot == self._clock.boot and self._clock.mono_ms() < int(until_ms)

    async def rise(self, device: str, counter: int) -> None:
        """See `Counters.rise`."""
        last = self.last(device)
        if last is not None and counter <= last:
            raise ValueError(f"{device}: {counter} is not above {last}")
        await self._put(_Line(_RISE, device, str(counter)))
        self._last[device] = counter

    async def renew(self, device: str, counter: int) -> None:
        """See `Counters.renew`."""
        await self._put(_Line(_RENEW, device, str(counter)))
        self._last[device] = counter
        self._allowed.pop(device, None)

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
            os.close(self._file)

    async def _put(self, line: _Line) -> None:
        job = _Job(line, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        await job.done

    # --- the thread

    def _write(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, is_last = [first], False
            with suppress(Empty):
                while not is_last:
                    more = self._jobs.get_nowait()
                    is_last = more is None
                    if more is not None:
                        jobs.append(more)
            error = self._written([job.line for job in jobs])
            for job in jobs:
                with suppress(RuntimeError):  # the loop has closed since
                    job.done.get_loop().call_soon_threadsafe(_settle, job.done, error)
            if is_last:
                return

    def _written(self, lines: list[_Line]) -> CountersError | None:
        try:
            with _explained(self._path), _locked(self._path):
                self._append(b"".join(line.packed() for line in lines))
        except CountersError as error:
            return error
        return None

    def _append(self, data: bytes) -> None:
        size = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, size)  # half a line would cost the next one
            raise
        self.syncs += 1

    # --- reading

    def _read(self) -> None:
        with self._path.open("rb") as file:
            data = file.read()
        whole = data.rfind(b"\n") + 1
        lines = [(_parsed(raw), raw) for raw in data[:whole].splitlines()]
        while lines and lines[-1][0] is None:
            lines.pop()  # cut off by a power cut: never acknowledged
        doubtful_from = max((at for at, (line, _) in enumerate(lines) if line is None), default=-1)
        for line, _ in lines:
            if line is not None:
                self._take(line)
        if doubtful_from >= 0:
            self._is_doubtful = True
            sure = {line.device for at, (line, _) in enumerate(lines) if line and at > doubtful_from}
            self._last = {device: last if device in sure else DOUBTFUL for device, last in self._last.items()}
        if len(data) != sum(len(raw) + 1 for _, raw in lines) or doubtful_from >= 0 or len(data) > _WRITTEN_ANEW_BYTES:
            self._write_anew()

    def _take(self, line: _Line) -> None:
        if line.kind == _DOUBT:
            self._is_doubtful = True
        elif line.kind == _ALLOW:
            self._allowed[line.device] = line.value
        elif line.kind == _RENEW:
            self._last[line.device] = int(line.value)
            self._allowed.pop(line.device, None)
        else:
            self._last[line.device] = max(int(line.value), self._last.get(line.device, 0))

    def _look(self) -> None:
        """See what an operator has allowed since."""
        status = os.fstat(self._file)
        inode, begin = self._looked
        if inode != status.st_ino:
            begin = 0
        if status.st_size > begin:
            data = os.pread(self._file, status.st_size - begin, begin)
            data = data[: data.rfind(b"\n") + 1]
            for line in map(_parsed, data.splitlines()):
                if line is not None and line.kind == _ALLOW:
                    self._allowed[line.device] = line.value
                elif line is not None and line.kind == _RENEW:
                    self._allowed.pop(line.device, None)
            self._looked = status.st_ino, begin + len(data)

    def _write_anew(self) -> None:
        """What is known, without what it took to know it. The old file stays until the new one is on disk."""
        lines = [_Line(_DOUBT, "-", "0")] if self._is_doubtful else []
        lines += [_Line(_RISE, device, str(counter)) for device, counter in sorted(self._last.items())]
        lines += [_Line(_ALLOW, device, value) for device, value in sorted(self._allowed.items())]
        new = self._path.with_suffix(".new")
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.write(file, b"".join(line.packed() for line in lines))
        os.fsync(file)
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        os.close(self._file)
        self._file = file


def allow(folder: Path, device: str, clock: Clock) -> None:
    """Let the counter of `device` begin anew within a minute. Raises `CountersError`."""
    path = folder / NAME
    until_ms = clock.mono_ms() + round(ALLOWED_S * 1000)
    with _explained(path), _locked(path):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, _Line(_ALLOW, device, f"{clock.boot}:{until_ms}").packed())
            os.fsync(file)
        finally:
            os.close(file)


def is_renewed(folder: Path, device: str) -> bool:
    """Whether the last act for `device` has been made use of. Raises `CountersError`."""
    path = folder / NAME
    with _explained(path):
        lines = [line for line in map(_parsed, path.read_bytes().splitlines()) if line and line.device == device]
    acts = [line.kind for line in lines if line.kind in (_ALLOW, _RENEW)]
    return bool(acts) and acts[-1] == _RENEW


def _parsed(raw: bytes) -> _Line | None:
    text, _, crc = raw.decode("ascii", "replace").rpartition(" ")
    parts = text.split(" ")
    if len(parts) != 3 or crc != f"{zlib.crc32(text.encode()):08x}":
        return None
    return _Line(*parts)


def _settle(done: asyncio.Future[None], error: CountersError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise CountersError(f"{path}: {why}; without it no call button is believed") from error
