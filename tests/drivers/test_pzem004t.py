from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import tty
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_drivers import rtu
from golmok_drivers.api import BusNack, Unplugged, WrongPart
from golmok_drivers.buses.uart import SerialUart
from golmok_drivers.devices.pzem004t import ANY, Pzem004tDriver, Pzem004tSettings, Pzem004tTwin, decode
from tests.drivers.direct import DirectUart
from tests.drivers.worlds import StillWorld

FELT = {"voltage": 221.3, "current": 5.432, "power-factor": 0.87, "frequency": 60.0}
MAP = [2213, 5432, 1, 12345, 0, 0x2345, 1, 600, 87, 0]


def test_values_computed_by_hand() -> None:
    assert decode(MAP) == (221.3, 70.968, 1234.5, 74.565, 60.0, 0.87)
    with pytest.raises(WrongPart):
        decode([*MAP[:9], 5])


async def test_driver_and_twin_agree_and_the_energy_adds_up() -> None:
    world = StillWorld(**FELT)
    driver = Pzem004tDriver(Pzem004tSettings(address=3))
    await driver.open(DirectUart(Pzem004tTwin(Pzem004tSettings(address=3), world)))
    readings = await driver.sample()
    assert [(reading.quantity, reading.value) for reading in readings] == world.given
    power = readings[2].value
    assert power == pytest.approx(221.3 * 5.432 * 0.87, abs=0.1)
    world.passes(7200)
    energy = {reading.quantity: reading.value for reading in await driver.sample()}["energy"]
    assert energy == pytest.approx(2 * float(power) / 1000, abs=0.001)  # type: ignore[arg-type]


async def test_two_meters_on_one_line_each_answer_for_themselves() -> None:
    worlds = [StillWorld(**FELT | {"voltage": volts}) for volts in (219.0, 223.0)]
    line = DirectUart(*(Pzem004tTwin(Pzem004tSettings(address=at), world) for at, world in enumerate(worlds, 1)))
    for address, volts in ((1, 219.0), (2, 223.0)):
        driver = Pzem004tDriver(Pzem004tSettings(address=address))
        await driver.open(line)
        assert (await driver.sample())[0].value == volts
    nobody = Pzem004tDriver(Pzem004tSettings(address=9))
    await nobody.open(line)
    with pytest.raises(Unplugged):
        await nobody.probe()


@pytest.mark.parametrize(("fault", "error"), [("swapped", WrongPart), ("not-ready", BusNack)])
async def test_what_is_there_instead_is_named(fault: str, error: type[Exception]) -> None:
    driver = Pzem004tDriver(Pzem004tSettings())
    await driver.open(DirectUart(Pzem004tTwin(Pzem004tSettings(), StillWorld(fault, **FELT))))
    for ask in (driver.sample, driver.probe):
        with pytest.raises(error):
            await ask()


@given(st.binary(max_size=12))
def test_the_twin_answers_only_what_is_a_question_to_it(request: bytes) -> None:
    twin = Pzem004tTwin(Pzem004tSettings(address=5), StillWorld(**FELT))
    assert twin.hear(request) == b"" or rtu.is_whole(request)
    answer = twin.hear(rtu.closed(request))
    assert answer == b"" or (rtu.is_whole(answer) and request[0] in (5, ANY))


# --- real pyserial, real pymodbus, a pseudo terminal between


@contextlib.contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """A null-modem cable: two ports joined."""
    ends = [os.openpty() for _ in range(2)]
    for master, slave in ends:
        tty.setraw(master)
        tty.setraw(slave)

    def pump(source: int, sink: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(source, 4096):
                os.write(sink, data)

    (a, a_slave), (b, b_slave) = ends
    for source, sink in ((a, b), (b, a)):
        threading.Thread(target=pump, args=(source, sink), daemon=True).start()
    try:
        yield os.ttyname(a_slave), os.ttyname(b_slave)
    finally:
        for fd in (a_slave, b_slave, a, b):
            with contextlib.suppress(OSError):
                os.close(fd)


async def test_the_driver_reads_a_server_of_pymodbus_over_a_serial_line() -> None:
    simulator = pytest.importorskip("pymodbus.simulator")
    server_module = pytest.importorskip("pymodbus.server")
    block = simulator.SimData(0, values=MAP, datatype=simulator.DataType.REGISTERS)
    with cable() as (theirs, ours):
        server = server_module.ModbusSerialServer(simulator.SimDevice(1, block), port=theirs, baudrate=9600)
        serving = asyncio.create_task(server.serve_forever())
        bus = SerialUart(ours, {})
        driver = Pzem004tDriver(Pzem004tSettings(address=1))
        await driver.open(bus)
        await asyncio.sleep(0.2)
        for _ in range(20):
            readings = await driver.sample()
            assert [reading.value for reading in readings] == [221.3, 70.968, 1234.5, 74.565, 60.0, 0.87]
        await bus.close()
        await server.shutdown()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def serve(port: str, twin: Pzem004tTwin, stop: threading.Event) -> None:
    """A twin at a serial port: a request is whole when its checksum is."""
    from serial import Serial

    with Serial(port, 9600, timeout=0.02) as line:
        heard = b""
        while not stop.is_set():
            heard += line.read(64)
            if heard and rtu.is_whole(heard):
                line.write(twin.hear(heard))
                heard = b""


async def test_a_client_of_pymodbus_reads_our_twin() -> None:
    client_module = pytest.importorskip("pymodbus.client")
    world = StillWorld(**FELT)
    twin, stop = Pzem004tTwin(Pzem004tSettings(address=7), world), threading.Event()
    with cable() as (theirs, ours):
        thread = threading.Thread(target=serve, args=(ours, twin, stop), daemon=True)
        thread.start()

        def ask() -> Any:
            with client_module.ModbusSerialClient(theirs, baudrate=9600, timeout=2) as client:
                return client.read_input_registers(0, count=10, device_id=7).registers

        registers = await asyncio.to_thread(ask)
        stop.set()
        await asyncio.to_thread(thread.join)
    assert [(channel, value) for (channel, _), value in zip(world.given, decode(registers), strict=True)] == world.given


async def test_nobody_at_a_serial_line_is_told_from_a_port_that_is_not_there() -> None:
    with cable() as (_, ours):
        bus = SerialUart(ours, {})
        with pytest.raises(Unplugged, match="says nothing"):
            await bus.ask(1, rtu.request(1, 4, 0, 10), 25, timeout_s=0.05)
        await bus.close()
    missing = SerialUart("/dev/golmok-none", {})
    with pytest.raises(OSError, match="not there"):
        await missing.ask(1, b"", 1)
    await missing.close()
