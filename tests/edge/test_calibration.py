"""Calibrations: curves that fit and can be undone, the file beside the settings, and a gateway that heeds it."""

from __future__ import annotations

import io
import json
import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_edge.gateway import calibrate
from golmok_edge.gateway.cli import ask, main
from golmok_edge.settings import Settings, examine_closely, load
from golmok_edge.settings.calibration import (
    Book,
    Calibration,
    CalibrationError,
    Point,
    book_file,
    fitted,
    read_book,
    written,
)
from golmok_edge.store import Reader
from tests.edge.running import Program, until

C = "fridge.temperature"
SETTINGS = """
[site]
gateway = "gw-1"

[store]
path = "var"
commit_interval_s = 0.05

[[device]]
name = "fridge"
driver = "ds18b20"
bus = "sim+w1://day.toml"
address = "28-00000a1b2c3d"
interval_s = 0.1
"""


def curve(*coefficients: float, **more: Any) -> Calibration:
    return Calibration(id="c-1", channel=C, kind="polynomial", at=date(2026, 1, 1), coefficients=coefficients, **more)


# --- curves


def test_the_curve_goes_through_its_points() -> None:
    assert fitted([Point(4.2, 4.0), Point(4.4, 4.0)], "offset") == pytest.approx((-0.3, 1.0))
    assert fitted([Point(0.4, 0.0), Point(99.0, 100.0)], "two-point") == pytest.approx((-0.40568, 1.0142), abs=1e-4)
    points = [Point(x, 1 + 0.9 * x + 0.001 * x * x) for x in (0.0, 20.0, 50.0, 80.0)]
    assert fitted(points, "polynomial") == pytest.approx((1, 0.9, 0.001))


@given(st.floats(-50, 50), st.floats(0.2, 5), st.floats(0, 0.002), st.floats(-100, 1300))
def test_what_was_calibrated_can_be_had_back(offset: float, slope: float, bend: float, value: float) -> None:
    found = curve(offset, max(slope, 0.5), bend if value > 0 else 0.0)
    assert found.undo(found.apply(value)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("points", "kind", "why"),
    [
        ([], "offset", "1 points are needed"),
        ([Point(1, 1)], "two-point", "2 points are needed"),
        ([Point(1, 1), Point(1, 2)], "two-point", "different measured values"),
        ([Point(0, 10), Point(10, 0)], "two-point", "fall or turn"),
        ([Point(0, 0), Point(5, 10), Point(10, 0)], "polynomial", "fall or turn"),
    ],
)
def test_points_that_make_no_curve_are_refused(points: list[Point], kind: Any, why: str) -> None:
    with pytest.raises(CalibrationError, match=why):
        fitted(points, kind)


def test_the_newest_is_in_force_until_it_is_taken_back() -> None:
    first, second = curve(0.5, 1.0), curve(0.7, 1.0)
    book = Book().with_entry(first).with_entry(second)
    assert (book.version, book.in_force()) == (2, {C: second})
    none = Calibration(id="c-3", channel=C, kind="none", at=date(2026, 1, 2))
    assert book.with_entry(none).in_force() == {}


# --- the file and the check


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    (tmp_path / "gateway.toml").write_text(SETTINGS)
    (tmp_path / "day.toml").write_text('[device.fridge.signal.temperature]\nkind = "constant"\nvalue = 4.5\n')
    return load(tmp_path / "gateway.toml")


