"""BTHome v2: what small sensors and buttons broadcast as service data of UUID 0xFCD2 (https://bthome.io/format).

A frame is a byte of flags, then objects end to end: an id, and as many bytes as the id's row in the table says. So
the table is the decoder. Integers are divided, not multiplied, so that 2506 hundredths are 25.06 and not its neighbour.

What an encrypted frame proves (its counter, no replay) is not decided here: see who keeps the last counter on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from struct import Struct
from typing import Final, NamedTuple, Protocol

from golmok_drivers.errors import PayloadError
from golmok_drivers.units import UNITS

UUID: Final = 0xFCD2
VERSION: Final = 2
_UUID_BYTES: Final = UUID.to_bytes(2, "little")
_ENCRYPTED: Final = 0x01
_HAS_ADDRESS: Final = 0x02
_TRIGGERED: Final = 0x04
_ADDRESS_BYTES: Final = 6
_COUNTER_BYTES: Final = 4
_MIC_BYTES: Final = 4

Value = bool | int | float | str | None
Read = Callable[[bytes], Value]


class Frame(NamedTuple):
    """What a frame says: names of quantities, their values and UCUM units ("1": counts, states, words) side by side.

    `rest`: the bytes from the first object that cannot be read; what came before it is right all the same, but a
    frame that was cut must not ring a bell. `counter` is that of an encrypted frame, None in a plain one.
    """

    names: Sequence[str]
    values: Sequence[Value]
    units: Sequence[str]
    rest: bytes = b""
    counter: int | None = None
    address: bytes | None = None
    """The sender's address, if the frame states it, in the order in which it is written."""
    is_triggered: bool = False
    """The device speaks only when something happens."""

    def by_name(self) -> dict[str, Value]:
        """The values by their names. A name that comes again gets its number: `temperature`, `temperature_2`.

        A button at which nothing happened is left out, but counts.
        """
        values: dict[str, Value] = {}
        times: dict[str, int] = {}
        for name, value in zip(self.names, self.values, strict=True):
            nth = times[name] = times.get(name, 0) + 1
            if value is not None:
                values[name if nth == 1 else f"{name}_{nth}"] = value
        return values


