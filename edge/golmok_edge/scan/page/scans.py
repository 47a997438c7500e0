"""The scans on this machine: a folder each, what is in it, and which of its files may be taken away."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

CALIBRATION: Final = "calibration"
_CALIBRATION: Final = re.compile(rf"{CALIBRATION}(-\d{{8}}-\d{{6}})?")
_NAME: Final = re.compile(r"scan-\d{8}-\d{6}(-\d+)?")
FILES: Final[Mapping[str, str]] = {
    "mesh.stl": "model/stl",
    "mesh.ply": "application/octet-stream",
    "mesh.glb": "model/gltf-binary",
    "mesh.obj": "model/obj",
    "cloud.ply": "application/octet-stream",
    "report.html": "text/html; charset=utf-8",
    "report.json": "application/json",
}
"""What may be downloaded, and as what. Nothing else of a scan's folder leaves it."""


@dataclass(frozen=True)
class Scan:
    """One scan: its frames that are there, of how many, and its files."""

    name: str
    frames: int
    of: int
    files: tuple[str, ...]

    @property
    def when(self) -> str:
        """When it was begun, as the clock of this machine said."""
        _, day, time, *_ = self.name.split("-")
        return f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}"


class Scans:
    """All scans in one folder; the rig's calibrations lie beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def calibration(self) -> Path | None:
        """The newest calibration of the rig that passed: scans take it."""
        return next((folder for folder in self._calibrations() if _passed(folder)), None)

    @property
    def rests_on_print(self) -> bool:
        """Whether nobody measured the board of the calibration that scans take: its lengths rest on the print."""
        found = self.calibration
        return found is not None and _quality(found).get("scale", {}).get("from") == "print"

    def calibrating(self, now: datetime) -> Path:
        """Where the rig is calibrated next: the one that was stopped, or a new one.

        A calibration that is over is never gone on with: its pictures are of another day. Those that are of no use any
        more are deleted.
        """
        good = self.calibration
        for folder in self._calibrations():
            if not (folder / "calibration.json").exists():
                return folder
            if folder != good:
                shutil.rmtree(folder, ignore_errors=True)
        return self.folder / f"{CALIBRATION}-{now:%Y%m%d-%H%M%S}"

    def _calibrations(self) -> list[Path]:
        """The newest first."""
        found = [file for file in self.folder.glob(f"{CALIBRATION}*") if _CALIBRATION.fullmatch(file.name)]
        return sorted(found, key=lambda folder: folder.name, reverse=True)

    def new(self, now: datetime) -> str:
        """A name that no scan has."""
        name = f"scan-{now:%Y%m%d-%H%M%S}"
        taken = (f"{name}-{number}" for number in range(2, 1000))
        return name if not (self.folder / name).exists() else next(n for n in taken if not (self.folder / n).exists())

    def all(self) -> list[Scan]:
        """The newest first, without those of which nothing came."""
        folders = [file for file in self.folder.glob("scan-*") if _NAME.fullmatch(file.name) and file.is_dir()]
        scans = [self._told(folder) for folder in sorted(folders, key=lambda folder: folder.name, reverse=True)]
        return [scan for scan in scans if scan.frames or scan.files]

    def path(self, name: str) -> Path | None:
        """A scan's folder, if it is one."""
        folder = self.folder / name
        return folder if _NAME.fullmatch(name) and folder.is_dir() else None

    def file(self, name: str, file: str) -> Path | None:
        """A file that may be taken away, if it is there."""
        folder = self.path(name)
        found = folder / file if folder is not None and file in FILES else None
        return found if found is not None and found.is_file() else None

    def steps(self, name: str) -> int | None:
        """How many stops it was begun with."""
        folder = self.path(name)
        return None if folder is None else _steps(folder)

    def _told(self, folder: Path) -> Scan:
        frames = len(list((folder / "frames").glob("*_off.png")))
        return Scan(folder.name, frames, _steps(folder) or frames, tuple(f for f in FILES if (folder / f).is_file()))


def _passed(folder: Path) -> bool:
    return _quality(folder).get("passed") is True


def _quality(folder: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads((folder / "calibration.json").read_bytes())
        quality = found["quality"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return quality if isinstance(quality, dict) else {}


def _steps(folder: Path) -> int | None:
    try:
        order: Any = json.loads((folder / "capture.json").read_bytes())
        return int(order["frames"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
