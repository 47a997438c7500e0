from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from golmok_drivers.api import PayloadError, Reading
from golmok_drivers.devices.mqtt_json import (
    MAX_BYTES,
    MqttJsonDriver,
    MqttJsonSettings,
    MqttJsonTwin,
    find,
    parse,
    parse_path,
    read_time,
)
from tests.drivers.worlds import StillWorld


def driver(topic: str, timezone: str = "UTC", time: str | None = None, **channels: Any) -> MqttJsonDriver:
    settings = {"topic": topic, "channels": channels} | ({"time": time} if time else {})
    return MqttJsonDriver(msgspec.convert(settings, MqttJsonSettings), timezone=timezone)


def values(readings: Any) -> dict[str, Any]:
    return {reading.quantity: reading.value for reading in readings}


TASMOTA = b"""{"Time":"2026-11-22T14:03:07","ENERGY":{"TotalStartTime":"2025-01-01T00:00:00","Total":12.345,
"Yesterday":0.710,"Today":0.312,"Period":5,"Power":182,"ApparentPower":191,"Factor":0.95,"Voltage":221,"Current":0.864},
"DS18B20-1":{"Id":"00000A1B2C3D","Temperature":-18.5},"TempUnit":"C"}"""

SHELLY_STATUS = b"""{"id":0,"source":"MQTT","output":true,"apower":1203.5,"voltage":228.9,"current":5.31,
"aenergy":{"total":4521.333,"by_minute":[0.000,12.5,20.1],"minute_ts":1763812980},"temperature":{"tC":41.2,"tF":106.1}}"""

SHELLY_NOTIFY = b"""{"src":"shellyplus1pm-a8032ab12345","dst":"shellyplus1pm-a8032ab12345/events",
"method":"NotifyStatus","params":{"ts":1763812987.45,"switch:0":{"id":0,"apower":18.2,"output":false}}}"""

ZIGBEE = b"""{"battery":97,"contact":false,"humidity":46.03,"linkquality":120,"temperature":21.54,"voltage":3005,
"update":{"state":"idle"},"action":null}"""


def test_tasmota() -> None:
    plug = driver(
        "tele/plug1/SENSOR",
        timezone="Asia/Seoul",
        time="Time",
        power={"path": "ENERGY.Power", "unit": "W"},
        energy={"path": "ENERGY.Total", "unit": "kW.h"},
        temperature={"path": "DS18B20-1.Temperature", "unit": "Cel"},
        humidity={"path": "SI7021.Humidity", "unit": "%"},
    )
    assert plug.topics() == ("tele/plug1/SENSOR",)
    assert plug.decode("tele/plug1/SENSOR", TASMOTA) == [
        Reading("power", 182, wall_ms=1795323787000),
        Reading("energy", 12.345, wall_ms=1795323787000),
        Reading("temperature", -18.5, wall_ms=1795323787000),
    ]
    assert [channel.unit for channel in plug.channels] == ["W", "kW.h", "Cel", "%"]


def test_shelly_gen2() -> None:
    status = driver(
        "shelly/status/switch:0",
        power={"path": "apower", "unit": "W"},
        on={"path": "output"},
        minute={"path": "aenergy.by_minute.1", "unit": "W.h"},
    )
    assert values(status.decode("", SHELLY_STATUS)) == {"power": 1203.5, "on": True, "minute": 12.5}
    notify = driver("+/events/rpc", time="params.ts", power={"path": "params.switch:0.apower", "unit": "W"})
    assert notify.decode("", SHELLY_NOTIFY) == [Reading("power", 18.2, wall_ms=1763812987450)]


def test_zigbee2mqtt() -> None:
    door = driver("zigbee2mqtt/door", temperature={"unit": "Cel"}, contact={}, action={}, update={}, missing={})
    assert door.decode("", ZIGBEE) == [
        Reading("temperature", 21.54),
        Reading("contact", False),
        Reading("action", None),
        Reading("update", None, "bad", "parse"),
    ]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", 1),
        ("a.c.d", 2),
        ('"a.c".d', 2),
        ("e.0", 3),
        ("e.1.f", 4),
        ("switch:0.x", 5),
        ("g.h.i.j", 6),
        ('"g.h".i.j', 6),
        ("7", 8),
    ],
)
def test_paths(path: str, found: int) -> None:
    document = {
        "a": {"b": 1, "z": 0},
        "a.c": {"d": 2},
        "e": [3, {"f": 4}],
        "switch:0": {"x": 5},
        "g.h": {"i.j": 6},
        "g": {"h": {}},
        "7": 8,
    }
    assert find(document, parse_path(path)) == found


