"""Programs that die, disks that are full, devices that are silent, gateways that are off."""

from __future__ import annotations

import random
import time

from .http_line import again
from .line import until
from .shop import SILENCE_S, Shop
from .street import Street


def kill_gateway(street: Street, shop: Shop, chance: random.Random) -> bool:
    """kill -9 while messages wait for their commit."""
    time.sleep(chance.uniform(0, 1))
    shop.wait_open_commit()
    shop.kill_gateway()
    time.sleep(chance.choice((0.0, chance.uniform(0, 1))))
    shop.start_gateway()
    shop.wait_ready()
    return True


def kill_gateway_starting(street: Street, shop: Shop, chance: random.Random) -> bool:
    """kill -9 at any moment of the start, several times."""
    shop.kill_gateway()
    for _ in range(chance.randint(1, 3)):
        shop.start_gateway()
        time.sleep(chance.uniform(0.1, 1.6))
        shop.kill_gateway()
    shop.start_gateway()
    shop.wait_ready()
    return True


def stop_gateway(street: Street, shop: Shop, chance: random.Random) -> bool:
    """SIGTERM, and a new start."""
    shop.stop_gateway()
    shop.start_gateway()
    shop.wait_ready()
    return True


def kill_cloud(street: Street, shop: Shop, chance: random.Random) -> bool:
    """kill -9 of the cloud, at any moment."""
    with street.cloud_lock:
        time.sleep(chance.uniform(0, 0.5))
        street.cloud.kill()
        street.cloud.start().wait()
    return True


def kill_cloud_starting(street: Street, shop: Shop, chance: random.Random) -> bool:
    """kill -9 of the cloud while it starts."""
    with street.cloud_lock:
        street.cloud.kill()
        street.cloud.start()
        time.sleep(chance.uniform(0.3, 2.5))
        street.cloud.kill()
        street.cloud.start().wait()
    return True


def kill_both_after_copy(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A copy of an old request comes late; then cloud and gateway die before they hear anything else of each other."""
    if not until(lambda: len(shop.http.carried) >= 3, 20.0):
        return False
    with street.cloud_lock:
        shop.http.go_away()
        again(shop.http, shop.http.carried[-chance.choice((2, 3))])
        street.cloud.kill()
        shop.kill_gateway()
        street.cloud.start().wait()
    shop.http.come_back()
    shop.start_gateway()
    shop.wait_ready()
    return True


def kill_broker(street: Street, shop: Shop, chance: random.Random) -> bool:
    """kill -9 of the broker, which forgets all that it had."""
    shop.wait_open_commit()
    shop.kill_broker()
    time.sleep(chance.choice((0.0, chance.uniform(0, 1))))
    shop.broker.start()
    return True


def kill_broker_and_gateway(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Both at once."""
    shop.wait_open_commit()
    shop.kill_broker()
    shop.kill_gateway()
    shop.broker.start()
    shop.start_gateway()
    shop.wait_ready()
    return True


def gateway_off(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The gateway is off for longer than a silence may last: a hole that must be named."""
    shop.kill_gateway()
    time.sleep(SILENCE_S)
    shop.start_gateway()
    shop.wait_ready()
    return True


def device_silent(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A device on the local bus says nothing for longer than is normal; other faults go on meanwhile."""
    chance.choice(shop.sources).be_silent(SILENCE_S)
    return True


def part_silent(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A wired part does not answer for longer than is normal; other faults go on meanwhile."""
    shop.silence_twin(SILENCE_S)
    shop.stop_gateway()
    shop.start_gateway()
    shop.wait_ready()
    shop.silence_twin(0)
    return True


def disk_full(street: Street, shop: Shop, chance: random.Random) -> bool:
    """No byte is left on the store's disk, until somebody makes room."""
    disk = street.disks[shop.site.name]
    disk.fill()
    try:
        was_refused = until(lambda: shop.status().get("disk_full"), 30.0, 0.1)
        time.sleep(chance.uniform(0, 1))
    finally:
        disk.free()
    return bool(was_refused)
