"""Who may look through the camera: PINs, the lock against guessing, sessions."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golmok_edge.scan import cli
from golmok_edge.scan.page.door import FREE_TRIES, Lock, Sessions
from golmok_edge.scan.page.pins import Pin, PinError

HOUR_S = 3_600.0


def test_a_pin_is_kept_as_a_hash_for_our_eyes_only(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "scan.pin"
    assert Pin.read(file) is None
    Pin.of("48 1516 x").write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"1516" not in file.read_bytes()
    pin = Pin.read(file)
    assert pin is not None
    assert pin.is_right("48 1516 x")
    assert not pin.is_right("48 1516 y")
    assert not pin.is_right("")


@pytest.mark.parametrize("easy", ["", "12345", "123456", "987654", "890123", "111111", "121212", "1" * 65, "48\n1516"])
def test_a_pin_that_is_tried_first_is_refused(easy: str) -> None:
    with pytest.raises(PinError):
        Pin.of(easy)


@pytest.mark.parametrize("content", [b"", b"481516", b"{}", b'{"salt": 1, "hash": 2}', b'{"salt": "zz", "hash": "aa"}'])
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "scan.pin"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(PinError, match="golmok-scan pin"):
        Pin.read(file)


def test_a_file_that_others_may_read_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "scan.pin"
    Pin.of("481516").write(file)
    file.chmod(0o644)
    with pytest.raises(PinError, match="chmod 600"):
        Pin.read(file)


def test_the_command_sets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scan.pin"
    for text, code in (("123456\n", 2), ("481516\n", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert cli.main(["pin", "--pin-file", str(file)]) == code
        assert file.exists() == (code == 0)
    assert "tries" in capsys.readouterr().err


@given(waits=st.lists(st.floats(0, 2 * HOUR_S), max_size=300))
def test_guessing_takes_years(waits: list[float]) -> None:
    """However one waits: of an hour at most a few tries are heard."""
    lock, now_s, heard = Lock(), 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        if lock.wait_s(now_s) == 0:
            heard += 1
            lock = lock.after_wrong(now_s)
    assert heard <= FREE_TRIES + 6 + now_s / 900


def test_a_lock_opens_again_and_forgets_when_somebody_knows() -> None:
    lock = Lock()
    for _ in range(FREE_TRIES - 1):
        lock = lock.after_wrong(0.0)
    assert lock.wait_s(0.0) == 0
    lock = lock.after_wrong(0.0)
    assert lock.wait_s(0.0) == 30
    assert lock.wait_s(30.0) == 0
    assert lock.after_wrong(30.0).wait_s(30.0) == 60
    assert lock.after_right() == Lock()


def test_a_session_ends_when_it_is_old_idle_ended_or_of_another_pin() -> None:
    sessions = Sessions()
    cookies = [sessions.begin("a", 0.0) for _ in range(4)]
    assert len(set(cookies)) == 4
    session = sessions.find(cookies[0], "a", 10.0)
    assert session is not None
    assert session.token not in cookies
    assert sessions.find(cookies[1], "b", 10.0) is None
    assert sessions.find(cookies[1], "a", 10.0) is None  # and not again
    sessions.end(cookies[2])
    assert sessions.find(cookies[2], "a", 10.0) is None
    assert sessions.find(cookies[3], "a", HOUR_S + 1) is None
    for hour in range(1, 13):
        assert sessions.find(cookies[0], "a", hour * HOUR_S) is not None
    assert sessions.find(cookies[0], "a", 12 * HOUR_S + 1) is None
    assert sessions.find(None, "a", 0.0) is None
    assert sessions.find("strange\udc80", "a", 0.0) is None


def test_sessions_do_not_pile_up() -> None:
    sessions = Sessions()
    cookies = [sessions.begin("a", float(second)) for second in range(200)]
    alive = [cookie for cookie in cookies if sessions.find(cookie, "a", 200.0)]
    assert alive == cookies[-50:]
