"""Whole files on their way to the cloud: what of tus 1.0.0 (https://tus.io/protocols/resumable-upload) both ends say.

A file is announced with its length, its name and its SHA-256 before any of its bytes is sent. Pure: texts in, texts
out. Whatever a name says, it is a word for people and never part of a path.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .sync import ProtocolError

TUS: Final = "1.0.0"
PIECE_TYPE: Final = "application/offset+octet-stream"
MISMATCH: Final = 460
"""The status of bytes that are not those that were told (tus, extension "checksum")."""
MOST_METADATA: Final = 4_096
MOST_NAME: Final = 120
MOST_LENGTH: Final = 2**53 - 1
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY: Final = re.compile(r"[!-+\--~]{1,40}", re.ASCII)
"""ASCII without blank and comma."""


@dataclass(frozen=True, slots=True)
class FileHead:
    """What is told of a file before it comes."""

    name: str
    size: int
    sha256: str
    group: str = ""
    """What it belongs to: the scan of a model."""

    @property
    def id(self) -> str:
        """The same for the same file: announced again it is the same upload, so nothing comes twice."""
        told = "\0".join((self.group, self.name, str(self.size), self.sha256))
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def metadata(self) -> str:
        """The header `Upload-Metadata`."""
        told = {"filename": self.name, "sha256": self.sha256, "group": self.group}
        return ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in told.items() if text)


def head_of(length: str | None, metadata: str | None) -> FileHead:
    """Of the headers `Upload-Length` and `Upload-Metadata`. Raises `ProtocolError`."""
    told = read_metadata(metadata or "")
    if _SHA256.fullmatch(sha256 := told.get("sha256", "").lower()) is None:
        raise ProtocolError("Upload-Metadata has no sha256 of 64 hex digits")
    return FileHead(harmless(told.get("filename", "")), number(length), sha256, harmless(told.get("group", ""), ""))


def read_metadata(text: str) -> Mapping[str, str]:
    """`key base64,key base64`; a value may be left out. Raises `ProtocolError`."""
    if len(text) > MOST_METADATA:
        raise ProtocolError(f"Upload-Metadata may have at most {MOST_METADATA} characters")
    found: dict[str, str] = {}
    for pair in filter(None, (pair.strip(" ") for pair in text.split(","))):
        key, _, value = pair.partition(" ")
        if _KEY.fullmatch(key) is None or key in found:
            raise ProtocolError(f"Upload-Metadata: {key!r:.60} is no key, or there twice")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise ProtocolError(f"Upload-Metadata: {key!r:.60} is no base64 of UTF-8") from error
    return found


def harmless(name: str, unnamed: str = "file") -> str:
    """A name without folders and without what cannot be seen: what a person may be shown and a browser may save."""
    seen = "".join(c for c in name if not unicodedata.category(c).startswith(("C", "Zl", "Zp")))
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", seen))[-1]
    return last.strip(" .")[:MOST_NAME].strip(" .") or unnamed


def number(text: str | None) -> int:
    """Of `Upload-Length` and `Upload-Offset`. Raises `ProtocolError`."""
    if text is None or _NUMBER.fullmatch(text) is None or int(text) > MOST_LENGTH:
        raise ProtocolError(f"{text!r:.40} is no number of bytes")
    return int(text)


def checksum(piece: bytes) -> str:
    """The header `Upload-Checksum` of these bytes."""
    return f"sha256 {base64.b64encode(hashlib.sha256(piece).digest()).decode()}"
