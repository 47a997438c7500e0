"""The settings of the Mosquitto that a gateway ships with, as it must be for nothing to be lost.

`persistence false`: a stale snapshot would deliver again what was acknowledged long ago. No limit on the number
of messages that wait for a sleeping gateway, but one on their bytes; messages are refused beyond it, never
dropped silently within. `max_inflight_messages 0`: the gateway's own ReceiveMaximum is the window.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

QUEUED_BYTES: Final = 256 * 1024 * 1024
PLACES: Final = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")


def find_mosquitto() -> Path | None:
    """Where Mosquitto is installed; Debian puts it where users' PATH does not look."""
    found = shutil.which("mosquitto")
    return Path(found) if found else next((Path(place) for place in PLACES if Path(place).is_file()), None)


def broker_config(
    port: int,
    *,
    address: str = "127.0.0.1",
    password_file: Path | None = None,
    acl_file: Path | None = None,
    queued_bytes: int = QUEUED_BYTES,
) -> str:
    """The text of a mosquitto.conf. Without a password file anybody may connect, so keep to loopback then."""
    lines = [
        f"listener {port} {address}",
        f"allow_anonymous {'false' if password_file else 'true'}",
        "persistence false",
        "max_queued_messages 0",
        f"max_queued_bytes {queued_bytes}",
        "max_inflight_messages 0",
        "set_tcp_nodelay true",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    if password_file:
        lines.append(f"password_file {password_file}")
    if acl_file:
        lines.append(f"acl_file {acl_file}")
    return "\n".join(lines) + "\n"
