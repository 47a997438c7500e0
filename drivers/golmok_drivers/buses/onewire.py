"""1-wire as Linux shows it: a folder for each device below /sys/bus/w1/devices.

Reading `w1_slave` starts a conversion and blocks for about 0.8 s. The kernel arbitrates the wire and frees it
while a part converts, so each device has a thread of its own here and ten probes take no longer than one.
"""

from __future__ import annotations

import errno
from pathlib import Path

from golmok_drivers.buses.worker import BusWorker
from golmok_drivers.errors import BusError, NotReady, Unplugged


class SysfsOneWire:
    """`api.OneWire` on a sysfs tree. `folder` holds a folder for each device of all masters."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        self._folder = folder
        self._number = number
        self._workers: dict[str, BusWorker] = {}

    async def devices(self) -> tuple[str, ...]:
        """See `api.OneWire.devices`."""
        return await self._worker("").run("", self._list, 1.0)

    async def read(self, device: str, file: str = "w1_slave", *, timeout_s: float = 2.0) -> bytes:
        """See `api.OneWire.read`."""
        return await self._worker(device).run(device, lambda: self._read(device, file), timeout_s)

    async def close(self) -> None:
        """End the bus."""
        for worker in self._workers.values():
            await worker.close()

    def _worker(self, device: str) -> BusWorker:
        return self._workers.setdefault(device, BusWorker(f"w1://{self._number}"))

    def _list(self) -> tuple[str, ...]:
        master = self._folder / f"w1_bus_master{self._number}"
        folder = master if master.is_dir() else self._folder
        try:
            found = [entry.name for entry in folder.iterdir() if entry.name[2:3] == "-"]
        except OSError as error:
            raise BusError(f"w1://{self._number}: {error}; switch 1-wire on (dtoverlay=w1-gpio)") from error
        return tuple(sorted(found))

    def _read(self, device: str, file: str) -> bytes:
        try:
            return (self._folder / device / file).read_bytes()
        except FileNotFoundError as error:
            raise Unplugged(f"w1://{self._number}: {device} is not on the bus; check its wiring and its id") from error
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise NotReady(f"w1://{self._number}: {device} is busy") from error
            raise BusError(f"w1://{self._number}: {device}: {error}") from error
