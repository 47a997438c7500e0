"""Notes in a journal everything that this process does to the files of one folder.

    from tests.faults.power import tracer
    trace = tracer.install(folder, journal)     # first thing, before the store is opened
    ...                                         # the real program: Store, gateway, cloud
    trace.mark(b"record 7 was acknowledged")    # wherever the program promises something

The hooks stand between the process and libc (see `hooks.py`), so SQLite and Python are both seen, and nothing of the
product is changed. A process that another one starts is traced too when its environment has `environment(...)`.
Bytes that Python writes by plain `write()` are noted as a whole at the file's next sync, rename or `mark`: that one
call cannot be hooked. What goes through a memory map (SQLite's -shm) is not seen, and is not promised to last.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from . import hooks
from .journal import (
    Content,
    Entry,
    File,
    Folder,
    Gone,
    Less,
    Linked,
    Made,
    Mark,
    Renamed,
    Size,
    SyncBegins,
    Synced,
    Write,
    encode,
)

_HERE: Final = Path(__file__).parent
_ROOT: Final = Path(__file__).parents[3]
FOLDER_VARIABLE: Final = "GOLMOK_TEST_POWER_FOLDER"
JOURNAL_VARIABLE: Final = "GOLMOK_TEST_POWER_JOURNAL"

_INT, _LONG, _BYTES, _SIZE, _PATH = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
_AT_FDCWD: Final = -100


class Trace:
    """The journal of one folder, being written."""

    def __init__(self, folder: Path, journal: Path) -> None:
        self.folder = os.path.realpath(folder)
        self.journal = journal
        self._prefix = self.folder + "/"
        self._process = os.getpid()
        self._numbers = count(os.getpid() << 32)
        self._plain: dict[str, tuple[int, int, int]] = {}  # what Python opened for writing: as it was when noted
        self._known: set[int] = set()  # inodes of which everything was noted
        is_new = not journal.exists() or journal.stat().st_size == 0
        self._out = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if is_new:
            self._note_what_is_there()

    def mark(self, body: bytes) -> None:
        """Say something at this place of the journal."""
        for path in list(self._plain):
            self.catch_up(path)
        self.note(Mark(body))

    def close(self) -> None:
        """Note nothing more."""
        os.close(self._out)
        self._out = -1

    # --- what the hooks use

    @property
    def is_on(self) -> bool:
        """Whether this process (not a child of it between fork and exec) is being traced."""
        return self._out >= 0 and os.getpid() == self._process

    def note(self, entry: Entry) -> None:
        """Append `entry`."""
        if isinstance(entry, File | Write | Content | Size):
            self._known.add(entry.inode)
        body = encode(entry)
        if os.write(self._out, body) != len(body):
            raise OSError("the journal of file operations could not be written")

    def number(self) -> int:
        """A number that no other write or sync has."""
        return next(self._numbers)

    def inside(self, path: str) -> str | None:
        """`path` (absolute) as seen from the folder ("" for the folder); None if it lies elsewhere."""
        if path == self.folder:
            return ""
        return path[len(self._prefix) :] if path.startswith(self._prefix) else None

    def file(self, descriptor: int) -> tuple[int, str] | None:
        """(inode, path) of an open file or folder of ours; None for everything else, also what has no name left."""
        try:
            path = self.inside(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115  # for each write: quickly
            if path is None or path.endswith((" (deleted)", "-shm")):
                return None
            return os.fstat(descriptor).st_ino, path
        except OSError:
            return None

    def opened(self, path: str, flags: int) -> None:
        """Python opens a file: it may make it, cut it to nothing, or change it by plain write()."""
        if flags & (os.O_WRONLY | os.O_RDWR) and (inside := self.inside(os.path.realpath(path))) is not None:
            self._plain.setdefault(inside, (0, 0, 0))

    def catch_up(self, path: str) -> None:
        """Note what a file holds by now that was written by plain write(), or by a process that is not traced."""
        try:
            if path not in self._plain and os.lstat(f"{self._prefix}{path}").st_ino in self._known:
                return
            descriptor = os.open(f"{self._prefix}{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return  # renamed or gone: noted as that
        try:
            about = os.fstat(descriptor)
            seen = (about.st_ino, about.st_size, about.st_mtime_ns)
            if stat.S_ISREG(about.st_mode) and seen != self._plain.get(path):
                self._plain[path] = seen
                self.note(Content(about.st_ino, path, _all(descriptor)))
        finally:
            os.close(descriptor)

    def forget(self, path: str) -> None:
        """A name goes; its inode's number may come again."""
        with suppress(OSError):
            if (about := os.lstat(f"{self._prefix}{path}")).st_nlink == 1:
                self._known.discard(about.st_ino)

    def _note_what_is_there(self) -> None:
        for folder, _, files in os.walk(self.folder):
            inside = self.inside(folder)
            assert inside is not None
            self.note(Folder(inside, Path(folder).stat().st_ino))
            for name in files:
                path = f"{folder}/{name}"
                about = os.lstat(path)
                if stat.S_ISREG(about.st_mode) and not name.endswith("-shm"):
                    self.note(File(os.path.relpath(path, self.folder), about.st_ino, Path(path).read_bytes()))


