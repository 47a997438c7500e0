"""Where the things of one scan lie on disk: one folder, one class, so that every stage can be run again alone.

    dataset.toml                       what was put in front of the camera, and how far the table moved
    calib/camera/NNN.png               the board held in the hand, in many poses
    calib/table/NNN_{off,l0,l1}.png    the board on the turning table: lasers off, the first alone, the second alone
    frames/NNNN_{off,l0,l1,color}.png  the piece: the same, and one picture in colour
    frames/NNNN_{off,l0,l1}_N.png      shorter exposures, if there are any
    calibration.json, cloud.ply, mesh.{stl,ply,glb}, report.json, truth/…    what the stages make of it

`docs/scan.md` is the description for people. A file that is there is whole: it is written beside its place, synced,
and renamed. So a stage that was killed looks which files are there and goes on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.scan.errors import DatasetError, NoRoomError, PictureDamagedError, PictureMissingError
from golmok_vision.scan.rig import Rig

Picture: TypeAlias = npt.NDArray[np.uint8]
"""Rows x columns, or rows x columns x 3 in OpenCV's order (blue, green, red)."""

Light: TypeAlias = Literal["off", "l0", "l1", "color"]

FORMAT: Final = 1
LASERS: Final[tuple[Light, ...]] = ("l0", "l1")
MOST_EXPOSURES: Final = 4
"""Of one frame in one light."""

_MOST_SQUARES: Final = 60
_SMALLEST_PLATE_MM: Final = 20.0
_LARGEST_PLATE_MM: Final = 2000.0
_MOST_STRETCHED: Final = 0.08
"""By printers that fit to the page; more is another board."""

_TAIL: Final = b"IEND\xaeB`\x82"
_SPARE_BYTES: Final = 64 << 20
"""What stays free on the disk whatever is captured: a gateway's store lives there too."""

_PNG: Final = [
    cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE,
]  # fmt: skip
"""Noise does not repeat: looking for repetitions takes twice the time, and the files grow."""


@dataclass(frozen=True)
class Board:
    """The ChArUco board: chessboard squares with markers in the white ones, as OpenCV draws it.

    `square_mm` is what a caliper says, not what was sent to the printer. `thickness_mm` is how far the printed side
    lies above the plate when the board lies on it. `length_mm` is what a caliper says of all `squares_x` squares
    together (0: not measured): where it is given, the squares are as large as it says.
    """

    squares_x: int = 8
    squares_y: int = 6
    square_mm: float = 20.0
    marker_mm: float = 15.0
    dictionary: str = "DICT_4X4_50"
    thickness_mm: float = 0.0
    length_mm: float = 0.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"DICT_\w+", self.dictionary) or not hasattr(cv2.aruco, self.dictionary):
            raise DatasetError(f"board.dictionary: there is no {self.dictionary!r}; for instance DICT_4X4_50")
        if max(self.squares_x, self.squares_y) > _MOST_SQUARES:
            raise DatasetError(f"board: it must have no more than {_MOST_SQUARES} squares each way")
        if min(self.squares_x, self.squares_y) < 3:
            raise DatasetError("board: it must have three squares or more each way")
        if not 0 < self.marker_mm < self.square_mm:
            raise DatasetError("board: marker_mm must be more than 0 and less than square_mm")
        stretched = abs(self.length_mm / (self.squares_x * self.square_mm) - 1) if self.length_mm else 0.0
        if not stretched <= _MOST_STRETCHED:
            raise DatasetError(
                f"board: {self.length_mm:g} mm over {self.squares_x} squares of {self.square_mm:g} mm cannot be: "
                f"measure with a caliper from the first square's outer edge to the last one's, along them"
            )

    def by_length(self) -> Board:
        """The board with squares and markers as large as `length_mm` says, if it does."""
        factor = self.length_mm / (self.squares_x * self.square_mm) if self.length_mm else 1.0
        return replace(self, square_mm=self.square_mm * factor, marker_mm=self.marker_mm * factor)

    def opencv(self) -> cv2.aruco.CharucoBoard:
        """The board as OpenCV's detector wants it; its corners are in millimetres."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        return cv2.aruco.CharucoBoard((self.squares_x, self.squares_y), self.square_mm, self.marker_mm, dictionary)


@dataclass(frozen=True)
class Steps:
    """How the table moved, in steps of its motor. How many make a turn is measured, `nominal_per_turn` is a hint.

    `frames[i]` is the motor's step of frame i. `table[i]` is that of the table picture i, and `placement[i]` tells
    apart how the board lay or stood: between pictures of one placement it moved with the plate and not otherwise.
    `lying` names the placements where the board lay flat on the plate (they say where z = 0 is).
    """

    nominal_per_turn: int = 3200
    frames: tuple[float, ...] = ()
    table: tuple[float, ...] = ()
    placement: tuple[int, ...] = ()
    lying: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.nominal_per_turn < 1:
            raise DatasetError("steps.nominal_per_turn must be 1 or more: how many steps of the motor make a turn")
        if len(self.placement) != len(self.table):
            raise DatasetError(
                f"steps.placement has {len(self.placement)} numbers and steps.table {len(self.table)}: "
                f"each picture needs one of both"
            )
        if not set(self.lying) <= set(self.placement):
            raise DatasetError("steps.lying names a placement that steps.placement does not have")


@dataclass(frozen=True)
class Plate:
    """The turntable's plate; its diameter by caliper (0: not known) says whether the board has the size it should."""

    diameter_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.diameter_mm and not _SMALLEST_PLATE_MM <= self.diameter_mm <= _LARGEST_PLATE_MM:
            raise DatasetError(
                f"plate.diameter_mm must be from {_SMALLEST_PLATE_MM:g} to {_LARGEST_PLATE_MM:g} "
                "(0 or left out: not known)"
            )


