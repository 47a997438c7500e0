"""A camera whose pictures lie in a folder: another rig's, or those of a bug report. After the last comes the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from golmok_drivers.scanner.camera import Exposure, Frame, Picture
from golmok_drivers.scanner.clock import Clock
from golmok_drivers.scanner.errors import CameraBroken, CameraMissing

_KINDS: Final = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")


class FolderCamera:
    """Pictures in the order of their names, one each `1 / fps` seconds; `read` decodes one, in either colour."""

    def __init__(self, folder: Path, read: Callable[[Path, bool], Picture], clock: Clock, fps: float = 10.0) -> None:
        if not folder.is_dir():
            raise CameraMissing(f"there is no folder {folder}: name one with the pictures that the camera shall give")
        self._files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _KINDS)
        if not self._files:
            raise CameraMissing(f"{folder} holds no picture ({', '.join(_KINDS)}): put some there")
        self.name = str(folder)
        self._read = read
        self._clock = clock
        self._frame_s = 1 / fps
        self._exposure = Exposure(0.01)
        self._next = 0
        high, wide = self._picture(0, False).shape[:2]
        self.size = wide, high

    def now_s(self) -> float:
        """See `Camera.now_s`."""
        return self._clock.now_s()

    def expose(self, exposure: Exposure) -> None:
        """Only noted: these pictures have been taken."""
        self._exposure = exposure

    def frame(self, *, color: bool = False, after_s: float = 0.0, timeout_s: float = 2.0) -> Frame:
        """See `Camera.frame`."""
        self._clock.sleep(max(self._frame_s, after_s - self.now_s()))
        number, self._next = self._next, self._next + 1
        picture = self._picture(number % len(self._files), color)
        if (picture.shape[1], picture.shape[0]) != self.size:
            raise CameraBroken(f"{self._files[number % len(self._files)]} has another size than the first picture")
        return Frame(picture, number, self.now_s(), self._exposure.seconds, self._exposure.gain)

    def close(self) -> None:
        """Nothing is held."""

    def _picture(self, index: int, color: bool) -> Picture:
        try:
            return self._read(self._files[index], color)
        except (OSError, ValueError) as error:
            raise CameraBroken(f"{self._files[index]} cannot be read: {error}") from error