def _all(descriptor: int) -> bytes:
    parts = []
    at = 0
    while part := os.pread(descriptor, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


# --- the hooks


_traces: Final[list[Trace]] = []
_busy: Final = threading.local()
"""Set while a hook works in this thread: what it does itself is not noted."""
_are_hooked: Final[list[bool]] = []


def install(folder: Path, journal: Path) -> Trace:
    """Trace `folder`, which must exist, into `journal` (which must lie elsewhere; one that is there is gone on with).

    May be called again for another folder. Raises `hooks.HookError` where it cannot work.
    """
    for trace in _traces:
        if (trace.folder, trace.journal) == (os.path.realpath(folder), journal):
            return trace
    import sqlite3  # noqa: F401  # so that its library is loaded when the slots are looked for

    if not _are_hooked:
        _check(hooks.replace(_callbacks()))
        sys.addaudithook(_heard)
        _are_hooked.append(True)
    trace = Trace(folder, journal)
    _traces.append(trace)
    return trace


def stop(trace: Trace) -> None:
    """Trace that folder no more."""
    _traces.remove(trace)
    trace.close()


def environment(folder: Path, journal: Path, path: str | None = None) -> dict[str, str]:
    """What a Python process, and those it starts, need in their environment to be traced from their first line on.

    `path`: the PYTHONPATH that they have besides (our own).
    """
    path = os.environ.get("PYTHONPATH", "") if path is None else path
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_HERE / "site"), path, str(_ROOT)])),
        FOLDER_VARIABLE: str(folder),
        JOURNAL_VARIABLE: str(journal),
    }


def _check(slots: int) -> None:
    if slots < 4:
        raise hooks.HookError(f"only {slots} places were found at which file operations can be watched")


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _traces or getattr(_busy, "now", False):
        return
    path, _, flags = arguments
    if isinstance(path, str | bytes) and isinstance(flags, int):
        for trace in _traces:
            if trace.is_on:
                trace.opened(os.fsdecode(path), flags)


def _hook(name: str, arguments: tuple[Any, ...], watch: Callable[..., int], result: Any = _INT) -> Any:
    """A callback that calls `watch(pass_on, *arguments)`, once for what the program does, never for what we do."""
    libc = hooks.original(name, result, *arguments)

    def called(*values: Any) -> int:
        if not _traces or getattr(_busy, "now", False):
            return libc(*values)
        _busy.now = True
        try:
            return watch(lambda: libc(*values), *values)
        finally:
            _busy.now = False

    return hooks.callback(called, result, *arguments)


def _on() -> list[Trace]:
    return [trace for trace in _traces if trace.is_on]


def _keeping_errno(do: Callable[[], None]) -> None:
    errno = ctypes.get_errno()
    do()
    ctypes.set_errno(errno)


