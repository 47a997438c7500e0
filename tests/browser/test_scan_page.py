"""The scan page in Chromium, with the real server and the scanner's twin behind it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from playwright.sync_api import Page, expect

from golmok_cloud_sync.protocol.tus import FileHead
from golmok_cloud_sync.server.file_store import FileStore
from golmok_cloud_sync.server.registry import Registry
from golmok_edge.demo.broker import free_ports
from golmok_edge.outgoing.words import TEXTS as WORDS
from golmok_edge.scan.page.texts import TEXTS
from golmok_edge.scan.words import ERRORS
from golmok_vision.scan import Dataset
from golmok_vision.scan.mesh import INVENTED, MEASURED, PLATE, write_model
from golmok_vision.scan.modelling import KINDS, load_any_model, load_model
from tests.browser.conftest import Reader, Readers
from tests.browser.contrast import too_faint
from tests.cloud_sync.server_support import CloudProcess
from tests.edge.scan_page import PIN, ScanPage, running, with_cloud
from tests.edge.store_support import mount_tmpfs

DONE = "scan-20261130-101500"
PHONE, DESKTOP = ("phone", "ko", "light"), ("desktop", "en", "light")
LOOKS = [
    PHONE,
    DESKTOP,
    *(pytest.param(look, marks=pytest.mark.slow) for look in (("phone", "en", "dark"), ("desktop", "ko", "dark"))),
]
ON_A_PHONE = [PHONE, pytest.param(DESKTOP, marks=pytest.mark.slow)]
SHADES = "new Set(new Uint32Array(document.getElementById('picture').getContext('2d').getImageData(0, 0, 400, 300)" \
    ".data.buffer)).size"  # fmt: skip


def finished(scans: Path) -> None:
    """A scan that was made before, with a model."""
    folder = scans / DONE
    (folder / "frames").mkdir(parents=True)
    vase = trimesh.creation.revolve([(0, 0), (18, 0), (25, 20), (12, 45), (15, 55), (0, 55)], sections=64)
    vase.export(folder / "vase.stl")
    model = load_any_model(folder / "vase.stl")
    z = model.vertices[:, 2]
    model = replace(model, invented=np.where(z <= 0, PLATE, np.where(z > 40, INVENTED, MEASURED)).astype(np.uint8))
    for kind in KINDS:
        Dataset(folder).write_bytes(folder / f"mesh.{kind}", write_model(model, kind))
    (folder / "report.json").write_text("{}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScanPage]:
    with running(tmp_path_factory.mktemp("page")) as page:
        finished(page.scans)
        yield page


def signed_in(anybody: Readers, page: ScanPage, *look: str, may_lose: bool = False) -> Reader:
    size, language, scheme = look
    staff = anybody((page.url, f"blob:{page.url}"), size, scheme=scheme, may_lose=may_lose).open(page.url, language)
    enter(staff.page, PIN)
    expect(staff.page.locator("#calibration")).not_to_be_empty()  # its script has heard from the server
    staff.page.evaluate("window.isSamePage = true")
    return staff


def enter(page: Page, pin: str) -> None:
    page.locator("#pin").fill(pin)
    page.locator("form .main").click()


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
def test_staff_sign_in_and_the_newest_model_is_there(
    anybody: Readers, page: ScanPage, look: tuple[str, str, str]
) -> None:
    size, language, scheme = look
    staff = anybody((page.url, f"blob:{page.url}"), size, scheme=scheme, may_lose=True).open(page.url, language)
    expect(staff.page.locator("html")).to_have_attribute("lang", language)
    enter(staff.page, "111222")
    expect(staff.page.get_by_role("alert")).to_have_text(TEXTS["wrong_pin"][language])  # type: ignore[index]  # one
    staff.picture(f"scan-{'-'.join(look)}-door")
    enter(staff.page, PIN)
    expect(staff.page.locator("#start")).to_have_text(TEXTS["start"][language])  # type: ignore[index]  # a language
    expect(staff.page.locator("#calibration")).to_have_text(TEXTS["not_calibrated"][language])  # type: ignore[index]
    expect(staff.page.locator("#stage")).to_have_attribute("data-shows", f"/scans/{DONE}/mesh.glb")
    staff.page.evaluate("window.isSamePage = true")
    assert too_faint(staff.page) == []
    staff.picture(f"scan-{'-'.join(look)}")
    staff.check()


def test_the_model_is_turned_and_taken_away(anybody: Readers, page: ScanPage) -> None:
    staff = signed_in(anybody, page, "desktop", "en", "light")
    canvas = staff.page.locator("#stage canvas")
    expect(staff.page.locator("#stage")).to_have_attribute("data-shows", f"/scans/{DONE}/mesh.glb")
    before = canvas.screenshot()
    box = canvas.bounding_box()
    assert box is not None
    staff.page.mouse.move(box["x"] + 200, box["y"] + 200)
    staff.page.mouse.down()
    staff.page.mouse.move(box["x"] + 260, box["y"] + 320, steps=4)
    staff.page.mouse.up()
    assert canvas.screenshot() != before
    with staff.page.expect_download() as got:
        staff.page.get_by_role("link", name="STL").click()
    assert got.value.suggested_filename == f"{DONE}-mesh.stl"
    assert Path(got.value.path()).read_bytes() == (page.scans / DONE / "mesh.stl").read_bytes()
    staff.check()


def red(screenshot: bytes) -> float:
    """The share of it that is as red as what was invented."""
    blue, green, red = np.moveaxis(np.asarray(cv2.imdecode(np.frombuffer(screenshot, np.uint8), 1), int), 2, 0)
    return float(np.mean((red > green + 60) & (red > blue + 60)))


@pytest.mark.parametrize("look", LOOKS[:2], ids="-".join)
def test_what_was_never_seen_is_red_and_can_be_switched_off(
    anybody: Readers, page: ScanPage, look: tuple[str, str, str]
) -> None:
    staff = signed_in(anybody, page, *look)
    canvas, button = staff.page.locator("#stage canvas"), staff.page.locator("#mark")
    unseen = load_model(Dataset(page.scans / DONE)).share(INVENTED)
    expect(button).to_have_text(TEXTS["mark_unseen"][look[1]])  # type: ignore[index]  # a language
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(staff.page.locator("#invented-share")).to_contain_text(f"{100 * unseen:.1f}")
    assert too_faint(staff.page) == []
    staff.picture(f"scan-{'-'.join(look)}-unseen")
    assert red(canvas.screenshot()) > 0.01
    button.click()
    expect(staff.page.locator("#marks")).to_be_hidden()
    assert red(canvas.screenshot()) == 0
    staff.check()


@pytest.mark.parametrize("look", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)], ids="-".join)
def test_the_live_picture_helps_with_focus_and_exposure(
    anybody: Readers, page: ScanPage, look: tuple[str, str, str]
) -> None:
    language = look[1]
    staff = signed_in(anybody, page, *look)
    staff.page.locator("#look").click()
    expect(staff.page.locator("#focus")).to_contain_text("%")
    expect(staff.page.locator("#exposure")).to_have_text(TEXTS["exposure_good"][language])  # type: ignore[index]
    expect(staff.page.locator("#beware")).to_be_hidden()
    assert staff.page.evaluate(SHADES) > 20
    staff.page.locator("[data-light=l0]").click()
    expect(staff.page.locator("#beware")).to_have_text(TEXTS["laser_warning"][language])  # type: ignore[index]
    expect(staff.page.locator("#line-width")).to_contain_text(TEXTS["line_width"][language])  # type: ignore[index]
    staff.picture(f"scan-{'-'.join(look)}-live")
    staff.page.locator("#look").click()
    expect(staff.page.locator("#beware")).to_be_hidden()
    staff.check()


@pytest.mark.parametrize("look", ON_A_PHONE, ids="-".join)
def test_a_scan_shows_how_far_it_is_and_is_stopped(
    anybody: Readers, page: ScanPage, look: tuple[str, str, str]
) -> None:
    language = look[1]
    staff = signed_in(anybody, page, *look)
    staff.page.locator("[data-quality=fine]").click()
    staff.page.locator("#start").click()
    expect(staff.page.locator("#job-left")).to_have_text(re.compile(r"\d+ / 400 · .*\d"))
    expect(staff.page.locator("#look")).to_be_disabled()
    assert too_faint(staff.page) == []
    staff.picture(f"scan-{'-'.join(look)}-runs")
    staff.page.locator("#stop").click()
    expect(staff.page.locator("#told .what")).to_have_text(TEXTS["stopped"][language])  # type: ignore[index]
    expect(staff.page.get_by_role("button", name=TEXTS["go_on"][language]).first).to_be_visible()  # type: ignore[index]
    staff.picture(f"scan-{'-'.join(look)}-stopped")
    staff.check()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScanPage]:
    """Its camera's cable comes off, and its disk is nearly full."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "disk").mkdir()
    unmount = mount_tmpfs(folder / "disk", "size=66m")
    try:
        with running(folder, "--fault", "unplugged", "--folder", str(folder / "disk")) as page:
            yield page
    finally:
        unmount()


