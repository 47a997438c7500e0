"""Cards that are copied and put back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .shop import Shop
from .street import Street

_SETTLE_S = 40.0


def rollback(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The card is replaced by a copy of it that is some seconds old."""
    return _roll_back(shop, chance, 1)


def rollback_twice(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The same old copy is put in twice."""
    return _roll_back(shop, chance, 2)


def _roll_back(shop: Shop, chance: random.Random, times: int) -> bool:
    image = _image(shop, chance)
    for _ in range(times):
        shop.wait_moving()
        shop.settle(_SETTLE_S)  # what the card alone has is gone with it: leave nothing there
        shop.kill_gateway()
        shop.put_image(image)
        _up(shop)
        shop.go_on()
    return True


def clone(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The card is copied, and both cards run at the same time, each with devices of its own."""
    with _living(street, shop, shop, _image(shop, chance)) as other:
        time.sleep(chance.uniform(0.3, 1))
        other.settle(_SETTLE_S)
    return True


def clone_of_clone(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The card is copied, the copy is copied when it has lived for a while, and all three run at the same time."""
    with _living(street, shop, shop, _image(shop, chance)) as other:
        with _living(street, shop, other, _image(other, chance)) as third:
            time.sleep(chance.uniform(0.3, 1))
            third.settle(_SETTLE_S)
        other.settle(_SETTLE_S)
    return True


def _image(shop: Shop, chance: random.Random) -> Path:
    """A copy of the card, mostly with records on it that the cloud does not have yet."""
    image = shop.folder / f"image-{time.monotonic_ns()}"
    if chance.random() < 0.7:
        shop.http.go_away()
        shop.wait_moving(needs_cloud=False)
        time.sleep(chance.uniform(0, 1))
    shop.kill_gateway()
    shop.image(image)
    shop.http.come_back()
    _up(shop)
    return image


@contextmanager
def _living(street: Street, shop: Shop, parent: Shop, image: Path) -> Iterator[Shop]:
    """A gateway of the same name that runs with a copy of the card of `parent`; it is judged together with `shop`."""
    other = Shop(street.clone_site(parent, len(shop.clones) + 1))
    shop.clones.append(other.notes)
    try:
        other.put_image(image)
        other.open()
        yield other
    finally:
        other.close()


def _up(shop: Shop) -> None:
    shop.start_gateway()
    shop.wait_ready()
