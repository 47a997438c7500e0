"""What twins of devices that broadcast have in common, and how a BTHome device writes its frames.

They are written by the format's page, in another way than they are read. The counter of an encrypted frame goes up with
each new frame; a frame that is sent again is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from golmok_drivers.adverts.bthome import OBJECTS, UUID
from golmok_drivers.api import Broadcast, Value, World

ADVERTS_S: Final = 0.5
"""How often a twin sends what it has to say."""
_STRENGTH_DBM: Final = -60
_ID_OF: Final = {row.name: number for number, row in reversed(OBJECTS.items())}
_PACKET_ID: Final = 0x00


class Repeated:
    """A sensor's frame, sent again and again until it measures anew, every `every_s`, at most each second."""

    def __init__(self, every_s: float) -> None:
        self._every_s = max(every_s, 1.0)
        self._sent: Broadcast | None = None
        self._made_s = 0.0

    def at(self, now_s: float, measured: Callable[[], Broadcast], *, is_news: bool = False) -> Broadcast:
        """What is sent now; `is_news`: it does not wait for its time."""
        if self._sent is None or is_news or now_s - self._made_s >= self._every_s:
            self._sent, self._made_s = measured(), now_s
        return self._sent


class BTHomeSender:
    """Makes frames, and says what a right driver reads in them."""

    def __init__(self, address: str, key: str | None, world: World) -> None:
        self.address = address.upper()
        self.world = world
        self._key = bytes.fromhex(key) if key else None
        self._packet = int(world.random() * 256)
        self._counter = int(world.random() * 1000)
        self._states: Mapping[str, bool] = {}

    @property
    def interval_s(self) -> float:
        """See `BleTwin.interval_s`."""
        return ADVERTS_S

    @staticmethod
    def is_state(name: str) -> bool:
        """Whether the quantity is yes or no."""
        row = OBJECTS[_ID_OF[_base(name)]]
        return row.read is not None and row.size == 1 and row.unit == "1"

    def has_changed(self, states: Mapping[str, bool]) -> bool:
        """Whether a state is another one than in the last frame."""
        return states != self._states

    def frame(
        self, felt: Mapping[str, float], more: bytes = b"", given: tuple[tuple[str, Value], ...] = ()
    ) -> Broadcast:
        """The next frame: what is felt, and objects that are ready."""
        self._states = {name: value >= 0.5 for name, value in felt.items() if self.is_state(name)}
        self._packet = (self._packet + 1) % 256
        body = bytes([_PACKET_ID, self._packet])
        said: list[tuple[str, Value]] = list(given)
        for name, value in felt.items():
            coded, meant = _coded(_base(name), value)
            body += coded
            said.append((name, meant))
        data = self._sealed(body + more)
        strength = _STRENGTH_DBM + round(8 * self.world.random())
        return Broadcast({UUID: data}, rssi=strength, given=tuple(said))

    def _sealed(self, body: bytes) -> bytes:
        if self._key is None:
            return b"\x40" + body
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM

        self._counter += 1
        counter = self._counter.to_bytes(4, "little")
        nonce = bytes.fromhex(self.address.replace(":", "")) + b"\xd2\xfc\x41" + counter
        sealed = AESCCM(self._key, tag_length=4).encrypt(nonce, body, None)
        return b"\x41" + sealed[:-4] + counter + sealed[-4:]


def _base(name: str) -> str:
    base, _, number = name.rpartition("_")
    return name if name in _ID_OF else base if number.isdecimal() else name


def _coded(name: str, value: float) -> tuple[bytes, Any]:
    """The object's bytes, and what they mean: the nearest that fits into them."""
    number = _ID_OF[name]
    row = OBJECTS[number]
    if BTHomeSender.is_state(name):
        return bytes([number, value >= 0.5]), value >= 0.5
    assert row.size is not None, f"no twin says {name}"
    low, high = (
        (-(1 << 8 * row.size - 1), (1 << 8 * row.size - 1) - 1) if row.is_signed else (0, (1 << 8 * row.size) - 1)
    )
    raw = min(max(round(value * row.per), low), high)
    coded = bytes([number, *((raw >> 8 * place) & 0xFF for place in range(row.size))])
    return coded, raw if row.per == 1 else raw / row.per
