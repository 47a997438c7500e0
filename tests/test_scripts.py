"""The scripts, run for real in a copy of the house whose tools are stand-ins: a path with spaces, another folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Writes down what it was asked, and makes what the real one makes.
UV = """#!/bin/sh
echo "$@" >>"$UV_LOG"
case $1 in venv) mkdir -p .venv/bin; ln -sf "$(command -v python3)" .venv/bin/python ;; esac
"""
SAYS_ITS_ARGUMENTS = '#!/bin/sh\necho "$(basename "$0") [$PWD] $*"\n'


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


class House:
    """A copy of the scripts in a folder with a space, and whatever a test puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root.parent / "uv.log"
        shutil.copytree(ROOT / "scripts", root / "scripts")
        shutil.copy(ROOT / "pyproject.toml", root)
        self.bin = root.parent / "bin"
        put(self.bin / "uv", UV)

    def run(self, script: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        environment: Mapping[str, str] = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "UV_LOG": str(self.log),
            "CDPATH": str(ROOT),  # must not lead the scripts astray
            **extra,
        }
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            cwd=self.root.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def uv_was_asked(self) -> list[str]:
        asked = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line.split()[0] for line in asked]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "with a space")


@pytest.fixture
def furnished(house: House) -> House:
    """Setup has nothing to do here but to make noise."""
    put(house.root / "scripts/setup", '#!/bin/sh\necho "setup $*"\n')
    return house


def test_setup_makes_the_environment_once(house: House) -> None:
    first = house.run("setup", "--no-apt")
    assert (first.returncode, house.uv_was_asked()) == (0, ["venv", "pip"])
    again = house.run("setup", "--no-apt")
    assert (again.stdout, house.uv_was_asked()) == ("setup: .venv is ready\n", [])
    assert house.run("setup", "--no-apt", "--quiet").stdout == ""


def test_setup_brings_in_a_new_dependency(house: House) -> None:
    house.run("setup", "--no-apt")
    house.uv_was_asked()
    with (house.root / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("# one dependency more\n")
    assert house.run("setup", "--no-apt").returncode == 0
    assert house.uv_was_asked() == ["pip"]


def test_setup_rebuilds_an_environment_that_was_moved(house: House) -> None:
    house.run("setup", "--no-apt")
    house.uv_was_asked()
    house.root = house.root.rename(house.root.with_name("moved"))
    assert house.run("setup", "--no-apt").returncode == 0
    assert house.uv_was_asked() == ["venv", "pip"]


def test_setup_that_failed_is_not_taken_for_done(house: House) -> None:
    put(house.bin / "uv", UV + "exit 1\n")
    assert house.run("setup", "--no-apt").returncode != 0
    put(house.bin / "uv", UV)
    assert house.run("setup", "--no-apt").returncode == 0
    assert "pip" in house.uv_was_asked()


def test_setup_refuses_what_it_does_not_know(house: House) -> None:
    refused = house.run("setup", "--fast")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--fast" in refused.stderr


@pytest.mark.parametrize("script", ["setup", "check", "test", "bench"])
def test_help_changes_nothing(house: House, script: str) -> None:
    helped = house.run(script, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert f"scripts/{script}" in helped.stdout
    assert house.uv_was_asked() == []


def test_the_demo_has_standard_output_for_itself(furnished: House) -> None:
    put(furnished.root / ".venv/bin/golmok-demo", '#!/bin/sh\necho "{\\"arguments\\": \\"$*\\"}"\nexit 7\n')
    ran = furnished.run("demo", "--headless", "--json")
    assert json.loads(ran.stdout) == {"arguments": "--headless --json"}
    assert ran.returncode == 7
    assert "setup --runtime" in ran.stderr


def test_test_passes_arguments_on_and_checks_first(furnished: House) -> None:
    put(furnished.root / "scripts/check", SAYS_ITS_ARGUMENTS)
    put(furnished.root / ".venv/bin/python", SAYS_ITS_ARGUMENTS)
    ran = furnished.run("test", "tests/edge", "--slow", "-k", "a b")
    root = furnished.root
    runs = f"python [{root}] -m pytest -n 3 --dist loadfile --no-loadscope-reorder"
    assert ran.stdout.splitlines() == [
        "setup ",
        f"check [{root}] ",
        f"{runs} -m slow or not slow tests/edge -k a b",
    ]
    assert furnished.run("test").stdout.splitlines()[-1] == runs


def test_test_stops_where_a_check_fails(furnished: House) -> None:
    put(furnished.root / "scripts/check", "#!/bin/sh\nexit 1\n")
    ran = furnished.run("test")
    assert (ran.returncode, ran.stdout) == (1, "setup \n")


def test_check_runs_all_four_and_fails_for_one(furnished: House) -> None:
    for tool in ("ruff", "mypy", "lint-imports"):
        put(furnished.root / ".venv/bin" / tool, "#!/bin/sh\n")
    assert furnished.run("check").returncode == 0
    put(furnished.root / ".venv/bin/ruff", '#!/bin/sh\n[ "$1" = format ]\n')
    ran = furnished.run("check")
    assert ran.returncode == 1
    assert [line for line in ran.stdout.splitlines() if line.startswith("check: ")][-1].startswith(
        "check: lint-imports"
    )
    assert ran.stderr == "check: failed: ruff\n"


@pytest.fixture
def benches(furnished: House) -> House:
    """Two benchmarks: one prints a document, one breaks."""
    put(
        furnished.root / ".venv/bin/python",
        '#!/bin/sh\ncase $2 in *.wire) echo "{\\"bytes\\": 1.9}" ;; *) exit 3 ;; esac\n',
    )
    for name in ("wire.py", "store.py", "_common.py"):
        put(furnished.root / "bench" / name, "")
    return furnished


def test_bench_makes_one_document_of_all(benches: House) -> None:
    assert benches.run("bench", "--list").stdout.split() == ["store", "wire"]
    ran = benches.run("bench", "--json", "wire")
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"wire": {"bytes": 1.9}})


def test_bench_names_the_one_that_broke(benches: House) -> None:
    ran = benches.run("bench", "--json")
    assert (ran.returncode, json.loads(ran.stdout)) == (1, {"wire": {"bytes": 1.9}})
    assert "failed: store" in ran.stderr


def test_bench_refuses_a_name_that_is_none(benches: House) -> None:
    assert benches.run("bench", "nothing").returncode == 2


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    scripts = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci/run"]
    checked = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert checked.stdout == ""
