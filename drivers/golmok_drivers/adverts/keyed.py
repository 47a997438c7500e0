"""A BTHome device that has a key: its frames are decrypted, judged, and counted on disk before anybody hears of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from golmok_drivers.adverts import bthome
from golmok_drivers.adverts.guard import Ceremony, Verdict, judge
from golmok_drivers.errors import BusError, PayloadError, RefusedError
from golmok_drivers.radio import Counters

EVENTS: Final = ("button", "command", "dimmer")
"""Quantities of BTHome that happen at a moment."""
_ID_BYTES: Final = 8
_KEY_NAME_BYTES: Final = 4


def name_of(address: str, key: str) -> str:
    """What a device is called where its counter is kept. With another key it is another device."""
    return f"{address.upper()}/{hashlib.sha256(bytes.fromhex(key)).hexdigest()[: 2 * _KEY_NAME_BYTES]}"


class KeyedDevice:
    """One device with its key (32 hex digits)."""

    def __init__(self, address: str, key: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # 6 MB that only keyed devices need

        self.name = name_of(address, key)
        self._key = bytes.fromhex(key)
        self._address = bytes.fromhex(address.replace(":", ""))
        self._cipher = AESCCM(self._key, tag_length=4)
        self._ceremony = Ceremony()
        self._seen = b""
        self._refusal: RefusedError | None = None

    def judged(self, data: bytes, counters: Counters) -> tuple[bthome.Frame, Verdict] | None:
        """What a frame says, and whether it may be believed; None for the very bytes that were believed last.

        Raises `RefusedError` for one that is plain, of another key, changed or cut.
        """
        if data == self._seen:
            if self._refusal is not None:
                raise self._refusal
            return None
        try:
            frame = bthome.decode(data, self._cipher, self._address)
        except PayloadError as error:
            raise self._refused(data, error.reason, str(error)) from error
        assert frame.counter is not None, "a plain frame of a device with a key was let through"
        if frame.rest:
            raise self._refused(data, "parse", f"cut short: {frame.rest.hex()} cannot be read")
        return frame, judge(frame.counter, counters.last(self.name))

    async def accepted(self, data: bytes, counters: Counters, at_s: float) -> bthome.Frame | None:
        """The frame, if it is new and may be believed; its counter is on disk then. Raises `RefusedError`, `BusError`.

        None: nothing new. The counter of what was believed stays used, whatever becomes of the event.
        """
        judged = self.judged(data, counters)
        if judged is None:
            return None
        frame, verdict = judged
        if verdict is Verdict.FRESH:
            await self.note(frame, counters)
        elif verdict is not Verdict.SAME and not await self._is_ceremony(frame, counters, at_s):
            last = counters.last(self.name)
            raise self._refused(data, verdict.value, f"{self.name}: counter {frame.counter} after {last}")
        self._seen, self._refusal = data, None
        return frame if verdict is Verdict.FRESH else None

    async def note(self, frame: bthome.Frame, counters: Counters) -> None:
        """Write the frame's counter down; it is on disk when this returns. Raises `BusError`."""
        assert frame.counter is not None
        try:
            await counters.rise(self.name, frame.counter)
        except OSError as error:
            raise BusError(str(error)) from error

    def event_id(self, counter: int) -> str:
        """Names the event of that counter: every gateway that hears it gives it the same name, and nobody else can."""
        text = f"golmok-event {self.name} {counter}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[: 2 * _ID_BYTES]

    def _refused(self, data: bytes, why: str, text: str) -> RefusedError:
        self._seen, self._refusal = data, RefusedError(text, why)
        return self._refusal

    async def _is_ceremony(self, frame: bthome.Frame, counters: Counters, at_s: float) -> bool:
        """Whether an operator waits for this press; the third takes the counter back."""
        if not counters.may_renew(self.name):
            return False
        assert frame.counter is not None
        if events_of(frame.by_name()) and self._ceremony.press(frame.counter, at_s):
            try:
                await counters.renew(self.name, frame.counter)
            except OSError as error:
                raise BusError(str(error)) from error
        return True


def events_of(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What happened, among what a frame says."""
    return [(name, value) for name, value in values.items() if is_event(name)]


def is_event(name: str) -> bool:
    """Whether the quantity of that name happens at a moment."""
    base, _, number = name.rpartition("_")
    return (base if number.isdecimal() else name) in EVENTS
