"""A Raspberry Pi camera through picamera2 (Debian's python3-picamera2; there is no wheel of libcamera on PyPI).

libcamera's `SensorTimestamp` is taken when the frame's first row comes off the sensor, on CLOCK_BOOTTIME; the light
had fallen for the exposure time before: https://libcamera.org/api-html/namespacelibcamera_1_1controls.html. White
balance and exposure are fixed: a scan compares pictures. picamera2's "RGB888" lies in memory as blue, green, red.
"""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias

from golmok_drivers.scanner.camera import Exposure, Frame, sequence_after
from golmok_drivers.scanner.errors import CameraBroken, CameraLate, CameraMissing

Channel: TypeAlias = Literal["blue", "green", "red"]

CHANNELS: Final[tuple[Channel, ...]] = ("blue", "green", "red")
_BUFFERS: Final = 3


class PiCamera:
    """The camera at a port of the board; `channel` is the colour that the lasers have: the others see only noise."""

    def __init__(self, port: int, size: tuple[int, int], fps: float, channel: Channel = "red") -> None:
        self._camera = _opened(port)
        self._channel = CHANNELS.index(channel)
        self._frame_s = 1 / fps
        self._last: tuple[int, float] | None = None
        self.name = f"picamera2 {port}"
        try:
            self._start(size)
        except (RuntimeError, OSError, ValueError) as error:
            self.close()
            raise CameraBroken(f"camera {port} cannot be started at {size[0]} x {size[1]}: {error}") from error

    def _start(self, size: tuple[int, int]) -> None:
        frame_us = round(self._frame_s * 1e6)
        fixed = {"AeEnable": False, "AwbEnable": False, "FrameDurationLimits": (frame_us, 10_000_000)}
        main = {"size": size, "format": "RGB888"}
        self._camera.configure(
            self._camera.create_video_configuration(main=main, controls=fixed, buffer_count=_BUFFERS, queue=False)
        )
        self._camera.start()
        self.size: tuple[int, int] = tuple(self._camera.camera_configuration()["main"]["size"])

    def now_s(self) -> float:
        """See `Camera.now_s`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def expose(self, exposure: Exposure) -> None:
        """See `Camera.expose`."""
        self._camera.set_controls(
            {"ExposureTime": round(exposure.seconds * 1e6), "AnalogueGain": exposure.gain, "ColourGains": (1.0, 1.0)}
        )

    def frame(self, *, color: bool = False, after_s: float = 0.0, timeout_s: float = 2.0) -> Frame:
        """See `Camera.frame`."""
        until = self.now_s() + timeout_s
        while True:
            request = self._request(until - self.now_s())
            try:
                told = request.get_metadata()
                exposure_s = told["ExposureTime"] / 1e6
                came_s = told["SensorTimestamp"] / 1e9
                sequence = self._numbered(came_s)
                if came_s - exposure_s >= after_s:
                    whole = request.make_array("main")
                    picture = whole if color else whole[:, :, self._channel].copy()
                    return Frame(picture, sequence, came_s - exposure_s, exposure_s, told["AnalogueGain"])
            except (KeyError, RuntimeError, OSError) as error:
                raise CameraBroken(f"{self.name} gives no more pictures: {error}") from error
            finally:
                request.release()

    def close(self) -> None:
        """See `Camera.close`."""
        with suppress(RuntimeError):
            self._camera.close()

    def _request(self, seconds: float) -> Any:
        job = self._camera.capture_request(wait=False)
        try:
            return job.get_result(timeout=max(seconds, 0.001))
        except (TimeoutError, FutureTimeout):
            raise CameraLate(f"{self.name}: no picture in time; end what else the machine does") from None

    def _numbered(self, came_s: float) -> int:
        number = 0 if self._last is None else sequence_after(self._last[0], came_s - self._last[1], self._frame_s)
        self._last = number, came_s
        return number


def _opened(port: int) -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraMissing(
            f"picamera2 is missing ({error}): sudo apt install python3-picamera2, and make the environment with "
            f"--system-site-packages"
        ) from None
    if port >= len(Picamera2.global_camera_info()):
        raise CameraMissing(
            f"there is no camera {port}: look at its ribbon cable; rpicam-hello --list-cameras shows it"
        )
    try:
        return Picamera2(port)
    except RuntimeError as error:
        raise CameraBroken(f"camera {port} cannot be opened ({error}): end the program that uses it") from error
