"""From a path to text, whatever stands at the path: a folder, a pipe, a picture, nothing.

Nothing is opened that could block: a named pipe would wait for a writer for ever.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import Any, Final, NamedTuple

from golmok_edge.settings.language import Say

MOST_BYTES: Final = 1 << 20
"""A settings file of a thousand devices is a fifth of this."""


class BadSource(NamedTuple):
    """Why there is no text: the line, the message's code and what it is filled with."""

    line: int
    code: str
    args: dict[str, Any]


_KINDS: Final = (
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "special"),
    (stat.S_ISBLK, "special"),
)


def read_text(path: Path) -> str | BadSource:
    """The file's text without a byte order mark, or why there is none."""
    try:
        data = _read(path)
    except FileNotFoundError:
        if path.is_symlink():
            return BadSource(1, "file-dangling", {"target": path.readlink()})
        return BadSource(1, "file-missing", {})
    except (OSError, ValueError) as error:
        return BadSource(1, "file-unreadable", {"why": getattr(error, "strerror", None) or error})
    return data if isinstance(data, BadSource) else _decoded(data)


def _read(path: Path) -> bytes | BadSource:
    bad = _not_a_file(path, path.stat().st_mode)
    if bad:
        return bad
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    return BadSource(1, "file-large", {"most": MOST_BYTES}) if len(data) > MOST_BYTES else data


def _not_a_file(path: Path, mode: int) -> BadSource | None:
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        inside = min(path.glob("*.toml"), default=path / "gateway.toml")
        return BadSource(1, "file-folder", {"example": inside})
    kind = next((word for test, word in _KINDS if test(mode)), "special")
    return BadSource(1, "file-special", {"kind": Say(kind)})


def _decoded(data: bytes) -> str | BadSource:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return BadSource(1, "file-utf16", {})
    marked = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    try:
        text = data[marked:].decode()
    except UnicodeDecodeError as error:
        at = error.start + marked
        args = {"offset": at + 1, "column": at - data.rfind(b"\n", 0, at), "byte": f"0x{data[at]:02x}"}
        return BadSource(data.count(b"\n", 0, at) + 1, "file-not-utf8", args)
    return text if text.strip() else BadSource(1, "file-empty", {})