@pytest.mark.parametrize("look", ON_A_PHONE, ids="-".join)
def test_what_goes_wrong_is_said_with_the_remedy(
    anybody: Readers, broken: ScanPage, look: tuple[str, str, str]
) -> None:
    language = look[1]
    wanted = {"ko": (ERRORS["no-room"][1], ERRORS["CameraBroken"][1]), "en": ("delete old scans", "look at its cable")}
    staff = signed_in(anybody, broken, *look, may_lose=True)
    staff.page.locator("#look").click()
    expect(staff.page.locator("#eye-said")).to_contain_text(wanted[language][1])
    with staff.page.expect_response(lambda answer: answer.url.endswith("/start")) as begun:
        staff.page.locator("#start").click()
    assert begun.value.status == 202
    expect(staff.page.locator("#told .what")).to_have_text(TEXTS["failed"][language])  # type: ignore[index]
    expect(staff.page.locator("#told .notice")).to_contain_text(wanted[language][0])
    assert too_faint(staff.page) == []
    staff.picture(f"scan-{'-'.join(look)}-wrong")
    staff.check()


def test_a_scan_goes_to_the_cloud_and_its_operator_takes_it_away(anybody: Readers, tmp_path: Path) -> None:
    """By the button, to a cloud that is away at first, to a reader with a token."""
    data, port = tmp_path / "data", next(free_ports(1))
    registry = Registry(data)
    (tmp_path / "enrol.token").write_text(registry.make_token("gw-scan"))
    (tmp_path / "enrol.token").chmod(0o600)
    arguments = with_cloud(tmp_path, f"http://127.0.0.1:{port}", token_file="enrol.token")
    with running(tmp_path, *arguments) as page:
        finished(page.scans)
        staff = signed_in(anybody, page, "phone", "ko", "light")
        staff.page.locator("#send").click()
        said = staff.page.locator("#cloud-said")
        expect(said).to_have_text(re.compile(WORDS["offline"]["ko"]))
        assert too_faint(staff.page) == []
        staff.picture("scan-phone-ko-offline")
        cloud = CloudProcess(data, "--listen", f"127.0.0.1:{port}")
        expect(said).to_have_text(WORDS["sent"]["ko"])
        expect(staff.page.locator("#send")).to_be_hidden()
        staff.picture("scan-phone-ko-sent")
        staff.check()
        content = (page.scans / DONE / "mesh.stl").read_bytes()
    FileStore(data).announce("gw-scan", FileHead("later.stl", 2_000_000, "0" * 64))
    operator = anybody((cloud.url, f"blob:{cloud.url}"), "desktop").open(f"{cloud.url}/gateways/gw-scan", "en")
    operator.may_lose = True  # without a token it is refused at first, and says so
    operator.page.locator("#token-text").fill(registry.make_token(None))
    operator.page.locator("#token button").click()
    expect(operator.page.locator("#files-list li")).to_have_count(3)
    expect(operator.page.locator("#files-coming")).to_have_text("1 more to come: 0 B of 2.0 MB here")
    with operator.page.expect_download() as got:
        operator.page.get_by_role("button", name=f"{DONE}-mesh.stl").click()
    assert got.value.suggested_filename == f"{DONE}-mesh.stl"
    assert Path(got.value.path()).read_bytes() == content
    assert too_faint(operator.page) == []
    operator.picture("gateway-desktop-en-files")
    operator.check()
    cloud.kill()


