"""Tells systemd that the process is up and alive (sd_notify(3)); does nothing elsewhere."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1` or `STATUS=…` to the service manager, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender, suppress(OSError):
        sender.connect(address)  # a manager that is gone must not take us along
        sender.sendall(state.encode())


def watchdog_s() -> float | None:
    """How often systemd wants to hear `WATCHDOG=1` at the latest; None if it does not."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    own = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(usec) / 1e6 if own and usec.isdigit() and int(usec) else None
