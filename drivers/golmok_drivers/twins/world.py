"""What a twin feels, which faults act on it, and the ledger of what it gave."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from golmok_drivers.api import Value
from golmok_drivers.twins.scenario import Fault
from golmok_drivers.twins.signals import Curve

Given: TypeAlias = tuple[str, Value]

BEYOND = 1e6
"""What a part feels under the fault `range`; it sends the most it can."""


SCATTER = 0.3
"""How much of its value a part scatters by under the fault `noisy`: a loose contact, a motor beside the cable."""


class Ledger:
    """The file where twins note what they gave over the bus, a line of JSON a value.

    It knows nothing of drivers, stores or clouds: what stands here is what should arrive there.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None
        self._lock = threading.Lock()

    def write(self, device: str, address: object, given: Sequence[Given]) -> None:
        """Note values that arrived; each line is in the file when this returns."""
        if self._file is None or not given:
            return
        lines = [
            json.dumps({"device": device, "address": address, "quantity": quantity, "value": value}, ensure_ascii=False)
            for quantity, value in given
        ]
        with self._lock:
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


class DeviceWorld:
    """`api.World` for one twin."""

    def __init__(
        self, clock: Callable[[], float], begin_s: float, curves: dict[str, Curve], faults: tuple[Fault, ...], key: str
    ) -> None:
        self._clock = clock
        self._begin_s = begin_s
        self._curves = curves
        self._faults = faults
        self._random = random.Random(key)  # noqa: S311  (a simulation, not a secret)
        self._given: list[Given] = []
        self._ahead_s = 0.0
        self._held_s: float | None = None

    def now_s(self) -> float:
        """See `api.World.now_s`."""
        return self._clock()

    def part_s(self) -> float:
        """See `api.World.part_s`."""
        return (time.monotonic() if self._held_s is None else self._held_s) + self._ahead_s

    def hold(self, is_held: bool) -> None:
        """Let the part's clock stand while somebody speaks to it without a break: then only `skip` moves it, and a
        machine that is slow loses no values that a real one would not lose."""
        self._held_s = time.monotonic() if is_held else None

    def skip(self, seconds: float) -> None:
        """Let the part's clock go forward at once, where nobody would do anything but wait."""
        self._ahead_s += seconds

    def feel(self, quantity: str) -> float:
        """See `api.World.feel`."""
        if self.has("range"):
            return BEYOND
        stuck_since = self._began("stuck")
        felt = self._curves[quantity](self._clock() if stuck_since is None else stuck_since)
        return felt + self._random.gauss(0.0, SCATTER * (abs(felt) + 10.0)) if self.has("noisy") else felt

    def has(self, fault: str) -> bool:
        """See `api.World.has`."""
        return self._began(fault) is not None

    def random(self) -> float:
        """See `api.World.random`."""
        return self._random.random()

    def give(self, quantity: str, value: Value) -> None:
        """See `api.World.give`."""
        self._given.append((quantity, value))

    def take_given(self) -> list[Given]:
        """What was given since the last call; the bus notes it once the answer has arrived whole."""
        given, self._given = self._given, []
        return given

    def _began(self, kind: str) -> float | None:
        since = self._clock() - self._begin_s
        for fault in self._faults:
            if fault.kind == kind and (began := fault.began(since)) is not None:
                return self._begin_s + began
        return None
