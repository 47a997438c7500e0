"""`FakeBlueZ`: bluetoothd's objects and methods on a D-Bus, as far as a scanner and a GATT client use them.

Like bluetoothd it works in passes of a main loop: what was heard since the last pass is taken, and then each device
that changed is told once, with the values that it has by then. So two adverts of one device that come within one pass
are told as one; a gateway must never depend on seeing each. Values are copied when they are told.

It sends only while its socket takes something: dbus-fast gives a connection up when it does not. What waits for that
is a queue of its own, as libdbus has one: however long the bus stands still, passes go on, and no more is merged.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from dbus_fast import Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

from golmok_drivers.errors import BusError
from golmok_drivers.radio import Peripheral
from golmok_drivers.twins.bluez.gatt import CHARACTERISTIC, Table
from golmok_drivers.twins.bluez.objects import ADAPTER, DEVICE, Adapter, Device, Heard, Pattern

NAME: Final = "org.bluez"
MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
MONITORS: Final = "org.bluez.AdvertisementMonitorManager1"
MONITOR: Final = "org.bluez.AdvertisementMonitor1"
_BUS: Final = "org.freedesktop.DBus"
_NOT_WRITABLE_S: Final = 0.0005
_LOOK_S: Final = 1.0
_UNREACHABLE_S: Final = 0.3

Answer = tuple[str, list[Any]]
NOTHING: Final[Answer] = ("", [])


class _RefusedError(Exception):
    """An error reply: its name behind `org.bluez.Error.`, and its text."""


class FakeBlueZ:
    """bluetoothd on the D-Bus at `address`; in the event loop in which it is opened.

    `connect_s` is how long a connection takes. `refusals[address]` says how many attempts to connect fail from now
    on; `mute` holds addresses whose writes fail.
    """

    def __init__(self, address: str, adapters: Sequence[str] = ("hci0",), *, connect_s: float = 0.02) -> None:
        self.adapters = {
            f"/org/bluez/{name}": Adapter(name, f"00:1A:7D:DA:71:{place:02X}") for place, name in enumerate(adapters)
        }
        self.devices: dict[str, Device] = {}
        """Path -> what is remembered of it."""
        self.told = 0
        """Signals that were sent."""
        self.refusals: Counter[str] = Counter()
        self.mute: set[str] = set()
        self._address, self._connect_s = address, connect_s
        self._peripherals: dict[str, Peripheral] = {}
        self._tables: dict[str, Table] = {}
        self._inbox: deque[Heard] = deque()
        self._outbox: deque[Message] = deque()
        self._something = asyncio.Event()
        self._to_send = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._methods = self._table_of_methods()

    async def open(self) -> None:
        """Take the name org.bluez."""
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._poll = select.poll()
        assert self._bus._fd is not None
        self._poll.register(self._bus._fd, select.POLLOUT)
        self._bus.add_message_handler(self._on_message)
        await self._match("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'")
        await self._bus.request_name(NAME)
        self._start(self._main_loop())
        self._start(self._sending())
        self._start(self._forget())

    async def close(self) -> None:
        """Leave the bus, as bluetoothd does when it dies."""
        for task in self._tasks.copy():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._bus.disconnect()
        with suppress(Exception):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def hear(self, heard: Heard) -> None:
        """A controller heard this advert."""
        adapter = self.adapters[f"/org/bluez/{heard.adapter}"]
        if adapter.is_powered and adapter.wants(heard):
            self._inbox.append(heard)
            self._something.set()

    def power(self, name: str, *, on: bool) -> None:
        """Somebody switches a radio: what was begun with it is over, and who had begun it is told of the radio only."""
        adapter = self.adapters[f"/org/bluez/{name}"]
        adapter.is_powered = on
        adapter.sessions.clear()
        self._send(_changed(adapter.path, ADAPTER, {"Powered": Variant("b", on), "Discovering": Variant("b", False)}))

    @property
    def waiting(self) -> int:
        """Adverts that wait for the next pass, and messages that wait for the socket."""
        return len(self._inbox) + len(self._outbox)

    def attach(self, address: str, peripheral: Peripheral) -> None:
        """Whoever connects to `address` from now on meets `peripheral`."""
        self._peripherals[address] = peripheral

    def lose_link(self, address: str) -> None:
        """The link to that device breaks off."""
        for path, device in self.devices.items():
            if device.address == address and device.is_connected:
                self._unlink(path, device)

    async def _match(self, rule: str) -> None:
        call = Message(
            destination=_BUS,
            path="/org/freedesktop/DBus",
            interface=_BUS,
            member="AddMatch",
            signature="s",
            body=[rule],
        )
        await self._bus.call(call)

    # --- the main loop

    async def _main_loop(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            changed: dict[str, Device] = {}
            while self._inbox:
                heard = self._inbox.popleft()
                if (device := self._heard(heard)) is not None:
                    changed[device.path] = device
            for message in self._telling(changed.values()):
                self._send(message)

    def _heard(self, heard: Heard) -> Device | None:
        adapter = self.adapters[f"/org/bluez/{heard.adapter}"]
        device = Device(heard.adapter, heard.address, heard.is_random)
        device = self.devices.setdefault(device.path, device)
        return device if device.hear(heard, time.monotonic(), duplicates=adapter.duplicates) else None

    def _telling(self, devices: Iterable[Device]) -> list[Message]:
        messages = []
        for device in devices:
            if device.is_told:
                messages.append(_changed(device.path, DEVICE, device.take_changes()))
            else:
                device.is_told = True
                device.changed.clear()
                messages.append(_added(device.path, {DEVICE: device.properties()}))
        return messages

    async def _sending(self) -> None:
        sent = 0
        while await self._to_send.wait():
            while not self._poll.poll(0):  # noqa: ASYNC110  # the socket's one watcher is dbus-fast's
                await asyncio.sleep(_NOT_WRITABLE_S)
            message = self._outbox.popleft()
            if not self._outbox:
                self._to_send.clear()
            self._bus.send(message)
            self.told += message.message_type == MessageType.SIGNAL
            sent += 1
            if sent % 64 == 0:
                await asyncio.sleep(0)

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            for path in [path for path, one in self.devices.items() if one.is_forgotten(time.monotonic())]:
                if self.devices.pop(path).is_told:
                    self._send(_removed(path, [DEVICE]))

    def _send(self, message: Message) -> None:
        self._outbox.append(message)
        self._to_send.set()

    def _start(self, what: Any) -> None:
        task = asyncio.ensure_future(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what is asked of it

    def _table_of_methods(self) -> dict[tuple[str, str], Callable[[Message], Answer | Awaitable[Answer]]]:
        return {
            (MANAGER, "GetManagedObjects"): lambda call: ("a{oa{sa{sv}}}", [self._objects()]),
            (PROPERTIES, "Get"): self._get,
            (PROPERTIES, "GetAll"): lambda call: ("a{sv}", [self._properties(call.path, call.body[0])]),
            (ADAPTER, "SetDiscoveryFilter"): self._set_filter,
            (ADAPTER, "StartDiscovery"): self._start_discovery,
            (ADAPTER, "StopDiscovery"): self._stop_discovery,
            (ADAPTER, "RemoveDevice"): self._remove_device,
            (MONITORS, "RegisterMonitor"): self._register_monitor,
            (MONITORS, "UnregisterMonitor"): self._unregister_monitor,
            (DEVICE, "Connect"): self._connect,
            (DEVICE, "Disconnect"): self._disconnect,
            (CHARACTERISTIC, "ReadValue"): self._read_value,
            (CHARACTERISTIC, "WriteValue"): self._write_value,
            (CHARACTERISTIC, "StartNotify"): self._start_notify,
            (CHARACTERISTIC, "StopNotify"): self._stop_notify,
        }

    def _on_message(self, message: Message) -> bool:
        if message.message_type == MessageType.SIGNAL:
            if message.member == "NameOwnerChanged" and not message.body[2]:
                self._left(message.body[0])
            elif message.member == "InterfacesAdded" and message.sender != self._bus.unique_name:
                self._on_monitor(message.sender or "", *message.body)
            return True
        if message.message_type != MessageType.METHOD_CALL:
            return False
        method = self._methods.get((message.interface or "", message.member or ""))
        if method is None:
            unknown = f"no method {message.interface}.{message.member}"
            self._send(Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", unknown))
        else:
            self._start(self._answered(message, method))
        return True

    async def _answered(self, call: Message, method: Callable[[Message], Any]) -> None:
        try:
            answer = method(call)
            signature, body = await answer if asyncio.iscoroutine(answer) else answer
            reply = Message.new_method_return(call, signature, body)
        except _RefusedError as error:
            name, text = error.args
            reply = Message.new_error(call, name if "." in name else f"org.bluez.Error.{name}", text)
        if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._send(reply)

    def _objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        objects: dict[str, dict[str, dict[str, Variant]]] = {
            path: {ADAPTER: adapter.properties(), MONITORS: _monitoring()} for path, adapter in self.adapters.items()
        }
        objects |= {path: {DEVICE: one.properties()} for path, one in self.devices.items() if one.is_told}
        for table in self._tables.values():
            objects |= {path: {kind: dict(properties)} for path, (kind, properties) in table.objects.items()}
        return objects

    def _properties(self, path: str | None, interface: str) -> dict[str, Variant]:
        try:
            return self._objects()[path or ""][interface]
        except KeyError:
            raise _no_object(path) from None

    def _get(self, call: Message) -> Answer:
        interface, name = call.body
        try:
            return "v", [self._properties(call.path, interface)[name]]
        except KeyError:
            raise _RefusedError("org.freedesktop.DBus.Error.InvalidArgs", f"No such property '{name}'") from None

    def _adapter(self, call: Message) -> Adapter:
        try:
            return self.adapters[call.path or ""]
        except KeyError:
            raise _no_object(call.path) from None

    # --- scanning

    def _set_filter(self, call: Message) -> Answer:
        wanted = call.body[0].get("DuplicateData")
        # BlueZ's own default is to pass duplicates on
        self._adapter(call).filters[call.sender or ""] = bool(wanted.value) if wanted else True
        return NOTHING

    def _start_discovery(self, call: Message) -> Answer:
        adapter, sender = self._adapter(call), call.sender or ""
        if not adapter.is_powered:
            raise _RefusedError("NotReady", "Resource Not Ready")
        if sender in adapter.sessions:
            raise _RefusedError("InProgress", "Operation already in progress")
        was = bool(adapter.sessions)
        adapter.sessions[sender] = adapter.filters.get(sender, True)
        if not was:
            self._send(_changed(adapter.path, ADAPTER, {"Discovering": Variant("b", True)}))
        return NOTHING

    def _stop_discovery(self, call: Message) -> Answer:
        adapter = self._adapter(call)
        if adapter.sessions.pop(call.sender or "", None) is None:
            raise _RefusedError("Failed", "No discovery started")
        self._ended_scan(adapter)
        return NOTHING

    async def _register_monitor(self, call: Message) -> Answer:
        adapter, key = self._adapter(call), (call.sender or "", call.body[0])
        if key in adapter.monitors:
            raise _RefusedError("AlreadyExists", "Already Exists")
        adapter.is_jammed |= not adapter.is_powered
        await self._watch(key[0])
        adapter.monitors[key] = []
        return NOTHING

    async def _watch(self, sender: str) -> None:
        """Hear what that client puts on the bus: a monitor tells its patterns in that way, after it was registered."""
        await self._match(f"type='signal',sender='{sender}',interface='{MANAGER}',member='InterfacesAdded'")

    def _on_monitor(self, sender: str, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        for adapter in self.adapters.values():
            if (sender, path) in adapter.monitors and MONITOR in interfaces and not adapter.is_jammed:
                told = interfaces[MONITOR]["Patterns"].value
                adapter.monitors[sender, path] = [Pattern(start, kind, bytes(content)) for start, kind, content in told]
                self._send(_called(sender, path, "Activate"))

    def _unregister_monitor(self, call: Message) -> Answer:
        adapter = self._adapter(call)
        if adapter.monitors.pop((call.sender or "", call.body[0]), None) is None:
            raise _RefusedError("DoesNotExist", "Does Not Exist")
        self._ended_scan(adapter)
        return NOTHING

    def _ended_scan(self, adapter: Adapter) -> None:
        if not adapter.sessions:
            self._send(_changed(adapter.path, ADAPTER, {"Discovering": Variant("b", False)}))
        if adapter.is_listening:
            return
        for device in self.devices.values():
            if device.adapter == adapter.name and device.rssi is not None:
                device.rssi = None
                device.changed.discard("RSSI")
                if device.is_told:
                    self._send(_changed(device.path, DEVICE, {}, ["RSSI"]))

    def _left(self, name: str) -> None:
        """Somebody left the bus: what he had begun ends."""
        for adapter in self.adapters.values():
            if adapter.is_listening:
                adapter.leave(name)
                self._ended_scan(adapter)
        for table in self._tables.values():
            for listeners in table.listeners.values():
                listeners.discard(name)

    def _remove_device(self, call: Message) -> Answer:
        path = call.body[0]
        device = self.devices.get(path)
        if device is None:
            raise _RefusedError("DoesNotExist", "Does Not Exist")
        if device.is_connected:
            self._unlink(path, device)
        del self.devices[path]
        self._send(_removed(path, [DEVICE]))
        return NOTHING

    # --- connections

    def _device(self, call: Message) -> Device:
        try:
            return self.devices[call.path or ""]
        except KeyError:
            raise _no_object(call.path) from None

    async def _connect(self, call: Message) -> Answer:
        device = self._device(call)
        await asyncio.sleep(self._connect_s)
        if self.refusals[device.address] > 0:
            self.refusals[device.address] -= 1
            raise _RefusedError("Failed", "le-connection-abort-by-remote")
        peripheral = self._peripherals.get(device.address)
        if peripheral is None:
            await asyncio.sleep(_UNREACHABLE_S)
            raise _RefusedError("Failed", "Software caused connection abort")
        if not device.is_connected:
            device.is_connected = True
            table = self._tables[device.path] = Table(device.path, peripheral)
            peripheral.connected(lambda uuid, value: self._tell(table, uuid, value))
            self._send(_changed(device.path, DEVICE, {"Connected": Variant("b", True)}))
            self._start(self._resolve(device, table))
        return NOTHING

    async def _resolve(self, device: Device, table: Table) -> None:
        await asyncio.sleep(self._connect_s)
        if self._tables.get(device.path) is not table:
            return
        for path, (interface, properties) in table.objects.items():
            self._send(_added(path, {interface: dict(properties)}))
        device.is_resolved = True
        self._send(_changed(device.path, DEVICE, {"ServicesResolved": Variant("b", True)}))

    def _disconnect(self, call: Message) -> Answer:
        device = self._device(call)
        if not device.is_connected:
            raise _RefusedError("NotConnected", "Not Connected")
        self._unlink(device.path, device)
        return NOTHING

    def _unlink(self, path: str, device: Device) -> None:
        table = self._tables.pop(path)
        device.is_connected = device.is_resolved = False
        device.heard_s = time.monotonic()
        for inner, (interface, _) in reversed(table.objects.items()):
            self._send(_removed(inner, [interface]))
        self._send(_changed(path, DEVICE, {"ServicesResolved": Variant("b", False), "Connected": Variant("b", False)}))
        table.peripheral.disconnected()

    def _characteristic(self, call: Message) -> tuple[Table, str, str]:
        """The table, the address of the device and the UUID."""
        path = call.path or ""
        for device, table in self._tables.items():
            if path in table.characteristics:
                return table, self.devices[device].address, table.characteristics[path]
        raise _no_object(path)

    def _read_value(self, call: Message) -> Answer:
        table, _, uuid = self._characteristic(call)
        try:
            return "ay", [bytes(table.peripheral.read(uuid))]
        except BusError as error:
            raise _RefusedError("Failed", str(error)) from error

    def _write_value(self, call: Message) -> Answer:
        table, address, uuid = self._characteristic(call)
        if address in self.mute:
            raise _RefusedError("Failed", "Operation failed with ATT error: 0x0e")
        try:
            table.peripheral.write(uuid, bytes(call.body[0]))
        except BusError as error:
            raise _RefusedError("Failed", str(error)) from error
        return NOTHING

    def _start_notify(self, call: Message) -> Answer:
        table, _, _ = self._characteristic(call)
        table.listeners[call.path or ""].add(call.sender or "")
        return NOTHING

    def _stop_notify(self, call: Message) -> Answer:
        table, _, _ = self._characteristic(call)
        table.listeners[call.path or ""].discard(call.sender or "")
        return NOTHING

    def _tell(self, table: Table, uuid: str, value: bytes) -> None:
        """A notification; none of them is merged with another."""
        path = table.path_of(uuid)
        if path is not None and table.listeners[path] and table in self._tables.values():
            self._send(_changed(path, CHARACTERISTIC, {"Value": Variant("ay", bytes(value))}))


def _monitoring() -> dict[str, Variant]:
    return {"SupportedMonitorTypes": Variant("as", ["or_patterns"]), "SupportedFeatures": Variant("as", [])}


def _no_object(path: str | None) -> _RefusedError:
    return _RefusedError("org.freedesktop.DBus.Error.UnknownObject", f"Method on an object that is not there: {path}")


def _signal(path: str, interface: str, member: str, signature: str, body: list[Any]) -> Message:
    return Message(
        message_type=MessageType.SIGNAL,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=body,
    )


def _changed(path: str, interface: str, properties: dict[str, Variant], gone: Sequence[str] = ()) -> Message:
    return _signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, properties, list(gone)])


def _added(path: str, interfaces: dict[str, dict[str, Variant]]) -> Message:
    return _signal("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])


def _removed(path: str, interfaces: list[str]) -> Message:
    return _signal("/", MANAGER, "InterfacesRemoved", "oas", [path, interfaces])


def _called(destination: str, path: str, member: str) -> Message:
    return Message(
        destination=destination, path=path, interface=MONITOR, member=member, flags=MessageFlag.NO_REPLY_EXPECTED
    )
