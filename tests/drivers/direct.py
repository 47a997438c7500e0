"""Buses without a thread: a twin at the other end, nothing between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from golmok_drivers.api import BusNack, Unplugged
from tests.drivers.worlds import StillWorld

T = TypeVar("T")


class DirectLine:
    """A line to a session; the world's clock goes as it is slept."""

    def __init__(self, world: StillWorld, xfer: Callable[..., bytes]) -> None:
        self._world, self.xfer = world, xfer

    def now_s(self) -> float:
        return self._world.part_s()

    def sleep(self, seconds: float) -> None:
        self._world.passes(max(0.0, seconds))


class DirectI2C:
    """`api.I2C`."""

    def __init__(self, twin: Any, world: StillWorld) -> None:
        self.twin, self._world = twin, world

    async def xfer(self, address: int, write: bytes = b"", read: int = 0, *, timeout_s: float = 0.5) -> bytes:
        if address != self.twin.address:
            raise BusNack("nobody")
        reply: bytes = self.twin.xfer(write, read)
        return reply

    async def session(self, address: int, work: Callable[[Any], T], *, timeout_s: float) -> T:
        if address != self.twin.address:
            raise BusNack("nobody")
        return work(DirectLine(self._world, lambda write=b"", read=0: self.twin.xfer(write, read)))

    async def close(self) -> None:
        pass


class DirectSpi:
    """`api.Spi`; keeps what was said in which mode."""

    def __init__(self, twin: Any, world: StillWorld) -> None:
        self.twin, self._world = twin, world
        self.modes: set[int] = set()

    async def xfer(
        self, select: int, write: bytes, *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float = 0.5
    ) -> bytes:
        self.modes.add(mode)
        return self._reply(select, write)

    async def session(
        self, select: int, work: Callable[[Any], T], *, mode: int = 0, speed_hz: int = 1_000_000, timeout_s: float
    ) -> T:
        self.modes.add(mode)
        return work(DirectLine(self._world, lambda write: self._reply(select, write)))

    async def close(self) -> None:
        pass

    def _reply(self, select: int, write: bytes) -> bytes:
        if select != self.twin.select:
            return b"\xff" * len(write)
        reply: bytes = self.twin.xfer(write)
        return reply


class DirectUart:
    """`api.Uart`."""

    def __init__(self, *twins: Any) -> None:
        self.twins = twins

    async def ask(self, device: int, write: bytes, read: int, *, timeout_s: float = 0.3) -> bytes:
        for twin in self.twins:
            if reply := twin.hear(write):
                return bytes(reply[:read])
        raise Unplugged("nobody")

    async def close(self) -> None:
        pass
