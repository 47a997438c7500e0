"""`golmok-gateway store verify | salvage`, as a technician uses them."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from golmok_edge.store import Layout, Store

from .store_support import ROOT, prepared, reading, records, some

SETTINGS = '[site]\ngateway = "gw-0001"\n[store]\npath = "var"\n'


def store_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "golmok_edge.gateway.cli", "store", arguments[0]]
    config = ["--config", str(folder / "gateway.toml")]
    done = subprocess.run([*command, *config, *arguments[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(SETTINGS)
    prepared(tmp_path / "var")
    with Store.open(tmp_path / "var") as store:
        anchor = json.dumps({"mono_ms": 0, "wall_ms": 1_700_000_000_000, "error_ms": 5})
        store.append({"events": [reading(anchor, 0, "clock.anchor")]})
        for first in range(0, 1_000, 10):
            store.append({"readings": some(10, first)})
    return tmp_path


def spoil(folder: Path) -> bytes:
    """Noise in a leaf of the middle; gives what the file is now."""
    file = Layout(folder / "var").file
    data = bytearray(file.read_bytes())
    with Store.open(folder / "var") as store:
        (body,) = store._db.execute("SELECT body FROM readings WHERE first_seq = 501").fetchone()
    data[(at := data.find(body)) : at + 20] = random.Random(1).randbytes(20)
    file.write_bytes(data)
    return bytes(data)


def test_a_whole_store_is_whole(folder: Path) -> None:
    done = store_command(folder, "verify", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["whole"], report["faults"]) == (0, True, [])
    assert report["streams"]["readings"] == {"records": 1000, "blocks": 100, "voids": {}, "first": 1, "last": 1000}
    assert "100%" in done.stderr
    told = store_command(folder, "verify", "--lang", "ko")
    assert "이상 없음" in told.stdout
    assert "기록 1,000개" in told.stdout


def test_damage_is_told_with_what_where_and_what_to_do(folder: Path) -> None:
    spoil(folder)
    done = store_command(folder, "verify", "--lang", "en")
    assert done.returncode == 1
    assert "DAMAGED" in done.stdout
    assert "readings 501 to 510: a block cannot be unpacked" in done.stdout
    assert "store salvage --config" in done.stdout
    (fault,) = json.loads(store_command(folder, "verify", "--json").stdout)["faults"]
    assert (fault["stream"], fault["first"], fault["last"]) == ("readings", 501, 510)


def test_a_store_in_use_is_read_beside_the_gateway(folder: Path) -> None:
    with Store.open(folder / "var") as store:
        store.append({"readings": some(5, 1_000)})
        done = store_command(folder, "verify", "--json")
        assert json.loads(done.stdout)["streams"]["readings"]["records"] == 1_005
        refused = store_command(folder, "salvage", "--lang", "en")
        assert refused.returncode == 1
        assert "The gateway runs" in refused.stderr
        store.append({"readings": some(5, 1_005)})


def test_no_store_and_no_damage_are_no_errors(tmp_path: Path, folder: Path) -> None:
    assert store_command(folder, "salvage", "--lang", "en").stdout == "Nothing is damaged, nothing was set aside.\n"
    Layout(folder / "var").file.unlink()
    done = store_command(folder, "verify", "--lang", "en")
    assert (done.returncode, "no store yet" in done.stdout) == (0, True)


def test_a_damaged_store_is_saved_by_hand(folder: Path) -> None:
    was = spoil(folder)
    done = store_command(folder, "salvage", "--export", "csv", "--lang", "en")
    assert done.returncode == 0
    assert "991 records saved, 10 lost" in done.stdout
    aside = folder / "var" / "damaged-1"
    assert (aside / "store.db").read_bytes() == was
    with Store.open(aside / "salvaged") as store:
        assert len(records(store, "events")) == 1
        assert store.tail("readings") == 1_000
    rows: list[dict[str, Any]] = list(csv.DictReader((aside / "records.csv").open(encoding="utf-8")))
    assert len(rows) == 991
    assert rows[1]["ts"] == "2023-11-14T22:13:20.000Z"
    assert json.loads(store_command(folder, "salvage", "--json").stdout)["salvaged"][0]["lost"] == 10


def test_a_file_that_somebody_brought(folder: Path, tmp_path: Path) -> None:
    was = spoil(folder)
    brought = tmp_path / "stick" / "copy.db"
    brought.parent.mkdir()
    brought.write_bytes(was)
    target = tmp_path / "out"
    done = store_command(folder, "salvage", "--from", str(brought), "--to", str(target), "--export", "jsonl", "--json")
    (row,) = json.loads(done.stdout)["salvaged"]
    assert (row["salvaged"], row["lost"], row["exported"]) == (991, 10, 991)
    assert brought.read_bytes() == was
    assert [path.name for path in brought.parent.iterdir()] == ["copy.db"]
    lines = [json.loads(line) for line in (target / "records.jsonl").read_text().splitlines()]
    assert {"stream", "seq", "ts", "channel", "value"} <= lines[0].keys()
    assert store_command(folder, "salvage", "--from", str(tmp_path / "nothing")).returncode == 1


def test_wrong_settings_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("[site]\n")
    assert store_command(tmp_path, "verify").returncode == 2
    assert store_command(tmp_path, "salvage").returncode == 2
