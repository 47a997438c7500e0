"""A crowded air for `bench.ble_presses`: buttons that are pressed, and everybody else, as a process of its own.

It waits for a line on standard input, sends what its seed says through a `FakeBlueZ`, and prints a line of JSON for
each press: which button, which counter, and when its first frame that was not lost went out (CLOCK_MONOTONIC, seconds).
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from golmok_drivers.twins.bluez import FakeBlueZ, Heard

BURST: Final = 6
BETWEEN_S: Final = 0.04
EACH_PRESSES_PER_S: Final = 0.5
LEAST_APART_S: Final = 1.0
MOST_LATE_S: Final = 0.02
OTHERS: Final = 400
STALE_SHARE: Final = 0.05
"""Of the other adverts, those that a button sends without service data: BlueZ hands the old ones on along with them."""
EVENTS: Final = (1, 2, 3, 4)


class Plan(NamedTuple):
    """What is sent: `presses` in all by `buttons`, while `rate` adverts a second arrive, of which `loss` are lost."""

    buttons: int
    presses: int
    rate: float
    loss: float
    seed: int

    @property
    def lasts_s(self) -> float:
        """How long it takes."""
        return self.presses / (self.buttons * EACH_PRESSES_PER_S)


class Sent(NamedTuple):
    """One frame that arrives; `press` counts the frames of a press from 0, -1 for what is no press."""

    at_s: float
    heard: Heard
    button: int = -1
    counter: int = -1
    is_first: bool = False


def address(button: int) -> str:
    """Of the nth button."""
    return f"38:39:8F:A1:{button >> 8:02X}:{button & 0xFF:02X}"


def key(button: int) -> str:
    """Of the nth button."""
    return f"{button:04x}" * 8


def presses(plan: Plan, button: int) -> Iterator[Sent]:
    """The frames of one button that are not lost, press by press; at least one of each burst arrives."""
    dice = random.Random(f"{plan.seed}/{button}")
    cipher, counter, packet = (
        AESCCM(bytes.fromhex(key(button)), tag_length=4),
        dice.randrange(1_000),
        dice.randrange(256),
    )
    own = bytes.fromhex(address(button).replace(":", ""))
    apart_s = 1 / EACH_PRESSES_PER_S
    for nth in range(plan.presses // plan.buttons):
        at_s = nth * apart_s + dice.uniform(0, apart_s - LEAST_APART_S)
        counter, packet = counter + 1, (packet + 1) % 256
        body = bytes([0x00, packet, 0x01, 90, 0x3A, dice.choice(EVENTS)])
        number = counter.to_bytes(4, "little")
        sealed = cipher.encrypt(own + b"\xd2\xfc\x41" + number, body, None)
        data = {0xFCD2: b"\x41" + sealed[:-4] + number + sealed[-4:]}
        kept = [place for place in range(BURST) if dice.random() >= plan.loss] or [dice.randrange(BURST)]
        for place in kept:
            heard = Heard(address(button), data, rssi=-60 - place)
            yield Sent(at_s + place * BETWEEN_S, heard, button, counter, is_first=place == kept[0])


def everybody_else(plan: Plan, arriving_per_s: float) -> Iterator[Sent]:
    """Sensors and phones, and buttons that send something else."""
    dice = random.Random(f"{plan.seed}/others")
    at_s, count = 0.0, 0
    while at_s < plan.lasts_s:
        at_s += 1 / arriving_per_s
        count += 1
        data = {0xFCD2: b"\x40\x00" + bytes([count & 0xFF]) + b"\x02" + (count & 0x7FFF).to_bytes(2, "little")}
        if dice.random() < STALE_SHARE:
            yield Sent(at_s, Heard(address(dice.randrange(plan.buttons)), {}, {0x0BA9: bytes([count & 0xFF])}))
        else:
            yield Sent(at_s, Heard(f"C4:7C:8D:00:{count % OTHERS >> 8:02X}:{count % OTHERS & 0xFF:02X}", data))


def frames(plan: Plan) -> Iterator[Sent]:
    """All that arrives, in the order of time."""
    ours = BURST * (1 - plan.loss) * plan.buttons * EACH_PRESSES_PER_S
    every = [presses(plan, button) for button in range(plan.buttons)]
    if plan.rate > ours:
        every.append(everybody_else(plan, plan.rate - ours))
    return heapq.merge(*every, key=lambda sent: sent.at_s)


async def send(plan: Plan, bus: str) -> None:
    """Send it all, at its time, and say when."""
    bluez = FakeBlueZ(bus)
    await bluez.open()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began_s, count, said = time.monotonic(), 0, []
    started_s = began_s
    for sent in frames(plan):
        early_s = began_s + sent.at_s - time.monotonic()
        if early_s > 0:
            await asyncio.sleep(early_s)
        elif early_s < -MOST_LATE_S:
            began_s -= early_s + MOST_LATE_S  # a machine that is too slow has a slower air, not one of other bursts
        bluez.hear(sent.heard)
        count += 1
        if sent.is_first:
            said.append({"button": sent.button, "counter": sent.counter, "at_s": time.monotonic()})
        if count % 20 == 0:
            await asyncio.sleep(0)
    while bluez.waiting:  # noqa: ASYNC110  # a bench has time
        await asyncio.sleep(0.01)
    took_s = time.monotonic() - started_s
    for line in said:
        print(json.dumps(line))
    print(json.dumps({"adverts": count, "signals": bluez.told, "took_s": took_s}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await bluez.close()


def main() -> None:
    """Send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bus")
    parser.add_argument("plan", help="the plan as JSON")
    args = parser.parse_args()
    asyncio.run(send(Plan(**json.loads(args.plan)), args.bus))


if __name__ == "__main__":
    main()
