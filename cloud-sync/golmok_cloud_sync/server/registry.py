"""Who may talk to this cloud: gateways and readers, known by the SHA-256 of their tokens.

A file of its own (`registry.db`, mode 0600), because `golmok-cloud token` writes it while the server runs. The
server looks at SQLite's `data_version`, once a second and for each token it does not know, to see whether it must read
it again: a new token works at once, a revoked one for a second more. Tokens have 256 random bits: nothing is gained by
a slow hash.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
import time
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from golmok_cloud_sync.server.errors import ServerError
from golmok_cloud_sync.server.folders import make_folder

FILE: Final = "registry.db"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
"""What a gateway may be called."""
_FRESH_S: Final = 1.0
"""How long a revoked or replaced token may still work."""

_VERSION: Final = 1
"""The number of the schema's migrations."""


class RegistryError(ServerError, OSError):
    """The registry cannot be opened or written; the message says what to do."""


class Holder(NamedTuple):
    """Who holds a token: a gateway, or (with None) a reader."""

    gateway: str | None


class Registry:
    """The registry in the folder `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = Lock()
        try:
            make_folder(folder)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._path.chmod(0o600)
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
            # extra: the journal's end is the commit, and is on disk only when its folder is synced as well.
            self._db.execute("pragma synchronous = extra")
            if self._db.execute("pragma user_version").fetchone() != (_VERSION,):
                from golmok_cloud_sync.server import migrations  # see there why only now

                migrations.apply(self._db, migrations.registry, _VERSION)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise RegistryError(f"{self._path} cannot be used: {reason}; name a folder with --data") from error
        self._version = -1
        self._looked_s = float("-inf")
        self._holders: dict[str, Holder] = {}
        self._gateways: set[str] = set()

    def enrol(self, gateway: str) -> None:
        """Know `gateway` from now on."""
        with self._lock:
            if gateway not in self._gateways:
                self._write("insert or ignore into gateway values (?, ?)", (gateway, time.time_ns() // 1_000_000))
                self._gateways.add(gateway)

    def gateways(self) -> set[str]:
        """All gateways that were enrolled."""
        with self._lock:
            self._refresh()
            return set(self._gateways)

    def make_token(self, gateway: str | None) -> str:
        """A new token, told only now. A gateway's new one replaces its old ones; readers may have many."""
        token = secrets.token_urlsafe(32)
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            self._write("begin immediate", ())
            if gateway is not None:
                self._write("insert or ignore into gateway values (?, ?)", (gateway, now_ms))
                self._write("delete from token where gateway = ?", (gateway,))
            self._write("insert into token values (?, ?, ?)", (_digest(token), gateway, now_ms))
            self._write("commit", ())
            self._version = -1
        return token

    def holder(self, token: str) -> Holder | None:
        """Who holds `token`; None if nobody does."""
        digest = _digest(token)
        with self._lock:
            self._refresh()
            if digest not in self._holders:
                self._refresh(at_most_every_s=0.0)
            return self._holders.get(digest)

    def close(self) -> None:
        """Give up the file."""
        with self._lock:
            self._db.close()

    def _refresh(self, at_most_every_s: float = _FRESH_S) -> None:
        now_s = time.monotonic()
        if self._version >= 0 and now_s - self._looked_s < at_most_every_s:
            return
        self._looked_s = now_s
        (version,) = self._db.execute("pragma data_version").fetchone()
        if version == self._version:
            return
        self._holders = {h: Holder(gateway) for h, gateway in self._db.execute("select sha256, gateway from token")}
        self._gateways = {name for (name,) in self._db.execute("select name from gateway")}
        self._version = version

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        try:
            self._db.execute(sql, values)
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise RegistryError(f"{self._path} cannot be written: {error}") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
