"""One life of a street: its faults, shop by shop at the same time, and the judgement at the end."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final

from . import cloud_api
from .oracle import Case, Finding, Judgement, judge
from .plan import DAMAGE, KINDS, Where, deal
from .programs import ProgramError
from .shop import TWIN, TWIN_LIMIT_S, Shop, StuckError
from .stalls import Stalls
from .street import Street

Say = Callable[[str], None]
_CHECK_EVERY: Final = 3
"""A run that stops at its first finding looks after so many faults of a shop."""
_MOST_TOLD: Final = 10
"""Findings of a shop that are told as soon as they are found."""
STUCK: Final = "STUCK"
"""The text of a finding that is no record begins so: something did not go on, and nothing could be judged."""
RECORDS: Final = frozenset({"lost", "doubled", "wrong"})
"""Verdicts at which such a run stops."""


@dataclass
class Outcome:
    """What a life, or all of them, brought."""

    faults: Counter[str] = field(default_factory=Counter)
    """That really happened."""
    missed: Counter[str] = field(default_factory=Counter)
    """That were struck and did not come about."""
    records: Counter[str] = field(default_factory=Counter)
    """Compared and found as they should be, by gateway."""
    quarantined: int = 0
    findings: list[Finding] = field(default_factory=list)
    lives: int = 0
    seconds: float = 0.0

    def add(self, other: Outcome) -> None:
        """Take in what another one brought."""
        self.faults += other.faults
        self.missed += other.missed
        self.records += other.records
        self.quarantined += other.quarantined
        self.findings += other.findings
        self.lives += other.lives


class Life:
    """Runs the faults of a plan on a new street."""

    def __init__(
        self,
        seed: str,
        plan: Sequence[str],
        mosquitto: Path,
        code: Path,
        say: Say,
        *,
        is_short: bool,
        settle_s: float,
        keep: Path | None = None,
    ) -> None:
        """`is_short`: look now and then, and stop at the first finding."""
        self._seed, self._plan, self._say = seed, plan, say
        self._mosquitto, self._code, self._keep = mosquitto, code, keep
        self._is_short, self._settle_s = is_short, settle_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._outcome = Outcome(lives=1)
        self._stalls = Stalls()
        self._began_at = 0.0

    def run(self) -> Outcome:
        """All faults, then the judgement."""
        try:
            with Street(self._seed, self._mosquitto, self._code, self._keep) as street:
                self._began_at = time.time()
                hands = deal(self._plan, [_abilities(street, shop) for shop in street.shops])
                with ThreadPoolExecutor(len(hands)) as pool:
                    list(pool.map(lambda pair: self._strike(street, *pair), zip(street.shops, hands, strict=True)))
        except (ProgramError, StuckError) as error:
            self._found([Finding("lost", f"{STUCK} {self._seed}: {error}")])
        finally:
            self._stalls.close()
        return self._outcome

    def _strike(self, street: Street, shop: Shop, hand: Sequence[str]) -> None:
        chance = random.Random(f"{self._seed}/{shop.site.name}")
        is_rotten = False
        try:
            for count, name in enumerate(hand, 1):
                time.sleep(chance.uniform(0.05, 0.4))
                began = time.monotonic()
                happened = KINDS[name].strike(street, shop, chance)
                shop.calm()
                shop.wait_moving()
                is_rotten |= name.startswith(DAMAGE)
                if not is_rotten and (aside := shop.set_aside()):
                    # What is destroyed is excused where something was damaged, and nowhere else.
                    text = f"{name} damaged nothing, and a store was set aside: {aside}"
                    self._found([Finding("lost", f"{self._seed} {shop.site.name}: {text}")])
                with self._lock:
                    (self._outcome.faults if happened else self._outcome.missed)[name] += 1
                took_s, at_s = time.monotonic() - began, time.time() - self._began_at
                what = name if happened else f"{name} (did not come about)"
                self._say(f"{shop.site.name}: {what}, {took_s:.1f} s, done at {at_s:.0f} s")
                if self._is_short and count % _CHECK_EVERY == 0:
                    self._look(street, shop, is_end=False)
                if self._stop.is_set():
                    return
            self._look(street, shop, is_end=True)
        except (ProgramError, StuckError, AssertionError, OSError, HTTPException) as error:
            self._found([Finding("lost", f"{STUCK} {self._seed} {shop.site.name}: {type(error).__name__}: {error}")])

    def _look(self, street: Street, shop: Shop, *, is_end: bool) -> None:
        """Let all arrive, and judge it."""
        shop.settle(self._settle_s)
        street.wake_cloud()
        shop.notes.told_time()
        done = judge(self._case(street, shop))
        with self._lock:
            self._outcome.records[f"{self._seed}/{shop.site.name}"] = done.records
            self._outcome.quarantined += done.quarantined
        self._tell(shop, done)
        if not is_end:
            shop.go_on()

    def _case(self, street: Street, shop: Shop) -> Case:
        shop.notes.ended()
        name = shop.site.name
        return Case(
            gateway=name,
            lives=[shop.notes, *shop.clones],
            limits={**{device.name: device.limit_s for device in shop.site.devices}, TWIN: TWIN_LIMIT_S},
            began_at=self._began_at,
            ended_at=time.time(),
            rows=cloud_api.readings(street.cloud.url, name),
            gaps=cloud_api.gaps(street.cloud.url, name),
            stalls=self._stalls,
        )

    def _tell(self, shop: Shop, done: Judgement) -> None:
        at_s = time.time() - self._began_at
        self._say(f"{shop.site.name}: {done.records:,} records compared, {len(done.findings)} findings, {at_s:.0f} s")
        for one in done.findings[:_MOST_TOLD]:
            self._say(f"{shop.site.name}: {one.verdict}: {one.text}")
        self._found([one._replace(text=f"{self._seed} {shop.site.name}: {one.text}") for one in done.findings])

    def _found(self, findings: Sequence[Finding]) -> None:
        with self._lock:
            self._outcome.findings += findings
        if self._is_short and any(one.verdict in RECORDS for one in findings):
            self._stop.set()


def _abilities(street: Street, shop: Shop) -> frozenset[Where]:
    able: set[Where] = {"any"}
    if shop.machine:
        able.add("clock")
    if shop.site.name in street.disks:
        able.add("disk")
    return frozenset(able)
