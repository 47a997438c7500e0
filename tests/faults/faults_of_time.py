"""Clocks that are wrong, and boots that learn the time late or never."""

from __future__ import annotations

import random
import time

from .machine import Machine
from .shop import Shop
from .street import Street

_HOUR_MS = 3_600_000


def reboot_1970(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The machine starts anew, and believes that it is 1970."""
    _reboot(shop, chance, chance.randrange(0, 60_000))
    _up(shop)
    return True


def reboot_behind(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The machine starts anew at the time of its last shutdown, as a Raspberry Pi does: hours or days ago."""
    _reboot(shop, chance, _now_ms() - chance.randrange(1, 200) * _HOUR_MS)
    _up(shop)
    return True


def clock_jumps(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Somebody sets the clock forward, then back, by minutes to years."""
    machine = _machine(shop)
    for _ in range(2):
        by_ms = chance.choice((1, -1)) * chance.choice((60_000, _HOUR_MS, 365 * 24 * _HOUR_MS))
        machine.jump(by_ms)
        time.sleep(chance.uniform(0.2, 0.8))
    return True


def boot_never_knows(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A whole boot without a cloud: nobody ever tells it the time."""
    shop.http.go_away()
    _reboot(shop, chance, chance.randrange(0, 60_000))
    _up(shop)
    shop.wait_moving(needs_cloud=False)
    shop.wait_open_commit()
    shop.kill_gateway()
    shop.reboot(chance.randrange(0, 60_000))
    shop.http.come_back()
    _up(shop)
    return True


def late_anchor(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A boot that learns the time from the cloud after seconds of not knowing it."""
    shop.http.go_away()
    _reboot(shop, chance, 0)
    _up(shop)
    shop.wait_moving(needs_cloud=False)
    time.sleep(chance.uniform(0, 1))
    shop.http.come_back()
    return True


def ntp_late(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A boot without a cloud, in which somebody who knows the time sets the clock."""
    shop.http.go_away()
    _reboot(shop, chance, 0)
    _up(shop)
    shop.wait_moving(needs_cloud=False)
    _machine(shop).keep(within_ms=30)
    shop.notes.kept()
    time.sleep(chance.uniform(0, 1))
    shop.http.come_back()
    return True


def _reboot(shop: Shop, chance: random.Random, wall_ms: int) -> None:
    """Power off and on again: gateway and broker end, and the boot clock begins at 0."""
    shop.wait_open_commit()
    shop.kill_gateway()
    if chance.random() < 0.5:
        shop.kill_broker()
        shop.broker.start()
    shop.reboot(wall_ms)


def _up(shop: Shop) -> None:
    shop.start_gateway()
    shop.wait_ready()


def _machine(shop: Shop) -> Machine:
    assert shop.machine is not None
    return shop.machine


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
