"""A driver in a process of its own, used like any other: who runs it sees a `PolledDriver` or an `EventDriver`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from golmok_drivers.apart.cell import Bounds, Cell, Ward
from golmok_drivers.apart.nursery import Nursery
from golmok_drivers.api import Channel, Driver, DriverInfo, EventDriver, Identity, PolledDriver, Reading
from golmok_drivers.errors import DriverError, DriverRaises, DriverTalksNonsense, Misbehaved


class ApartDriver(Driver):
    """What both kinds have in common: a process that is started with `open`, and anew after it misbehaved."""

    api: ClassVar[int] = 1
    is_apart: ClassVar[bool] = True
    """Its bus has deadlines, so if it does not answer in time, it is the driver that hangs."""

    def __init__(
        self,
        ward: Ward,
        info: DriverInfo,
        channels: tuple[Channel, ...],
        nursery: Nursery,
        bounds: Bounds = Bounds(),  # noqa: B008  # a tuple
    ) -> None:
        super().__init__(None, timezone=ward.timezone)
        self.info = info  # type: ignore[misc]  # of the class elsewhere; here each stands for another class
        self._channels, self._ward, self._nursery, self._bounds = channels, ward, nursery, bounds
        self._cell: Cell | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `Driver.channels`."""
        return self._channels

    @property
    def cell(self) -> Cell | None:
        """Its process; None while it has none."""
        return self._cell

    async def open(self, bus: Any) -> None:
        """See `Driver.open`."""
        if self._cell is None or self._cell.why is not None:
            self._cell = Cell(self._ward, self._nursery, self._bounds)
            await self._doing(self._cell.start())
        self._cell.use_bus(bus)
        await self._doing(self._cell.call("open", self._ward.bus_kind))
        self._cell.settled()

    async def probe(self) -> Identity:
        """See `Driver.probe`."""
        part, serial = await self._call("probe")
        return Identity(str(part), str(serial))

    async def close(self) -> None:
        """See `Driver.close`. Its process stays for the next `open`, if it behaved."""
        if self._cell is not None and self._cell.why is None:
            with suppress(Misbehaved):
                await self._call("close")
            self._cell.use_bus(None)

    def end(self) -> None:
        """End its process, if it has one."""
        if self._cell is not None:
            self._cell.kill(DriverRaises("the gateway ends"))

    async def _call(self, what: str) -> Any:
        if self._cell is None:
            raise DriverError("it is not open")
        return await self._doing(self._cell.call(what))

    async def _doing(self, call: Any) -> Any:
        """What it does; a driver that misbehaved has no say any more, its process is in a state that nobody knows."""
        try:
            return await call
        except Misbehaved as error:
            if self._cell is not None:
                self._cell.kill(error)
            raise


class ApartPolled(ApartDriver, PolledDriver):
    """A `PolledDriver` in a process of its own."""

    async def sample(self) -> Sequence[Reading]:
        """See `PolledDriver.sample`."""
        return _readings(await self._call("sample"))


class ApartEvents(ApartDriver, EventDriver):
    """An `EventDriver` in a process of its own. It is asked for one batch after the other: it cannot run ahead."""

    async def events(self) -> AsyncIterator[Sequence[Reading]]:
        """See `EventDriver.events`."""
        while (said := await self._call("next")) is not None:
            yield _readings(said)


def apart(kind: type[Driver]) -> Callable[..., ApartPolled | ApartEvents]:
    """What stands for a driver of that kind."""
    return ApartPolled if issubclass(kind, PolledDriver) else ApartEvents


def _readings(said: Any) -> list[Reading]:
    """Its process has looked at them; here only that each has five members: a driver may have tampered with it."""
    try:
        return [Reading(*row) for row in said]
    except TypeError:
        raise DriverTalksNonsense("it writes into the line to the gateway") from None
