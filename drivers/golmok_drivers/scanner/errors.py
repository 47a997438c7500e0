# ruff: noqa: N818  (as in golmok_drivers.errors)
"""What can go wrong with a scanner's hardware; each message says what to do."""

from __future__ import annotations

from golmok_drivers.errors import DriverError


class ScannerError(DriverError):
    """The root of what a camera, a table or the lights raise."""

    reason = "error"


class CameraMissing(ScannerError, FileNotFoundError):
    """There is no such camera, or what drives it is not installed."""

    reason = "unplugged"


class CameraLate(ScannerError, TimeoutError):
    """No frame in time: the machine is busy, or the camera hangs. Worth trying again, more slowly."""

    reason = "timeout"


class CameraBroken(ScannerError, OSError):
    """The camera was there and gives no more pictures."""

    reason = "bus"


class HomeNotFound(ScannerError, RuntimeError):
    """The table has turned once and more, and its home switch did not close, or never opened."""

    reason = "not-ready"


class PositionUnknown(ScannerError, RuntimeError):
    """Nobody knows how the plate stands: it must be brought home first."""

    reason = "reset"
