"""What the repository promises as a whole: its folders, its commands, its documents, and nothing of a machine in it."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import golmok_edge

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "edge": "golmok_edge",
    "drivers": "golmok_drivers",
    "vision": "golmok_vision",
    "provisioning": "golmok_provisioning",
    "cloud-sync": "golmok_cloud_sync",
}
SCRIPTS = [
    "scripts/setup",
    "scripts/demo",
    "scripts/test",
    "scripts/check",
    "scripts/bench",
    "scripts/faults",
    "scripts/test-bluez",
    ".ci/run",
]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS: dict[str, str] = PROJECT["project"]["scripts"]


@cache
def committed() -> tuple[Path, ...]:
    """Every file that git keeps."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git clone: there is no telling what is committed")
    files = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(file for file in files if file.is_file())


def texts(*suffixes: str) -> Iterator[tuple[Path, str]]:
    """The committed text files, those that end in one of `suffixes`."""
    for file in committed():
        content = file.read_bytes()
        if file.name.endswith(suffixes) and b"\0" not in content:
            yield file.relative_to(ROOT), content.decode("utf-8")


# --- folders and packages


@pytest.mark.parametrize("folder", [*PACKAGES, "images", "tests", "scripts", "docs/decisions"])
def test_a_clone_has_the_folder(folder: str) -> None:
    assert any(file.is_relative_to(ROOT / folder) for file in committed()), f"git keeps no file in {folder}/"


@pytest.mark.parametrize(("folder", "package"), PACKAGES.items())
def test_a_package_is_typed_and_shipped(folder: str, package: str) -> None:
    assert (ROOT / folder / package / "py.typed").is_file()
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert f"{folder}/{package}" in wheel["packages"]
    assert folder in wheel["dev-mode-dirs"]
    assert package in PROJECT["tool"]["importlinter"]["root_packages"]
    assert folder in PROJECT["tool"]["mypy"]["files"]


def test_a_folder_holds_one_package() -> None:
    found = {path.parent.parent.name: path.parent.name for path in ROOT.glob("*/golmok_*/__init__.py")}
    assert found == PACKAGES


def test_folders_of_tests_are_packages() -> None:
    """Two test files may then have one name in two folders."""
    folders = {file.parent for file in (ROOT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_python_files_are_python_3_11() -> None:
    for file, text in texts(".py"):
        ast.parse(text, str(file), feature_version=(3, 11))


# --- commands


@pytest.mark.parametrize(("name", "target"), COMMANDS.items())
def test_a_console_script_leads_somewhere(name: str, target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_console_script_explains_itself_and_refuses_nonsense(name: str) -> None:
    helped = run_command(name, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert name in helped.stdout
    refused = run_command(name, "--no-such-option")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_plain_sh(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111 == 0o111
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines
    subprocess.run(["sh", "-n", path], check=True)


def test_the_list_of_scripts_is_whole() -> None:
    assert {path.name for path in (ROOT / "scripts").iterdir()} == {Path(script).name for script in SCRIPTS} - {"run"}


def test_ci_does_what_everybody_does() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "set -eu",
        'exec "$(dirname "$0")/../scripts/test"',
    ]


# --- documents


def commands_of(document: str) -> Iterator[list[str]]:
    """The command lines of a document's code blocks that start a script or a program of ours."""
    for block in re.findall(r"^```(?:sh|console|bash)?\n(.*?)^```", document, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ")
            if re.match(r"(\.?/?\.venv/bin/)?golmok-|(\./)?scripts/", command):
                yield shlex.split(command.partition(" | ")[0], comments=True)


@pytest.mark.parametrize("document", ["README.md", "docs/benchmarks.md", "CHANGELOG.md"])
def test_a_document_names_commands_that_exist(document: str) -> None:
    path = ROOT / document
    for command in commands_of(path.read_text(encoding="utf-8")) if path.is_file() else ():
        program, arguments = command[0].removeprefix("./"), command[1:]
        if program.startswith("scripts/"):
            assert program in SCRIPTS, f"{document}: {program}"
        name = "golmok-demo" if program == "scripts/demo" else program.removeprefix(".venv/bin/")
        if name in COMMANDS:
            assert_accepts(name, arguments, document)
        else:
            assert program in SCRIPTS, f"{document}: {program}"


def assert_accepts(name: str, arguments: list[str], document: str) -> None:
    """Whether the help of this command, or of its subcommand, knows every long option."""
    subcommand = arguments[:1] if arguments and not arguments[0].startswith("-") else []
    helped = run_command(name, *subcommand, "--help")
    assert helped.returncode == 0, f"{document}: {name} {subcommand}: {helped.stderr}"
    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("--"):
            assert re.search(rf"{option}\b", helped.stdout), f"{document}: {name} knows no {option}"


def run_command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / name
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for file, text in texts(".md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path = target.partition("#")[0]
            if "://" in target or target.startswith("mailto:") or not path:
                continue
            if not (ROOT / file.parent / path).exists():
                broken.append(f"{file}: {target}")
    assert broken == []


def test_decisions_are_numbered_and_whole() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        missing = [part for part in ("Status", "Context", "Decision", "Consequences") if f"## {part}\n" not in text]
        assert missing == [], record.name


def test_the_changelog_knows_this_version() -> None:
    assert f"## {golmok_edge.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_committed_file_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w./-])/(?:work|root|home/[a-z]\w*)/[\w.]")
    named = [f"{file}: {found[0]}" for file, text in texts("") if (found := place.search(text))]
    assert named == []
