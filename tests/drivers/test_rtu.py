"""Modbus RTU against pymodbus: the same bytes, both ways."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers import rtu
from golmok_drivers.api import BusNack, CrcError, PayloadError, WrongPart

words = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=rtu.MOST_REGISTERS)


def test_the_checksum_example_of_the_specification() -> None:
    assert rtu.closed(bytes((0x02, 0x07))) == bytes((0x02, 0x07, 0x41, 0x12))


@given(st.integers(1, 247), st.integers(0, 0xFFFF), st.integers(1, 125))
def test_a_request_is_that_of_pymodbus(address: int, start: int, count: int) -> None:
    pdu = pytest.importorskip("pymodbus.pdu.register_message")
    framer = pytest.importorskip("pymodbus.framer")
    decode = pytest.importorskip("pymodbus.pdu").DecodePDU(is_server=False)
    request = pdu.ReadInputRegistersRequest(address=start, count=count, dev_id=address)
    theirs = framer.FramerRTU(decode).buildFrame(request)
    assert rtu.request(address, rtu.READ_INPUT, start, count) == theirs


@given(st.integers(1, 247), words)
def test_an_answer_of_pymodbus_is_read(address: int, values: list[int]) -> None:
    pdu = pytest.importorskip("pymodbus.pdu.register_message")
    framer = pytest.importorskip("pymodbus.framer")
    decode = pytest.importorskip("pymodbus.pdu").DecodePDU(is_server=True)
    frame = framer.FramerRTU(decode).buildFrame(pdu.ReadInputRegistersResponse(registers=values, dev_id=address))
    assert len(frame) == rtu.answer_size(len(values))
    assert rtu.registers(frame, address, rtu.READ_INPUT, len(values)) == values


@given(words, st.data())
def test_every_flipped_bit_is_found(values: list[int], data: st.DataObject) -> None:
    body = bytes((7, 4, 2 * len(values))) + b"".join(word.to_bytes(2, "big") for word in values)
    frame = rtu.closed(body)
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    flipped = (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")
    with pytest.raises(CrcError):
        rtu.registers(flipped, 7, 4, len(values))


@given(st.binary(max_size=40))
def test_any_bytes_give_registers_or_a_named_error(reply: bytes) -> None:
    for frame in (reply, rtu.closed(reply)):
        with suppress(CrcError, PayloadError, BusNack, WrongPart):
            assert len(rtu.registers(frame, 1, 4, 2)) == 2


def test_what_is_wrong_is_said() -> None:
    for frame, error, word in (
        (rtu.closed(bytes((9, 4, 2, 0, 1))), PayloadError, "device 9"),
        (rtu.closed(bytes((7, 0x84, 2))), BusNack, "no such register"),
        (rtu.closed(bytes((7, 4, 4, 0, 1, 0, 2))), WrongPart, "not asked"),
        (b"", CrcError, "empty"),
    ):
        with pytest.raises(error, match=word):
            rtu.registers(frame, 7, 4, 1)
