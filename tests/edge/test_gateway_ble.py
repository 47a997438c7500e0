"""`golmok-gateway ble decode`, as a script uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_edge.gateway import ble

RUUVI = "99040512fc5394c37c0004fffc040cac364200cdcbb8334c884f"


def asked(text: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "golmok_edge.gateway.cli", "ble", "decode", *options]
    return subprocess.run(command, input=text, capture_output=True, check=False, timeout=60)


def answer(line: dict[str, Any] | bytes) -> dict[str, Any]:
    (only,) = ble.answers([line if isinstance(line, bytes) else json.dumps(line).encode()])
    return only


def test_answers_each_line_in_order_and_ends_well() -> None:
    lines = [
        {"name": "방", "servicedatauuid": "fcd2", "servicedata": "4002ca0903bf13"},
        {"manufacturerdata": RUUVI},
        {"servicedatauuid": "0xFCD2", "servicedata": "40015D", "manufacturerdata": RUUVI},
        "nonsense",
        {"servicedatauuid": "fcd2", "servicedata": "xyz"},
        {"servicedatauuid": "fcd2", "servicedata": "4000093a01"},
        {"servicedatauuid": "fcd2", "servicedata": "4000093a01"},
    ]
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    done = asked(text.encode() + b"\n\n", "--json", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0] == {"temperature": 25.06, "humidity": 50.55}
    assert (said[1]["temperature"], said[1]["voltage"]) == (24.3, 2.977)
    assert said[2] == {"battery": 93}
    assert said[3].keys() == said[4].keys() == {"error"}
    assert said[5] == said[6] == {"packet_id": 9, "button": "press"}  # no memory: a repeated frame says the same
    assert said[7].keys() == {"error"}
    assert len(said) == 8


def test_reads_a_file_and_speaks_to_people(tmp_path: Path) -> None:
    file = tmp_path / "adverts.jsonl"
    file.write_text('{"servicedatauuid": "fcd2", "servicedata": "4002ca0903bf13"}\n{}\n')
    done = asked(b"", str(file))
    assert (done.returncode, done.stdout.decode().splitlines()[0]) == (0, "temperature 25.06, humidity 50.55")
    assert done.stdout.decode().splitlines()[1].startswith("? ")
    assert asked(b"", str(tmp_path / "none")).returncode == 2


@pytest.mark.parametrize("uuid", ["fcd2", "FCD2", "0xfcd2", "0XFCD2", " fcd2", "0000fcd2-0000-1000-8000-00805F9B34FB"])
def test_a_uuid_may_be_written_in_many_ways(uuid: str) -> None:
    assert answer({"servicedatauuid": uuid, "servicedata": "40015d"}) == {"battery": 93}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "bytes"),
        (b"[" * 60_000, "JSON"),
        (b"[]", "advert"),
        (b"7", "advert"),
        (b"{}", "neither"),
        ({"servicedata": "40015d"}, "servicedatauuid"),
        ({"servicedatauuid": 64722, "servicedata": "40015d"}, "servicedatauuid"),
        ({"servicedatauuid": "fcd2", "servicedata": 40015}, "servicedata"),
        ({"servicedatauuid": "fcd2", "servicedata": "40015"}, "servicedata"),
        ({"servicedatauuid": "fcd2", "servicedata": "41a47266c95f730011223378237214"}, "key"),
        ({"servicedatauuid": "fcd2", "servicedata": "41a47266c95f730011223378237214", "key": "00" * 16}, "address"),
        ({"servicedatauuid": "fcd2", "servicedata": "40015d", "key": "00"}, "key: 16"),
        ({"manufacturerdata": "99"}, "company"),
        ({"manufacturerdata": "ffff00"}, "0xffff"),
    ],
)
def test_says_what_is_wrong_with_a_line(line: dict[str, Any] | bytes, word: str) -> None:
    assert word in answer(line)["error"]


def test_decrypts_with_the_key_and_the_address() -> None:
    line = {
        "servicedatauuid": "fcd2",
        "servicedata": "41a47266c95f730011223378237214",
        "key": "231d39c1d7cc1ab1aee224cd096db932",
        "address": "54:48:E6:8F:80:A5",
    }
    assert answer(line) == {"temperature": 25.06, "humidity": 50.55}
    assert "does not fit" in answer({**line, "key": "00" * 16})["error"]


@given(st.binary(max_size=80) | st.dictionaries(
    st.sampled_from(["servicedatauuid", "servicedata", "manufacturerdata", "name", "key", "address"]),
    st.none() | st.integers() | st.text(max_size=20) | st.binary(max_size=20).map(bytes.hex) | st.just("fcd2"),
))  # fmt: skip
def test_has_an_answer_to_everything(line: dict[str, Any] | bytes) -> None:
    json.dumps(answer(line), allow_nan=False).encode()
