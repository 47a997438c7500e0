"""A USB camera through V4L2, by OpenCV: the one driver that imports cv2 (linuxpy is GPL and may not be linked).

`CAP_PROP_POS_MSEC` is the time stamp of the kernel's buffer, on CLOCK_MONOTONIC; whether it is of the frame's begin or
end is the driver's choice, so a frame counts as begun one exposure and one frame earlier. Exposure is in units of
100 us (V4L2_CID_EXPOSURE_ABSOLUTE); the gain is in the camera's own steps, so that a gain of 1 leaves it alone.
Uncompressed pictures only: JPEG blurs a laser's line along blocks of eight.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from golmok_drivers.scanner.camera import Exposure, Frame, sequence_after
from golmok_drivers.scanner.errors import CameraBroken, CameraLate, CameraMissing
from golmok_drivers.scanner.pi_camera import CHANNELS, Channel

_MANUAL: Final = 1  # V4L2_EXPOSURE_MANUAL
_UNIT_S: Final = 1e-4


class V4l2Camera:
    """The camera behind `/dev/videoN`."""

    def __init__(self, device: Path, size: tuple[int, int], fps: float, channel: Channel = "red") -> None:
        self.name = str(device)
        self._channel = CHANNELS.index(channel)
        self._frame_s = 1 / fps
        self._exposure = Exposure(0.01)
        self._last: tuple[int, float] | None = None
        self._cv2 = _cv2()
        self._camera = self._opened(device, size, fps)
        wide, high = (
            self._camera.get(what) for what in (self._cv2.CAP_PROP_FRAME_WIDTH, self._cv2.CAP_PROP_FRAME_HEIGHT)
        )
        self.size = int(wide), int(high)
        if self.size != size:
            self.close()
            raise CameraBroken(f"{device} gives {wide:.0f} x {high:.0f} and not {size[0]} x {size[1]}: change the size")

    def _opened(self, device: Path, size: tuple[int, int], fps: float) -> Any:
        if not device.exists():
            raise CameraMissing(f"there is no {device}: plug the camera in; v4l2-ctl --list-devices shows them")
        cv2 = self._cv2
        camera = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
        if not camera.isOpened():
            raise CameraBroken(f"{device} cannot be opened: end the program that uses it, or join the group video")
        for what, value in (
            (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV")),
            (cv2.CAP_PROP_FRAME_WIDTH, size[0]),
            (cv2.CAP_PROP_FRAME_HEIGHT, size[1]),
            (cv2.CAP_PROP_FPS, fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
            (cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL),
            (cv2.CAP_PROP_AUTO_WB, 0),
        ):
            camera.set(what, value)
        return camera

    def now_s(self) -> float:
        """See `Camera.now_s`."""
        return time.monotonic()

    def expose(self, exposure: Exposure) -> None:
        """See `Camera.expose`."""
        self._camera.set(self._cv2.CAP_PROP_EXPOSURE, round(exposure.seconds / _UNIT_S))
        if exposure.gain != 1:
            self._camera.set(self._cv2.CAP_PROP_GAIN, exposure.gain)
        self._exposure = exposure

    def frame(self, *, color: bool = False, after_s: float = 0.0, timeout_s: float = 2.0) -> Frame:
        """See `Camera.frame`."""
        until = self.now_s() + timeout_s
        self._camera.set(self._cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_s * 1000)
        while self.now_s() < until:
            if not self._camera.grab():
                raise CameraBroken(f"{self.name} gives no more pictures: look at its cable, plug it in, and go on")
            stamp_s = self._camera.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
            number = 0 if self._last is None else sequence_after(self._last[0], stamp_s - self._last[1], self._frame_s)
            self._last = number, stamp_s
            began_s = stamp_s - self._exposure.seconds - self._frame_s
            if began_s >= after_s:
                _, whole = self._camera.retrieve()
                picture = whole if color or whole.ndim == 2 else whole[:, :, self._channel].copy()
                return Frame(picture, number, began_s, self._exposure.seconds, self._exposure.gain)
        raise CameraLate(f"{self.name}: no picture within {timeout_s:g} s; end what else the machine does")

    def close(self) -> None:
        """See `Camera.close`."""
        self._camera.release()


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise CameraMissing(f"OpenCV is missing ({error}): pip install 'golmok[vision]'") from None
    return cv2
