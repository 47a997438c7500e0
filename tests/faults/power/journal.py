"""What a traced process did to the files of one folder, in order: an append-only file of small records.

A record is its length and a msgpack array. Each is appended by a single write, so a process that is killed leaves at
most the last one incomplete; what it announced was then never done.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One thing that happened."""


class File(Entry, frozen=True, tag="file"):
    """A file that was there at the beginning, on disk."""

    path: str
    inode: int
    body: bytes


class Folder(Entry, frozen=True, tag="folder"):
    """A folder that was there at the beginning, on disk."""

    path: str
    inode: int


class Write(Entry, frozen=True, tag="write"):
    """Bytes are written; noted before they are."""

    number: int
    inode: int
    path: str
    offset: int
    body: bytes


class Less(Entry, frozen=True, tag="less"):
    """Of write `number` only the first `size` bytes came into the page cache (a full disk)."""

    number: int
    size: int


class Content(Entry, frozen=True, tag="content"):
    """A file has these bytes by now, written in a way that cannot be watched one by one."""

    inode: int
    path: str
    body: bytes


class Size(Entry, frozen=True, tag="size"):
    """A file gets another size."""

    inode: int
    path: str
    size: int


class SyncBegins(Entry, frozen=True, tag="sync-begins"):
    """What was written up to here ..."""

    number: int


class Synced(Entry, frozen=True, tag="synced"):
    """... is on disk from here on: a file's bytes, a folder's names, or (inode 0) everything."""

    number: int
    inode: int


class Made(Entry, frozen=True, tag="made"):
    """A folder was made."""

    path: str
    inode: int


class Linked(Entry, frozen=True, tag="linked"):
    """A file got one more name."""

    path: str
    inode: int


class Renamed(Entry, frozen=True, tag="renamed"):
    """A name was changed, over another if that was there."""

    old: str
    new: str


class Gone(Entry, frozen=True, tag="gone"):
    """A name was taken away."""

    path: str


class Mark(Entry, frozen=True, tag="mark"):
    """Whatever the traced program wants to have known at this place: that a record was acknowledged."""

    body: bytes


AnyEntry = File | Folder | Write | Less | Content | Size | SyncBegins | Synced | Made | Linked | Renamed | Gone | Mark

_LENGTH: Final = struct.Struct("<I")
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(AnyEntry)


def encode(entry: Entry) -> bytes:
    """`entry` as it stands in the file."""
    body = _encoder.encode(entry)
    return _LENGTH.pack(len(body)) + body


def read(path: Path) -> list[AnyEntry]:
    """All entries of the journal; an incomplete last one is left out."""
    return list(_read(path.read_bytes()))


def _read(raw: bytes) -> Iterator[AnyEntry]:
    at = 0
    while at + _LENGTH.size <= len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if at + length > len(raw):
            return
        yield _decoder.decode(raw[at : at + length])
        at += length
