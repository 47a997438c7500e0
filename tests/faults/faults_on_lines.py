"""Faults of the two lines. Each strikes a shop that moves, and says whether it really happened."""

from __future__ import annotations

import random
import threading
import time

from . import http_line
from .http_line import Act
from .line import reset, until
from .packets import Buffer
from .shop import Shop
from .street import Street

_HIT_S = 20.0


def _strike(shop: Shop, act: Act, times: int) -> bool:
    """Let an act happen to so many exchanges; whether it did."""
    trouble = shop.http.afflict(act, times)
    until(lambda: trouble.is_over, _HIT_S)
    shop.http.calm()
    return trouble.is_over


def cloud_late(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Requests and replies take up to 0.4 s longer."""
    return _strike(shop, http_line.late(chance), 3)


def cloud_slow(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A line of 2 to 8 kB/s."""
    return _strike(shop, http_line.slow(chance.uniform(2_000, 8_000)), 3)


def cloud_cut_request(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The connection ends in the middle of a request."""
    return _strike(shop, http_line.cut_request(chance), 1)


def cloud_cut_reply(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The connection ends in the middle of a reply."""
    return _strike(shop, http_line.cut_reply(chance), 1)


def cloud_swallow(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Requests arrive whole, their replies do not, nor does that of the second try."""
    return _strike(shop, http_line.swallow_reply, chance.choice((2, 3)))


def cloud_hole(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Nothing passes, nobody says so."""
    over = threading.Event()
    trouble = shop.http.afflict(http_line.hole(over), 100)
    until(lambda: trouble.done, _HIT_S)
    time.sleep(chance.uniform(0.3, 1.5))
    over.set()
    shop.http.calm()
    return trouble.done > 0


def cloud_twice(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The same bytes reach the cloud on two connections, at once or one of them later."""
    return _strike(shop, http_line.twice(chance), 3)


def cloud_overtaken(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A request that hung arrives after its own later try, which was cut anew."""
    return _strike(shop, http_line.Overtaken(), http_line.Overtaken.TIMES)


def cloud_flip(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Bits of what is sent flip on the way."""
    return _strike(shop, http_line.damage(chance), 4)


def mqtt_late(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Each packet takes up to 30 ms, in either direction."""
    return _pass_under(shop, delay_s=0.03)


def mqtt_slow(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A line of 20 kB/s."""
    return _pass_under(shop, bytes_per_s=20_000)


def _pass_under(shop: Shop, *, delay_s: float = 0.0, bytes_per_s: float = 0.0) -> bool:
    passed = shop.mqtt.passed["passed"]
    shop.mqtt.delay_s, shop.mqtt.bytes_per_s = delay_s, bytes_per_s
    until(lambda: shop.mqtt.passed["passed"] > passed + 30, 5.0)
    shop.mqtt.calm()
    return shop.mqtt.passed["passed"] > passed + 30


def mqtt_cut_down(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The connection ends in the middle of a message to the gateway."""
    return _cut(shop, "down", chance)


def mqtt_cut_up(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The connection ends in the middle of what the gateway says, mostly an acknowledgement."""
    return _cut(shop, "up", chance)


def _cut(shop: Shop, way: str, chance: random.Random) -> bool:
    before = shop.mqtt.passed[f"cut {way}"]
    shop.mqtt.cut_within(way, chance.randrange(12))
    return bool(until(lambda: shop.mqtt.passed[f"cut {way}"] > before, 10.0))


def mqtt_hole(street: Street, shop: Shop, chance: random.Random) -> bool:
    """Nothing passes for a moment; then all of it does, or the connection is reset."""
    shop.wait_open_commit()
    shop.mqtt.hold()
    time.sleep(chance.uniform(0.3, 1.5))
    if chance.random() < 0.5:
        shop.mqtt.cut()
    shop.mqtt.calm()
    return True


def mqtt_swallow(street: Street, shop: Shop, chance: random.Random) -> bool:
    """What the gateway acknowledges does not arrive; the broker brings it again, to the same process."""
    again = shop.notes.count["again"]
    _swallow(shop)
    shop.mqtt.cut()
    return _came_again(shop, again)


def mqtt_swallow_kill(street: Street, shop: Shop, chance: random.Random) -> bool:
    """What the gateway acknowledges does not arrive, and it dies; the broker brings it again, to the next process."""
    again = shop.notes.count["again"]
    _swallow(shop)
    shop.kill_gateway()
    shop.start_gateway()
    return _came_again(shop, again)


def _swallow(shop: Shop) -> None:
    before = shop.mqtt.passed["swallowed"]
    shop.mqtt.swallows_acks = True
    until(lambda: shop.mqtt.passed["swallowed"] > before, _HIT_S)


def _came_again(shop: Shop, before: int) -> bool:
    shop.mqtt.calm()
    return bool(until(lambda: shop.notes.count["again"] > before, _HIT_S))


def mqtt_twice(street: Street, shop: Shop, chance: random.Random) -> bool:
    """A second connection takes over the gateway's session for a moment, and hears what was meant for it."""
    before = shop.mqtt.connections
    with shop.mqtt.reach() as other:
        other.settimeout(chance.uniform(0.2, 0.8))
        other.sendall(shop.mqtt.last_connect)
        shop.mqtt.hold()
        buffer, heard = Buffer(), 0
        try:
            while data := other.recv(65_536):
                heard += len(buffer.feed(data))
                if heard > 8:
                    break
        except OSError:
            pass
        reset(other)
    shop.mqtt.calm()
    return bool(until(lambda: shop.mqtt.connections > before, 20.0))
