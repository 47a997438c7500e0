"""A D-Bus daemon of our own, with nobody else on it; bleak finds it by DBUS_SYSTEM_BUS_ADDRESS.

The daemon ends with the process that started it, also when that is killed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from golmok_drivers.errors import BusError

ADDRESS: Final = "DBUS_SYSTEM_BUS_ADDRESS"
"""The variable by which every D-Bus library looks for the system's bus."""
_PR_SET_PDEATHSIG: Final = 1
_CONFIG: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>golmok</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
"""Without a rule that lets everybody receive (`eavesdrop`), not even the answer to Hello arrives."""


class PrivateBus:
    """Starts dbus-daemon, and ends it with `close`. It is ready when this is made. Raises `BusError`."""

    def __init__(self) -> None:
        program = shutil.which("dbus-daemon")
        if program is None:
            raise BusError("sim+ble://: dbus-daemon is missing; on Debian: apt-get install dbus-daemon")
        self._folder = Path(tempfile.mkdtemp(prefix="golmok-bluez-"))
        config, end = self._folder / "bus.conf", self._folder / "bus"
        config.write_text(_CONFIG.format(socket=end))
        libc = ctypes.CDLL(None)  # loaded here: the child may only call
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode().strip()
        if not said:
            code = self._process.wait()
            why = (self._folder / "log").read_text(errors="replace").strip()
            self.close()
            raise BusError(f"sim+ble://: dbus-daemon did not start (exit code {code}): {why}")
        self.address = said
        """Where it listens."""

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self._process.pid

    def close(self) -> None:
        """End the daemon."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class SystemBus:
    """Makes `address` the system's bus for this process, until `close`."""

    def __init__(self, address: str) -> None:
        self._before = os.environ.get(ADDRESS)
        os.environ[ADDRESS] = address

    def close(self) -> None:
        """As it was before."""
        if self._before is None:
            os.environ.pop(ADDRESS, None)
        else:
            os.environ[ADDRESS] = self._before
