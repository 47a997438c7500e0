"""What a 3D scanner is made of: a camera, a turntable, lasers; real ends, and twins that share one world.

These are no sensors: they give no readings, and whoever scans owns them alone and waits for them. So they are plain
blocking calls in the thread of their owner, who has nothing else to do meanwhile. A camera gives arrays of uint8; what
a picture shows, and how a made one is drawn, is not known here.

* `camera`: what a camera is; `pi_camera` (picamera2), `v4l2`, `folder` (pictures from disk) are its ends;
* `table`: a stepper motor's ramp, its pulses, its home switch; `lights`: lasers and a lamp, off unless they must be on;
* `guard`: a process that puts the lasers out when ours was killed;
* `world`, `twin`: the other end of the pins and the lens, made.
"""

from __future__ import annotations

from golmok_drivers.scanner.camera import Camera, Frame, Picture
from golmok_drivers.scanner.clock import Clock, RealClock
from golmok_drivers.scanner.errors import (
    CameraBroken,
    CameraLate,
    CameraMissing,
    HomeNotFound,
    PositionUnknown,
    ScannerError,
)
from golmok_drivers.scanner.lights import Lights
from golmok_drivers.scanner.table import Motor, StepperTable, Turntable

__all__ = [
    "Camera",
    "CameraBroken",
    "CameraLate",
    "CameraMissing",
    "Clock",
    "Frame",
    "HomeNotFound",
    "Lights",
    "Motor",
    "Picture",
    "PositionUnknown",
    "RealClock",
    "ScannerError",
    "StepperTable",
    "Turntable",
]
