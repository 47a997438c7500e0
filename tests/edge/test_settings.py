# ruff: noqa: E501  (one wrong file a line: as a table they can be read)
"""Wrong settings files, each with the line and the remedy that must come back; and the good ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from golmok_edge.settings import Section, SettingsError, examine, examine_closely, load
from tests.edge.settings_files import CONTACT, DESIGN, SHT4X, changed, examined, line_of

GOOD = DESIGN + SHT4X + CONTACT


def test_the_example_of_the_design_is_taken_as_it_stands(tmp_path: Path) -> None:
    settings, mistakes, warnings = examined(tmp_path, DESIGN)
    assert settings is not None
    assert mistakes == []
    assert (settings.site.gateway, settings.site.name) == ("gw-0001", "한옥카페")
    assert settings.store.path == tmp_path / "var"
    assert settings.mqtt is not None
    assert settings.mqtt.port == 1883
    assert settings.cloud is not None
    assert settings.cloud.token_file == tmp_path / "enrol.token"
    fridge, plug = settings.devices
    assert (fridge.bus, fridge.interval_s, fridge.limits["temperature"].high) == ("w1://0", 10.0, 8.0)
    assert (plug.bus, plug.interval_s, plug.expect_s) == (None, None, 300.0)
    assert [(channel.quantity, channel.unit) for channel in plug.channels] == [("power", "W")]
    assert [warning.code for warning in warnings] == ["token-missing"]


def test_what_is_required_is_enough(tmp_path: Path) -> None:
    settings, mistakes, _ = examined(tmp_path, '[site]\ngateway = "gw-0001"\n')
    assert settings is not None, mistakes
    assert (settings.mqtt, settings.cloud, settings.devices) == (None, None, ())
    assert settings.web.listen == "127.0.0.1:8480"
    assert settings.store.path == tmp_path / "var"
    assert settings.site.title == "gw-0001"


def test_a_device_on_mqtt_brings_the_local_bus(tmp_path: Path) -> None:
    text = (
        '[site]\ngateway = "g"\n[[device]]\nname = "p"\ndriver = "mqtt-json"\ntopic = "t"\nchannels = { power = {} }\n'
    )
    settings, mistakes, _ = examined(tmp_path, text)
    assert settings is not None, mistakes
    assert settings.mqtt is not None
    assert settings.mqtt.host == "127.0.0.1"


@pytest.mark.parametrize("write", [lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text])
def test_files_from_windows_are_files_too(tmp_path: Path, write: object) -> None:
    assert callable(write)
    settings, mistakes, _ = examined(tmp_path, write(GOOD))
    assert settings is not None, mistakes
    wrong = examined(tmp_path, write(changed("pin = 17", "pin = 99")))
    assert [mistake.line for mistake in wrong.mistakes] == [line_of("pin = 17", GOOD)]


def test_the_version_changes_with_the_file(tmp_path: Path) -> None:
    versions = set()
    for text in (GOOD, GOOD, changed("interval_s = 10", "interval_s = 20")):
        settings = examined(tmp_path, text).settings
        assert settings is not None
        versions.add(settings.version)
    assert len(versions) == 2


class Wrong(NamedTuple):
    """One change that makes a good file wrong: where the mistake must be found, and what must be said."""

    old: str
    new: str
    key: str
    says: str
    remedy: str
    at: str = ""
    """On which line, if not on that of `old`."""


WRONG = {
    # the twelve of the issue that stand inside a file (a folder, UTF-8 and the like: test_settings_source.py)
    "unknown driver": Wrong('"ds18b20"', '"ds18b2O"', "device[1].driver", 'no driver is called "ds18b2O"', '"ds18b20"?'),
    "wrong type": Wrong("port = 1883", 'port = "1883"', "mqtt.port", 'text ("1883")', "write port = 1883"),
    "duplicate device": Wrong('"room"', '"fridge"', "device[3].name", "on line 21", 'name = "fridge-2"'),
    "bad unit": Wrong('unit = "W"', 'unit = "°C"', "device[2].channels.power.unit", '"°C" is no UCUM', 'unit = "Cel"'),
    "bad 1-wire address": Wrong('"28-0000', '"28-00', "device[1].address", "no 1-wire id", "/sys/bus/w1/devices"),
    "syntax": Wrong('name = "fridge"', "name = fridge", "", "no value: fridge", "double quotes"),
    "port out of range": Wrong("port = 1883", "port = 188399", "mqtt.port", "from 1 to 65535", "port = 1883"),
    "store below a file": Wrong('"var"', '"gateway.toml/var"', "store.path", "is a file", "the path of a folder"),
    "unknown key": Wrong("interval_s = 10", "intervall_s = 10", "device[1].intervall_s", "no key", "interval_s?"),
    "missing section": Wrong("[site]\n", "[store.x]\n", "site", "[site] is missing", 'gateway = "gw-0001"', at="["),
    "bad time zone": Wrong("Asia/Seoul", "Asia/Soul", "site.timezone", '"Asia/Soul"', 'timezone = "Asia/Seoul"'),
    # the form of keys and values
    "unknown section": Wrong("[cloud]", "[clod]", "clod", "no section called clod", "[cloud]?"),
    "unknown section, nothing near": Wrong("[cloud]", "[x]", "x", "no section called x", "there are site, store"),
    "one bracket": Wrong("[[device]]", "[device]", "device", "two brackets", "[[device]]"),
    "two brackets": Wrong("[store]", "[[store]]", "store", "only one section store", "[store]"),
    "section in a section": Wrong("[cloud]", "[store.more]", "store.more", "no key more", "there are path"),
    "missing gateway": Wrong('gateway = "gw-0001" ', "# ", "site.gateway", "is missing", 'gateway = "gw-', at="[site]"),
    "missing name": Wrong('name = "room"', "", "device[3].name", "is missing", 'name = "fridge"', at='[[device]]\n\ndriver'),
    "missing driver": Wrong('driver = "contact"', "", "device[4].driver", "is missing", "driver =", at='[[device]]\nname = "door"'),
    "missing pin": Wrong("pin = 17", "", "device[4].pin", "is missing", "pin = ", at='[[device]]\nname = "door"'),
    "missing topic": Wrong('topic = "tele/plug1/SENSOR"', "", "device[2].topic", "is missing", "topic =", at='[[device]]\nname = "stall'),
    "number as text": Wrong("commit_interval_s = 1.0", 'commit_interval_s = "5 s"', "store.commit_interval_s", '"5 s"', "commit_interval_s = 5"),
    "text as number": Wrong('gateway = "gw-0001"', "gateway = 1", "site.gateway", "a whole number (1)", 'gateway = "1"'),
    "not a number": Wrong("interval_s = 60", "interval_s = nan", "cloud.interval_s", "nan", "interval_s = 60"),
    "infinite": Wrong("high = 8.0", "high = inf", "device[1].limits.temperature.high", "inf", "high = 8"),
    "negative": Wrong("max_bytes = 2", "max_bytes = -2", "store.max_bytes", "-2000000000 is out", "max_bytes = 2_000_000_000"),
    "no interval": Wrong("interval_s = 10", "interval_s = 0", "device[1].interval_s", "from 0.01 to 86400", "interval_s = 10"),
    "true as number": Wrong("pin = 17", "pin = true", "device[4].pin", "true or false (true)", "pin = "),
    "date as text": Wrong('"gw-0001"', "2025-01-31", "site.gateway", "a date or time (2025-01-31)", 'gateway = "gw-0001"'),
    "list as text": Wrong('"w1://0"', '["w1://0"]', "device[1].bus", "a list", 'bus = "w1://0"'),
    "capital name": Wrong('"gw-0001"', '"GW 0001"', "site.gateway", '"GW 0001" is no name', 'gateway = "gw-0001"'),
    "long name": Wrong('"door"', f'"{"d" * 33}"', "device[4].name", "1 to 32", f'name = "{"d" * 32}"'),
    "control character": Wrong('"127.0.0.1"', '"127.0.0.1\\u0000"', "mqtt.host", "control character", "remove it"),
    "empty text": Wrong('"127.0.0.1"', '""', "mqtt.host", "empty", 'host = "127.0.0.1"'),
    # what sections mean
    "time zone in capitals": Wrong("Asia/Seoul", "ASIA/SEOUL", "site.timezone", "ASIA/SEOUL", "Asia/Seoul"),
    "time zone by city": Wrong("Asia/Seoul", "Korea/Seoul", "site.timezone", "Korea/Seoul", "Asia/Seoul"),
    "time zone of nowhere": Wrong("Asia/Seoul", "xxxxxxxx", "site.timezone", "xxxxxxxx", "tz database"),
    "host is a URL": Wrong('host = "127.0.0.1"', 'host = "mqtt://broker:1883"', "mqtt.host", "more than a host", 'host = "broker"'),
    "password without user": Wrong("port = 1883", 'password_file = "p"', "mqtt.username", "no username", "username =", at="[mqtt]"),
    "cloud by ftp": Wrong("http://127", "ftp://127", "cloud.url", "does not begin with https://", "url ="),
    "cloud without host": Wrong("http://127.0.0.1:8400", "https://", "cloud.url", "names no host", "url ="),
    "cloud's port": Wrong(":8400", ":84000", "cloud.url", "its port is not", "url ="),
    "page for everybody": Wrong("[cloud]", '[web]\nlisten = "0.0.0.0:80"\n[cloud]', "web.listen", "no login yet", '"127.0.0.1:80"', at="listen"),
    "page without port": Wrong("[cloud]", '[web]\nlisten = "127.0.0.1"\n[cloud]', "web.listen", "no address", "8480", at="listen"),
    # what devices mean
    "no bus": Wrong('bus = "i2c://1"', "", "device[3].bus", "needs a bus", 'bus = "i2c://1"', at='[[device]]\nname = "room"'),
    "bad bus": Wrong('"i2c://1"', '"i2c:/1"', "device[3].bus", "not the URL of a bus", 'bus = "i2c://1"'),
    "bus of another": Wrong('"i2c://1"', '"w1://0"', "device[3].bus", "is for i2c, and this bus is w1", 'bus = "i2c://1"'),
    "bus on mqtt": Wrong("expect_s = 300", 'bus = "w1://0"', "device[2].bus", "listens to MQTT", "remove this line"),
    "no scenario": Wrong('"i2c://1"', '"sim+i2c://no.toml"', "device[3].bus", "no scenario file", "create it"),
    "I2C out of range": Wrong("0x44", "0x99", "device[3].address", "0x99 (153) is no I2C address", "address = 0x44"),
    "I2C in decimal": Wrong("0x44", "45", "device[3].address", "0x2d (45)", "address = 0x45"),
    "I2C not hex": Wrong("0x44", '"fridge"', "device[3].address", '"fridge" is no I2C address', "address = 0x44"),
    "I2C in quotes": Wrong("0x44", '"0x45"', "device[3].address", 'text ("0x45")', "address = 0x45"),
    "pin out of range": Wrong("pin = 17", "pin = 99", "device[4].pin", "from 0 to 27", "pin = "),
    "topic": Wrong('"tele/plug1/SENSOR"', '"tele/#/SENSOR"', "device[2].topic", "no MQTT topic", "only at the end"),
    "our own topic": Wrong('"tele/plug1/SENSOR"', '"golmok/gw-0001/#"', "device[2].topic", "hear itself", "own topic"),
    "every topic": Wrong('"tele/plug1/SENSOR"', '"#"', "device[2].topic", "golmok/…", "own topic"),
    "limits upside down": Wrong("high = 8.0", "low = 9, high = 8", "device[1].limits.temperature.low", "every value", "smaller"),
    "limit of nothing": Wrong("high = 8.0, ", "", "device[1].limits.temperature", "needs low or high", "high = 8.0"),
    "limit's quantity": Wrong("{ temperature =", "{ temprature =", "device[1].limits.temprature", "no quantity", "temperature?"),
    "limit's key": Wrong("high = 8.0", "higher = 8.0", "device[1].limits.temperature.higher", "no key higher", "high?"),
    "silence": Wrong("interval_s = 10", "interval_s = 10\nexpect_s = 5", "device[1].expect_s", "shorter than", "at least 10", at="expect_s = 5"),
    "choice": Wrong('unit = "W"', 'type = "bool"', "device[2].channels.power.type", "none of", 'type = "boolean"'),
    "what only the driver knows": Wrong('"ENERGY.Power"', '"ENERGY."', "device[2].channels.power.path", '"ENERGY."', "dot"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_gives_its_line_and_its_remedy(tmp_path: Path, wrong: Wrong) -> None:
    text = changed(wrong.old, wrong.new)
    settings, mistakes, _ = examined(tmp_path, text)
    found = {mistake.key: mistake for mistake in mistakes}
    assert settings is None
    assert wrong.key in found, [mistake.sentence() for mistake in mistakes]
    mistake = found[wrong.key]
    assert mistake.line == (line_of(wrong.at, text) if wrong.at else line_of(wrong.old, GOOD))
    assert wrong.says in mistake.message()
    assert wrong.remedy in mistake.remedy()
    assert re.fullmatch(r".+/gateway\.toml:\d+: .+; .+", mistake.sentence())


QUIET = ("syntax", "missing section", "one bracket", "two brackets", "section in a section", "unknown section",
         "unknown section, nothing near", "unknown key", "password without user", "missing topic")  # fmt: skip


@pytest.mark.parametrize("name", [name for name in WRONG if name not in QUIET])
def test_one_mistake_is_said_once(tmp_path: Path, name: str) -> None:
    mistakes = examined(tmp_path, changed(WRONG[name].old, WRONG[name].new)).mistakes
    assert [mistake.key for mistake in mistakes] == [WRONG[name].key]


def test_a_misspelt_key_is_not_missing_too(tmp_path: Path) -> None:
    mistakes = examined(tmp_path, changed("gateway =", "gatway =")).mistakes
    assert [mistake.code for mistake in mistakes] == ["unknown-key-near"]


def test_all_mistakes_of_a_file_come_in_one_run(tmp_path: Path) -> None:
    text = GOOD
    alone = [wrong for name, wrong in WRONG.items() if name in ALL_AT_ONCE]
    for wrong in alone:
        text = changed(wrong.old, wrong.new, text)
    found = [(mistake.line, mistake.key) for mistake in examined(tmp_path, text).mistakes]
    assert found == sorted((line_of(wrong.old, GOOD), wrong.key) for wrong in alone)


ALL_AT_ONCE = (
    "capital name",
    "bad time zone",
    "store below a file",
    "number as text",
    "negative",
    "port out of range",
    "cloud by ftp",
    "not a number",
    "unknown driver",
    "limits upside down",
    "topic",
    "bad unit",
    "bad bus",
    "I2C not hex",
    "pin out of range",
)


def test_mistakes_in_one_section_do_not_hide_each_other(tmp_path: Path) -> None:
    text = changed("Asia/Seoul", "Asia/Soul", changed('"gw-0001"', '"GW"', changed('name = "한옥카페"', "name = 1")))
    assert [mistake.key for mistake in examined(tmp_path, text).mistakes] == [
        "site.gateway",
        "site.name",
        "site.timezone",
    ]


def test_two_devices_at_one_address(tmp_path: Path) -> None:
    text = GOOD + SHT4X.replace("room", "cellar") + CONTACT.replace("door", "window")
    mistakes = examined(tmp_path, text).mistakes
    assert [mistake.key for mistake in mistakes] == ["device[5].address", "device[6].pin"]
    assert 'the device "room" on line 39' in mistakes[0].message()
    other_bus = GOOD + SHT4X.replace("room", "cellar").replace("i2c://1", "i2c://3")
    assert examined(tmp_path, other_bus).mistakes == []


def test_many_devices_of_one_name_are_each_told(tmp_path: Path) -> None:
    mistakes = examined(tmp_path, GOOD + CONTACT.replace("pin = 17", "pin = 18") + CONTACT.replace("17", "19")).mistakes
    assert [(mistake.key, mistake.args["example"]) for mistake in mistakes] == [
        ("device[5].name", 'name = "door-2"'),
        ("device[6].name", 'name = "door-3"'),
    ]


def test_an_address_left_out_is_the_parts_own(tmp_path: Path) -> None:
    text = GOOD + SHT4X.replace("room", "cellar").replace("address = 0x44\n", "")
    assert [mistake.code for mistake in examined(tmp_path, text).mistakes] == ["address-twice"]


def test_the_name_of_the_device_stands_in_the_line(tmp_path: Path) -> None:
    (mistake,) = examined(tmp_path, changed('"ds18b20"', '"ds18b2O"')).mistakes
    assert mistake.sentence() == (
        f'{tmp_path}/gateway.toml:22: device[1] "fridge" .driver: no driver is called "ds18b2O"; '
        'did you mean "ds18b20"? (golmok-gateway devices list shows all)'
    )
    assert "이런 드라이버가 없습니다" in mistake.sentence("ko")


def test_keys_written_in_any_way_are_found(tmp_path: Path) -> None:
    text = (
        'site.gateway = "gw-0001"\nsite."time\\u007aone" = "Asia/Soul"\n'
        'mqtt = { host = "h",  port = 0 }\nstore.path = """\nvar\n"""\n'
        'device = [\n  { name = "a", driver = "sht4x", bus = "i2c://1" },\n'
        '  { name = "b", driver = "sht4x", bus = "i2c://1", address = 0x46, interval_s = -1 },\n]\n'
    )
    found = [(mistake.line, mistake.key) for mistake in examined(tmp_path, text).mistakes]
    assert found == [(2, "site.timezone"), (3, "mqtt.port"), (4, "store.path"), (9, "device[2].interval_s")]


def test_warnings_do_not_make_a_file_wrong(tmp_path: Path) -> None:
    text = changed("high = 8.0", "high = 800", changed("expect_s = 300", "interval_s = 300"))
    text = changed("http://127.0.0.1:8400", "http://cloud.example.com", text)
    settings, mistakes, warnings = examined(tmp_path, text)
    assert settings is not None, mistakes
    assert [warning.code for warning in warnings] == [
        "cloud-plain",
        "token-missing",
        "limit-beyond",
        "interval-needless",
    ]
    assert "warning: " in warnings[0].sentence(warning=True)


def test_load_raises_with_all_lines(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(changed("pin = 17", "pin = 99", changed("port = 1883", "port = 0")))
    with pytest.raises(SettingsError, match=r"mqtt\.port") as caught:
        load(file)
    assert len(str(caught.value).splitlines()) == 2
    assert caught.value.mistakes == tuple(examine(file)[1])
    file.write_text(GOOD)
    assert load(str(file)).file == file


# --- sections of applications ----------------------------------------------------------------------------------


class Menu(msgspec.Struct, frozen=True):
    """A section that some application brings."""

    file: Path
    tables: int = 4


class Strict(Section, frozen=True):
    """A section whose own code refuses a value."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("high must be above low")