def _written(pass_on: Callable[[], int], descriptor: int, data: int, size: int, offset: int) -> int:
    for trace in _on():
        if found := trace.file(descriptor):
            number = trace.number()
            trace.note(Write(number, *found, offset, ctypes.string_at(data, size)))
            done = pass_on()
            if done != size:
                _keeping_errno(lambda: trace.note(Less(number, max(0, done))))  # noqa: B023  # called at once
            return done
    return pass_on()


def _written_on(pass_on: Callable[[], int], descriptor: int, data: int, size: int) -> int:
    if not any(trace.file(descriptor) for trace in _on()):
        return pass_on()
    return _written(pass_on, descriptor, data, size, os.lseek(descriptor, 0, os.SEEK_CUR))


def _resized(pass_on: Callable[[], int], descriptor: int, size: int) -> int:
    done = pass_on()
    for trace in _on():
        if done == 0 and (found := trace.file(descriptor)):
            trace.note(Size(*found, size))
    return done


def _resized_at(pass_on: Callable[[], int], path: bytes, size: int) -> int:
    whole = _absolute(_AT_FDCWD, path)
    done = pass_on()
    for trace in _on():
        if done == 0 and (inside := trace.inside(whole)) is not None:
            trace.note(Size(Path(whole).stat().st_ino, inside, size))
    return done


def _allocated(pass_on: Callable[[], int], descriptor: int, offset: int, size: int) -> int:
    """posix_fallocate: the file may have grown."""
    done = pass_on()
    for trace in _on():
        if done == 0 and (found := trace.file(descriptor)):
            trace.note(Size(*found, max(offset + size, os.fstat(descriptor).st_size)))
    return done


def _synced(pass_on: Callable[[], int], descriptor: int) -> int:
    found = [(trace, about) for trace in _on() if (about := trace.file(descriptor))]
    numbers = []
    for trace, about in found:
        trace.catch_up(about[1])
        numbers.append(trace.number())
        trace.note(SyncBegins(numbers[-1]))
    done = pass_on()
    if done == 0:
        for (trace, (inode, _)), number in zip(found, numbers, strict=True):
            trace.note(Synced(number, inode))
    return done


def _absolute(folder: int, path: bytes) -> str:
    start = Path.cwd() if folder == _AT_FDCWD else Path(f"/proc/self/fd/{folder}").readlink()
    whole = start / os.fsdecode(path)
    return str(whole.parent.resolve() / whole.name)


def _unlinked_at(pass_on: Callable[[], int], folder: int, path: bytes, *_: int) -> int:
    whole = _absolute(folder, path)
    for trace in _on():
        if (inside := trace.inside(whole)) is not None:
            trace.forget(inside)
    done = pass_on()
    for trace in _on():
        if done == 0 and (inside := trace.inside(whole)) is not None:
            trace.note(Gone(inside))
    return done


def _unlinked(pass_on: Callable[[], int], path: bytes) -> int:
    return _unlinked_at(pass_on, _AT_FDCWD, path)


def _renamed_at(pass_on: Callable[[], int], old_in: int, old: bytes, new_in: int, new: bytes, *_: int) -> int:
    before, after = _absolute(old_in, old), _absolute(new_in, new)
    for trace in _on():
        if (inside := trace.inside(before)) is not None:
            trace.catch_up(inside)
        if (inside := trace.inside(after)) is not None:
            trace.forget(inside)
    done = pass_on()
    for trace in _on():
        was, now = trace.inside(before), trace.inside(after)
        if done:
            continue
        if was is not None and now is not None:
            trace.note(Renamed(was, now))
        elif was is not None:
            trace.note(Gone(was))
        elif now is not None:  # from elsewhere: its bytes are not known to be on disk
            trace.note(Content(os.lstat(after).st_ino, now, Path(after).read_bytes()))
    return done


def _renamed(pass_on: Callable[[], int], old: bytes, new: bytes) -> int:
    return _renamed_at(pass_on, _AT_FDCWD, old, _AT_FDCWD, new)


