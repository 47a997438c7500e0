"""The scan page as a browser meets it: a real process behind a real port, twins behind that."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from golmok_edge.scan import cli
from golmok_edge.scan.hardware import Asker
from golmok_edge.scan.page.app import STEPS, length_of
from golmok_edge.scan.page.door import FREE_TRIES
from golmok_edge.scan.page.jobs import seconds_of
from golmok_edge.scan.page.scans import Scans
from golmok_edge.scan.page.texts import TEXTS
from golmok_edge.scan.progress import told
from golmok_edge.scan.settings import PrintedBoard
from golmok_vision.scan import OrderError
from tests.edge.scan_page import PIN, ScanPage, running

PATIENCE_S = 90


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScanPage]:
    with running(tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture
def stranger(page: ScanPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.url, timeout=PATIENCE_S, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.fixture
def staff(stranger: httpx.Client) -> httpx.Client:
    assert stranger.post("/login", data={"pin": PIN}).headers["Location"] == "/"
    token = re.search(r'data-token="([^"]+)"', stranger.get("/").text)
    assert token
    stranger.headers["X-Golmok-Token"] = token[1]
    return stranger


def ended(staff: httpx.Client) -> dict[str, object]:
    """The job's state when it is over."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        job: dict[str, object] = staff.get("/state").json()["job"]
        if job["ended"]:
            return job
        time.sleep(0.2)
    raise AssertionError(job)


def test_a_stranger_sees_the_door_and_nothing_else(stranger: httpx.Client) -> None:
    assert stranger.get("/").headers["Location"] == "/login"
    assert stranger.get("/scans/scan-20261130-120000/mesh.stl").headers["Location"] == "/login"
    for path in ("/state", "/live?light=off"):
        assert stranger.get(path).status_code == 401
    for path in ("/start", "/stop", "/next", "/calibrate", "/resume", "/send", "/logout"):
        assert stranger.post(path).status_code == 401
    assert "set-cookie" not in stranger.post("/login", data={"pin": "000000"}).headers


def test_the_cookie_stays_with_us_and_the_headers_are_strict(stranger: httpx.Client) -> None:
    answer = stranger.post("/login", data={"pin": PIN})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    policy = stranger.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'self' 'sha256-[A-Za-z0-9+/=]{44}';", policy)
    assert "unsafe" not in policy


def test_what_comes_from_elsewhere_is_refused(staff: httpx.Client, page: ScanPage) -> None:
    elsewhere = [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"X-Golmok-Token": "guess"}]
    for headers in elsewhere:
        assert staff.post("/stop", headers=headers).status_code == 403
    assert staff.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert staff.post("/start", data={"quality": "x" * 9000}).status_code == 413
    assert staff.post("/start", data={"quality": "best"}).status_code == 422
    assert staff.get("/state").json()["job"] is None


def test_staff_look_through_the_camera(staff: httpx.Client) -> None:
    off, lit, lamp = (staff.get(f"/live?light={light}") for light in ("off", "l0", "color"))
    assert off.content[:2] == lit.content[:2] == lamp.content[:2] == b"\xff\xd8"
    assert off.headers["Cache-Control"] == "no-store"
    assert '"line"' not in off.headers["X-View"]
    assert re.search(r'"rows": [1-9]', lit.headers["X-View"])
    assert staff.get("/live?light=lamp").status_code == 404


def test_a_scan_is_begun_stopped_and_gone_on_with(staff: httpx.Client, page: ScanPage) -> None:
    name = staff.post("/start", data={"quality": "quick"}).json()["scan"]
    assert staff.post("/start", data={"quality": "quick"}).status_code == 409
    assert staff.get("/live?light=off").status_code == 409
    end = time.monotonic() + PATIENCE_S
    while not list((page.scans / name / "frames").glob("*_color.png")) and time.monotonic() < end:
        time.sleep(0.1)
    assert staff.post("/stop").status_code == 202
    assert ended(staff)["ended"] == "stopped"
    scan = staff.get("/state").json()["scans"][0]
    assert scan["name"] == name
    assert 0 < scan["frames"] <= scan["of"] == STEPS["quick"]
    assert staff.post("/resume", data={"scan": name}).status_code == 202
    staff.post("/stop")
    assert staff.post("/resume", data={"scan": "../.."}).status_code == 404


def test_only_results_leave_a_scan(staff: httpx.Client, page: ScanPage) -> None:
    folder = page.scans / "scan-20260101-120000"
    (folder / "frames").mkdir(parents=True)
    (folder / "mesh.stl").write_bytes(b"solid")
    (folder / "frames" / "0000_off.png").write_bytes(b"png")
    got = staff.get(f"/scans/{folder.name}/mesh.stl")
    assert got.content == b"solid"
    assert "attachment" in got.headers["Content-Disposition"]
    for path in ("dataset.toml", "..%2f..%2fscan.pin", "frames%2f0000_off.png", "truth"):
        assert staff.get(f"/scans/{folder.name}/{path}").status_code == 404
    assert staff.get("/scans/calibration/mesh.stl").status_code == 404


