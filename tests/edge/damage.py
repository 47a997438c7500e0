"""Damage as worn cards, torn writes and clumsy hands do it, to the bytes of a store's file."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from golmok_edge.store.pagefile import PAGE_BYTES

Damage = Callable[[bytearray, random.Random], None]


def _flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 1, 3, 30])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _page(data: bytearray, dice: random.Random) -> int:
    return dice.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES


def _over(data: bytearray, dice: random.Random, put: Callable[[int], bytes]) -> None:
    for _ in range(dice.choice([1, 1, 2, 8])):
        at = _page(data, dice)
        data[at : at + PAGE_BYTES] = put(PAGE_BYTES)


def _sector(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data) // 512) * 512
    data[at : at + 512] = dice.randbytes(512)


def _swap(data: bytearray, dice: random.Random) -> None:
    one, other = _page(data, dice), _page(data, dice)
    data[one : one + PAGE_BYTES], data[other : other + PAGE_BYTES] = (
        data[other : other + PAGE_BYTES],
        data[one : one + PAGE_BYTES],
    )


def _repeat(data: bytearray, dice: random.Random) -> None:
    one, other = _page(data, dice), _page(data, dice)
    data[one : one + PAGE_BYTES] = data[other : other + PAGE_BYTES]


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data)) :]


def _head(data: bytearray, dice: random.Random) -> None:
    size = dice.choice([1, 16, 100, 512])
    data[:size] = dice.randbytes(size)


DAMAGES: Final[dict[str, Damage]] = {
    "bits": _flip,
    "zeroed pages": lambda data, dice: _over(data, dice, bytes),
    "noise over pages": lambda data, dice: _over(data, dice, dice.randbytes),
    "noise over a sector": _sector,
    "swapped pages": _swap,
    "a page written twice": _repeat,
    "cut short": _cut,
    "a wrong header": _head,
    "all noise": lambda data, dice: data.__setitem__(slice(None), dice.randbytes(len(data))),
    "empty": lambda data, dice: data.clear(),
}
