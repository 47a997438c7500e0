"""What a camera is to whoever scans: numbered pictures, each with when and how it was exposed.

A camera runs by itself: the picture that it hands over was exposed before, often two or three frames ago. Who has
just switched a laser on must not take a picture that was exposed in the dark; so one asks for a frame by when its
exposure began (`after_s`), and the driver throws away those that began earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Picture: TypeAlias = "npt.NDArray[np.uint8]"
"""Rows x columns, or rows x columns x 3: blue, green, red."""


class Frame(NamedTuple):
    """A picture. `sequence` counts the sensor's frames: a hole in it is frames that were missed.

    `began_s` is when its exposure began, by the camera's clock (`Camera.now_s`), or a little earlier where the driver
    cannot know it exactly, never later. `exposure_s` and `gain` are those that it really was taken with.
    """

    picture: Picture
    sequence: int
    began_s: float
    exposure_s: float
    gain: float


@dataclass(frozen=True)
class Exposure:
    """How a picture is to be taken: seconds of light, and how much its signal is amplified (1: not at all)."""

    seconds: float
    gain: float = 1.0

    def __post_init__(self) -> None:
        if not 1e-5 <= self.seconds <= 10 or not 1 <= self.gain <= 64:
            raise ValueError("an exposure is from 10 us to 10 s, a gain from 1 to 64")


class Camera(Protocol):
    """A camera that is open."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures."""

    def now_s(self) -> float:
        """Its clock, which `Frame.began_s` is on."""

    def expose(self, exposure: Exposure) -> None:
        """From some frame on; the frame says which (`is_exposed`)."""

    def frame(self, *, color: bool = False, after_s: float = 0.0, timeout_s: float = 2.0) -> Frame:
        """The next picture whose exposure began at `after_s` or later, in three channels with `color`, else in one.

        Raises `CameraLate` when there is none within `timeout_s`, `CameraBroken`.
        """

    def close(self) -> None:
        """Let go of it; closing twice does nothing."""


def is_exposed(frame: Frame, exposure: Exposure) -> bool:
    """Whether it was taken as ordered; sensors round to whole lines and steps."""
    return _near(frame.exposure_s, exposure.seconds) and _near(frame.gain, exposure.gain)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 0.05 * other + 1e-5


def sequence_after(sequence: int, seconds: float, frame_s: float) -> int:
    """The number of the frame that came `seconds` after frame `sequence`, of a camera that does not number them."""
    return sequence + max(1, round(seconds / frame_s)) if frame_s > 0 else sequence + 1
