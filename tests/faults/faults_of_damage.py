"""Files that rot: bits that flip on the card, a header that is gone, a file that is cut short, a log of garbage.

The cloud is away before, so that readings lie on that card alone. What is destroyed must be counted in the ledger.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .shop import Shop
from .street import Street

_PAGE: Final = 4096
_Rot = Callable[[Path, random.Random], bool]


def blocks(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Bits flip in some pages of the store's file."""
    return _damaged(shop, chance, _flip_pages)


def header(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The first bytes of the store's file are gone."""
    return _damaged(shop, chance, _wipe_header)


def cut_short(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The store's file ends somewhere in its middle."""
    return _damaged(shop, chance, _cut_short)


def log_of_garbage(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A stretch of the store's log is garbage."""
    return _damaged(shop, chance, _garble_log, is_log_wanted=True)


def while_running(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Bits flip in the file of a store that is in use; whether anybody reads them is another matter."""
    _leave_on_card(shop, chance)
    shop.stop_gateway()
    _up(shop)
    happened = _flip_pages(shop.store, chance)
    shop.wait_moving(needs_cloud=False)
    shop.http.come_back()
    return happened


def killed_while_set_aside(street: Street, shop: Shop, chance: random.Random) -> bool:
    """kill -9 while a start sets the damaged store aside, or just before or after; the broker may die as well."""
    _leave_on_card(shop, chance)
    shop.stop_gateway()  # which carries the log over into the file
    happened = chance.choice((_flip_pages, _wipe_header, _cut_short))(shop.store, chance)
    shop.start_gateway()
    time.sleep(chance.uniform(0.3, 2))
    shop.kill_gateway()
    if chance.random() < 0.5:
        shop.kill_broker()
        shop.broker.start()
    shop.http.come_back()
    _up(shop)
    return happened


def _damaged(shop: Shop, chance: random.Random, rot: _Rot, *, is_log_wanted: bool = False) -> bool:
    _leave_on_card(shop, chance)
    if is_log_wanted:
        shop.kill_gateway()
    else:
        shop.stop_gateway()  # which carries the log over into the file
    happened = rot(shop.store, chance)
    shop.http.come_back()
    _up(shop)
    return happened


def _leave_on_card(shop: Shop, chance: random.Random) -> None:
    shop.http.go_away()
    shop.wait_moving(needs_cloud=False)
    time.sleep(chance.uniform(0.2, 1.5))


def _flip_pages(store: Path, chance: random.Random) -> bool:
    file = store / "store.db"
    body = bytearray(file.read_bytes())
    pages = range(1, len(body) // _PAGE)
    for page in chance.sample(pages, min(len(pages), chance.randint(1, 3))):
        for _ in range(chance.choice((1, 8, 200))):
            body[page * _PAGE + chance.randrange(_PAGE)] ^= 1 << chance.randrange(8)
    _overwrite(file, body)
    return len(pages) > 0


def _wipe_header(store: Path, chance: random.Random) -> bool:
    file = store / "store.db"
    body = bytearray(file.read_bytes())
    size = chance.choice((16, 100, _PAGE))
    body[:size] = chance.choice((bytes(size), chance.randbytes(size)))
    _overwrite(file, body)
    return True


def _cut_short(store: Path, chance: random.Random) -> bool:
    file = store / "store.db"
    body = file.read_bytes()
    size = chance.randrange(len(body) // 4, len(body))
    _overwrite(file, body[: size - size % _PAGE if chance.random() < 0.5 else size])
    return True


def _garble_log(store: Path, chance: random.Random) -> bool:
    file = store / "store.db-wal"
    body = bytearray(file.read_bytes()) if file.exists() else bytearray()
    if len(body) < 2 * _PAGE:
        return False
    begin = chance.randrange(0, len(body) - _PAGE)
    size = chance.choice((1, 64, _PAGE))
    body[begin : begin + size] = chance.randbytes(size)
    _overwrite(file, body)
    return True


def _overwrite(file: Path, body: bytes | bytearray) -> None:
    with file.open("r+b") as opened:
        opened.write(body)
        opened.truncate()


def _up(shop: Shop) -> None:
    shop.start_gateway()
    shop.wait_ready()