def test_the_check_understands_the_file(shop: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    file = book_file(shop.file)
    assert file.name == "gateway.calibration.json"
    yesterday = date.today() - timedelta(days=1)
    file.write_bytes(written(Book().with_entry(curve(0.5, 1.0, valid_until=yesterday))))
    (warning,) = examine_closely(shop.file).warnings
    assert warning.code == "calibration-expired"
    assert "golmok-gateway calibrate fridge" in warning.remedy("ko")
    file.write_bytes(
        written(Book().with_entry(Calibration(id="x", channel="fridge.temprature", kind="offset", at=yesterday)))
    )
    assert [one.code for one in examine_closely(shop.file).warnings] == ["calibration-channel"]
    file.write_text('{"version": 1, "entries": [{"id": 5}]}')
    assert main(["check", "--config", str(shop.file)]) == 2
    assert "gateway.calibration.json" in capsys.readouterr().err


# --- the gateway and the command


def latest(settings: Settings) -> dict[str, Any]:
    rows = ask(settings, {"get": "latest"})["channels"]
    return next((row for row in rows if row["channel"] == C), {})


def running(settings: Settings) -> Program:
    return Program("golmok_edge.gateway.cli", ["run", "--config", str(settings.file)], settings.file.parent / "log")


def is_up(settings: Settings) -> bool:
    try:
        return bool(latest(settings))
    except OSError:
        return False


def test_a_technician_calibrates_a_running_gateway_and_takes_it_back(
    shop: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["calibrate", "fridge", "--config", str(shop.file)]
    with running(shop):
        until(lambda: is_up(shop), "a first value")
        assert main([*config, "--reference", "4.0", "--by", "민지", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["calibration"]["coefficients"] == [-0.5, 1.0]
        until(lambda: latest(shop)["value"] == 4.0, "the corrected value")
        # Against what the sensor itself says, not what is shown:
        assert main([*config, "--reference", "5.0", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["calibration"]["coefficients"] == [0.5, 1.0]
        until(lambda: latest(shop)["value"] == 5.0, "the new corrected value")
        assert main([*config, "--undo", "--json"]) == 0
        until(lambda: latest(shop)["value"] == 4.5, "the sensor's own value")
    with Reader.open(shop.store.path) as reader:
        told = [json.loads(str(one.record.value)) for one in reader.find("calibration.in-force", "events")]
        values = [one.record.value for one in reader.find(C, "readings")]
    assert [one["coefficients"] for one in told] == [[-0.5, 1.0], [0.5, 1.0], [0.0, 1.0]]
    assert {4.0, 4.5, 5.0} == set(values)
    assert {curve(*told[0]["coefficients"]).undo(4.0), curve(*told[1]["coefficients"]).undo(5.0)} == {4.5}


def test_an_expired_calibration_makes_values_uncertain(shop: Settings) -> None:
    entry = curve(-0.5, 1.0, valid_until=date.today() - timedelta(days=2))
    book_file(shop.file).write_bytes(written(Book().with_entry(entry)))
    with running(shop):
        until(lambda: is_up(shop) and latest(shop)["value"] == 4.0, "a corrected value")
        if ask(shop, {"get": "status"})["clock_known"]:
            until(lambda: latest(shop)["quality"] == "uncertain", "an uncertain value")
            assert latest(shop)["reason"] == "calibration"


def said(shop: Settings, typed: str, **wish: Any) -> tuple[int, calibrate.Session]:
    rows = iter(range(1, 10_000))

    def answer(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
        return {"channels": [{"channel": C, "seq": next(rows), "quality": "good", "value": 4.5}]}

    session = calibrate.Session(shop, answer, calibrate.Wish("fridge", **wish), "ko", io.StringIO(typed))
    return session.run(), session


def test_a_person_is_asked_and_nothing_is_written_without_a_yes(
    shop: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(shop, "그게\n4,1\n\nn\n")[0] == 1
    out = capsys.readouterr().out
    assert "숫자를 쓰십시오" in out
    assert "센서 값: 4.5 °C" in out
    assert not book_file(shop.file).exists()
    assert said(shop, "4.1\n\ny\n")[0] == 0
    (entry,) = read_book(book_file(shop.file)).entries
    assert (entry.kind, entry.points) == ("offset", (Point(4.5, 4.1),))
    assert entry.coefficients == pytest.approx((-0.4, 1.0))
    assert said(shop, "4.1\n")[0] == 1  # it ended before all was said
    assert len(read_book(book_file(shop.file)).entries) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["oven"], 2, "there are fridge"),
        (["fridge", "--quantity", "humidity"], 2, "--quantity temperature"),
        (["fridge", "--reference", "1", "--reference", "2"], 2, "--point"),
        (["fridge", "--reference", "4"], 1, "does not run"),
        (["fridge", "--point", "0=10", "--point", "10=0"], 1, "fall or turn"),
        (["fridge", "--undo"], 1, "taken back"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    shop: Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, word: str
) -> None:
    assert main(["calibrate", *arguments, "--config", str(shop.file), "--json"]) == code
    out, err = capsys.readouterr()
    assert word in err
    assert json.loads(out)["done"] is False


def test_points_that_were_measured_before_need_no_gateway(shop: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    points = [f"--point={x}={1 + 0.9 * x + 0.001 * x * x}" for x in (0, 20, 50, 80)]
    assert main(["calibrate", "fridge", *points, "--config", str(shop.file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["calibration"]["kind"] == "polynomial"
    assert all(math.isclose(residual, 0, abs_tol=1e-6) for residual in document["residuals"])
