"""The calibration board of the twin: printed, held in the hand, laid on the plate, stood on the plate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2
from typing import Final

import cv2
import numpy as np

from golmok_vision.render.objects import Body
from golmok_vision.render.raster import Floats
from golmok_vision.render.scanner import Print, Scene
from golmok_vision.scan.dataset import Board, Steps
from golmok_vision.scan.rig import Pose, turn

_TEXELS: Final = 8  # per millimetre
_MARGIN_MM: Final = 6.0
_INK, _PAPER = 0.04, 0.85


@dataclass(frozen=True)
class Placed:
    """Where a board is: points of the board's frame (x along its squares, y down, as printed) go into the rig's."""

    rotation: Floats
    shift_mm: Floats


def printed(board: Board, place: Placed) -> Scene:
    """The board as a scene."""
    texels = round(board.square_mm * _TEXELS)
    per_mm = texels / board.square_mm
    margin = round(_MARGIN_MM * per_mm)
    wide, high = board.squares_x * texels + 2 * margin, board.squares_y * texels + 2 * margin
    drawn = board.opencv().generateImage((wide, high), marginSize=margin)
    texture = np.where(np.asarray(drawn) > 127, _PAPER, _INK).astype(np.float32)

    def at(column: float, row: float) -> Floats:
        flat = (np.array([column, row, 0.0]) - [margin - 0.5, margin - 0.5, 0]) / per_mm
        return np.asarray(place.rotation @ flat + place.shift_mm)

    a, b, c, d = at(-0.5, -0.5), at(wide - 0.5, -0.5), at(wide - 0.5, high - 0.5), at(-0.5, high - 0.5)
    corners = np.array([a, b, c, a, c, d], np.float32)
    facing = -place.rotation[:, 2]  # z of the board's frame leads into the paper
    body = Body(corners, np.tile(facing, (6, 1)).astype(np.float32), np.ones((6, 3), np.float32))
    return Scene(body, Print(texture, at(0, 0), at(1, 0) - at(0, 0), at(0, 1) - at(0, 0)))


def in_hand(board: Board, pose: Pose, random: np.random.Generator, nth: int, count: int) -> Placed:
    """The board before the camera: all over the picture, near and far, tilted in all directions."""
    middle = np.array([board.squares_x, board.squares_y, 0]) * board.square_mm / 2
    size = float(np.linalg.norm(middle[:2])) * 2
    away = size * random.uniform(1.15, 1.7)
    spread = np.array([[0, 0], [-1, -1], [1, -1], [1, 1], [-1, 1], [0, -1], [0, 1], [-1, 0], [1, 0]])[nth % 9]
    centre = np.array([0.28 * spread[0], 0.19 * spread[1], 1.0]) * away
    towards = 2 * np.pi * (nth / count * 3 + random.uniform(0, 0.1))
    tilt = random.uniform(0.25, 0.75) * np.array([np.cos(towards), np.sin(towards), 0.0])
    rotation = np.asarray(cv2.Rodrigues(tilt)[0], float) @ turn(random.normal() * 12)
    return Placed(pose.rotation.T @ rotation, pose.into_rig((centre - rotation @ middle)[None])[0])


LYING, UPRIGHT, LEANING = 0, 1, 2
"""The placements on the table."""


def on_table(board: Board, placement: int, leaning: Floats, camera_mm: Floats) -> Placed:
    """The board on the plate, at step 0 of the motor (whatever else it is turned to when a picture is taken)."""
    middle = np.array([board.squares_x, board.squares_y, 0]) * board.square_mm / 2
    if placement == LYING:
        rotation = turn(100.0) @ np.diag([1.0, -1.0, -1.0])  # the board's z leads down, into the plate
        centre = np.array([4.0, -6.0, board.thickness_mm])
    else:
        # Facing the camera, its lower edge on the plate, leaning back.
        back = {UPRIGHT: 14.0, LEANING: 32.0}[placement]
        facing = np.degrees(atan2(camera_mm[1], camera_mm[0]))
        upright = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
        lean = np.asarray(cv2.Rodrigues(np.array([0.0, -np.radians(back), 0.0]))[0], float)
        rotation = turn(facing) @ lean @ upright
        half = middle[1] * np.cos(np.radians(back))
        centre = np.array([{UPRIGHT: 6.0, LEANING: -12.0}[placement], 3.0, half + 4.0])
    centre = np.asarray(leaning @ centre)
    rotation = leaning @ rotation
    return Placed(rotation, centre - rotation @ middle)


def table_steps(per_turn: int, turns: tuple[int, int, int] = (18, 17, 13)) -> Steps:
    """The motor's steps of the table pictures: all around lying, to both sides standing."""
    lying, upright, leaning = turns
    table = [round(per_turn * k / lying) for k in range(lying)]
    for count, reach in ((upright, 48.0), (leaning, 42.0)):
        sides = np.linspace(-reach, reach, count)
        table += [per_turn + round(per_turn * float(side) / 360) for side in sides]
    placement = (LYING,) * lying + (UPRIGHT,) * upright + (LEANING,) * leaning
    return replace(Steps(), nominal_per_turn=per_turn, table=tuple(table), placement=placement, lying=(LYING,))
