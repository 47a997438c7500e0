"""The driver guide, followed to the letter in a copy of the repository: its files put in place, its commands run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # a conformance suite runs in it; a slow machine fails no test
ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "write-a-driver.md"
BLOCK = re.compile(r"^```(\w+) (file=\S+|run)\n((?:.*\n)*?)```$", re.MULTILINE)


def steps() -> list[tuple[str, str, str]]:
    """What the guide says to save (file, text) and to run, in its order."""
    return [(match[1], match[2].removeprefix("file="), match[3]) for match in BLOCK.finditer(GUIDE.read_text())]


def copied(folder: Path) -> Path:
    """A copy of what a driver needs."""
    for name in ("drivers", "edge", "cloud-sync", "tests/drivers"):
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "tests/__init__.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "docs").mkdir()
    return folder


def ran(command: str, folder: Path) -> str:
    """Run a line of the guide there, with the copy's packages before the installed ones; it must succeed."""
    words = command.split()
    program = Path(sys.executable).parent / words[0]
    paths = [str(folder / name) for name in ("drivers", "edge", "cloud-sync", ".")]
    done = subprocess.run(
        [str(program), *words[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The guide followed up to the distribution of one's own; what each command printed."""
    folder = copied(tmp_path_factory.mktemp("guide"))
    printed: dict[str, str] = {}
    before = {path for path in folder.rglob("*") if path.is_file()}
    added = []
    for _, what, text in steps():
        if what == "run":
            printed |= {line: ran(line, folder) for line in text.splitlines()}
        elif what != "pyproject.toml":
            added.append(folder / what)
            assert added[-1] not in before, "it touches no line that was there"
            added[-1].write_text(text)
    return folder, printed


def test_one_file_and_one_test_make_a_driver(followed: tuple[Path, dict[str, str]]) -> None:
    folder, printed = followed
    passed = {line: int(re.findall(r"(\d+) passed", out)[-1]) for line, out in printed.items() if "pytest" in line}
    assert len(passed) == 2
    assert passed["python -m pytest tests/drivers/test_conformance.py -k tmp117"] >= 30
    assert "cellar" in printed["golmok-gateway devices scan --config gateway.toml --twins"]
    for page in ("drivers.md", "settings.md"):
        assert "TMP117 온도 센서" in (folder / "docs" / page).read_text()


def test_what_the_guide_shows_is_clean(followed: tuple[Path, dict[str, str]]) -> None:
    folder, _ = followed
    for _, what, _ in steps():
        if what.endswith(".py"):
            ran(f"ruff check --config {ROOT / 'pyproject.toml'} --ignore I001 {what}", folder)
            ran(f"ruff format --check --config {ROOT / 'pyproject.toml'} {what}", folder)


def test_a_driver_of_another_distribution_loads_by_its_entry_point(tmp_path: Path) -> None:
    """As `pip install` would leave it: the package, and its entry points beside it."""
    texts = {what: text for _, what, text in steps()}
    (tmp_path / "golmok_tmp117.py").write_text(texts["drivers/golmok_drivers/devices/tmp117.py"])
    info = tmp_path / "golmok_tmp117-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: golmok-tmp117\nVersion: 1.0\n")
    groups = re.findall(r'\[project\.entry-points\."([\w.]+)"\]\n((?:.+\n)+)', texts["pyproject.toml"])
    entries = "".join(f"[{group}]\n{lines.replace(chr(34), '')}\n" for group, lines in groups)
    (info / "entry_points.txt").write_text(entries)
    (tmp_path / "gateway.toml").write_text(texts["gateway.toml"].replace("tmp117", "tmp117-plus"))
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    gateway = Path(sys.executable).parent / "golmok-gateway"
    for words in (["check"], ["devices", "scan", "--twins"]):
        done = subprocess.run(
            [str(gateway), *words, "--config", str(tmp_path / "gateway.toml")],
            env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "tmp117-plus" in done.stdout
