"""Which MQTT messages a block holds, so that a redelivered one (flag DUP) is known and not stored twice.

A message is its packet id and a hash of topic and payload, within one session with the broker. Packet ids wrap, so
only the last `WINDOW` messages of the session are ever compared: further back, equal ids and bytes are another,
real message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain
from typing import Final, NamedTuple, TypeGuard

WINDOW: Final = 32_768
"""Messages of a session to compare with."""
_BEGAN_BEFORE: Final = 3
_SESSION: Final = struct.Struct("<Q")
_MESSAGE: Final = struct.Struct("<HQ")


class Taken(NamedTuple):
    """A message that was taken from the broker: its session, packet id, and `message_hash`."""

    session: int
    packet_id: int
    hash64: int


def message_hash(topic: str, payload: bytes) -> int:
    """64 bits that tell one message from another."""
    head = topic.encode()
    return int.from_bytes(blake2b(len(head).to_bytes(4, "little") + head + payload, digest_size=8).digest(), "little")


def pack_taken(taken: Iterable[Taken]) -> tuple[bytes | None, int]:
    """Those of the newest session in `taken` as bytes (None if there are none), and how many they are."""
    messages = list(taken)
    if not messages:
        return None, 0
    session = max(message.session for message in messages)
    newest = [message for message in messages if message.session == session]
    return _SESSION.pack(session) + b"".join(_MESSAGE.pack(m.packet_id, m.hash64) for m in newest), len(newest)


def is_packed(packed: object) -> TypeGuard[bytes]:
    """Whether it has the shape of what `pack_taken` gives; its messages have no check sum."""
    size = len(packed) - _SESSION.size if isinstance(packed, bytes) else 0
    return size > 0 and size % _MESSAGE.size == 0


def session_of(packed: bytes) -> int:
    """The session that `packed` belongs to."""
    (session,) = _SESSION.unpack_from(packed)
    return int(session)


def is_of(packed: bytes, session: int) -> bool:
    """Whether messages are of the present session: those of former ones name an earlier one."""
    return session_of(packed) >= session


def unpack_taken(packed: bytes) -> list[tuple[int, int]]:
    """(packet id, hash) of each message in `packed`, in the order they were taken."""
    return list(_MESSAGE.iter_unpack(packed[_SESSION.size :]))


def recent(packed: Iterable[bytes], session: int) -> list[tuple[int, int]]:
    """The last `WINDOW` messages of `session`, oldest first, from blocks' bytes, newest first.

    One block that names an earlier session may be rotten; some in a row are where this one began. One that names a
    later session is rotten, and of this one.
    """
    groups: list[list[tuple[int, int]]] = []
    count = earlier = 0
    for one in packed:
        if is_of(one, session):
            groups.append(unpack_taken(one))
            count, earlier = count + len(groups[-1]), 0
        earlier += not is_of(one, session)
        if earlier >= _BEGAN_BEFORE or count >= WINDOW:
            break
    return list(chain.from_iterable(reversed(groups)))[-WINDOW:]
