"""Bus URLs, and the real buses as far as a machine without wires has them."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.api import BusClosed, BusError, BusNack, BusTimeout, BusUrlError, Shorted, Unplugged
from golmok_drivers.buses import BusUrl, open_bus, parse_bus_url
from golmok_drivers.buses.gpio import Pins
from golmok_drivers.buses.i2c import LinuxI2C
from golmok_drivers.buses.onewire import SysfsOneWire
from golmok_drivers.buses.spi import LinuxSpi
from golmok_drivers.buses.uart import SerialUart
from golmok_drivers.devices.max31856 import Max31856Driver, Max31856Settings, Max31856Twin
from golmok_drivers.devices.sht4x import Sht4xDriver, Sht4xSettings, Sht4xTwin
from tests.drivers.worlds import StillWorld


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("i2c://1", BusUrl("i2c", "1", False)),
        ("w1://0", BusUrl("w1", "0", False)),
        ("gpio://", BusUrl("gpio", "", False)),
        ("sim+i2c://scenario.toml", BusUrl("i2c", "scenario.toml", True)),
        ("sim+w1://a/b.toml", BusUrl("w1", "a/b.toml", True)),
        ("sim+gpio://", BusUrl("gpio", "", True)),
        ("spi://0", BusUrl("spi", "0", False)),
        ("uart://ttyUSB0", BusUrl("uart", "ttyUSB0", False)),
        (
            "uart:///dev/serial/by-id/usb-FTDI_A1-if00-port0",
            BusUrl("uart", "/dev/serial/by-id/usb-FTDI_A1-if00-port0", False),
        ),
        (
            "uart://ttyAMA0?parity=E&baud=19200",
            BusUrl("uart", "ttyAMA0", False, options=(("baud", "19200"), ("parity", "E"))),
        ),
        ("replay+spi://a/trace.jsonl", BusUrl("spi", "a/trace.jsonl", False, replayed=True)),
        ("record+i2c://1?to=t.jsonl", BusUrl("i2c", "1", False, record_to="t.jsonl")),
        ("record+sim+uart://x.toml?to=t.jsonl", BusUrl("uart", "x.toml", True, record_to="t.jsonl")),
    ],
)
def test_bus_urls(url: str, parsed: BusUrl) -> None:
    assert parse_bus_url(url) == parsed


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "i2c://1"),
        ("i2c", "i2c://1"),
        ("i2c:1", "write 'i2c://1'"),
        ("i2c://", "has a number"),
        ("i2c://one", "has a number"),
        ("i2c://-1", "has a number"),
        ("i2c://١", "has a number"),
        ("w1://", "w1://0"),
        ("1w://0", "'w1://0'"),
        ("icc://1", "'i2c://1'"),
        ("gpio://17", "write 'gpio://'"),
        ("mqtt://127.0.0.1", "needs no bus"),
        ("sim+mqtt://s.toml", "needs no bus"),
        ("record+mqtt://10.0.0.1?to=t.jsonl", "[mqtt] says where"),
        ("record+mqtt://", "'record+mqtt://?to=trace.jsonl'"),
        ("replay+mqtt://", "'replay+mqtt://trace.jsonl'"),
        ("sim+i2c://1", "scenario file"),
        ("sim+ic2://x.toml", "'sim+i2c://scenario.toml'"),
        ("spi+i2c://1", "i2c://1"),
        ("uart://", "write 'uart://ttyUSB0'"),
        ("uart://../etc/passwd", "a name below /dev"),
        ("uart://ttyUSB0?baud=9601", "9600"),
        ("uart://ttyUSB0?parity=X", "N (none)"),
        ("uart://ttyUSB0?speed=9600", "it has baud, parity"),
        ("i2c://1?baud=9600", "has no 'baud'"),
        ("record+i2c://1", "record+i2c://1?to=trace.jsonl"),
        ("i2c://1?to=t.jsonl", "write 'record+i2c://1?to=t.jsonl'"),
        ("replay+i2c://1", "replay+i2c://trace.jsonl"),
        ("modbus://ttyUSB0", "names no bus"),
    ],
)
def test_wrong_bus_urls_name_the_remedy(url: str, remedy: str) -> None:
    with pytest.raises(BusUrlError) as caught:
        parse_bus_url(url)
    assert remedy in str(caught.value)


class FakeSmbus:
    """What smbus2.SMBus does with real i2c_msg objects, with a twin on the wire."""

    def __init__(self, twin: Sht4xTwin) -> None:
        self.twin = twin
        self.broken = 0
        self.closed = 0

    def i2c_rdwr(self, *messages: Any) -> None:
        if self.broken:
            raise OSError(self.broken, "broken")
        for message in messages:
            if message.addr != self.twin.address:
                raise OSError(errno.EREMOTEIO, "Remote I/O error")
            try:
                reply = self.twin.xfer(b"" if message.flags else bytes(message), message.len if message.flags else 0)
            except BusNack:
                raise OSError(errno.EREMOTEIO, "Remote I/O error") from None
            for index, byte in enumerate(reply):
                message.buf[index] = byte

    def close(self) -> None:
        self.closed += 1


async def test_smbus2_s_messages_reach_the_part_and_come_back() -> None:
    world = StillWorld(temperature=21.0, humidity=40.0)
    smbus = FakeSmbus(Sht4xTwin(Sht4xSettings(), world))
    bus = LinuxI2C(1, lambda number: smbus)
    driver = Sht4xDriver(Sht4xSettings())
    await driver.open(bus)
    assert [(reading.quantity, reading.value) for reading in await driver.sample()] == world.given
    await bus.xfer(0x44)
    with pytest.raises(BusNack, match="0x45"):
        await bus.xfer(0x45, b"\xfd")
    await bus.close()
    await bus.close()
    assert smbus.closed == 1
    with pytest.raises(BusClosed):
        await bus.xfer(0x44)


@pytest.mark.parametrize(
    ("number", "error", "remedy"),
    [
        (errno.ENXIO, BusNack, "wiring"),
        (errno.EREMOTEIO, BusNack, "wiring"),
        (errno.ETIMEDOUT, Shorted, "SDA or SCL is held"),
        (errno.EACCES, BusError, "group i2c"),
        (errno.ENODEV, BusError, "raspi-config"),
        (errno.EIO, BusError, "0x44"),
    ],
)
async def test_the_kernel_s_errors_in_people_s_words(number: int, error: type[BusError], remedy: str) -> None:
    smbus = FakeSmbus(Sht4xTwin(Sht4xSettings(), StillWorld()))
    bus = LinuxI2C(1, lambda _: smbus)
    smbus.broken = number
    with pytest.raises(error, match=remedy):
        await bus.xfer(0x44)
    smbus.broken = 0
    await bus.xfer(0x44)
    await bus.close()


async def test_a_part_that_hangs_is_told_from_a_bus_that_is_held() -> None:
    smbus = FakeSmbus(Sht4xTwin(Sht4xSettings(), StillWorld()))
    transact = smbus.i2c_rdwr

    def hang(*messages: Any) -> None:
        if messages[0].addr == 0x44:
            raise OSError(errno.ETIMEDOUT, "Connection timed out")
        transact(*messages)

    smbus.i2c_rdwr = hang  # type: ignore[method-assign]  # this one part stretches its clock for ever
    bus = LinuxI2C(1, lambda _: smbus)
    with pytest.raises(BusTimeout, match="0x44"):
        await bus.xfer(0x44)
    await bus.close()


async def test_a_machine_without_the_bus_says_so(tmp_path: Path) -> None:
    bus = open_bus("i2c://250", base=tmp_path)
    with pytest.raises(BusError, match="no /dev/i2c-250"):
        await bus.xfer(0x44)
    await bus.close()
    pins = open_bus("gpio://", base=tmp_path)
    assert isinstance(pins, Pins)
    await pins.close()
    with pytest.raises(BusClosed):
        await pins.input(4, pull_up=True, on_edge=lambda: None)


async def test_one_wire_folders(tmp_path: Path) -> None:
    bus = SysfsOneWire(tmp_path / "none")
    with pytest.raises(BusError, match="dtoverlay"):
        await bus.devices()
    for name in ("28-000000000002", "28-000000000001", "w1_bus_master0"):
        (tmp_path / name).mkdir()
    (tmp_path / "w1_bus_master0" / "28-000000000001").mkdir()
    bus = SysfsOneWire(tmp_path)
    assert await bus.devices() == ("28-000000000001",), "only what hangs on this master"
    with pytest.raises(Unplugged):
        await bus.read("28-000000000001")
    (tmp_path / "28-000000000001" / "w1_slave").mkdir()
    with pytest.raises(BusError):
        await bus.read("28-000000000001")
    await bus.close()
    with pytest.raises(BusClosed):
        await bus.devices()


class FakeSpidev:
    """What spidev.SpiDev does, with a twin on the wire."""

    def __init__(self, twin: Any) -> None:
        self.twin, self.mode, self.max_speed_hz, self.closed = twin, 0, 0, False

    def xfer2(self, values: list[int]) -> list[int]:
        return list(self.twin.xfer(bytes(values)))

    def close(self) -> None:
        self.closed = True


async def test_spidev_is_spoken_to_in_the_part_s_manner() -> None:
    world = StillWorld(**{"temperature": 900.0, "cold-junction": 30.0})
    device = FakeSpidev(Max31856Twin(Max31856Settings(select=1), world))
    bus = LinuxSpi(0, lambda number, select: device)
    world.part_s = lambda: time.monotonic()  # type: ignore[method-assign]
    driver = Max31856Driver(Max31856Settings(select=1))
    await driver.open(bus)
    assert [(reading.quantity, reading.value) for reading in await driver.sample()] == world.given
    assert (device.mode, device.max_speed_hz) == (1, 1_000_000)
    assert await bus.session(1, lambda line: line.xfer(b"\x00\x00")[1:], timeout_s=1.0) == b"\x10"
    with pytest.raises(BusError, match="more than 4096"):
        await bus.xfer(1, bytes(5000))
    await bus.close()
    assert device.closed


async def test_a_machine_without_spi_or_serial_line_says_so(tmp_path: Path) -> None:
    spi, uart = open_bus("spi://9", base=tmp_path), open_bus("uart://ttyGOLMOK", base=tmp_path)
    with pytest.raises(BusError, match="spidev"):
        await spi.xfer(0, b"\x00")
    with pytest.raises(BusError, match="plug the adapter in"):
        await uart.ask(1, b"", 1)
    await spi.close()
    await uart.close()


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EACCES, "group spi"), (errno.ENOENT, "raspi-config"), (errno.EIO, "select 0")]
)
async def test_errors_of_spi_in_people_s_words(number: int, remedy: str) -> None:
    def refuse(bus: int, select: int) -> Any:
        raise OSError(number, "refused")

    bus = LinuxSpi(0, refuse)
    with pytest.raises(BusError, match=remedy):
        await bus.xfer(0, b"\x00")
    await bus.close()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "group dialout"), (errno.ENODEV, "by-id"), (errno.EBUSY, "another program"), (errno.EPIPE, "pipe")],
)
async def test_errors_of_serial_lines_in_people_s_words(number: int, remedy: str) -> None:
    def refuse(port: str, options: Any) -> Any:
        raise OSError(number, "Broken pipe")

    bus = SerialUart("ttyUSB0", {}, refuse)
    with pytest.raises(BusError, match=remedy):
        await bus.ask(1, b"", 1)
    await bus.close()
