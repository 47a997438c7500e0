"""Puts functions of ours between this process and libc's file operations, without a compiler and without ptrace.

Every loaded object reaches `pwrite64`, `fdatasync` and their like through slots that the dynamic linker filled in:
they stand in its relocation tables under the function's name. `replace` writes the address of a ctypes callback into
each of those slots. So SQLite's writes are seen as well as Python's own renames and folder syncs, also where a
Python brings its own SQLite inside. Linux on 64-bit machines with glibc only; elsewhere `HookError`.

Not hooked: `write` of the object that is Python itself, because its C signal handler calls it (see `Slots.of`).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL, _DT_PLTRELSZ = 5, 6, 7, 8, 23, 2
_RELA: Final = struct.Struct("<QQq")
_NO_COPY: Final = frozenset({5, 1024})  # R_X86_64_COPY, R_AARCH64_COPY: the only kind that holds no address
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class HookError(OSError):
    """This machine's programs are not laid out as we know; the message says what was missing."""


class _Segment(ctypes.Structure):  # Elf64_Phdr
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("physical", ctypes.c_uint64),
        ("in_file", ctypes.c_uint64),
        ("in_memory", ctypes.c_uint64),
        ("align", ctypes.c_uint64),
    )


class _Object(ctypes.Structure):  # the first members of dl_phdr_info
    _fields_ = (
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("segments", ctypes.POINTER(_Segment)),
        ("count", ctypes.c_uint16),
    )


class _Slot(NamedTuple):
    address: int
    name: str
    is_pythons: bool
    """In the object that is the interpreter."""


def _glibc() -> ctypes.CDLL:
    """By its name: the functions that a program that is not relocatable gives for libc's lead through its own slots."""
    try:
        return ctypes.CDLL("libc.so.6", use_errno=True)
    except OSError:
        return ctypes.CDLL(None, use_errno=True)


_libc: Final = _glibc()
_kept: Final[list[object]] = []
"""Callbacks live for ever: a thread may still be in one when the process ends."""


def original(name: str, result: Any, *arguments: Any) -> Callable[..., int]:
    """libc's own function, for a callback to pass on to; errno as after a call from C."""
    address = ctypes.cast(getattr(_libc, name), ctypes.c_void_p).value or 0
    return ctypes.CFUNCTYPE(result, *arguments, use_errno=True)(address)


def callback(python: Callable[..., int], result: Any, *arguments: Any) -> Any:
    """`python` as a C function that leaves errno as its last call from here left it."""
    made = ctypes.CFUNCTYPE(result, *arguments, use_errno=True)(python)
    _kept.append(made)
    return made


def replace(callbacks: dict[str, Any]) -> int:
    """Put each callback into every slot of its name; gives how many slots there were."""
    if sys.platform != "linux" or struct.calcsize("P") != 8 or sys.byteorder != "little":
        raise HookError("file operations can be watched on 64-bit Linux only")
    count = 0
    for slot in list(_slots(frozenset(callbacks))):
        if slot.name == "write" and slot.is_pythons:
            continue  # Python's C signal handler writes through it: no place to run Python in
        address = ctypes.cast(callbacks[slot.name], ctypes.c_void_p).value
        page = slot.address & -_PAGE
        if _libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(_PAGE), 3):  # read, write
            raise HookError(f"{slot.name}: its slot cannot be written: {os.strerror(ctypes.get_errno())}")
        ctypes.c_uint64.from_address(slot.address).value = address or 0
        count += 1
    return count


def _slots(names: frozenset[str]) -> Iterator[_Slot]:
    python = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value or 0
    for base, segments in _objects():
        loaded = [(base + s[1], base + s[1] + s[2]) for s in segments if s[0] == _PT_LOAD]
        tables = _dynamic(base, segments)
        if _DT_SYMTAB not in tables or _DT_STRTAB not in tables:
            continue
        is_pythons = any(begin <= python < end for begin, end in loaded)
        for table, size in ((_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ)):
            if table not in tables:
                continue
            for offset, info, _ in _RELA.iter_unpack(ctypes.string_at(tables[table], tables.get(size, 0))):
                if info >> 32 and info & 0xFFFF_FFFF not in _NO_COPY:
                    at = ctypes.c_uint32.from_address(tables[_DT_SYMTAB] + 24 * (info >> 32)).value
                    name = ctypes.string_at(tables[_DT_STRTAB] + at).decode(errors="replace")
                    if name in names:
                        yield _Slot(base + offset, name, is_pythons)


def _objects() -> list[tuple[int, list[tuple[int, int, int]]]]:
    """(where it lies, its segments) of each loaded object but libc and the linker."""
    found: list[tuple[int, list[tuple[int, int, int]]]] = []

    def meet(info: Any, _size: int, _data: Any) -> int:
        one = info.contents
        name = (one.name or b"").decode(errors="replace").rpartition("/")[2]
        if not name.startswith(("libc.so", "libc-", "ld-", "linux-vdso", "libpthread")):
            segments = [one.segments[at] for at in range(one.count)]
            found.append((one.base, [(s.type, s.address, s.in_memory) for s in segments]))
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Object), ctypes.c_size_t, ctypes.c_void_p)
    _libc.dl_iterate_phdr(kind(meet), None)
    return found


def _dynamic(base: int, segments: list[tuple[int, int, int]]) -> dict[int, int]:
    entries: dict[int, int] = {}
    for kind, address, size in segments:
        if kind == _PT_DYNAMIC:
            for tag, value in struct.iter_unpack("<qQ", ctypes.string_at(base + address, size)):
                if tag == 0:
                    break
                is_place = tag in (_DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_JMPREL)
                entries[tag] = value + base if is_place and value < base else value
    return entries