@dataclass(frozen=True)
class Description:
    """What `dataset.toml` says. Lengths are millimetres; `units` stands there so that nobody must guess."""

    board: Board = Board()
    steps: Steps = Steps()
    units: str = "mm"
    title: str = ""
    plate: Plate = Plate()


class Dataset:
    """One scan's folder. Nothing is read before it is asked for; pictures are never kept in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # --- names

    @property
    def description_file(self) -> Path:
        """`dataset.toml`."""
        return self.folder / "dataset.toml"

    @property
    def calibration_file(self) -> Path:
        """What calibrating found: a `Rig`."""
        return self.folder / "calibration.json"

    @property
    def cloud_file(self) -> Path:
        """The measured points, mm, turntable's frame."""
        return self.folder / "cloud.ply"

    @property
    def points_folder(self) -> Path:
        """What each frame gave, so that a stage that was stopped goes on; may be deleted at any time."""
        return self.folder / "points"

    @property
    def reconstruction_file(self) -> Path:
        """What reconstructing said of the points: verdict, troubles, figures."""
        return self.folder / "reconstruction.json"

    @property
    def report_file(self) -> Path:
        """What measuring found."""
        return self.folder / "report.json"

    @property
    def truth(self) -> Path:
        """Only the twin fills it, and only comparing reads it."""
        return self.folder / "truth"

    def mesh_file(self, kind: str) -> Path:
        """`mesh.stl`, `mesh.ply`, `mesh.glb`."""
        return self.folder / f"mesh.{kind}"

    def camera_file(self, index: int) -> Path:
        """The board in the hand."""
        return self.folder / "calib" / "camera" / f"{index:03d}.png"

    def table_file(self, index: int, light: Light) -> Path:
        """The board on the table."""
        return self.folder / "calib" / "table" / f"{index:03d}_{light}.png"

    def frame_file(self, index: int, light: Light, shorter: int = 0) -> Path:
        """The piece on the table; `shorter` numbers exposures of the same that are each shorter than the one before."""
        return self.folder / "frames" / f"{index:04d}_{light}{f'_{shorter}' if shorter else ''}.png"

    def camera_pictures(self) -> list[int]:
        """Which of the board's pictures are there, in order; holes are allowed, the board may not have been seen."""
        return _numbered(self.folder / "calib" / "camera", r"(\d{3})\.png")

    @property
    def lasers(self) -> tuple[Light, ...]:
        """Those that there are pictures of: a rig with one laser has none of the second anywhere."""
        folders = self.folder / "calib" / "table", self.folder / "frames"
        has_second = any(any(folder.glob(f"*_{LASERS[1]}.png")) for folder in folders)
        return LASERS if has_second else LASERS[:1]

    # --- description

    @cached_property
    def description(self) -> Description:
        """What `dataset.toml` says; raises `DatasetError` that names the member and the remedy."""
        try:
            text = self.description_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DatasetError(f"{self.folder} is no dataset: it has no dataset.toml; docs/scan.md shows one") from None
        except UnicodeDecodeError as error:
            raise DatasetError(f"{self.description_file} is no text ({error.reason}): write it as UTF-8") from None
        try:
            return read_description(text)
        except DatasetError as error:
            raise DatasetError(f"{self.description_file}: {error}") from None

    def describe(self, description: Description) -> None:
        """Begin the dataset: make its folders, and write `dataset.toml`."""
        for part in ("calib/camera", "calib/table", "frames"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.write_bytes(self.description_file, write_description(description).encode())
        self.__dict__.pop("description", None)

    def described(self, description: Description) -> Dataset:
        """The same folder, taken as described so; nothing is written."""
        other = Dataset(self.folder)
        other.__dict__["description"] = description
        return other

    # --- pictures

    def read_picture(self, file: Path, *, color: bool = False) -> Picture:
        """One picture, one-channel unless `color`; raises what names the file and the remedy."""
        return _decoded(file, self._name(file), cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)

    def read_pictures(self, files: Sequence[Path], size: tuple[int, int] | None = None) -> Iterator[Picture]:
        """One-channel pictures that must all be of one size (width, height), that of the first unless given."""
        for file in files:
            picture = self.read_picture(file)
            height, width = picture.shape[:2]
            if size is None:
                size = width, height
            if size != (width, height):
                raise PictureDamagedError(
                    f"{self._name(file)} is {width} x {height} pixels, the others are {size[0]} x {size[1]}: "
                    f"one scan needs one resolution"
                )
            yield picture

    def write_picture(self, file: Path, picture: Picture) -> None:
        """The picture, whole or not at all."""
        _, png = cv2.imencode(".png", picture, _PNG)
        self.write_bytes(file, np.asarray(png).tobytes())

    # --- documents

    def read_json(self, file: Path) -> dict[str, Any]:
        """A document that a stage before has written."""
        try:
            document = json.loads(file.read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{self._name(file)} is missing: run the stage that writes it") from None
        except ValueError as error:
            raise DatasetError(f"{self._name(file)} is damaged ({error}): run the stage that writes it again") from None
        if not isinstance(document, dict):
            raise DatasetError(f"{self._name(file)} is damaged: run the stage that writes it again")
        return document

    def write_json(self, file: Path, document: Any) -> None:
        """A document, never with NaN."""
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        self.write_bytes(file, text.encode() + b"\n")

    def calibration(self) -> Rig:
        """What calibrating found; raises `DatasetError` that names what is wrong with it and the remedy."""
        name = self._name(self.calibration_file)
        if not self.calibration_file.exists():
            raise DatasetError(f"{self.calibration_file} is missing: run `golmok-scan calibrate {self.folder}`")
        document = self.read_json(self.calibration_file)
        try:
            rig = Rig.from_document(document, name)
            if not 1 <= len(rig.lasers) <= len(LASERS):
                raise DatasetError(f"{name}: lasers must be 1 to {len(LASERS)}, there are {len(rig.lasers)}")
        except DatasetError as error:
            raise DatasetError(f"{error}: run `golmok-scan calibrate {self.folder}` again") from None
        return rig

    # --- disk

    def write_bytes(self, file: Path, content: bytes | memoryview) -> None:
        """Beside its place, synced, renamed: a file that is there is whole, also after a power cut."""
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(file)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise NoRoomError(error.errno, f"{self._name(file)} cannot be written: {error.strerror}") from error

    def require_room(self, needed_bytes: int) -> None:
        """Raises `NoRoomError` unless so much can be written and some is left over."""
        place = self.folder.absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free - _SPARE_BYTES
        if free < needed_bytes:
            raise NoRoomError(
                f"{needed_bytes / 1e6:,.0f} MB are needed in {place} and {max(free, 0) / 1e6:,.0f} MB are free: "
                f"delete old scans, or take fewer steps"
            )

    def sweep(self) -> None:
        """Remove what a killed run had begun to write. Only for whoever alone writes here."""
        for part in self.folder.rglob(".*.part"):
            part.unlink(missing_ok=True)

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self.folder)) if file.is_relative_to(self.folder) else str(file)


