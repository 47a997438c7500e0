"""Writes the distribution of somebody else's whose drivers misbehave."""

from __future__ import annotations

from pathlib import Path

from . import misbehaving_drivers
from .misbehaving_drivers import DRIVERS, place


def write_distribution(folder: Path) -> Path:
    """The folder to put on PYTHONPATH."""
    meta = folder / "misbehaving-1.dist-info"
    meta.mkdir(parents=True)
    (folder / "misbehaving.py").write_text(Path(misbehaving_drivers.__file__).read_text())
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1\n")
    points = (f"{name} = misbehaving:{place(name)}" for name in DRIVERS)
    (meta / "entry_points.txt").write_text("[golmok.drivers]\n" + "\n".join(points) + "\n")
    return folder
