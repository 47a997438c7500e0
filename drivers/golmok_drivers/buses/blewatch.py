"""Hears at once that a scan may be over: bluetoothd ended or came, a radio was switched, pulled or put in.

BlueZ tells nobody whose scan it ended so, and bleak does not ask; without this the next hint is that nothing is heard
for a minute. A passive scan must not be begun while its radio is off: bluetoothd 5.66 (with Linux 6.1) takes it, and
then it hears nothing when the radio is on again, nor do those that are begun after it, without a word.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

_BLUEZ: Final = "org.bluez"
_ADAPTER: Final = "org.bluez.Adapter1"
_BUS: Final = "org.freedesktop.DBus"
_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
_ANSWER_S: Final = 5.0
_RULES: Final = (
    f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{_BLUEZ}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_BUS}.Properties',member='PropertiesChanged',arg0='{_ADAPTER}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_MANAGER}'",
)


class BlueZWatch:
    """Waits for such news, on a connection of its own to the system's bus."""

    def __init__(self) -> None:
        self._bus: Any = None
        self._news = asyncio.Event()

    async def begin(self) -> None:
        """What was heard so far is no news any more; listen, if it did not yet or the bus went.

        A bus that is not there is no error here: the scan has the same bus, and says so.
        """
        self._news.clear()
        if self._bus is not None and self._bus.connected:
            return
        self.close()
        with suppress(Exception):  # dbus-fast's errors have no common root, and it may be missing
            from dbus_fast import BusType, Message
            from dbus_fast.aio import MessageBus

            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            bus.add_message_handler(self._heard)
            self._bus = bus
            for rule in _RULES:
                await bus.call(Message(_BUS, "/org/freedesktop/DBus", _BUS, "AddMatch", signature="s", body=[rule]))

    async def news(self, timeout_s: float) -> bool:
        """Wait for news since `begin`; False when there were none for so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def is_off(self, adapter: str) -> bool:
        """Whether that radio is switched off; False, too, when nobody can say."""
        if self._bus is None:
            return False
        from dbus_fast import Message

        body = [_ADAPTER, "Powered"]
        where = _BLUEZ, f"/org/bluez/{adapter}", f"{_BUS}.Properties", "Get"
        with suppress(Exception):  # as above
            async with asyncio.timeout(_ANSWER_S):
                reply = await self._bus.call(Message(*where, signature="ss", body=body))
                return reply.body[0].value is False
        return False

    def close(self) -> None:
        """Hear no more."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()

    def _heard(self, message: Any) -> None:
        if is_news(message.member or "", message.body):
            self._news.set()


def is_news(member: str, body: list[Any]) -> bool:
    """Whether that signal says that a scan may be over."""
    match member, body:
        case "NameOwnerChanged", [name, *_]:
            return bool(name == _BLUEZ)
        case "PropertiesChanged", [interface, changed, *_]:
            return interface == _ADAPTER and "Powered" in changed
        case "InterfacesAdded" | "InterfacesRemoved", [_, interfaces]:
            return _ADAPTER in interfaces
    return False
