"""What each frame gave, kept on disk until the cloud is done: so a stage that was killed goes on where it was.

A record belongs to a calibration, a description, this version of the code, and the very pictures it was made from:
where one of these is another, it counts as not there.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from golmok_vision.scan.dataset import LASERS, MOST_EXPOSURES, Dataset, Light
from golmok_vision.scan.points import FramePoints
from golmok_vision.scan.rig import Rig
from golmok_vision.scan.trouble import Trouble
from golmok_vision.scan.turning import Grain
from golmok_vision.scan.watch import Standing

_VERSION: Final = 8
"""Raised whenever the same pictures would give other points."""

_LIGHTS: Final[tuple[Light, ...]] = ("off", *LASERS, "color")
_DAMAGED: Final = (ValueError, KeyError, OSError, EOFError, NotImplementedError, struct.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class Record:
    """One frame: its points, where the lines on the plate stood, what was wrong with its pictures, the lines' grain."""

    found: FramePoints
    standing: tuple[Standing | None, ...]
    troubles: tuple[Trouble, ...]
    grain: Grain


class Shelf:
    """The records of one dataset, measured by this rig."""

    def __init__(self, dataset: Dataset, rig: Rig) -> None:
        self._dataset = dataset
        basis = hashlib.sha256(f"points {_VERSION}\n".encode())
        basis.update(json.dumps(rig.document(), sort_keys=True).encode())
        basis.update(dataset.description_file.read_bytes())
        self._basis = basis.hexdigest()

    def put(self, frame: int, record: Record) -> None:
        """Keep it, whole or not at all."""
        found, out = record.found, io.BytesIO()
        standing = [[np.nan, np.nan] if each is None else list(each) for each in record.standing]
        np.savez(
            out, key=np.array(self._key(frame)), points=found.points, towards=found.towards, colour=found.colour,
            laser=found.laser, plate_mm=np.array(found.plate_mm, float), standing=np.array(standing, float),
            grain=record.grain,
            troubles=np.array(json.dumps([[t.code, t.weight, dict(t.args)] for t in record.troubles])),
        )  # fmt: skip
        self._dataset.write_bytes(self._file(frame), out.getvalue())

    def get(self, frame: int) -> Record | None:
        """The record, if it is there and still true."""
        try:
            with np.load(io.BytesIO(self._file(frame).read_bytes())) as kept:
                if str(kept["key"]) != self._key(frame):
                    return None
                return _record(kept)
        except _DAMAGED:
            return None

    def _file(self, frame: int) -> Path:
        return self._dataset.points_folder / f"{frame:04d}.npz"

    def _key(self, frame: int) -> str:
        files = [self._dataset.frame_file(frame, light, k) for k in range(MOST_EXPOSURES) for light in _LIGHTS]
        parts = [f"{file.stat().st_size}.{file.stat().st_mtime_ns}" if file.exists() else "-" for file in files]
        return " ".join([self._basis, *parts])


def _record(kept: Any) -> Record:
    found = FramePoints(
        kept["points"], kept["towards"], kept["colour"], kept["laser"], tuple(float(mm) for mm in kept["plate_mm"])
    )
    standing = tuple(None if np.isnan(each).any() else Standing(*map(float, each)) for each in kept["standing"])
    troubles = tuple(Trouble(code, weight, args) for code, weight, args in json.loads(str(kept["troubles"])))
    return Record(found, standing, troubles, kept["grain"])
