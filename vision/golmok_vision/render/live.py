"""The scanner's twin as a camera sees it: whatever stands before it now, at any step, under any of its lights.

`simulate` makes a whole dataset by itself. Here somebody else decides: which way the plate stands, which laser shines
and for how long, what a person has put before the camera. So a capture can run against it as against hardware.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from golmok_vision.render import board as boards
from golmok_vision.render import objects
from golmok_vision.render.raster import Floats
from golmok_vision.render.scanner import PLATE_RADIUS_MM, ScannerTwin, Scene, Shot
from golmok_vision.render.sensor import NormalPool
from golmok_vision.render.simulate import BOARD, Order, Simulation
from golmok_vision.scan.dataset import Dataset, Picture, Plate

Thing: TypeAlias = Literal["nothing", "piece", "hand", "table"]
"""What stands before the camera: the piece; the board in the hand, or on the table."""

EXPOSURE_S: Final = 0.010
"""The exposure (times gain) at which a picture has the brightness of `simulate`'s."""
_LAMP: Final = 3.3
"""Times the room's light that the lamp adds."""


@dataclass(frozen=True)
class Light:
    """What shone while the picture was exposed: each laser's and the lamp's share of the time, seconds times gain."""

    lasers: tuple[float, ...] = ()
    lamp: float = 0.0
    exposure_s: float = EXPOSURE_S


class Stage:
    """Draws what is there. The same seed is the same rig as `simulate`'s; `blur_px` is a lens that is out of focus."""

    def __init__(self, order: Order, mesh: Path | objects.Solid, *, blur_px: float | None = None) -> None:
        self._simulation = Simulation(order, mesh, Dataset(Path()))
        true = self._simulation.true
        self._true = true if blur_px is None else replace(true, blur_px=blur_px)
        self._noise = NormalPool(order.seed)
        dice = np.random.Generator(np.random.SFC64([order.seed, 6]))
        self._body = objects.dress(self._simulation.solid, order.finish, dice)
        self._seed = order.seed
        self._pictures = order.camera_pictures
        self._thing: tuple[Thing, int] = ("nothing", 0)
        self._twins: dict[bool, ScannerTwin] = {}
        self._shot: tuple[tuple[Thing, int, float], Shot, ScannerTwin] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures."""
        lens = self._true.rig.lens
        return lens.width, lens.height

    @property
    def true_per_turn(self) -> int:
        """Steps of the motor that make a turn."""
        return round(self._true.rig.turntable.steps_per_turn)

    board = BOARD
    plate = Plate(2 * PLATE_RADIUS_MM)

    def put(self, thing: Thing, nth: int = 0) -> None:
        """A person puts something before the camera: pose `nth` of the board in the hand, placement `nth` of it."""
        self._thing = thing, nth

    def picture(self, step: float, light: Light, *, color: bool, nth: int) -> Picture:
        """What the camera gives with the plate at `step`; `nth` is the frame's number, whose noise it has."""
        twin, shot = self._drawn(step, color)
        dice = np.random.Generator(np.random.SFC64([self._seed, 9, nth]))
        power = light.exposure_s / EXPOSURE_S
        sensor = replace(self._true.sensor, exposure=self._true.sensor.exposure * power)
        if color:
            assert shot.color is not None
            seen = shot.color * np.float32((1 + _LAMP * light.lamp) / (1 + _LAMP))
            return sensor.picture(seen, self._noise, dice)
        seen = shot.ambient * np.float32(1 + _LAMP * light.lamp)
        for laser, share in enumerate(light.lasers):
            if share > 0:
                grain = np.random.Generator(np.random.SFC64([self._seed, 10, laser, round(step) % self.true_per_turn]))
                seen += np.float32(share) * twin.line(shot, laser, grain)
        return sensor.picture(seen, self._noise, dice)

    def write_truth(self, dataset: Dataset, steps: tuple[float, ...]) -> None:
        """What is true, for whoever compares: the piece where it stands at step 0, and the rig."""
        turned = [np.degrees(np.arctan2(*self._carried(step)[0][1::-1, 0])) % 360.0 for step in steps]
        document: dict[str, Any] = {**self._true.document(), "frames_deg": [float(angle) for angle in turned]}
        dataset.write_bytes(dataset.truth / "object.stl", objects.stl(self._simulation.solid))
        dataset.write_json(dataset.truth / "rig.json", document)

    # --- parts

    def _drawn(self, step: float, color: bool) -> tuple[ScannerTwin, Shot]:
        key = (*self._thing, step)
        if self._shot is None or self._shot[0] != key or (color and self._shot[1].color is None):
            twin = self._twin(surroundings=self._thing[0] != "hand")
            self._shot = key, twin.shot(self._scene(step), color=color), twin
        return self._shot[2], self._shot[1]

    def _twin(self, *, surroundings: bool) -> ScannerTwin:
        if surroundings not in self._twins:
            self._twins[surroundings] = ScannerTwin(self._true, self._noise, surroundings=surroundings)
        return self._twins[surroundings]

    def _scene(self, step: float) -> Scene:
        thing, nth = self._thing
        pose = self._true.rig.pose
        if thing == "nothing":
            return Scene()
        if thing == "hand":
            dice = np.random.Generator(np.random.SFC64([self._seed, 3, nth]))
            return boards.printed(BOARD, boards.in_hand(BOARD, pose, dice, nth, self._pictures))
        rotation, shift = self._carried(step)
        if thing == "piece":
            return Scene(self._body).moved(rotation, shift)
        place = boards.on_table(BOARD, nth, self._true.leaning(), pose.centre_mm)
        return boards.printed(BOARD, boards.Placed(rotation @ place.rotation, rotation @ place.shift_mm + shift))

    def _carried(self, step: float) -> tuple[Floats, Floats]:
        """The same step errs alike each time: an uneven motor is uneven at the same places."""
        return self._true.carry(step, round(step) % self.true_per_turn)