def _made_at(pass_on: Callable[[], int], folder: int, path: bytes, _mode: int) -> int:
    whole = _absolute(folder, path)
    done = pass_on()
    for trace in _on():
        if done == 0 and (inside := trace.inside(whole)) is not None:
            trace.note(Made(inside, os.lstat(whole).st_ino))
    return done


def _made(pass_on: Callable[[], int], path: bytes, mode: int) -> int:
    return _made_at(pass_on, _AT_FDCWD, path, mode)


def _linked_at(pass_on: Callable[[], int], _old_in: int, _old: bytes, new_in: int, new: bytes, *_: int) -> int:
    whole = _absolute(new_in, new)
    done = pass_on()
    for trace in _on():
        if done == 0 and (inside := trace.inside(whole)) is not None:
            trace.note(Linked(inside, os.lstat(whole).st_ino))
    return done


def _linked(pass_on: Callable[[], int], old: bytes, new: bytes) -> int:
    return _linked_at(pass_on, _AT_FDCWD, old, _AT_FDCWD, new)


def _all_synced(pass_on: Callable[[], int], *_: int) -> int:
    found = [(trace, trace.number()) for trace in _on()]
    for trace, number in found:
        trace.note(SyncBegins(number))
    done = pass_on()
    for trace, number in found:
        trace.note(Synced(number, 0))
    return done


def _copied(pass_on: Callable[[], int], into: int, *_: Any) -> int:
    """sendfile: what came in is read back."""
    found = [(trace, about) for trace in _on() if (about := trace.file(into))]
    at = os.lseek(into, 0, os.SEEK_CUR) if found else 0
    done = pass_on()
    for trace, (inode, path) in found:
        if done > 0:
            descriptor = os.open(f"/proc/self/fd/{into}", os.O_RDONLY | os.O_CLOEXEC)
            trace.note(Write(trace.number(), inode, path, at, os.pread(descriptor, done, at)))
            os.close(descriptor)
    return done


def _callbacks() -> dict[str, Any]:
    pwrite = ((_INT, _BYTES, _SIZE, _LONG), _written, ctypes.c_ssize_t)
    rename_at = ((_INT, _PATH, _INT, _PATH), _renamed_at)
    table: dict[str, tuple[Any, ...]] = {
        "pwrite": pwrite,
        "pwrite64": pwrite,
        "write": ((_INT, _BYTES, _SIZE), _written_on, ctypes.c_ssize_t),
        "ftruncate": ((_INT, _LONG), _resized),
        "ftruncate64": ((_INT, _LONG), _resized),
        "truncate": ((_PATH, _LONG), _resized_at),
        "truncate64": ((_PATH, _LONG), _resized_at),
        "posix_fallocate": ((_INT, _LONG, _LONG), _allocated),
        "posix_fallocate64": ((_INT, _LONG, _LONG), _allocated),
        "fsync": ((_INT,), _synced),
        "fdatasync": ((_INT,), _synced),
        "sync": ((), _all_synced),
        "syncfs": ((_INT,), _all_synced),
        "unlink": ((_PATH,), _unlinked),
        "rmdir": ((_PATH,), _unlinked),
        "unlinkat": ((_INT, _PATH, _INT), _unlinked_at),
        "rename": ((_PATH, _PATH), _renamed),
        "renameat": rename_at,
        "renameat2": ((*rename_at[0], ctypes.c_uint), _renamed_at),
        "mkdir": ((_PATH, ctypes.c_uint), _made),
        "mkdirat": ((_INT, _PATH, ctypes.c_uint), _made_at),
        "link": ((_PATH, _PATH), _linked),
        "linkat": ((_INT, _PATH, _INT, _PATH, _INT), _linked_at),
        "sendfile": ((_INT, _INT, _BYTES, _SIZE), _copied, ctypes.c_ssize_t),
        "sendfile64": ((_INT, _INT, _BYTES, _SIZE), _copied, ctypes.c_ssize_t),
    }
    return {name: _hook(name, *how) for name, how in table.items()}