@pytest.mark.parametrize("path", ["a.x", "e.2", "e.-1", "e.x", "a.b.c", '"a".c.d', "e.99999999999", "e.٣"])
def test_a_path_that_leads_nowhere_gives_no_reading(path: str) -> None:
    document = b'{"a": {"b": 1}, "a.c": {"d": 2}, "e": [3, 4]}'
    assert driver("t", q={"path": path}).decode("", document) == []


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", 'a"b', '"a"b', '"a'])
def test_wrong_paths(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_path(path)


def test_a_payload_that_is_one_value() -> None:
    assert values(driver("t", q={"path": ""}).decode("", b"21.5")) == {"q": 21.5}


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        ("auto", '"ON"', "ON"),
        ("auto", "true", True),
        ("auto", "1", 1),
        ("auto", "1.0", 1.0),
        ("boolean", '"ON"', True),
        ("boolean", '"closed"', False),
        ("boolean", "0", False),
        ("number", '"21.50"', 21.5),
        ("number", '"-7"', -7),
        ("number", "true", 1),
        ("text", "12", "12"),
        ("text", "false", "false"),
        ("text", '"네"', "네"),
        ("boolean", "null", None),
    ],
)
def test_types(kind: str, sent: str, value: Any) -> None:
    (reading,) = driver("t", q={"type": kind}).decode("", f'{{"q": {sent}}}'.encode())
    assert (reading.value, type(reading.value), reading.quality) == (value, type(value), "good")


@pytest.mark.parametrize(
    ("kind", "sent", "reason"),
    [
        ("boolean", '"perhaps"', "parse"),
        ("boolean", "2", "parse"),
        ("number", '"warm"', "parse"),
        ("number", '"nan"', "parse"),
        ("auto", "{}", "parse"),
        ("auto", "[]", "parse"),
        ("auto", "9223372036854775808", "range"),
        ("auto", "-9223372036854775809", "range"),
        ("auto", '"' + "x" * 65537 + '"', "range"),
    ],
)
def test_values_that_are_none(kind: str, sent: str, reason: str) -> None:
    assert driver("t", q={"type": kind}).decode("", f'{{"q": {sent}}}'.encode()) == [Reading("q", None, "bad", reason)]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ON",
        b"{",
        b'{"q": NaN}',
        b'{"q": Infinity}',
        b'{"q": -Infinity}',
        b'{"q": 1e999}',
        b'{"q": 1} {"q": 2}',
        b'{"q": "\xff"}',
        b'{"q": "\\ud800"}',
        b'{"q": 01}',
        b"[" * MAX_BYTES,
        b'{"a":' * 40_000,
        b" " * MAX_BYTES + b"1",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda payload: repr(payload[:16]),
)
def test_payloads_that_are_no_json(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        driver("t", q={}).decode("", payload)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(2.2250738585072011e-308)
@example(9007199254740993.0)
@example(-0.0)
def test_floats_come_out_as_json_has_them(number: float) -> None:
    for text in (repr(number), f"{number:.25e}", f"{number:.30g}"):
        value = parse(text.encode())
        expected = json.loads(text)
        assert value == expected
        assert math.copysign(1, value) == math.copysign(1, expected)


@given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?\Z"))
def test_any_number_comes_out_as_json_has_it(text: str) -> None:
    expected = json.loads(text)
    value = parse(text.encode())
    assert value == expected
    assert type(value) is type(expected)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_of_64_bits_stay_exact(number: int) -> None:
    assert driver("t", q={}).decode("", b'{"q": %d}' % number) == [Reading("q", number)]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_json_or_an_error_of_ours(payload: bytes) -> None:
    try:
        parse(payload)
    except PayloadError:
        pass
    else:
        json.loads(payload)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_any_document_comes_out_as_json_has_it(document: Any) -> None:
    assert parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    ("found", "timezone", "wall_ms"),
    [
        ("2026-11-22T14:03:07", "UTC", 1795356187000),
        ("2026-11-22T14:03:07Z", "Asia/Seoul", 1795356187000),
        ("2026-11-22T14:03:07.250+09:00", "UTC", 1795323787250),
        ("2026-11-22 14:03:07", "Asia/Seoul", 1795323787000),
        (1795356187, "UTC", 1795356187000),
        (1795356187.25, "UTC", 1795356187250),
        (1795356187250, "UTC", 1795356187250),
        ("1970-01-01T00:00:12", "UTC", None),
        (12, "UTC", None),
        (True, "UTC", None),
        ("soon", "UTC", None),
        ("0001-01-01T00:00:00+23:59", "UTC", None),
        (1e300, "UTC", None),
        (None, "UTC", None),
    ],
)
def test_the_payload_s_own_time(found: Any, timezone: str, wall_ms: int | None) -> None:
    assert read_time(found, timezone) == wall_ms


