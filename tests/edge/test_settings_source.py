"""Whatever stands at the path of a settings file, it is said and nothing hangs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from golmok_edge.settings import Mistake, examine
from tests.edge.settings_files import DESIGN, as_nobody, folder_for_all


def only_mistake(path: Path) -> Mistake:
    """The one mistake that is found at `path`."""
    settings, mistakes = examine(path)
    assert settings is None
    (mistake,) = mistakes
    return mistake


def folder(path: Path) -> None:
    path.mkdir()
    (path / "cafe.toml").write_text(DESIGN)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def loop(path: Path) -> None:
    path.symlink_to(path)


CONTENTS: dict[str, tuple[bytes, str, int]] = {
    "empty": (b"", "the file is empty", 1),
    "blanks": (b"\n \n\t\r\n", "the file is empty", 1),
    "only a mark": (b"\xef\xbb\xbf\n", "the file is empty", 1),
    "too large": (b"#" * (1 << 20) + b"\n", "larger than 1048576 bytes", 1),
    "UTF-16": (DESIGN.encode("utf-16"), "UTF-16", 1),
    "Korean of Windows": (DESIGN.encode("cp949", "replace"), "byte 79 (column 9) is 0xc7", 3),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "byte 1 (column 1) is 0x89", 1),
    "not UTF-8 behind a mark": (b"\xef\xbb\xbfa = 1\nb = '\xff'\n", "byte 15 (column 6) is 0xff", 2),
}


@pytest.mark.parametrize(("content", "says", "line"), CONTENTS.values(), ids=CONTENTS.keys())
def test_contents_that_are_no_settings(tmp_path: Path, content: bytes, says: str, line: int) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(content)
    mistake = only_mistake(file)
    assert says in mistake.message()
    assert mistake.line == line
    assert mistake.remedy()


PLACES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "nothing": (lambda path: None, "no such file", "--config"),
    "a folder": (folder, "a folder, not a file", "cafe.toml"),
    "a link to nowhere": (lambda path: path.symlink_to("gone.toml"), "does not exist (gone.toml)", "create that file"),
    "a link to itself": (loop, "cannot be read: Too many levels of symbolic links", "chown"),
    "a pipe": (os.mkfifo, "but a pipe (FIFO)", "text file"),
    "a socket": (listening, "but a socket", "text file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "but a device", "text file"),
    "below a file": (lambda path: path.parent.joinpath("x").touch(), "no such file", "--config"),
}


@pytest.mark.parametrize(("make", "says", "remedy"), PLACES.values(), ids=PLACES.keys())
def test_places_that_are_no_file(tmp_path: Path, make: Callable[[Path], object], says: str, remedy: str) -> None:
    path = tmp_path / "gateway.toml"
    make(path)
    mistake = only_mistake(path)
    assert (mistake.line, mistake.key) == (1, "")
    assert says in mistake.message()
    assert remedy in mistake.remedy()
    assert mistake.sentence().startswith(f"{path}:1: ")


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "/dev/null/x"])
def test_paths_that_cannot_be(path: str) -> None:
    assert "\n" not in only_mistake(Path(path)).sentence()


def test_a_file_that_may_not_be_read() -> None:
    with folder_for_all() as folder:
        file = folder / "gateway.toml"
        file.write_text(DESIGN)
        file.chmod(0)
        with as_nobody():
            mistake = only_mistake(file)
    assert "cannot be read: Permission denied" in mistake.message()
    assert "chown or chmod" in mistake.remedy()


def test_a_link_to_a_file_is_as_good_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(DESIGN)
    link = tmp_path / "gateway.toml"
    link.symlink_to("real.toml")
    settings, mistakes = examine(link)
    assert settings is not None, mistakes