def test_without_a_cloud_nothing_can_be_sent_and_the_page_says_so(staff: httpx.Client, page: ScanPage) -> None:
    folder = page.scans / "scan-20260102-120000"
    folder.mkdir(parents=True)
    (folder / "mesh.stl").write_bytes(b"solid")
    refused = staff.post("/send", data={"scan": folder.name})
    assert (refused.status_code, refused.json()["error"]) == (409, TEXTS["no_cloud"]["en"])
    assert staff.post("/send", data={"scan": "../.."}).status_code == 404
    assert TEXTS["no_cloud"]["en"] in staff.get("/").text


def test_signing_out_ends_it(staff: httpx.Client) -> None:
    assert staff.post("/logout").headers["Location"] == "/login"
    assert staff.get("/state").status_code == 401


def test_who_guesses_is_locked_out(tmp_path: Path) -> None:
    with running(tmp_path) as page, httpx.Client(base_url=page.url, timeout=PATIENCE_S) as client:
        answers = [client.post("/login", data={"pin": f"55{n}777"}).status_code for n in range(FREE_TRIES + 1)]
        assert answers == [403] * FREE_TRIES + [429]
        right = client.post("/login", data={"pin": PIN})
        assert right.status_code == 429
        assert 0 < int(right.headers["Retry-After"]) <= 30


def test_beyond_this_machine_only_with_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[site]\ngateway = "gw-1"\n[scan]\ncamera = "sim+camera://x.stl"\nlisten = "0.0.0.0:8490"\n')
    assert cli.main(["serve", "--config", str(file)]) == 2
    assert "certificate and key" in capsys.readouterr().err


def test_the_board_s_length_is_taken_as_it_is_typed() -> None:
    board = PrintedBoard()
    assert [length_of(text, board) for text in ("", " 159.6 ", "159,6 mm", "160")] == [None, 159.6, 159.6, 160]
    for wrong in ("long", "16", "nan", "-160", "1e99"):
        with pytest.raises(ValueError, match="160"):
            length_of(wrong, board)


def test_a_length_that_cannot_be_is_refused_before_the_pictures(staff: httpx.Client) -> None:
    answer = staff.post("/calibrate", data={"board_mm": "12"})
    assert answer.status_code == 422
    assert "about 160 mm" in answer.json()["error"]


def test_every_text_is_there_in_both_languages() -> None:
    assert all(row["ko"].strip() and row["en"].strip() for row in TEXTS.values())


def test_names_of_scans_do_not_collide(tmp_path: Path) -> None:
    scans, now = Scans(tmp_path), datetime(2026, 11, 30, 12, 0, 1)
    first = scans.new(now)
    (tmp_path / first / "frames").mkdir(parents=True)
    second = scans.new(now)
    (tmp_path / second / "frames").mkdir(parents=True)
    assert scans.all() == []  # nothing came of them yet
    for name in (first, second):
        (tmp_path / name / "frames" / "0000_off.png").touch()
    assert [scan.name for scan in scans.all()] == [second, first]
    assert scans.all()[0].when == "2026-11-30 12:00"


def test_a_new_calibration_takes_new_pictures_and_a_failed_one_is_not_lent(tmp_path: Path) -> None:
    scans, days = Scans(tmp_path), [datetime(2026, 11, day, 9) for day in (1, 2, 3, 4)]
    written = {True: '{"quality": {"passed": true}}', False: '{"quality": {"passed": false}}'}

    def calibrated(day: datetime, passed: bool) -> Path:
        folder = scans.calibrating(day)
        folder.mkdir()
        (folder / "calibration.json").write_text(written[passed])
        return folder

    assert scans.calibration is None
    first = calibrated(days[0], True)
    failed = calibrated(days[1], False)
    assert scans.calibration == first
    stopped = scans.calibrating(days[2])
    stopped.mkdir()
    assert not failed.exists()
    assert scans.calibrating(days[3]) == stopped  # it goes on
    (stopped / "calibration.json").write_text(written[True])
    assert scans.calibration == stopped
    assert scans.calibrating(days[3]) not in (first, failed, stopped)
    assert not first.exists()


def test_a_calibration_that_rests_on_the_print_is_told(tmp_path: Path) -> None:
    scans = Scans(tmp_path)
    assert not scans.rests_on_print
    for day, source in ((1, "print"), (2, "board"), (3, "plate")):
        folder = scans.calibrating(datetime(2026, 11, day, 9))
        folder.mkdir()
        quality = {"passed": True, "scale": {"from": source, "doubt": 0.005}}
        (folder / "calibration.json").write_text(json.dumps({"quality": quality}))
        assert scans.rests_on_print == (source == "print")


def test_what_a_stage_says_of_the_time_left_is_understood() -> None:
    for seconds in (0, 59, 75, 3_600, 7_260, 90_000):
        assert seconds_of(told(seconds)) == seconds
    assert seconds_of(None) is None


def test_a_program_is_asked_in_both_languages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    Asker().ask("hand", 0, cells="top", cells_ko="위")
    asks = json.loads(capsys.readouterr().err)["asks"]
    assert "look at: top" in asks["en"]
    assert "채울 곳: 위" in asks["ko"]
    with pytest.raises(OrderError, match="at the keyboard"):
        Asker().ask("piece", 0)
