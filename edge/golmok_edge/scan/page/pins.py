"""The PIN that signs staff in: kept as its scrypt hash in a file of ours alone. There is none by default."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LEAST: Final = 6
MOST: Final = 64
_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
"""16 MB and some 60 ms: RFC 7914's for signing in."""
_MOST_MEMORY: Final = 64 << 20


class PinError(ValueError):
    """A PIN that may not be set, or a file of one that may not be used; the message is the remedy."""


@dataclass(frozen=True)
class Pin:
    """What the file holds."""

    salt: bytes
    hash: bytes

    @classmethod
    def of(cls, text: str) -> Pin:
        """A new one; raises `PinError` when it is too easy to guess."""
        if not LEAST <= len(text) <= MOST:
            raise PinError(f"a PIN has from {LEAST} to {MOST} characters")
        if not text.isprintable() or len(set(text)) < 3 or text in _steps(len(text)):
            raise PinError("that PIN is the first that anybody tries: take one that does not run 1, 2, 3 or repeat")
        salt = secrets.token_bytes(16)
        return cls(salt, _hashed(text, salt))

    def is_right(self, text: str) -> bool:
        """Whether that is it; takes as long whatever is wrong with it."""
        return hmac.compare_digest(_hashed(text[:MOST], self.salt), self.hash)

    @property
    def mark(self) -> str:
        """Tells one PIN from the next: who signed in with an old one must sign in again."""
        return hashlib.sha256(self.hash).hexdigest()[:16]

    def write(self, file: Path) -> None:
        """Whole or not at all, for our own eyes only."""
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}.part")
        text = json.dumps({"scrypt": _SCRYPT, "salt": self.salt.hex(), "hash": self.hash.hex()})
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text + "\n")
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)

    @classmethod
    def read(cls, file: Path) -> Pin | None:
        """The one in the file, None when there is none; raises `PinError` when it may not be trusted."""
        try:
            mode = file.stat().st_mode
            found: Any = json.loads(file.read_bytes())
            pin = cls(bytes.fromhex(found["salt"]), bytes.fromhex(found["hash"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PinError(f"{file} cannot be read ({error}): set the PIN again with golmok-scan pin") from None
        if stat.S_IMODE(mode) & 0o077:
            raise PinError(f"{file} can be read by others: chmod 600 {file}, and set another PIN with golmok-scan pin")
        if found.get("scrypt") != _SCRYPT:
            raise PinError(f"{file} is of another version: set the PIN again with golmok-scan pin")
        return pin


def _hashed(text: str, salt: bytes) -> bytes:
    return hashlib.scrypt(text.encode(), salt=salt, maxmem=_MOST_MEMORY, **_SCRYPT)


def _steps(length: int) -> set[str]:
    """1234…, 9876…, from any digit."""
    up = "0123456789" * (length // 10 + 2)
    return {way[start : start + length] for way in (up, up[::-1]) for start in range(10)}