def registered(group: str) -> Iterable[EntryPoint]:
    """The entry points of an application that is installed."""
    return [
        EntryPoint("menu", f"{__name__}:Menu", group),
        EntryPoint("strict", f"{__name__}:Strict", group),
        EntryPoint("gone", "golmok_no_such_module:X", group),
        EntryPoint("odd", f"{__name__}:registered", group),
    ]


def test_applications_bring_their_own_sections(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(GOOD + '\n[menu]\nfile = "menu.toml"\n')
    settings, mistakes, _ = examine_closely(file, found=registered)
    assert settings is not None, mistakes
    assert settings.applications == {"menu": Menu(file=tmp_path / "menu.toml")}
    assert [mistake.code for mistake in examine_closely(file).mistakes] == ["unknown-section"]


def test_mistakes_in_their_sections_are_found_too(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(GOOD + "\n[menu]\ntable = 3\n[strict]\nlow = 2\nhigh = 1\n[gone]\n[odd]\n[menus]\n")
    mistakes = examine_closely(file, found=registered).mistakes
    assert [(mistake.key, mistake.code) for mistake in mistakes] == [
        ("menu.file", "missing-key"),
        ("menu.table", "unknown-key-near"),
        ("strict.low", "refused"),
        ("gone", "application-broken"),
        ("odd", "application-broken"),
        ("menus", "unknown-section-near"),
    ]


def test_a_key_in_a_file_is_taken_and_one_that_others_can_read_is_told_with_its_line(tmp_path: Path) -> None:
    bell = '\n[[device]]\nname = "bell"\ndriver = "ble-button"\nbus = "ble://hci0"\naddress = "38:39:8F:A1:0B:5E"\n'
    key = tmp_path / "bell.key"
    key.write_text("231d39c1d7cc1ab1aee224cd096db932\n")
    key.chmod(0o600)
    file = tmp_path / "gateway.toml"
    file.write_text(f'[site]\ngateway = "gw-0001"\n{bell}key_file = "bell.key"\n')
    assert load(file).devices[0].options.key_file == key  # type: ignore[attr-defined]  # of this driver
    key.chmod(0o640)
    _, mistakes = examine(file)
    assert [(one.key, one.line) for one in mistakes] == [("device[1].key_file", 9)]
    assert "mode 0640" in str(mistakes[0])
    assert "chmod 600" in str(mistakes[0])
    file.write_text(f'[site]\ngateway = "gw-0001"\n{bell}')
    assert "a key is needed" in str(examine(file)[1][0])
