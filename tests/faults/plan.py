"""Which faults there are, and which of them a run gets: the same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from . import faults_of_cards as cards
from . import faults_of_damage as damage
from . import faults_of_death as death
from . import faults_of_power as power
from . import faults_of_time as clocks
from . import faults_on_lines as lines

if TYPE_CHECKING:
    from .shop import Shop
    from .street import Street

Strike = Callable[["Street", "Shop", random.Random], bool]
Where = Literal["any", "clock", "disk"]
"""Which shops a fault can strike: any, those on an invented machine, those on a small disk."""


class Kind(NamedTuple):
    """A kind of fault. `strike` makes it happen to a shop that moves, and says whether it did."""

    strike: Strike
    cost_s: float = 1.5
    """About how long it takes, so that the shops of a street are done at the same time."""
    where: Where = "any"
    is_core: bool = False
    """In every run of 25: without it, some mutation might stay unseen."""
    why_not: str = ""
    """Why plans leave it out; `--kind` makes it all the same."""


DAMAGE: Final = "damaged-"
"""What destroys something is called so."""
KINDS: Final[Mapping[str, Kind]] = {
    "cloud-late": Kind(lines.cloud_late, 2),
    "cloud-slow": Kind(lines.cloud_slow, 2),
    "cloud-cut-request": Kind(lines.cloud_cut_request, 1.5),
    "cloud-cut-reply": Kind(lines.cloud_cut_reply, 1.5),
    "cloud-swallow": Kind(lines.cloud_swallow, 2, is_core=True),
    "cloud-hole": Kind(lines.cloud_hole, 2),
    "cloud-twice": Kind(lines.cloud_twice, 2),
    "cloud-overtaken": Kind(lines.cloud_overtaken, 4, is_core=True),
    "cloud-flip": Kind(lines.cloud_flip, 2, is_core=True),
    "mqtt-late": Kind(lines.mqtt_late, 1.5),
    "mqtt-slow": Kind(lines.mqtt_slow, 1.5),
    "mqtt-cut-down": Kind(lines.mqtt_cut_down, 2),
    "mqtt-cut-up": Kind(lines.mqtt_cut_up, 2),
    "mqtt-hole": Kind(lines.mqtt_hole, 2),
    "mqtt-swallow": Kind(lines.mqtt_swallow, 3, is_core=True),
    "mqtt-swallow-kill": Kind(lines.mqtt_swallow_kill, 3, is_core=True),
    "mqtt-twice": Kind(lines.mqtt_twice, 2),
    "kill-gateway": Kind(death.kill_gateway, 2.5, is_core=True),
    "kill-gateway-starting": Kind(death.kill_gateway_starting, 4),
    "stop-gateway": Kind(death.stop_gateway, 2),
    "kill-cloud": Kind(death.kill_cloud, 4),
    "kill-cloud-starting": Kind(death.kill_cloud_starting, 6),
    "kill-both-after-copy": Kind(death.kill_both_after_copy, 6),
    "kill-broker": Kind(death.kill_broker, 2.5),
    "kill-broker-and-gateway": Kind(death.kill_broker_and_gateway, 2.5),
    "gateway-off": Kind(death.gateway_off, 10.5),
    "device-silent": Kind(death.device_silent, 0.5),
    "part-silent": Kind(death.part_silent, 2),
    "damaged-pages": Kind(damage.blocks, 5),
    "damaged-header": Kind(damage.header, 5),
    "damaged-end": Kind(damage.cut_short, 5),
    "damaged-log": Kind(damage.log_of_garbage, 5),
    "damaged-in-use": Kind(damage.while_running, 5),
    "damaged-and-killed": Kind(damage.killed_while_set_aside, 6),
    "power-cut": Kind(power.power_cut, 6, is_core=True),
    "disk-full": Kind(death.disk_full, 4, "disk"),
    "reboot-1970": Kind(clocks.reboot_1970, 2.5, "clock"),
    "reboot-behind": Kind(clocks.reboot_behind, 2.5, "clock"),
    "clock-jumps": Kind(clocks.clock_jumps, 2, "clock"),
    "boot-never-knows": Kind(clocks.boot_never_knows, 5, "clock"),
    "late-anchor": Kind(clocks.late_anchor, 4, "clock"),
    "ntp-late": Kind(clocks.ntp_late, 4, "clock"),
    "card-rolled-back": Kind(cards.rollback, 6, is_core=True),
    "card-rolled-back-twice": Kind(cards.rollback_twice, 9),
    "card-cloned": Kind(cards.clone, 7),
    "card-cloned-again": Kind(cards.clone_of_clone, 12),
}


def draw(seed: int, skipped: frozenset[str], often: str = "") -> Iterator[list[str]]:
    """The plan of each life of a street, 25 faults at a time, without end.

    The core kinds come first in each, so that a mutation is found soon; the rest of a life comes out of a bag of all
    kinds, which is filled again when it is empty. What comes `often` stands among the first three times more: one
    strike may miss, where a fault needs luck to do harm.
    """
    chance = random.Random(f"plan {seed}")
    names = [name for name in KINDS if name not in skipped]
    core = [name for name in names if KINDS[name].is_core] + [often] * (3 if often in names else 0)
    bag: list[str] = []
    while True:
        plan = chance.sample(core, len(core))
        while len(plan) < LIFE:
            if not bag:
                bag = chance.sample(names, len(names))
            plan.append(bag.pop())
        yield plan


LIFE: Final = 25
"""Faults in one life of a street; then a new one begins, on empty disks."""


def deal(plan: Sequence[str], abilities: Sequence[frozenset[Where]]) -> list[list[str]]:
    """Give each fault to a shop that it can strike, so that all are done at about the same time.

    Each shop's faults stay in the order of the plan.
    """
    load = [0.0] * len(abilities)
    hands: list[list[int]] = [[] for _ in abilities]
    narrow_first = sorted(range(len(plan)), key=lambda at: (KINDS[plan[at]].where == "any", -KINDS[plan[at]].cost_s))
    for at in narrow_first:
        kind = KINDS[plan[at]]
        able = [number for number, able in enumerate(abilities) if kind.where in able]
        least = min(able, key=lambda number: load[number])
        load[least] += kind.cost_s
        hands[least].append(at)
    return [[plan[at] for at in sorted(hand)] for hand in hands]
