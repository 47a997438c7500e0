"""A connection to one Bluetooth device, through bleak; and what bleak's and BlueZ's errors mean for people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from golmok_drivers.errors import BusError, BusTimeout, Unplugged

ANSWER_S: Final = 5.0
"""How long a device may take to answer a read or a write."""
OFF: Final = "Bluetooth is off; switch it on: bluetoothctl power on"
_REMEDIES: Final = (
    ("ServiceUnknown", "bluetoothd does not run; start it: systemctl start bluetooth"),
    ("NameHasNoOwner", "bluetoothd does not run; start it: systemctl start bluetooth"),
    ("No such file or directory", "there is no system D-Bus here; install bluez: apt-get install bluez"),
    ("Connection refused", "there is no system D-Bus here; install bluez: apt-get install bluez"),
    ("No Bluetooth adapters", "there is no Bluetooth radio; is the stick plugged in? (rfkill list, hciconfig)"),
    ("not found", "there is no such radio; `bluetoothctl list` shows those there are"),
    ("No powered", OFF),
    ("NotReady", OFF),
    ("AccessDenied", "not permitted; add the user to the group bluetooth"),
)


def explained(where: str, error: BaseException) -> BusError:
    """What went wrong, with what to do."""
    if isinstance(error, BusError):
        return error
    said = f"{type(error).__name__} {error}"
    if isinstance(error, TimeoutError):
        return BusTimeout(f"{where}: BlueZ did not answer in time")
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), "")
    return BusError(f"{where}: {error}{'; ' if remedy else ''}{remedy}")


class BleakLink:
    """`api.BleLink`. `device` is bleak's device, or an address that was never heard."""

    def __init__(self, device: Any, released: Callable[[], None]) -> None:
        self._device, self._released = device, released
        self._where = getattr(device, "address", str(device))
        self._client: Any = None

    async def open(self, timeout_s: float) -> None:
        """Connect; raises `BusError`."""
        from bleak import BleakClient

        if isinstance(self._device, str):
            raise Unplugged(f"{self._where} was not heard yet: is it near, and its battery full?")
        client = BleakClient(self._device, timeout=timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await client.connect()
        except Exception as error:
            raise explained(self._where, error) from error
        self._client = client

    async def read(self, characteristic: str) -> bytes:
        """See `api.BleLink.read`."""
        return bytes(await self._asked(lambda: self._client.read_gatt_char(characteristic)))

    async def write(self, characteristic: str, data: bytes) -> None:
        """See `api.BleLink.write`."""
        await self._asked(lambda: self._client.write_gatt_char(characteristic, data, response=True))

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        """See `api.BleLink.subscribe`."""
        await self._asked(lambda: self._client.start_notify(characteristic, lambda _, value: on_value(bytes(value))))

    async def close(self) -> None:
        """See `api.BleLink.close`."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            with suppress(Exception):  # the link may be gone already
                async with asyncio.timeout(ANSWER_S):
                    await client.disconnect()
        finally:
            self._released()

    async def _asked(self, what: Callable[[], Any]) -> Any:
        if self._client is None:
            raise BusError(f"{self._where}: not connected")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await what()
        except Exception as error:
            raise explained(self._where, error) from error