def test_values_without_their_time_are_uncertain() -> None:
    assert driver("t", time="ts", q={}, p={}).decode("", b'{"q": 1, "p": []}') == [
        Reading("q", 1, "uncertain", "time"),
        Reading("p", None, "bad", "parse"),
    ]


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"topic": "tele/#/x", "channels": {"q": {}}}, "# may only stand alone"),
        ({"topic": "tele/a+", "channels": {"q": {}}}, "a whole level"),
        ({"topic": "", "channels": {"q": {}}}, "1 to 65535"),
        ({"topic": "t", "channels": {}}, "at least one channel"),
        ({"topic": "t", "channels": {"Q": {}}}, "a-z"),
        ({"topic": "t", "channels": {"q": {"unit": "°C"}}}, "did you mean 'Cel'"),
        ({"topic": "t", "channels": {"q": {"path": "a."}}}, "ends with a dot"),
        ({"topic": "t", "channels": {"q": {"pfad": "a"}}}, "pfad"),
        ({"topic": "t", "channels": {"q": {"type": "bool"}}}, "bool"),
        ({"topic": "t", "channels": {"q": {}}, "expect_s": 0}, "expect_s"),
        ({"channels": {"q": {}}}, "topic"),
    ],
)
def test_wrong_settings_name_the_remedy(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=remedy.replace("+", r"\+")):
        msgspec.convert(settings, MqttJsonSettings)


@pytest.mark.parametrize(
    ("topic", "channels"),
    [
        ("tele/plug1/SENSOR", {"power": {"path": "ENERGY.Power", "unit": "W"}, "total": {"path": "ENERGY.Total"}}),
        (
            "shelly-1/events/rpc",
            {"power": {"path": "params.switch:0.apower"}, "on": {"path": "params.switch:0.output"}},
        ),
        ("zigbee2mqtt/room", {"temperature": {"unit": "Cel"}, "occupancy": {}, "state": {"type": "text"}}),
        ("x/+/y", {"door": {"path": 'list.1."a.b"', "type": "boolean"}, "co2": {"path": "list.0"}}),
        ("plain", {"temperature": {"path": ""}}),
    ],
)
def test_the_twin_publishes_what_the_driver_reads(topic: str, channels: dict[str, Any]) -> None:
    settings = msgspec.convert({"topic": topic, "channels": channels}, MqttJsonSettings)
    world = StillWorld(**dict.fromkeys(channels, 21.237))
    publication = MqttJsonTwin(settings, world).publish()
    assert publication
    readings = MqttJsonDriver(settings).decode(publication.topic, publication.payload)
    assert tuple((reading.quantity, reading.value) for reading in readings) == publication.given
    assert [reading.quality for reading in readings] == ["good"] * len(channels)
    assert json.loads(publication.payload) == parse(publication.payload)


@pytest.mark.parametrize("fault", ["unplugged", "nack", "timeout", "not-ready"])
def test_a_silent_twin(fault: str) -> None:
    settings = msgspec.convert({"topic": "t", "channels": {"q": {}}}, MqttJsonSettings)
    assert MqttJsonTwin(settings, StillWorld(fault, q=1.0)).publish() is None


def test_a_garbling_twin_gives_nothing() -> None:
    settings = msgspec.convert({"topic": "t", "channels": {"q": {}}}, MqttJsonSettings)
    publication = MqttJsonTwin(settings, StillWorld("garbage", q=1.0)).publish()
    assert publication
    assert publication.given == ()
    with pytest.raises(PayloadError):
        MqttJsonDriver(settings).decode("t", publication.payload)
