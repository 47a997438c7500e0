"""Cards that are copied and put back."""

from __future__ import annotations

import random
import time

from .shop import Shop
from .street import Street

_SETTLE_S = 40.0


def rollback(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The card is replaced by a copy of it that is some seconds old."""
    return _roll_back(street, shop, 1)


def rollback_twice(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The same old copy is put in twice."""
    return _roll_back(street, shop, 2)


def _roll_back(street: Street, shop: Shop, times: int) -> bool:
    image = shop.folder / f"image-{time.monotonic_ns()}"
    shop.kill_gateway()
    shop.image(image)
    shop.start_gateway()
    shop.wait_ready()
    for _ in range(times):
        shop.wait_moving()
        shop.settle(_SETTLE_S)  # what the card alone has is gone with it: leave nothing there
        shop.kill_gateway()
        shop.put_image(image)
        shop.start_gateway()
        shop.wait_ready()
        shop.go_on()
    return True


def clone(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The card is copied, and both cards run at the same time, each with devices of its own."""
    image = shop.folder / f"image-{time.monotonic_ns()}"
    shop.kill_gateway()
    shop.image(image)
    shop.start_gateway()
    shop.wait_ready()
    other = Shop(street.clone_site(shop, len(shop.clones) + 1))
    shop.clones.append(other.notes)
    try:
        other.put_image(image)
        other.open()
        time.sleep(chance.uniform(0.5, 1.5))
        other.settle(_SETTLE_S)
    finally:
        other.close()
    return True
