"""Whatever stands in the file: mistakes or settings come back, each mistake in one line, and nothing is raised."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_edge.settings import Examination, examine_closely
from golmok_edge.settings.model import Cloud, Common, Mqtt, Site, Store, Web
from tests.edge.settings_files import CONTACT, DESIGN, SHT4X

GOOD = DESIGN + SHT4X + CONTACT

numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 2**63, 2**200, 1e308, 0x44])
texts = st.text(max_size=20) | st.sampled_from(
    ["", "a/#", "i2c://1", "28-00000a1b2c3d", "sht4x", "mqtt-json", "0x44", "\0"]
)
values = st.recursive(
    numbers | texts | st.booleans() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def looked_at(content: bytes) -> Examination:
    """What is found in a file with that content; what must be true of any."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        file.write_bytes(content)
        found = examine_closely(file)
    assert (found.settings is None) == bool(found.mistakes)
    last = content.count(b"\n") + 1
    for mistake in [*found.mistakes, *found.warnings]:
        assert 1 <= mistake.line <= last
        for language in ("en", "ko"):
            sentence = mistake.sentence(language)
            assert sentence.startswith(f"{file}:{mistake.line}: ")
            assert sentence.isprintable()
            assert mistake.message(language)
            assert mistake.remedy(language)
    return found


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage(content: bytes) -> None:
    looked_at(content)


@settings(deadline=None)
@given(st.text(alphabet="[]{}=.,#'\"\\ \n\tab1é-_", max_size=200))
def test_what_looks_like_toml(text: str) -> None:
    looked_at(text.encode())


@settings(deadline=None)
@given(st.data())
def test_a_good_file_with_bytes_changed(data: st.DataObject) -> None:
    content = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(start + 20, len(content))))
        content[start:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"[", b"]", b'"', b"=", b"\n", b"{", b"'''"])
        )
    looked_at(bytes(content))


@settings(deadline=None)
@given(st.data())
def test_a_good_file_with_values_changed(data: st.DataObject) -> None:
    tree = tomllib.loads(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = tree
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
            if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        place[key] = data.draw(values)
    looked_at(written(tree).encode())


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["site", "store", "mqtt", "cloud", "web", "device", "x"]), values, max_size=4))
def test_any_tree(tree: dict[str, Any]) -> None:
    looked_at(written(tree).encode())


@settings(deadline=None)
@given(st.data())
def test_known_keys_with_any_value(data: st.DataObject) -> None:
    tree: dict[str, Any] = {
        name: data.draw(st.dictionaries(st.sampled_from(cls.__struct_fields__), values, max_size=3))
        for name, cls in {"site": Site, "store": Store, "mqtt": Mqtt, "cloud": Cloud, "web": Web}.items()
    }
    keys = [*Common.__struct_fields__, "address", "pin", "topic", "channels"]
    device = st.dictionaries(st.sampled_from(keys), values, max_size=5)
    named = st.sampled_from(["sht4x", "ds18b20", "contact", "mqtt-json"]).map(
        lambda name: {"name": "a", "driver": name}
    )
    tree["device"] = [data.draw(device) | data.draw(named) for _ in range(data.draw(st.integers(0, 2)))]
    looked_at(written(tree).encode())


def written(tree: dict[str, Any]) -> str:
    """The tree as TOML, every section an inline table on its own line."""
    return "".join(f"{text(key)} = {inline(value)}\n" for key, value in tree.items())


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (bool, int, float)):
        return str(value).lower()
    return str(value.isoformat())


def text(value: str) -> str:
    """Any text as TOML: everything but letters escaped."""
    return (
        '"'
        + "".join(
            char if char.isalnum() else f"\\U{ord(char):08x}" for char in value if not 0xD800 <= ord(char) < 0xE000
        )
        + '"'
    )
