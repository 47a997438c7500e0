"""Cameras: the twin hands over old frames as a real one does, and each end names what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from golmok_drivers.scanner import CameraBroken, CameraLate, CameraMissing, Lights, Motor, Picture, RealClock
from golmok_drivers.scanner.camera import Camera, Exposure, is_exposed, sequence_after
from golmok_drivers.scanner.folder import FolderCamera
from golmok_drivers.scanner.lights import LightPins
from golmok_drivers.scanner.pi_camera import PiCamera
from golmok_drivers.scanner.twin import CameraTwin, Lens, View, WorldPins
from golmok_drivers.scanner.v4l2 import V4l2Camera
from golmok_drivers.scanner.world import ScannerWorld, Wire, Wiring

PINS = LightPins((17, 27))


def light_meter(view: View) -> Picture:
    """A picture that says how much of each laser it got."""
    return np.array([[round(100 * share) for share in (*view.lasers, view.exposure.seconds)]], np.uint8)


def made(folder: Path, *faults: str) -> tuple[CameraTwin, Lights, ScannerWorld]:
    world = ScannerWorld(Wiring(Motor(20, 21), PINS, faults=frozenset(faults)), Wire(folder / "wire"))
    return CameraTwin(world, Lens((3, 1), light_meter)), Lights(PINS, WorldPins(world)), world


def test_the_next_frame_was_exposed_before_the_laser_was_lit(tmp_path: Path) -> None:
    camera, lights, world = made(tmp_path)
    with lights:
        world.sleep(1.0)
        lights.only(0)
        lit_s = camera.now_s()
        assert camera.frame().picture[0, 0] < 100
        frame = camera.frame(after_s=lit_s)
        assert frame.began_s >= lit_s
        assert frame.picture[0, :2].tolist() == [100, 0]
        lights.only(1)
        assert camera.frame(after_s=camera.now_s()).picture[0, :2].tolist() == [0, 100]


def test_an_exposure_comes_some_frames_later_and_the_frame_says_so(tmp_path: Path) -> None:
    camera, lights, _ = made(tmp_path)
    with lights:
        camera.expose(Exposure(0.03))
        frames = [camera.frame() for _ in range(6)]
    assert [is_exposed(frame, Exposure(0.03)) for frame in frames] == sorted(
        frame.exposure_s > 0.02 for frame in frames
    )
    assert not is_exposed(frames[0], Exposure(0.03))
    assert is_exposed(frames[-1], Exposure(0.03))
    assert [frame.sequence for frame in frames] == list(range(6))


def test_lost_frames_are_a_hole_and_late_ones_an_error(tmp_path: Path) -> None:
    camera, lights, _ = made(tmp_path, "lost")
    with lights:
        numbers = [camera.frame().sequence for _ in range(40)]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] > 40
    camera, lights, _ = made(tmp_path / "late", "late")
    with lights, pytest.raises(CameraLate, match=r"within 0\.3 s"):
        all(camera.frame(timeout_s=0.3) for _ in range(60))


def test_a_cable_that_comes_off_is_told(tmp_path: Path) -> None:
    camera, lights, _ = made(tmp_path, "unplugged")
    with lights, pytest.raises(CameraBroken, match="cable"):
        all(camera.frame() for _ in range(60))


def test_a_folder_is_a_camera(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(bytes([number]))

    def read(file: Path, color: bool) -> Picture:
        return np.full((4, 6, 3) if color else (4, 6), file.read_bytes()[0], np.uint8)

    camera: Camera = FolderCamera(tmp_path, read, RealClock(), fps=1000)
    assert camera.size == (6, 4)
    assert [int(camera.frame().picture[0, 0]) for _ in range(4)] == [0, 1, 2, 0]
    assert camera.frame(color=True).picture.shape == (4, 6, 3)


def test_what_is_missing_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CameraMissing, match="no folder"):
        FolderCamera(tmp_path / "x", lambda file, color: np.zeros((1, 1), np.uint8), RealClock())
    with pytest.raises(CameraMissing, match="holds no picture"):
        FolderCamera(tmp_path, lambda file, color: np.zeros((1, 1), np.uint8), RealClock())
    with pytest.raises(CameraMissing, match="python3-picamera2"):
        PiCamera(0, (640, 480), 15)
    with pytest.raises(CameraMissing, match="plug the camera in"):
        V4l2Camera(Path("/dev/video99"), (640, 480), 15)


def test_frames_without_a_number_are_counted_by_time() -> None:
    assert sequence_after(7, 0.034, 1 / 30) == 8
    assert sequence_after(7, 0.1, 1 / 30) == 10
    assert sequence_after(7, 0.001, 1 / 30) == 8


@pytest.mark.parametrize(("seconds", "gain"), [(0, 1), (11, 1), (0.01, 0.5), (0.01, 100)])
def test_an_exposure_that_cannot_be_is_refused(seconds: float, gain: float) -> None:
    with pytest.raises(ValueError, match="exposure"):
        Exposure(seconds, gain)
