"""Ten million adverts that nobody sent: each is decoded or refused by name, and nothing else ever happens.

`python -m bench.ble_fuzz --json`: random bytes, random objects behind a right head, and right frames with bytes changed
or cut off, as BTHome (plain and encrypted), RuuviTag and iBeacon.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from golmok_drivers import adverts
from golmok_drivers.errors import PayloadError

ADDRESS: Final = bytes.fromhex("5448e68f80a5")
CIPHER: Final = AESCCM(bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932"), tag_length=4)
RIGHT: Final = [
    bytes.fromhex(text)
    for text in (
        "40015d025d0903b718", "40002e01641e012e34451601", "400053054b c3bc6e7e", "4054050102030405",
        "403b0201ff3a013c0203",
        "41a47266c95f730011223378237214", "42a580 8fe6485403bf13", "40f100010204f2000102 60 03",
    )
]  # fmt: skip
RUUVI: Final = bytes.fromhex("0512fc5394c37c0004fffc040cac364200cdcbb8334c884f")
IBEACON: Final = bytes.fromhex("0215f7826da64fa24e988024bc5b71e0893e00010002c5")
_CHUNK: Final = 10_000


def frames(dice: random.Random, count: int) -> Iterator[tuple[int, bytes]]:
    """Kinds (0: BTHome, 1: encrypted BTHome, 2: Ruuvi, 3: iBeacon) and bytes."""
    pool = dice.randbytes(40 * _CHUNK)
    for at in range(count):
        size = pool[at * 40] % 40
        data = pool[at * 40 + 1 : at * 40 + 1 + size]
        kind = at % 4
        match at % 3:
            case 1:
                data = (b"\x40", b"\x41", b"\x05", b"\x02\x15")[kind] + data
            case 2:
                right = bytearray((RIGHT[at % len(RIGHT)], RIGHT[5], RUUVI, IBEACON)[kind])
                for byte in data[:3]:
                    right[byte % len(right)] ^= data[-1]
                data = bytes(right[: len(right) - (data[0] % 4 if data else 0)])
        yield kind, data


def fuzzed(count: int, seed: int = 1) -> dict[str, Any]:
    """Decode so many; raises whatever is no `PayloadError`, with the frame that did it."""
    dice, decoded, refused, began = random.Random(seed), 0, 0, time.process_time()
    for _ in range(0, count, _CHUNK):
        for kind, data in frames(dice, min(_CHUNK, count)):
            try:
                if kind < 2:
                    adverts.decode({0xFCD2: data}, {}, CIPHER if kind else None, ADDRESS)
                else:
                    adverts.decode({}, {(0x0499, 0x004C)[kind - 2]: data})
                decoded += 1
            except PayloadError:
                refused += 1
            except Exception as error:
                raise AssertionError(f"kind {kind}: {data.hex()}") from error
    return {
        "frames": decoded + refused,
        "decoded": decoded,
        "refused": refused,
        "cpu_s": round(time.process_time() - began, 1),
    }


def main() -> None:
    """Fuzz, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--frames", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    json.dump(fuzzed(options.frames, options.seed), sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    main()
