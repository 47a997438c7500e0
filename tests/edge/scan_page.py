"""The scan page as a real process on a free port, with the twins behind it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trimesh

from golmok_edge.scan.page.pins import Pin

PIN = "481516"


@dataclass(frozen=True)
class ScanPage:
    """Where it is served, and where its scans are."""

    url: str
    scans: Path


def with_cloud(folder: Path, url: str, **more: str) -> tuple[str, ...]:
    """The arguments of a page whose settings name that cloud."""
    file = folder / "gateway.toml"
    cloud = "".join(f'{key} = "{value}"\n' for key, value in {"url": url, **more}.items())
    file.write_text(f'[site]\ngateway = "gw-scan"\n[cloud]\n{cloud}[scan]\ncamera = "sim+camera://piece.stl"\n')
    return "--config", str(file)


@contextmanager
def running(folder: Path, *more: str) -> Iterator[ScanPage]:
    """Served until the end of the `with`."""
    mesh, pin, scans = folder / "piece.stl", folder / "scan.pin", folder / "scans"
    trimesh.creation.annulus(10, 20, 50).export(mesh)
    Pin.of(PIN).write(pin)
    command = [sys.executable, "-m", "golmok_edge.scan.cli", "serve", "--twins", "--mesh", str(mesh), "--size", "60",
               "--scale", "0.25", "--folder", str(scans), "--pin-file", str(pin), "--port", "0", *more]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        try:
            yield ScanPage(found[0], scans)
        finally:
            process.terminate()
