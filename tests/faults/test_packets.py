"""The harness's own reading of MQTT, on packets of the specification and in pieces."""

from __future__ import annotations

import pytest

from . import packets
from .packets import Buffer

LONG = packets.publish("shop/flow", b"x" * 300, 7)


def test_packets_come_whole_however_they_are_cut() -> None:
    stream = packets.connect("someone") + LONG + bytes((0xD0, 0))
    for size in (1, 2, 3, 7, 1000):
        buffer = Buffer()
        found = [packet for at in range(0, len(stream), size) for packet in buffer.feed(stream[at : at + size])]
        assert found == [packets.connect("someone"), LONG, bytes((0xD0, 0))]
        assert [packets.kind(packet) for packet in found] == [packets.CONNECT, packets.PUBLISH, 13]


def test_what_is_published_is_read_back() -> None:
    assert packets.publish_of(LONG, version=4) == ("shop/flow", b"x" * 300, 7, False)


@pytest.mark.parametrize(("first", "dup"), [(0x32, False), (0x3A, True)])
def test_a_publish_of_mqtt_5_has_properties(first: int, dup: bool) -> None:
    packet = bytes((first, 12, 0, 3)) + b"a/b" + bytes((1, 2, 2, 0x0B, 5)) + b"hi"
    assert packets.publish_of(packet) == ("a/b", b"hi", 0x0102, dup)


def test_a_publish_of_qos_0_has_no_packet_id() -> None:
    assert packets.publish_of(bytes((0x30, 8, 0, 3)) + b"a/b" + bytes((0,)) + b"hi") == ("a/b", b"hi", 0, False)


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (bytes((0x40, 2, 1, 2)), (0x0102, True)),
        (bytes((0x40, 3, 0, 9, 0x10)), (9, True)),
        (bytes((0x40, 3, 0, 9, 0x97)), (9, False)),
        (bytes((0x40, 4, 0, 9, 0x80, 0)), (9, False)),
    ],
)
def test_a_puback_says_whether_all_is_well(packet: bytes, said: tuple[int, bool]) -> None:
    assert packets.puback_of(packet) == said
