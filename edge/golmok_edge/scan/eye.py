"""One picture in one light, however often it takes: lit, taken, dark again; more slowly where frames come late."""

from __future__ import annotations

from typing import Final

from golmok_drivers.scanner import CameraBroken, CameraLate, Frame
from golmok_drivers.scanner.camera import Exposure, is_exposed
from golmok_edge.scan.hardware import Scanner
from golmok_edge.scan.plan import Light, Pace
from golmok_edge.scan.settings import Scan
from golmok_vision.scan.dataset import Picture

_FRAMES_UNTIL_EXPOSED: Final = 12


class Eye:
    """Takes pictures for a capture, or for the page's live view."""

    def __init__(self, scanner: Scanner, settings: Scan) -> None:
        self._scanner = scanner
        self._settings = settings
        self._pace = Pace()
        self._ordered: Exposure | None = None
        self.late = 0
        """How many frames came late so far."""

    def picture(self, light: Light, ms: float | None = None) -> Picture:
        """The picture, exposed for `ms` or as the settings have it for that light; all is dark afterwards.

        Raises `CameraLate` when it was late over and over, `CameraBroken`.
        """
        if ms is None:
            ms = self._settings.color_ms if light == "color" else self._settings.laser_ms
        exposure = Exposure(ms / 1000, self._settings.gain)
        while True:
            self._scanner.clock.sleep(self._pace.rest_s)
            try:
                picture = self._frame(light, exposure).picture
            except CameraLate:
                self.late += 1
                self._pace = self._pace.after_late()
                if self._pace.is_hopeless:
                    raise
            else:
                self._pace = self._pace.after_good()
                return picture

    def _frame(self, light: Light, exposure: Exposure) -> Frame:
        camera, lights = self._scanner.camera, self._scanner.lights
        if exposure != self._ordered:
            camera.expose(exposure)
            self._ordered = exposure
        try:
            if light in ("l0", "l1"):
                lights.only(int(light[1]))
            lights.lamp(on=light == "color")
            since_s = camera.now_s()
            for _ in range(_FRAMES_UNTIL_EXPOSED):
                frame = camera.frame(color=light == "color", after_s=since_s, timeout_s=self._pace.timeout_s)
                if is_exposed(frame, exposure):
                    return frame
        finally:
            lights.off()
            lights.lamp(on=False)
        raise CameraBroken(
            f"{camera.name} does not take the exposure of {exposure.seconds * 1000:g} ms (it says "
            f"{frame.exposure_s * 1000:.3g} ms): change laser_ms, color_ms, board_ms, or lower fps"
        )
