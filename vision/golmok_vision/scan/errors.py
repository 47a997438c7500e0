"""What can go wrong with a scan, each with the remedy in its words: who runs a stage shows `str(error)`, no trace."""

from __future__ import annotations

from collections.abc import Sequence

from golmok_vision.scan.trouble import Trouble


class ScanError(Exception):
    """The root of everything that this package raises on purpose."""


class OrderError(ScanError, ValueError):
    """What was asked for cannot be: a number that is out of range. The fault is the caller's."""


class DatasetError(ScanError, ValueError):
    """The dataset's description, or a document in it, is not what it must be."""


class PictureMissingError(ScanError, FileNotFoundError):
    """A picture that the dataset should hold is not there."""


class PictureDamagedError(ScanError, ValueError):
    """A picture is there, and is cut off, is no picture, or has another size."""


class TroubleError(ScanError):
    """A stage has no result at all; `troubles` say why."""

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        self.troubles = tuple(troubles)
        super().__init__("; ".join(each.text for each in self.troubles if each.weight == "bad"))


class CalibrationError(TroubleError):
    """The pictures of the board give no rig."""


class ReconstructionError(TroubleError):
    """The pictures of the piece give no points."""


class MeshError(ScanError, ValueError):
    """A mesh cannot be used: unreadable, empty, flat, or of no size."""


class NoRoomError(ScanError, OSError):
    """What is about to be written would not fit on the disk."""
