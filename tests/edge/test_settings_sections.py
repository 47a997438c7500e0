"""What sections mean on this very machine: folders, secrets, hosts, listeners."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from golmok_edge.settings.mistakes import Report
from golmok_edge.settings.sections import is_loopback, judge_cloud, judge_mqtt, judge_store, judge_web
from tests.edge.settings_files import as_nobody, folder_for_all


def folder_found(path: Path) -> list[str]:
    """What is said of a store in that folder."""
    report = Report("gateway.toml")
    judge_store({"path": path}, report)
    return [mistake.code for mistake in report.mistakes]


STORES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "there": (lambda base: base, []),
    "to be made": (lambda base: base / "a" / "b" / "c", []),
    "a file": (lambda base: base / "file", ["store-file"]),
    "below a file": (lambda base: base / "file" / "a" / "b", ["store-file"]),
    "below a device": (lambda base: Path("/dev/null/var"), ["store-file"]),
    "a link to a folder": (lambda base: base / "link" / "var", []),
    "below a link to nowhere": (lambda base: base / "nowhere" / "var", ["store-dangling"]),
    "below a link to itself": (lambda base: base / "loop" / "var", ["path-impossible"]),
    "too long": (lambda base: base / ("x" * 300), ["path-impossible"]),
}


@pytest.mark.parametrize(("place", "codes"), STORES.values(), ids=STORES.keys())
def test_where_a_store_can_be(tmp_path: Path, place: Callable[[Path], Path], codes: list[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    assert folder_found(place(tmp_path)) == codes


def test_a_folder_of_somebody_else() -> None:
    with folder_for_all() as folder:
        (folder / "closed").mkdir(mode=0o700)
        with as_nobody():
            found = [folder_found(folder / "mine"), folder_found(folder / "closed" / "var")]
    assert found == ([["store-not-writable"]] * 2 if os.geteuid() == 0 else [[], []])


def secret_found(path: Path) -> tuple[list[str], list[str]]:
    """What is said of a password in that file: mistakes and warnings."""
    report = Report("gateway.toml")
    judge_mqtt({"host": "h", "username": "golmok", "password_file": path}, report)
    return [one.code for one in report.mistakes], [one.code for one in report.warnings]


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"secret\n", []),
        ("비밀 번호".encode(), []),
        (b"", ["secret-content"]),
        (b"\n \n", ["secret-content"]),
        (b"one\ntwo\n", ["secret-content"]),
        (b"\xff\xfe", ["secret-content"]),
        (b"x" * 5000, ["secret-content"]),
    ],
)
def test_a_secret_is_one_line(tmp_path: Path, content: bytes, codes: list[str]) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    assert secret_found(file) == (codes, [])


def test_a_secret_is_a_file_and_there_and_not_for_everybody(tmp_path: Path) -> None:
    assert secret_found(tmp_path / "gone") == (["secret-missing"], [])
    assert secret_found(tmp_path) == (["secret-not-file"], [])
    os.mkfifo(tmp_path / "pipe")
    assert secret_found(tmp_path / "pipe") == (["secret-not-file"], [])
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    assert secret_found(tmp_path / "open") == ([], ["secret-open"])
    assert secret_found(tmp_path / "open" / "below") == (["secret-unreadable"], [])


def test_a_secret_that_may_not_be_read() -> None:
    with folder_for_all() as folder:
        file = folder / "secret"
        file.write_text("secret")
        file.chmod(0o000)
        with as_nobody():
            assert secret_found(file) == (["secret-unreadable"], [])


def cloud_found(url: str, token: Path | None = None) -> tuple[list[str], list[str]]:
    """What is said of a cloud at that address: mistakes and warnings."""
    report = Report("gateway.toml")
    judge_cloud({"url": url, "token_file": token}, report)
    return [one.message() for one in report.mistakes], [one.code for one in report.warnings]


@pytest.mark.parametrize("url", ["https://cloud.example.com", "http://127.0.0.1:8400/", "https://[::1]:8400/golmok"])
def test_clouds_one_can_reach(url: str) -> None:
    assert cloud_found(url) == ([], [])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("cloud.example.com", "does not begin"),
        ("ftp://cloud.example.com", "does not begin"),
        ("https://", "no host"),
        ("https://:443", "no host"),
        ("https://a:b@cloud.example.com", "use token_file"),
        ("https://cloud.example.com/?x=1", "? or #"),
        ("https://cloud.example.com/#x", "? or #"),
        ("https://cloud.example.com:99999", "port is not"),
        ("https://cloud.example.com:0", "port is not"),
        ("https://cloud.example.com:web", "port is not"),
        ("https://[::1", "not written as URLs"),
        ("https://cloud example.com", "a blank"),
        ("https://cloud.example.com/a b", "a blank"),
    ],
)
def test_what_is_no_cloud(url: str, why: str) -> None:
    (said,), _ = cloud_found(url)
    assert why in said


def test_a_token_in_the_clear_is_warned_of_beyond_this_machine(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "token").chmod(0o600)
    assert cloud_found("http://10.0.0.2:8400", tmp_path / "token") == ([], ["cloud-plain"])
    assert cloud_found("http://localhost:8400", tmp_path / "token") == ([], [])
    assert cloud_found("https://10.0.0.2:8400", tmp_path / "token") == ([], [])


@pytest.mark.parametrize(
    ("listen", "code"),
    [
        ("127.0.0.1:8480", None),
        ("localhost:1", None),
        ("[::1]:65535", None),
        ("127.8.9.1:8480", None),
        ("0.0.0.0:8480", "listen-beyond"),
        ("[::]:8480", "listen-beyond"),
        ("192.168.0.10:8480", "listen-beyond"),
        ("cafe.local:8480", "listen-beyond"),
        ("8480", "listen-form"),
        (":8480", "listen-form"),
        ("127.0.0.1:", "listen-form"),
        ("127.0.0.1:0", "listen-form"),
        ("127.0.0.1:65536", "listen-form"),
        ("127.0.0.1:²", "listen-form"),
        ("::1:8480", "listen-form"),
        ("http://127.0.0.1:8480", "listen-form"),
    ],
)
def test_the_owners_page_stays_on_this_machine(listen: str, code: str | None) -> None:
    report = Report("gateway.toml")
    judge_web({"listen": listen}, report)
    assert [mistake.code for mistake in report.mistakes] == ([code] if code else [])


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("mqtt://broker.local:1883", "broker.local"),
        ("broker:1883", "broker"),
        ("user@broker", "broker"),
        ("my broker", "mybroker"),
        ("//", "127.0.0.1"),
    ],
)
def test_a_host_is_only_a_host(host: str, right: str) -> None:
    report = Report("gateway.toml")
    judge_mqtt({"host": host}, report)
    (mistake,) = report.mistakes
    assert mistake.remedy().endswith(f'host = "{right}"')


@pytest.mark.parametrize("host", ["127.0.0.1", "broker", "broker.example.com", "fe80::1", "브로커"])
def test_hosts(host: str) -> None:
    report = Report("gateway.toml")
    judge_mqtt({"host": host}, report)
    assert report.mistakes == []


def test_who_is_this_machine() -> None:
    assert is_loopback("LOCALHOST")
    assert not is_loopback("localhost.example.com")
