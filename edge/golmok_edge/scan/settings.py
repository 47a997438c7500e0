"""The section `[scan]` of the settings file: which hardware the scanner has, and how it takes pictures.

Registered by the entry point `golmok.settings`. Light: the gateway reads the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from golmok_edge.settings import Section

Pin: TypeAlias = Annotated[int, Meta(ge=0, le=27)]

_CAMERAS: Final = ("picamera2://", "v4l2://", "files://", "sim+camera://")


class MotorPins(Section, frozen=True):
    """The turntable's stepper motor and its driver (A4988, DRV8825, TMC2209). Pins are BCM numbers."""

    step_pin: Annotated[Pin, Meta(description="STEP.", examples=[20])] = 20
    direction_pin: Annotated[Pin, Meta(description="DIR.", examples=[21])] = 21
    enable_pin: Annotated[Pin | None, Meta(description="ENABLE, low while the motor holds.", examples=[16])] = 16
    home_pin: Annotated[
        Pin | None,
        Meta(
            description="A switch to ground that closes once a turn. Without one a scan that was stopped cannot go on.",
            examples=[26],
        ),
    ] = None
    per_turn: Annotated[
        int, Meta(ge=20, le=1_000_000, description="Steps that make a turn; a hint, it is measured.", examples=[3200])
    ] = 3200
    start_hz: Annotated[float, Meta(gt=0, le=100_000, description="Steps a second from rest.", examples=[400])] = 400.0
    top_hz: Annotated[float, Meta(gt=0, le=100_000, description="Steps a second at most.", examples=[1600])] = 1600.0
    ramp_hz_s: Annotated[
        float, Meta(gt=0, le=1_000_000, description="How fast it gets faster, in steps a second each second.",
                    examples=[3000])
    ] = 3000.0  # fmt: skip
    backlash: Annotated[
        int, Meta(ge=0, le=10_000, description="Steps that it overshoots going backwards.", examples=[32])
    ] = 0
    reverse: Annotated[bool, Meta(description="DIR is low for counter-clockwise.", examples=[False])] = False

    def __post_init__(self) -> None:
        if self.top_hz < self.start_hz:
            raise ValueError("top_hz must not be less than start_hz")


class PrintedBoard(Section, frozen=True):
    """The ChArUco board that calibrates; lengths by caliper."""

    squares_x: Annotated[int, Meta(ge=3, le=50, description="Squares from left to right.", examples=[8])] = 8
    squares_y: Annotated[int, Meta(ge=3, le=50, description="Squares from top to bottom.", examples=[6])] = 6
    square_mm: Annotated[float, Meta(gt=0, le=500, description="A square's side.", examples=[20.0])] = 20.0
    marker_mm: Annotated[float, Meta(gt=0, le=500, description="A marker's side.", examples=[15.0])] = 15.0
    dictionary: Annotated[str, Meta(description="The markers, as OpenCV names them.", examples=["DICT_4X4_50"])] = (
        "DICT_4X4_50"
    )
    thickness_mm: Annotated[
        float, Meta(ge=0, le=50, description="How far its printed side lies above the plate.", examples=[2.0])
    ] = 2.0
    length_mm: Annotated[
        float,
        Meta(
            ge=0, le=5_000,
            description="All squares_x squares together, by caliper: the squares are as large as it says. 0: not "
            "measured.",
            examples=[159.6],
        ),
    ] = 0.0  # fmt: skip


class Scan(Section, frozen=True):
    """The 3D scanner: `golmok-scan capture` and `golmok-scan serve`."""

    camera: Annotated[
        str,
        Meta(
            description="`picamera2://0` (the board's port), `v4l2:///dev/video0`, `files:///folder` (pictures that "
            "lie there), `sim+camera://` (the whole scanner is a twin).",
            examples=["picamera2://0"],
        ),
    ] = "picamera2://0"
    width: Annotated[int, Meta(ge=64, le=10_000, description="Of a picture, in pixels.", examples=[1640])] = 1640
    height: Annotated[int, Meta(ge=64, le=10_000, description="Of a picture, in pixels.", examples=[1232])] = 1232
    fps: Annotated[float, Meta(gt=0, le=120, description="Pictures a second.", examples=[15])] = 15.0
    laser_color: Annotated[
        Literal["red", "green", "blue"], Meta(description="What the lasers' light is.", examples=["red"])
    ] = "red"
    laser_ms: Annotated[float, Meta(ge=0.05, le=500, description="Exposure of laser pictures.", examples=[10.0])] = 10.0
    color_ms: Annotated[float, Meta(ge=0.05, le=500, description="Exposure of colour pictures.", examples=[10.0])] = (
        10.0
    )
    board_ms: Annotated[
        float, Meta(ge=0.05, le=500, description="Exposure of the board in the hand.", examples=[40.0])
    ] = 40.0
    gain: Annotated[float, Meta(ge=1, le=64, description="The sensor's gain.", examples=[1.0])] = 1.0
    settle_ms: Annotated[
        float, Meta(ge=0, le=5_000, description="Rest after each turn until it stands still.", examples=[80])
    ] = 80.0
    laser_pins: Annotated[
        tuple[Pin, ...],
        Meta(min_length=1, max_length=2, description="The lasers' switches: `l0`, `l1`.", examples=[[17, 27]]),
    ] = (17, 27)
    lamp_pin: Annotated[Pin | None, Meta(description="A lamp for pictures in colour.", examples=[22])] = None
    motor: Annotated[MotorPins, Meta(description="The turntable's motor.", examples=[{"home_pin": 26}])] = MotorPins()
    board: Annotated[PrintedBoard, Meta(description="The calibration board.", examples=[{"square_mm": 19.94}])] = (
        PrintedBoard()
    )
    plate_mm: Annotated[
        float, Meta(ge=0, le=2_000, description="The plate's diameter by caliper; 0: not known.", examples=[250.0])
    ] = 0.0
    folder: Annotated[Path, Meta(description="Where the page keeps scans.", examples=["scans"])] = Path("scans")
    listen: Annotated[
        str,
        Meta(
            description="Host and port of the page. Beyond this machine only with `certificate` and `key`.",
            examples=["127.0.0.1:8490"],
        ),
    ] = "127.0.0.1:8490"
    certificate: Annotated[Path | None, Meta(description="The page's TLS certificate (PEM).", examples=["tls.crt"])] = (
        None
    )
    key: Annotated[Path | None, Meta(description="The certificate's key (PEM).", examples=["tls.key"])] = None
    pin_file: Annotated[
        Path, Meta(description="Who may sign in: written by `golmok-scan pin`.", examples=["scan.pin"])
    ] = Path("scan.pin")

    def __post_init__(self) -> None:
        if not self.camera.startswith(_CAMERAS):
            raise ValueError(f"camera must begin with one of {', '.join(_CAMERAS)}")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("key and certificate go together")
        pins = [*self.laser_pins, self.lamp_pin, self.motor.step_pin, self.motor.direction_pin, self.motor.enable_pin,
                self.motor.home_pin]  # fmt: skip
        used = [pin for pin in pins if pin is not None]
        if len(set(used)) != len(used):
            raise ValueError("laser_pins: each pin can have one use only")
