"""The ring's own parts that need no machine: its verdict, its controller, its archives."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bluez.__main__ import wrong_in
from tests.bluez.controller import CONNECTABLE, SCAN_RESPONSE, Controller
from tests.bluez.guest import STEPS, WAYS
from tests.bluez.image import Entry, cpio, with_folders

WELL = {way: {step.__name__: "ok" for step in STEPS} for way in WAYS}
WHO = "38:39:8F:A1:0B:5E"


def test_only_a_verdict_in_which_every_step_was_well_is_passed() -> None:
    assert wrong_in(WELL) == []
    assert wrong_in(None) == ["the guest ended without a verdict"]
    assert wrong_in(WELL | {"passive": {}}) == [f"passive: {step.__name__}: was not run" for step in STEPS]
    late = WELL | {"active": WELL["active"] | {"presses": "46 presses, 41 calls"}}
    assert wrong_in(late) == ["active: presses: 46 presses, 41 calls"]


def test_a_controller_passes_on_what_is_new_while_it_scans() -> None:
    it = Controller()
    assert it.heard(WHO, b"1") is None
    it.received(b"\x01\x0b\x20\x07\x01\x10\x00\x10\x00\x00\x00")
    assert it.received(b"\x01\x0c\x20\x02\x01\x01") == b"\x04\x0e\x04\x01\x0c\x20\x00"
    assert it.heard(WHO, b"1", rssi=-60) == b"\x04\x3e\x0d\x02\x01\x03\x00\x5e\x0b\xa1\x8f\x39\x38\x01" + b"1\xc4"
    assert [it.heard(WHO, data) is None for data in (b"1", b"2", b"1")] == [True, False, False]
    assert it.heard(WHO, b"name", kind=SCAN_RESPONSE)
    it.received(b"\x01\x0b\x20\x07\x00\x10\x00\x10\x00\x00\x00")
    assert it.heard(WHO, b"other", kind=SCAN_RESPONSE) is None, "a passive scan asks nobody back"
    assert it.heard(WHO, b"other", kind=CONNECTABLE)
    it.received(b"\x01\x03\x0c\x00")
    assert it.heard(WHO, b"3") is None, "it was reset"
    assert it.received(b"\x01\x34\x12\x00") == b"\x04\x0e\x04\x01\x34\x12\x01"
    assert it.unknown == [0x1234]


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is missing")
def test_an_archive_is_one_that_cpio_unpacks(tmp_path: Path) -> None:
    out = io.BytesIO()
    cpio(with_folders(iter([Entry("a/b/c", 0o100644, b"text", 1_000), Entry("a/link", 0o120777, b"b/c")])), out)
    subprocess.run(["cpio", "-idm", "--quiet"], input=out.getvalue(), cwd=tmp_path, check=True)
    assert (tmp_path / "a/link").read_bytes() == b"text"
    assert (tmp_path / "a/b/c").stat().st_mtime == 1_000
