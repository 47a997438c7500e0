"""The nursery: a small process that has imported what every driver needs, and becomes a driver's process by fork.

It has one thread and runs nothing of a driver's, so that a fork is safe; its children share its memory. The gateway
hands it two sockets for each child. It ends when the gateway does.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from typing import Final

from golmok_drivers.apart.child import die_with_parent, live

NICE: Final = 10
"""A driver that spins leaves the machine to the gateway, and so do many that start at once."""


def main(fd: int) -> None:
    """Fork for each pair of sockets that comes."""
    die_with_parent()
    os.dup2(2, 1)  # what a driver prints is no answer of the gateway's
    for number in (signal.SIGINT, signal.SIGTERM):  # systemd tells the whole service; the gateway ends first
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need no funeral
    os.nice(NICE)
    order = socket.socket(fileno=fd)
    me = os.getpid()
    gc.collect()
    gc.freeze()
    while True:
        said, fds, _, _ = socket.recv_fds(order, 1, 2)
        if not said:
            return
        if len(fds) == 2:
            _fork(order, fds[0], fds[1], me)
        for one in fds:
            os.close(one)


def _fork(order: socket.socket, line: int, levels: int, me: int) -> None:
    try:
        is_child = os.fork() == 0
    except OSError as error:  # no memory, too many processes: the gateway sees the line close, and tries again
        print(f"golmok: no process for a driver: {error}", file=sys.stderr)
        return
    if is_child:
        order.close()
        live(line, levels, me)


if __name__ == "__main__":
    main(int(sys.argv[1]))
