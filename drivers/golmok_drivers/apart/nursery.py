"""Where drivers' processes come from: a small process, started when the first is needed, that forks them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Final

from golmok_drivers.errors import DriverRaises

_SEND_S: Final = 0.2


class Nursery:
    """Gives birth. Belongs to the event loop's thread, which must be the main one: children die with it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._order: socket.socket | None = None

    def bear(self) -> tuple[socket.socket, socket.socket]:
        """A new process: the line to it, and the one on which it asks for levels. Raises `DriverRaises`."""
        for _ in range(2):
            if self._order is None or self._process is None or self._process.poll() is not None:
                self._start()
            line, far_line = socket.socketpair()
            levels, far_levels = socket.socketpair()
            try:
                assert self._order is not None
                socket.send_fds(self._order, [b"!"], [far_line.fileno(), far_levels.fileno()])
            except OSError:
                line.close()
                levels.close()
                self.close()
            else:
                return line, levels
            finally:
                far_line.close()
                far_levels.close()
        raise DriverRaises("this machine has no process for its driver")

    def close(self) -> None:
        """End it, and with it all that it has borne."""
        order, process = self._order, self._process
        self._order = self._process = None
        if order:
            order.close()
        if process:
            process.kill()
            process.wait()

    def _start(self) -> None:
        self.close()
        order, far = socket.socketpair()
        order.settimeout(_SEND_S)
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __package__, str(far.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[far.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        self._order = order