def test_a_camera_that_was_unplugged_is_plugged_in_and_the_scan_goes_on(anybody: Readers, tmp_path: Path) -> None:
    """The twin's cable comes off after some pictures, each time that the scan goes on."""
    with running(tmp_path, "--fault", "unplugged") as page:
        staff = signed_in(anybody, page, *PHONE)
        staff.page.locator("[data-quality=quick]").click()
        staff.page.locator("#start").click()
        notice, count = staff.page.locator("#told .notice.bad"), staff.page.locator("#scans .soft")
        expect(notice).to_have_text(ERRORS["CameraBroken"][1])
        before = int(re.findall(r"\d+", count.inner_text())[0])
        assert too_faint(staff.page) == []
        staff.picture("scan-phone-ko-unplugged")
        staff.page.locator("#told button").click()
        expect(staff.page.locator("#job")).to_be_visible()
        expect(notice).to_have_text(ERRORS["CameraBroken"][1])
        assert int(re.findall(r"\d+", count.inner_text())[0]) > before > 0
        staff.check()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_piece_is_scanned_from_the_board_to_the_report(anybody: Readers, tmp_path: Path) -> None:
    """All that staff do with a new scanner; minutes on a busy machine."""
    with running(tmp_path, "--scale", "0.35") as page:
        staff = signed_in(anybody, page, "desktop", "ko", "light")
        staff.page.set_default_timeout(600_000)
        staff.page.locator("#calibrate").click()
        expect(staff.page.locator("#calibration")).to_have_text(TEXTS["calibrated"]["ko"], timeout=300_000)
        staff.page.locator("[data-quality=quick]").click()
        staff.page.locator("#start").click()
        expect(staff.page.locator("#files a[href$='report.html']")).to_be_visible(timeout=600_000)
        expect(staff.page.locator("#told .what")).to_have_text(TEXTS["done"]["ko"])
        expect(staff.page.locator("#stage")).to_have_attribute("data-shows", re.compile("mesh.glb"))
        staff.picture("scan-desktop-ko-done")
        staff.check()
        (report,) = page.scans.glob("scan-*/report.html")
        for language in ("ko", "en"):
            for size in ("phone", "desktop"):
                reader = anybody(("file://", "data:"), size).open(report.as_uri())
                reader.page.locator(f"label[for={language}]").click()
                reader.picture(f"report-{size}-{language}")
                reader.check()
        shutil.copy(report, staff.pictures / "report.html")
