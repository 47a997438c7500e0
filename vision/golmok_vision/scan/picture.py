"""Pictures of a model for a page: from a side, lit, in colours that say something. Drawn by OpenCV's rasteriser."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.render.raster import Pinhole
from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.mesh import INVENTED, PLATE, Model
from golmok_vision.scan.mesh.fitting import vertex_normals
from golmok_vision.scan.nearest import Floats
from golmok_vision.scan.rig import Pose

INVENTED_COLOUR: Final = (214, 76, 48)
PLATE_COLOUR: Final = (120, 130, 150)
_FINER: Final = 2
_FAR: Final = 4.0
"""From how many times its size the piece is seen: far enough that it looks as it is."""

_SEEN: Final = 16
"""Darker than this everywhere is no colour but the want of one."""

_BACKGROUND: Final = (250, 249, 246)
_LAMPS: Final = ((0.62, (0.3, -0.5, 0.8)), (0.28, (-0.7, 0.2, 0.35)))
_SKY: Final = 0.30

Colours = npt.NDArray[np.floating]


def own_colours(model: Model) -> Colours:
    """As the camera saw them, like clay where no picture in colour was taken; what is invented stands out."""
    if not len(model.colours) or int(model.colours.max()) < _SEEN:
        return plain_colours(model)
    return _marked(model, model.colours.astype(float))


def plain_colours(model: Model) -> Colours:
    """Like clay, for the shape alone; what is invented stands out."""
    return _marked(model, np.tile([188.0, 190.0, 186.0], (len(model.vertices), 1)))


def _marked(model: Model, colours: Floats) -> Colours:
    kinds = model.invented[:, None]
    marked = np.where(kinds == INVENTED, np.array(INVENTED_COLOUR, float), colours)
    return np.asarray(np.where(kinds == PLATE, np.array(PLATE_COLOUR, float), marked))


def deviation_colours(signed_mm: Floats, most_mm: float) -> Colours:
    """Blue where material lacks, white where it is right, red where there is too much."""
    share = np.clip(signed_mm / most_mm, -1, 1)[:, None]
    red, white, blue = (np.array(c, float) for c in ((200, 30, 40), (240, 240, 236), (30, 70, 200)))
    return np.asarray(np.where(share > 0, white + share * (red - white), white - share * (blue - white)))


def drawn(model: Model, colours: Colours, azimuth_deg: float, elevation_deg: float = 22.0, size: int = 480) -> Picture:
    """The model seen from a side, `size` pixels wide and high; red, green, blue of each vertex from 0 to 255."""
    low, high = model.vertices.min(0).astype(float), model.vertices.max(0).astype(float)
    middle, reach = (low + high) / 2, max(float(np.linalg.norm(high - low)), 1e-3)
    # The rasteriser sees from 5 mm to 4 m: what is drawn has one size, whatever the piece has.
    unit = 100.0 / reach
    corners = ((model.vertices - middle) * unit).astype(np.float32)
    camera = _camera(azimuth_deg, elevation_deg, size * _FINER)
    lit = colours * _light(vertex_normals(model.vertices, model.faces), camera)[:, None]
    flat = model.faces.ravel()
    values = np.ascontiguousarray(lit[flat] / 255.0, np.float32)
    inverse, picture = camera.inverse_depth_and(values, np.ascontiguousarray(corners[flat]), camera.window)
    picture = np.where((inverse > 0)[:, :, None], picture, np.array(_BACKGROUND, np.float32) / 255)
    small = cv2.resize(np.clip(picture, 0, 1), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small[:, :, ::-1] * 255), np.uint8)


def _camera(azimuth_deg: float, elevation_deg: float, size: int) -> Pinhole:
    azimuth, elevation = np.radians(azimuth_deg), np.radians(np.clip(elevation_deg, -89, 89))
    direction = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    pose = Pose.looking(100 * _FAR * direction, [0, 0, 0])
    focal = 0.94 * size * _FAR
    middle = (size - 1) / 2
    return Pinhole(pose.rotation, pose.translation_mm, focal, focal, middle, middle, size, size)


def _light(normals: npt.NDArray[np.float32], camera: Pinhole) -> Floats:
    """Lamps that go with the camera, so that no side is dark."""
    seen = normals @ (np.diag([1.0, -1.0, -1.0]) @ camera.rotation).T  # x right, y up, z to the camera
    light = np.full(len(normals), _SKY)
    for strength, (x, y, z) in _LAMPS:
        direction = np.array([x, -y, z]) / np.linalg.norm([x, y, z])
        light += strength * np.maximum(seen @ direction, 0)
    return np.asarray(np.minimum(light, 1.15))


def png(picture: Picture) -> bytes:
    """The picture as a small file."""
    _, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return np.asarray(content).tobytes()
