"""The chaos proxy between gateway and broker. It writes down what was delivered to the gateway, and what it took."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from . import packets
from .line import CutError, Line
from .notes import Key, Notes
from .sources import key_of


@dataclass
class _Session:
    """One connection of the gateway."""

    delivered: dict[int, Key] = field(default_factory=dict)
    """By packet id: what was delivered last under it."""
    marker: bytes = b""
    """The first thing that the gateway says to itself: what comes before it had waited at the broker."""
    is_caught_up: bool = False
    connect: bytes = b""


class MqttLine(Line):
    """Leads to the broker's port."""

    def __init__(self, target: int, notes: Notes) -> None:
        self.passed: Counter[str] = Counter()
        """Packets by direction and what became of them."""
        self.last_connect = b""
        self._notes = notes
        self.swallows_acks = False
        """What the gateway acknowledges does not reach the broker."""
        self.delay_s = 0.0
        """How long each packet takes."""
        self.bytes_per_s = 0.0
        self._may_pass = threading.Event()
        self._may_pass.set()
        self._cut_in: dict[str, int] = {}
        self._chance = random.Random(target)
        super().__init__(target)

    def hold(self) -> None:
        """Let nothing pass, in either direction, and lose nothing."""
        self._may_pass.clear()

    def calm(self) -> None:
        """No more trouble."""
        self.swallows_acks, self.delay_s, self.bytes_per_s = False, 0.0, 0.0
        self._cut_in.clear()
        self._may_pass.set()

    def cut_within(self, direction: str, packet: int) -> None:
        """Cut in the middle of the packet that comes as number `packet` from now, `up` to the broker or `down`."""
        self._cut_in[direction] = packet

    def cut(self) -> int:
        """Reset all connections, also held ones."""
        count = super().cut()
        self._may_pass.set()
        return count

    def _serve(self, client: socket.socket) -> None:
        broker, session = self.reach(), _Session()
        threading.Thread(target=self._bring, args=(broker, client, session), daemon=True).start()
        try:
            self._carry("up", client, broker, session)
        finally:
            self.drop(broker)

    def _bring(self, broker: socket.socket, client: socket.socket, session: _Session) -> None:
        with suppress(OSError):
            self._carry("down", broker, client, session)
        self.drop(client, broker)

    def _carry(self, way: str, source: socket.socket, to: socket.socket, session: _Session) -> None:
        source.settimeout(None)
        buffer = packets.Buffer()
        while data := source.recv(65_536):
            for packet in buffer.feed(data):
                if way == "up":
                    self._note_up(packet, session)  # said is said, whoever hears it
                self._wait()
                self._cut_if_due(way, packet, to)
                if way == "up" and self.swallows_acks and packets.kind(packet) == packets.PUBACK:
                    self.passed["swallowed"] += 1
                    continue
                key = self._note_down(packet, session) if way == "down" else None
                self._pass_on(packet, to)
                if key:
                    is_again = packets.publish_of(packet).dup
                    self._notes.delivered(key, is_fresh=session.is_caught_up, is_again=is_again)

    def _wait(self) -> None:
        if self.delay_s:
            time.sleep(self._chance.uniform(0, self.delay_s))
        self._may_pass.wait()

    def _pass_on(self, packet: bytes, to: socket.socket) -> None:
        pause_s = 64 / self.bytes_per_s if self.bytes_per_s else 0.0
        step = 64 if pause_s else len(packet)
        for at in range(0, len(packet), step):
            to.sendall(packet[at : at + step])
            time.sleep(pause_s)
        self.passed["passed"] += 1

    def _cut_if_due(self, way: str, packet: bytes, to: socket.socket) -> None:
        left = self._cut_in.get(way)
        if left is None:
            return
        if left > 0:
            self._cut_in[way] = left - 1
            return
        del self._cut_in[way]
        to.sendall(packet[: self._chance.randrange(0, len(packet))])
        self.passed[f"cut {way}"] += 1
        self.cut()
        raise CutError

    def _note_up(self, packet: bytes, session: _Session) -> None:
        match packets.kind(packet):
            case packets.CONNECT:
                self.last_connect = packet
            case packets.PUBACK:
                packet_id, is_well = packets.puback_of(packet)
                key = session.delivered.pop(packet_id, None)
                if is_well and key:
                    self._notes.took(key)
            case packets.PUBLISH:
                said = packets.publish_of(packet)
                if said.topic.endswith("/marker") and not session.marker:
                    session.marker = said.payload

    def _note_down(self, packet: bytes, session: _Session) -> Key | None:
        """What is about to be delivered, noted before the gateway can answer."""
        if packets.kind(packet) != packets.PUBLISH:
            return None
        said = packets.publish_of(packet)
        if said.topic.endswith("/marker"):
            if said.payload == session.marker:
                session.is_caught_up = True
                self._notes.subscribed()
            return None
        key = key_of(said.topic, said.payload)
        if key and said.packet_id:
            session.delivered[said.packet_id] = key
        return key
