"""Bluetooth adverts decoded a second on one core, beside the library that Home Assistant uses.

`python -m bench.ble --json`. The same frames in turns, the best of many short rounds of each: what a quiet core does.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Final

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bthome_ble import BTHomeBluetoothDeviceData
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from habluetooth import BluetoothServiceInfoBleak

from golmok_drivers.adverts import bthome

ADDRESS: Final = "54:48:E6:8F:80:A5"
KEY: Final = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
PLAIN: Final = [
    bytes.fromhex(text)
    for text in (
        "40015d025d0903b718",  # battery, temperature, humidity
        "40002e01641e012e34451601",  # Shelly's sensor
        "40005201643a01",  # a button
        "4002ca0903bf13",
        "404d12138a14",  # a meter
        "4000a70c780b1000",
    )
]
ENCRYPTED: Final = [bytes.fromhex("41a47266c95f730011223378237214")] * 6
ROUNDS: Final = 30


def info(payload: bytes) -> BluetoothServiceInfoBleak:
    """An advert as the other library wants it."""
    data = {"0000fcd2-0000-1000-8000-00805f9b34fb": payload}
    advert = AdvertisementData("x", {}, data, [], -127, -60, ())
    return BluetoothServiceInfoBleak(
        "x", ADDRESS, -60, {}, data, [], "", BLEDevice(ADDRESS, "x", {}), advert, True, 1.0, None
    )


def per_s(count: int, *works: Callable[[], None]) -> list[int]:
    """`count` frames in each round of each work, in turns: the best rates."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for at, work in enumerate(works):
            began = time.process_time()
            work()
            best[at] = min(best[at], time.process_time() - began)
    return [round(count / seconds) for seconds in best]


def compared(payloads: list[bytes], key: bytes | None, turns: int = 50) -> dict[str, float]:
    """Both read `payloads`, again and again."""
    cipher = AESCCM(key, tag_length=4) if key else None
    address = bytes.fromhex(ADDRESS.replace(":", ""))
    adverts = [info(payload) for payload in payloads]
    device = BTHomeBluetoothDeviceData(bindkey=key)

    def ours() -> None:
        for _ in range(turns):
            for payload in payloads:
                bthome.decode(payload, cipher, address)

    def theirs() -> None:
        for _ in range(turns):
            device.reset_encryption_counter()
            for advert in adverts:
                device.last_service_info = None  # else it looks away from what it has just seen
                device.update(advert)

    mine, other = per_s(turns * len(payloads), ours, theirs)
    return {"ours_per_s": mine, "bthome_ble_per_s": other, "ratio": round(mine / other, 1)}


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    result = {"plain": compared(PLAIN, None), "encrypted": compared(ENCRYPTED, KEY)}
    json.dump(result, sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    main()