class Cipher(Protocol):
    """AES-CCM with a tag of four bytes and one device's key; cryptography's `AESCCM(key, tag_length=4)` is one."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """The plain text. Raises when the tag does not fit."""


class EncryptedError(PayloadError):
    """The frame is encrypted, and no key was given, or it is not the right one."""

    reason = "encrypted"


class PlainError(PayloadError):
    """The frame is plain, but its device has a key: anybody could have sent it."""

    reason = "plain"


class _Object(NamedTuple):
    """A row of the table: an integer in `size` bytes that counts the `per`-th part of its unit, or what `read` makes.

    `size` counts the bytes behind the id; None: the first of them says how many follow.
    """

    name: str
    size: int | None
    unit: str = "1"
    per: int = 1
    is_signed: bool = False
    read: Read | None = None

    def value(self, body: bytes) -> Value:
        """What the bytes of the object say."""
        if self.read is not None:
            return self.read(body)
        number = int.from_bytes(body, "little", signed=self.is_signed)
        return number if self.per == 1 else number / self.per


def _number(name: str, size: int, unit: str = "1", per: int = 1, *, signed: bool = False) -> _Object:
    assert unit in UNITS, unit
    return _Object(name, size, unit, per, signed)


def _other(name: str, size: int | None, read: Read, unit: str = "1") -> _Object:
    return _Object(name, size, unit, read=read)


def _state(name: str) -> _Object:
    return _other(name, 1, lambda data: data[0] != 0)


def _word(name: str, words: dict[int, str | None], size: int | None = 1) -> _Object:
    return _other(name, size, lambda data: words.get(data[0], f"0x{data[0]:02x}"))


def _version(data: bytes) -> str:
    return ".".join(str(part) for part in reversed(data))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _thirty_fifths(data: bytes) -> float:
    return int.from_bytes(data, "little", signed=True) * 35 / 100


BUTTON: Final[dict[int, str | None]] = {
    0x00: None,  # nothing happened: the frame repeats its other objects
    0x01: "press",
    0x02: "double_press",
    0x03: "triple_press",
    0x04: "long_press",
    0x05: "long_double_press",
    0x06: "long_triple_press",
    0x80: "hold_press",
    0x81: "hold_release",
    0xFE: "hold_press",  # Shelly's firmware before 1.0.23
}
_DIMMER: Final[dict[int, str | None]] = {0x00: None, 0x01: "rotate_left", 0x02: "rotate_right"}
_COMMAND: Final[dict[int, str | None]] = {0x00: "off", 0x01: "on", 0x02: "toggle", 0x03: "step_up", 0x04: "step_down"}

OBJECTS: Final[dict[int, _Object]] = {
    0x00: _number("packet_id", 1),
    0x01: _number("battery", 1, "%"),
    0x02: _number("temperature", 2, "Cel", 100, signed=True),
    0x03: _number("humidity", 2, "%", 100),
    0x04: _number("pressure", 3, "hPa", 100),
    0x05: _number("illuminance", 3, "lx", 100),
    0x06: _number("mass", 2, "kg", 100),
    0x07: _number("mass", 2, "[lb_av]", 100),
    0x08: _number("dew_point", 2, "Cel", 100, signed=True),
    0x09: _number("count", 1),
    0x0A: _number("energy", 3, "kW.h", 1000),
    0x0B: _number("power", 3, "W", 100),
    0x0C: _number("voltage", 2, "V", 1000),
    0x0D: _number("pm25", 2, "ug/m3"),
    0x0E: _number("pm10", 2, "ug/m3"),
    0x0F: _state("generic"),
    0x10: _state("power_on"),
    0x11: _state("opening"),
    0x12: _number("co2", 2, "[ppm]"),
    0x13: _number("tvoc", 2, "ug/m3"),
    0x14: _number("moisture", 2, "%", 100),
    0x15: _state("battery_low"),
    0x16: _state("battery_charging"),
    0x17: _state("carbon_monoxide"),
    0x18: _state("cold"),
    0x19: _state("connectivity"),
    0x1A: _state("door"),
    0x1B: _state("garage_door"),
    0x1C: _state("gas_detected"),
    0x1D: _state("heat"),
    0x1E: _state("light"),
    0x1F: _state("unlocked"),
    0x20: _state("wet"),
    0x21: _state("motion"),
    0x22: _state("moving"),
    0x23: _state("occupancy"),
    0x24: _state("plugged_in"),
    0x25: _state("presence"),
    0x26: _state("problem"),
    0x27: _state("running"),
    0x28: _state("safety"),
    0x29: _state("smoke"),
    0x2A: _state("sound"),
    0x2B: _state("tamper"),
    0x2C: _state("vibration"),
    0x2D: _state("window"),
    0x2E: _number("humidity", 1, "%"),
    0x2F: _number("moisture", 1, "%"),
    0x3A: _word("button", BUTTON),
    0x3B: _word("command", _COMMAND, None),
    0x3C: _word("dimmer", _DIMMER, 2),
    0x3D: _number("count", 2),
    0x3E: _number("count", 4),
    0x3F: _number("rotation", 2, "deg", 10, signed=True),
    0x40: _number("distance", 2, "mm"),
    0x41: _number("distance", 2, "m", 10),
    0x42: _number("duration", 3, "s", 1000),
    0x43: _number("current", 2, "A", 1000),
    0x44: _number("speed", 2, "m/s", 100),
    0x45: _number("temperature", 2, "Cel", 10, signed=True),
    0x46: _number("uv_index", 1, "1", 10),
    0x47: _number("volume", 2, "L", 10),
    0x48: _number("volume", 2, "mL"),
    0x49: _number("volume_flow_rate", 2, "m3/h", 1000),
    0x4A: _number("voltage", 2, "V", 10),
    0x4B: _number("gas", 3, "m3", 1000),
    0x4C: _number("gas", 4, "m3", 1000),
    0x4D: _number("energy", 4, "kW.h", 1000),
    0x4E: _number("volume", 4, "L", 1000),
    0x4F: _number("water", 4, "L", 1000),
    0x50: _number("timestamp", 4, "s"),
    0x51: _number("acceleration", 2, "m/s2", 1000),
    0x52: _number("gyroscope", 2, "deg/s", 1000),
    0x53: _other("text", None, _text),
    0x54: _other("raw", None, bytes.hex),
    0x55: _number("volume_storage", 4, "L", 1000),
    0x56: _number("conductivity", 2, "uS/cm"),
    0x57: _number("temperature", 1, "Cel", signed=True),
    0x58: _other("temperature", 1, _thirty_fifths, "Cel"),
    0x59: _number("count", 1, signed=True),
    0x5A: _number("count", 2, signed=True),
    0x5B: _number("count", 4, signed=True),
    0x5C: _number("power", 4, "W", 100, signed=True),
    0x5D: _number("current", 2, "A", 1000, signed=True),
    0x5E: _number("direction", 2, "deg", 100),
    0x5F: _number("precipitation", 2, "mm", 10),
    0x60: _number("channel", 1),
    0x61: _number("rotational_speed", 2, "/min"),
    0x62: _number("speed", 4, "m/s", 1_000_000, signed=True),
    0x63: _number("acceleration", 4, "m/s2", 1_000_000, signed=True),
    0x64: _number("light_level", 1),
    0x65: _number("settings_revision", 1),
    0xF0: _number("device_type", 2),
    0xF1: _other("firmware", 4, _version),
    0xF2: _other("firmware", 3, _version),
}
"""Object id -> what it is. A state is true where the format says 1 (a door: open; a lock: unlocked)."""

_COMMAND_ID: Final = 0x3B
_COMMAND_SIZE: Final = 0x1F
_WITH_MORE: Final[dict[str, Callable[[bytes], tuple[str, Value]]]] = {
    "dimmer": lambda body: ("dimmer_steps", body[1]),
    "command": lambda body: ("command_arguments", body[1:].hex()),
}
"""Objects that say two things: what the second one is."""
_frame: Final = partial(tuple.__new__, Frame)  # at a third of the time of Frame(...)


def decode(data: bytes, cipher: Cipher | None = None, address: bytes | None = None) -> Frame:
    """What the service data `data` say. Raises `PayloadError` for a frame that says nothing at all.

    `cipher` decrypts with the device's key, `address` is the sender's, as the radio told it (6 bytes); a device that
    has a key is not believed in plain text.
    """
    if not data:
        raise PayloadError("an empty frame")
    flags, begin, stated = data[0], 1, None
    if flags >> 5 != VERSION:
        raise PayloadError(f"BTHome of version {flags >> 5}; only version {VERSION} is known")
    if flags & _HAS_ADDRESS:
        begin += _ADDRESS_BYTES
        stated = address = data[begin - 1 : 0 : -1]
        if len(data) < begin:
            raise PayloadError("cut short within its address")
    if flags & _ENCRYPTED:
        counter, objects = _decrypted(data, begin, cipher, address)
    elif cipher is not None:
        raise PlainError("a plain frame from a device that has a key")
    else:
        counter, objects = None, data[begin:]
    is_triggered = flags & _TRIGGERED != 0
    if (shape := _shape_of(objects)) is not None:
        return _frame((shape.names, shape.values(objects), shape.units, b"", counter, stated, is_triggered))
    found, rest = _one_by_one(objects)
    if not found:
        raise PayloadError(f"an object that nobody can read: {rest.hex() or 'none at all'}")
    names, values, units = zip(*found, strict=True)
    return Frame(names, values, units, rest, counter, stated, is_triggered)


def _decrypted(data: bytes, begin: int, cipher: Cipher | None, address: bytes | None) -> tuple[int, bytes]:
    end = len(data) - _COUNTER_BYTES - _MIC_BYTES
    if end < begin:
        raise PayloadError("cut short: an encrypted frame ends with a counter and a checksum of four bytes each")
    if cipher is None:
        raise EncryptedError("encrypted: the device's key is needed")
    if address is None:
        raise EncryptedError("encrypted: the sender's address is needed beside the key")
    counter = data[end : end + _COUNTER_BYTES]
    nonce = address + _UUID_BYTES + data[:1] + counter
    try:
        plain = cipher.decrypt(nonce, data[begin:end] + data[end + _COUNTER_BYTES :], None)
    except Exception as error:  # whatever library the cipher is of, it has one way to say no
        raise EncryptedError("encrypted: the key does not fit, or the frame was changed on its way") from error
    return int.from_bytes(counter, "little"), plain


def _one_by_one(data: bytes) -> tuple[list[tuple[str, Value, str]], bytes]:
    """Name, value and unit of each object, and what is left from the first one that cannot be read."""
    found: list[tuple[str, Value, str]] = []
    at, end = 0, len(data)
    while at < end:
        row = OBJECTS.get(data[at])
        if row is None:
            break
        begin, size = (at + 1, row.size) if row.size is not None else _sized(data, at)
        if begin + size > end:
            break
        body = data[begin : begin + size]
        at = begin + size
        if not body:
            continue
        found.append((row.name, row.value(body), row.unit))
        if row.name in _WITH_MORE:
            found.append((*_WITH_MORE[row.name](body), "1"))
    return found, data[at:]


def _sized(data: bytes, at: int) -> tuple[int, int]:
    """Where the body of an object begins that states its own size, and the size."""
    if at + 1 >= len(data):
        return at + 2, 1  # its size is missing: beyond the end
    if data[at] == _COMMAND_ID:
        return at + 2, 1 + (data[at + 1] & _COMMAND_SIZE)
    return at + 2, data[at + 1]


# --- Frames of objects of a fixed size, as nearly all are: read at once, since the ids say what lies where


class _Shape(NamedTuple):
    """How frames of the same ids are read."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    unpack: Callable[[bytes], tuple[int, ...]]
    pers: tuple[int, ...]
    others: tuple[tuple[int, int, int, Read], ...]
    """What a struct cannot read: its place among the values, where its bytes begin and end, how it is read."""

    def values(self, data: bytes) -> list[Value]:
        """The values of a frame of this shape."""
        values: list[Value] = [
            number if per == 1 else number / per
            for number, per in zip(self.unpack(data), self.pers)  # noqa: B905  # as many, by their making
        ]
        for place, begin, end, read in self.others:
            values[place] = read(data[begin:end])
        return values


