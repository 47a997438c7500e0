"""Debian packages without being root: download what a program needs, unpack it into a folder of ours.

For people who try Golmok on a machine that they may not change. It knows apt and dpkg, nothing of what it unpacks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

Run = Callable[[Sequence[str], Path], str]
"""Runs a command line in a folder and returns what it printed; raises UnpackError where the command fails."""

# "Inst libcjson1 (1.7.15-1+deb12u4 Debian:12.12/oldstable [amd64])"; an upgrade has "[its version] " before that.
_TO_INSTALL = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", re.MULTILINE)


class UnpackError(RuntimeError):
    """A package could not be had: the message is apt's or dpkg's own last word."""


def run_tool(command: Sequence[str], folder: Path) -> str:
    """The `Run` that really runs it, in English because the answer is parsed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        raise UnpackError(f"{command[0]} failed ({done.returncode}): {said[-1]}")
    return done.stdout


def is_here() -> bool:
    """Whether this machine has Debian's tools."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def unpack(package: str, target: Path, scratch: Path, run: Run = run_tool) -> None:
    """Unpack `package`, and whatever it needs that is not installed here, below `target`.

    `scratch` is an empty folder for the lists and the downloads; the caller removes it.
    """
    apt = _apt_that_knows(package, scratch, run)
    wanted = _to_download(package, run([*apt, "-s", "--no-install-recommends", "install", package], scratch))
    run([*apt, "download", *wanted], scratch)
    archives = sorted(scratch.glob("*.deb"))
    if not archives:
        raise UnpackError(f"apt-get downloaded nothing for {package}")
    target.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        run(["dpkg", "-x", str(archive), str(target)], scratch)


def _apt_that_knows(package: str, scratch: Path, run: Run) -> list[str]:
    """apt-get with the machine's lists, or, where those are empty, with lists fetched into `scratch`."""
    try:
        run(["apt-get", "-s", "--no-install-recommends", "install", package], scratch)
    except UnpackError:
        lists, cache = scratch / "lists", scratch / "cache"
        for folder in (lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True)
        apt = ["apt-get", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
        run([*apt, "update"], scratch)
        return apt
    return ["apt-get"]


def _to_download(package: str, simulated: str) -> list[str]:
    """What an installation would bring, as apt's name=version; the package itself even where it is installed."""
    found = dict(_TO_INSTALL.findall(simulated))
    wanted = [f"{name}={version}" for name, version in found.items()]
    return wanted if package in found else [package, *wanted]
