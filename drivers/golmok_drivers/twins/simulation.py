"""The simulated shop: one twin for each device, on simulated buses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class SimDevice(NamedTuple):
    """A device of the settings, as far as its twin needs it: `settings` is the driver's settings struct."""

    name: str
    driver: str
    bus: str
    settings: Any


class Simulation:
    """What `simulate` makes."""

    def bus(self, url: str) -> Any:
        """The simulated bus that stands for `url`; ask in a running event loop."""
        raise NotImplementedError(url)

    async def publish(self, host: str, port: int, username: str | None = None, password: str | None = None) -> None:
        """Publish the messages of all MQTT twins until cancelled."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the ledger."""


def simulate(
    devices: Sequence[SimDevice],
    *,
    base: Path,
    scenario: str | Path | None = None,
    ledger: Path | None = None,
    clock: Callable[[], float] | None = None,
    timezone: str = "UTC",
) -> Simulation:
    """Make a twin for each device; raises `ScenarioError`, `UnknownDriver`."""
    raise NotImplementedError