_FORMATS: Final = {(1, False): "B", (1, True): "b", (2, False): "H", (2, True): "h", (4, False): "I", (4, True): "i"}
_BEYOND: Final = 1 << 16
_STEPS: Final = [
    1 + row.size if (row := OBJECTS.get(number)) and row.size and row.name not in _WITH_MORE else _BEYOND
    for number in range(256)
]
"""Bytes from an id to the next one; beyond every end where that cannot be told or the id is not known."""


def _shape_of(data: bytes) -> _Shape | None:
    """The shape of these objects; None if they must be read one by one."""
    ids = bytearray()
    at, end = 0, len(data)
    while at < end:
        number = data[at]
        ids.append(number)
        at += _STEPS[number]
    return _shape(bytes(ids)) if at == end and ids else None


@lru_cache(maxsize=1_024)  # whoever sends nonsense only costs time
def _shape(ids: bytes) -> _Shape:
    rows = [OBJECTS[number] for number in ids]
    text, at = "<", 0
    others: list[tuple[int, int, int, Read]] = []
    for place, row in enumerate(rows):
        size = _STEPS[ids[place]] - 1
        code = _FORMATS.get((size, row.is_signed)) if row.read is None else None
        text += f"x{code}" if code else f"xB{size - 1}x"
        if code is None:
            others.append((place, at + 1, at + 1 + size, row.value))
        at += 1 + size
    names, units, pers = (tuple(getattr(row, name) for row in rows) for name in ("name", "unit", "per"))
    return _Shape(names, units, Struct(text).unpack, pers, tuple(others))
