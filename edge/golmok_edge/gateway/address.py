"""Where the gateway can be asked: its unix socket."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

LONGEST: Final = 100
"""A unix socket's path has 108 bytes at most (unix(7)), the last of them 0."""


def socket_path(store: Path) -> Path:
    """The socket of the gateway whose store is in that folder."""
    path = store.absolute() / "gateway.sock"
    if len(os.fsencode(path)) <= LONGEST:
        return path
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/golmok-{os.getuid()}")  # noqa: S108  # made 0700 below
    return folder / f"golmok-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"


def make_room(path: Path) -> None:
    """Make the socket's folder, for this user alone where it is not the store's own. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{path.parent} belongs to another user")
    path.unlink(missing_ok=True)
