"""`golmok-gateway check`: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from golmok_edge.gateway import check
from tests.edge.settings_files import CONTACT, DESIGN, SHT4X, changed


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(DESIGN + SHT4X + CONTACT)
    return file


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "wrong.toml"
    file.write_text(changed("port = 1883", "port = 0", changed('"ds18b20"', '"ds18b2O"')))
    return file


def test_a_good_file_is_told_back(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.run(good, lang="en") == 0
    out, err = capsys.readouterr()
    assert f"{good}: the settings are good" in out
    assert "gw-0001 (한옥카페), Asia/Seoul" in out
    assert any(
        line.split() == ["fridge", "ds18b20", "w1://0", "10", "s", "Temperature", "°C"] for line in out.splitlines()
    )
    assert "stall-plug  mqtt-json  mqtt" in out
    assert err.splitlines() == [line for line in err.splitlines() if "warning: there is no file" in line]


def test_columns_stand_under_each_other_in_korean_too(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check.run(good, lang="ko")
    out = capsys.readouterr().out
    assert "장치        드라이버   버스     주기  재는 것" in out
    assert "fridge      ds18b20    w1://0   10 s  온도 °C" in out


def test_a_wrong_file_gives_a_line_a_mistake_on_stderr(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.run(wrong, lang="en") == 2
    out, err = capsys.readouterr()
    assert out == ""
    mistakes = [line for line in err.splitlines() if "warning: " not in line]
    assert [line.partition(": ")[0] for line in mistakes] == [f"{wrong}:13", f"{wrong}:22"]


def test_other_commands_print_the_same_lines(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check.run(wrong, lang="ko")
    checked = capsys.readouterr()
    assert check.read(wrong, lang="ko") is None
    assert capsys.readouterr() == checked


def test_other_commands_get_the_settings(good: Path) -> None:
    settings = check.read(good)
    assert settings is not None
    assert settings.site.gateway == "gw-0001"


def test_json_is_one_document(good: Path, wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.run(wrong, json=True, lang="en") == 2
    out, err = capsys.readouterr()
    assert err == ""
    said = json.loads(out)
    assert (said["ok"], said["understood"]) == (False, None)
    assert said["mistakes"][1] == {
        "file": str(wrong),
        "line": 22,
        "key": "device[1].driver",
        "message": 'no driver is called "ds18b2O"',
        "remedy": 'did you mean "ds18b20"? (golmok-gateway devices list shows all)',
    }
    assert check.run(good, json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["mistakes"]) == (True, [])
    assert said["understood"]["devices"][2]["channels"][0] == {"channel": "room.temperature", "unit": "Cel"}


def test_a_terminal_without_korean_is_no_reason_to_fail(good: Path, wrong: Path) -> None:
    code = "import sys; from golmok_edge.gateway import check; sys.exit(check.run(sys.argv[1], lang='ko'))"
    for file, exit_code in ((good, 0), (wrong, 2)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(file)], env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
        )
        assert done.returncode == exit_code, done.stderr
        assert b"Traceback" not in done.stderr


def test_what_the_gateway_reads_its_settings_with_is_light(good: Path) -> None:
    code = "import sys; from golmok_edge.settings import load; load(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(good)], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "numpy", "fastapi", "sqlite_utils", "golmok_edge.settings.messages", "importlib.metadata"}
    assert heavy & set(done.stdout.split()) == set()