def read_any_picture(file: Path) -> Picture:
    """A picture of no dataset, with one channel or three as it comes; sixteen bits become eight."""
    picture = _decoded(file, str(file), cv2.IMREAD_ANYCOLOR)
    return picture if picture.ndim == 2 else picture[:, :, :3]


def _decoded(file: Path, name: str, flags: int) -> Picture:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise PictureMissingError(f"{name} is missing: capture this picture again") from None
    if content[:8] == b"\x89PNG\r\n\x1a\n" and _TAIL not in content[-16:]:
        raise PictureDamagedError(f"{name} is cut off: capture this picture again")
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if picture is None:
        raise PictureDamagedError(f"{name} is no picture: capture it again")
    return np.asarray(picture, np.uint8)


def _numbered(folder: Path, pattern: str) -> list[int]:
    names = (re.fullmatch(pattern, file.name) for file in folder.glob("*.png"))
    return sorted(int(name[1]) for name in names if name)


# --- dataset.toml

_KINDS: Final[dict[str, dict[str, type]]] = {
    "board": {
        "squares_x": int, "squares_y": int, "square_mm": float, "marker_mm": float, "dictionary": str,
        "thickness_mm": float, "length_mm": float,
    },
    "steps": {"nominal_per_turn": int, "frames": list, "table": list, "placement": list, "lying": list},
    "plate": {"diameter_mm": float},
}  # fmt: skip
_MOST: Final = 1e9
_SHOWN: Final = 60
_WORDS: Final = {
    int: "a whole number", float: f"a number up to {_MOST:g}", str: "a text",
    list: f"a list of numbers up to {_MOST:g}",
}  # fmt: skip


