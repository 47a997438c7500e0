"""What was said on a bus, as lines of JSON: written by `record`, played back by `replay`.

The first line is the head, `{"golmok": "trace", "version": 1, "bus": "i2c", "url": "i2c://1"}`. Each other one is a
transaction: `t` (seconds since the beginning, when it was over), `device` (who was spoken to), `do` and `args` (what
was asked), and `ok` (the answer) or `error` and `text` (what was raised). Bytes are hex.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from golmok_drivers import errors
from golmok_drivers.errors import BusError, BusUrlError, DriverError

VERSION: Final = 1
MOST_BYTES: Final = 100 * 2**20
"""A trace ends there: whoever forgets it shall not fill the disk."""


class Event(NamedTuple):
    """One line of a trace. `result` is the answer, or the error that was raised."""

    t: float
    device: str
    do: str
    args: tuple[Any, ...]
    result: Any


class TraceWriter:
    """Writes a trace; each line is in the file when `write` returns. Any thread may write."""

    def __init__(self, path: Path, kind: str, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `BusError` when the file cannot be made."""
        self._clock, self._began_s = clock, clock()
        self._lock = threading.Lock()
        self._room = MOST_BYTES
        try:
            self._file = free_name(path).open("x", encoding="utf-8")
        except OSError as error:
            raise BusError(f"{path}: the trace cannot be written: {error}") from error
        self._put({"golmok": "trace", "version": VERSION, "bus": kind, "url": url})

    def write(self, device: str, do: str, args: Sequence[Any], result: Any) -> None:
        """One transaction, which was over just now."""
        line: dict[str, Any] = {"t": round(self._clock() - self._began_s, 6), "device": device, "do": do}
        line["args"] = [_plain(arg) for arg in args]
        if isinstance(result, DriverError):
            line |= {"error": type(result).__name__, "text": str(result)}
        else:
            line["ok"] = _plain(result)
        self._put(line)

    def close(self) -> None:
        """No more; closing twice does nothing."""
        with self._lock:
            self._file.close()

    def _put(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        with self._lock:
            self._room -= len(text.encode())
            if not self._file.closed and self._room > 0:
                self._file.write(text)
                self._file.flush()


def free_name(path: Path) -> Path:
    """`path`, or where there is such a file already `name-2.jsonl` and so on: no trace is written over."""
    number = 2
    free = path
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return free


class Script:
    """A trace to be played: each device hears the same answers in the same order, whoever else speaks between."""

    def __init__(self, events: Sequence[Event], path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._left: dict[str, deque[Event]] = defaultdict(deque)
        for event in events:
            self._left[event.device].append(event)

    def answer(self, device: str, do: str, args: Sequence[Any]) -> Any:
        """What was answered to that; raises what was raised, or `BusError` where the trace goes on differently."""
        asked = (do, tuple(_plain(arg) for arg in args))
        with self._lock:
            left = self._left[device]
            if not left:
                raise BusError(f"{self._path}: the trace of {device} has come to its end")
            event = left[0]
            if (event.do, event.args) != asked:
                raise BusError(
                    f"{self._path}: {device} was asked {event.do}{event.args} then, and {asked[0]}{asked[1]} now"
                )
            left.popleft()
        if isinstance(event.result, DriverError):
            raise event.result
        return event.result


def read_trace(path: Path, kind: str) -> list[Event]:
    """The events of a trace; raises `BusUrlError` when it is none, or of another bus."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0]) if lines else {}
        if not isinstance(head, dict) or head.get("golmok") != "trace":
            raise ValueError("it does not begin as a trace does")
        if head.get("version") != VERSION:
            raise ValueError(f"it is a trace of version {head.get('version')}, this golmok reads {VERSION}")
        if head.get("bus") != kind:
            raise ValueError(f"it is of a bus {head.get('bus')}, not {kind}")
        return list(_events(lines[1:]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BusUrlError(f"{path} cannot be replayed: {error}") from error


def _events(lines: Sequence[str]) -> Iterator[Event]:
    for number, text in enumerate(lines, 2):
        try:
            line = json.loads(text)
        except ValueError:
            if number == len(lines) + 1:
                return  # the power went while it was written
            raise ValueError(f"line {number} is no JSON") from None
        result = _raised(line) if "error" in line else line["ok"]
        yield Event(float(line["t"]), line["device"], line["do"], tuple(line["args"]), result)


def _raised(line: dict[str, Any]) -> DriverError:
    kind = getattr(errors, line["error"], None)
    is_ours = isinstance(kind, type) and issubclass(kind, DriverError)
    error: DriverError = kind(line["text"]) if is_ours else BusError(line["text"])  # type: ignore[misc]  # checked to be one
    return error


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value