def read_description(text: str) -> Description:
    """`dataset.toml`; raises `DatasetError` that names what is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"it is no TOML: {error}") from None
    if document.get("format", FORMAT) != FORMAT:
        raise DatasetError(f"format is {document['format']!r}, this version reads {FORMAT}")
    if document.get("units", "mm") != "mm":
        raise DatasetError(f"units is {document['units']!r}: all lengths must be in mm")
    parts: dict[str, dict[str, Any]] = {}
    for section, kinds in _KINDS.items():
        given = document.get(section, {})
        if not isinstance(given, dict):
            raise DatasetError(f"{section} must be a table: [{section}]")
        parts[section] = {name: _member(section, name, given[name], kinds) for name in given}
    return Description(
        Board(**parts["board"]), Steps(**parts["steps"]), title=str(document.get("title", "")),
        plate=Plate(**parts["plate"]),
    )  # fmt: skip


def _member(section: str, name: str, value: Any, kinds: dict[str, type]) -> Any:
    kind = kinds.get(name)
    if kind is None:
        raise DatasetError(f"{section}.{name} is not known; {section} has {', '.join(kinds)}")
    if kind is list:
        if isinstance(value, list) and all(_is_number(each) for each in value):
            return tuple(value)
    elif kind is float and _is_number(value):
        return float(value)
    elif isinstance(value, kind) and not isinstance(value, bool) and (kind is str or _is_number(value)):
        return value
    shown = f"{value!r}"
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    raise DatasetError(f"{section}.{name} must be {_WORDS[kind]}, it is {shown}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST


def write_description(description: Description) -> str:
    """The text of `dataset.toml`; `read_description` of it gives the same again."""
    lines = [f"format = {FORMAT}", f"title = {json.dumps(description.title, ensure_ascii=False)}"]
    lines.append(f'units = "{description.units}"')
    for section, part in (
        ("board", description.board), ("steps", description.steps), ("plate", description.plate)
    ):  # fmt: skip
        lines += ["", f"[{section}]"]
        for name, kind in _KINDS[section].items():
            value = getattr(part, name)
            lines.append(f"{name} = {json.dumps(list(value) if kind is list else value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
