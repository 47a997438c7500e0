"""A laser's line in the picture: a sheet of light with a Gaussian profile, cut by the scene, seen by a lens.

Nothing is painted. Each pixel near the line is cut into `FINE` x `FINE` samples; each sample is a ray, met with the
surface; its light is the sheet's profile at that place, times what the surface sends back, times 0 where the laser is
shadowed. Laser light is coherent: the field at the samples gets a random phase, goes through the lens's (coherent)
blur, and is squared; the mean over a few independent fields is the speckle that the sensor sees. It carries the
physical limit of such scanners (Dorsch 1994), as adding noise to a painted line would not. Then comes what
blurs without coherence (aberrations, the sensor's own), and the mean over each pixel's area.

The work is done on tiles along the line only, all tiles stacked into one tall picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.render.raster import Floats, Pinhole, Singles
from golmok_vision.render.sensor import NormalPool
from golmok_vision.scan.rig import Plane, Pose

FINE: Final = 4
TILE: Final = 16
MARGIN: Final = 3
_SIDE: Final = TILE + 2 * MARGIN
_FLAT: Final = _SIDE * _SIDE * FINE * FINE // 8
_REACH_SIGMAS: Final = 4.5
_SAME_SURFACE: Final = 4e-3
"""Neighbours whose inverse depths differ by less, relatively, are one surface (1.2 mm at 300 mm)."""

_SHADOW_BIAS: Final = 7e-4
_SHADOW_ROWS: Final = 4096
_SHADOW_COLUMNS: Final = 24


@dataclass(frozen=True)
class Laser:
    """A line laser: where its light comes from, its sheet, and its light.

    `sigma_mm` is the profile's, across the sheet; `level_dn` what the middle of the sheet would give on white paper
    that faces it, without blur. `grain_px` is the lens's coherent blur (which sets the size of speckle), `looks` how
    many independent speckle patterns add up (0: light without coherence, no speckle).
    """

    plane: Plane
    source_mm: Floats
    sigma_mm: float = 0.15
    level_dn: float = 420.0
    grain_px: float = 0.42
    looks: int = 2

    def shadow_camera(self, target_mm: Floats, reach_mm: float) -> Pinhole:
        """A camera at the laser that sees only the sheet: thousands of rows along it, a few columns across."""
        forward = target_mm - self.source_mm
        forward = forward - self.plane.normal * (forward @ self.plane.normal)
        forward /= np.linalg.norm(forward)
        rotation = np.stack([self.plane.normal, np.cross(forward, self.plane.normal), forward])
        distance = float(np.linalg.norm(target_mm - self.source_mm))
        near = max(distance - reach_mm, 0.25 * distance)
        fx = (_SHADOW_COLUMNS / 2 - 1) * near / (_REACH_SIGMAS * self.sigma_mm * 1.3)
        fy = _SHADOW_ROWS / 2 / (1.15 * reach_mm / near)
        middle = (_SHADOW_COLUMNS - 1) / 2, (_SHADOW_ROWS - 1) / 2
        return Pinhole(
            rotation, -rotation @ self.source_mm, fx, fy, *middle, _SHADOW_COLUMNS, _SHADOW_ROWS
        )  # fmt: skip


@dataclass
class Seen:
    """What one step's scene looks like to the renderer: pictures of the ideal camera, finer than the real one's."""

    inverse_depth: Singles
    reflects: Singles
    """How much of the laser's light comes back to the camera, times the cosine at which it falls in."""

    shadow: Singles
    """The laser's own inverse depth."""


@dataclass(frozen=True)
class Rays:
    """Where the real camera's pixels look: x and y at z = 1, rows x columns."""

    x: Singles
    y: Singles


def near_sheet(
    inverse: Singles, x: Singles, y: Singles, pose: Pose, laser: Laser, slack_mm: float
) -> npt.NDArray[np.bool_]:
    """Which pixels may get some of the laser's light."""
    normal = pose.rotation @ laser.plane.normal
    offset = laser.plane.offset_mm - laser.plane.normal @ pose.centre_mm
    # distance * inverse depth, so that nothing is divided by zero where nothing is.
    scaled = (
        x * np.float32(normal[0]) + y * np.float32(normal[1]) + np.float32(normal[2]) - inverse * np.float32(offset)
    )
    return np.asarray(
        (np.abs(scaled) < inverse * np.float32(_REACH_SIGMAS * laser.sigma_mm + slack_mm)) & (inverse > 0)
    )


def tiles_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The tiles (row, column of their grid) that hold a pixel of the mask."""
    high, wide = -(-mask.shape[0] // TILE), -(-mask.shape[1] // TILE)
    rows = np.add.reduceat(mask, np.arange(0, mask.shape[0], TILE), axis=0, dtype=np.int32)
    cells = np.add.reduceat(rows, np.arange(0, mask.shape[1], TILE), axis=1)
    assert cells.shape == (high, wide)
    return np.argwhere(cells > 0)


def _upsampling() -> Singles:
    """The matrix that makes values at pixels' centres into values at samples' centres, linearly."""
    places = (np.arange(_SIDE * FINE) + 0.5) / FINE - 0.5 + 1.0
    low = np.floor(places).astype(int)
    matrix = np.zeros((_SIDE * FINE, _SIDE + 2), np.float32)
    matrix[np.arange(len(low)), low] = 1 - (places - low)
    matrix[np.arange(len(low)), low + 1] += places - low
    return matrix


_FINER: Final = _upsampling()


class LineRenderer:
    """Draws laser lines for one camera that stands still."""

    def __init__(self, rays: Rays, pose: Pose, ideal: Pinhole, blur_px: float, noise: NormalPool) -> None:
        self._shape = rays.x.shape
        around = MARGIN + 1, MARGIN + 1 + TILE
        self._x = np.pad(rays.x, (around, around), mode="reflect", reflect_type="odd")
        self._y = np.pad(rays.y, (around, around), mode="reflect", reflect_type="odd")
        self._pose = pose
        self._ideal = ideal
        self._blur = blur_px
        self._noise = noise

    def light(self, tiles: npt.NDArray[np.int64], seen: Seen, laser: Laser, shadow_camera: Pinhole,
              random: np.random.Generator) -> Singles:  # fmt: skip
        """The laser's light alone, DN, in a whole picture; 0 outside of the tiles."""
        picture = np.zeros(self._shape, np.float32)
        if not len(tiles):
            return picture
        fine = self._geometric(tiles, seen, laser, shadow_camera)
        lit = fine.reshape(len(tiles), -1).max(1) > 0.02
        tiles, fine = tiles[lit], fine[lit]
        if not len(tiles):
            return picture
        tall = fine.reshape(-1, _SIDE * FINE)
        if laser.looks:
            tall = self._speckled(tall, laser, random)
        blurred = cv2.GaussianBlur(tall, (0, 0), self._blur * FINE, borderType=cv2.BORDER_REPLICATE)
        small = cv2.resize(blurred, (_SIDE, len(tiles) * _SIDE), interpolation=cv2.INTER_AREA)
        inner = small.reshape(len(tiles), _SIDE, _SIDE)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        for (row, column), tile in zip(tiles * TILE, inner, strict=True):
            place = picture[row : row + TILE, column : column + TILE]
            place[:] = tile[: place.shape[0], : place.shape[1]]
        return picture

    def _finer(self, padded: Singles, tiles: npt.NDArray[np.int64]) -> Singles:
        patches = np.stack([padded[r : r + _SIDE + 2, c : c + _SIDE + 2] for r, c in tiles * TILE])
        return np.asarray(np.matmul(np.matmul(_FINER, patches), _FINER.T))

    def _geometric(self, tiles: npt.NDArray[np.int64], seen: Seen, laser: Laser, shadow_camera: Pinhole) -> Singles:
        """Light at each fine sample, without any blur: (tiles, side, side)."""
        x, y = self._finer(self._x, tiles), self._finer(self._y, tiles)
        shape = x.shape
        x, y = x.reshape(-1, _FLAT), y.reshape(-1, _FLAT)  # `remap` takes no picture of more than 32,767 rows
        ideal = self._ideal
        across, down = x * np.float32(ideal.fx), y * np.float32(ideal.fy)
        across += np.float32(ideal.cx)
        down += np.float32(ideal.cy)
        inverse = _surface(seen.inverse_depth, across, down)
        depth = np.reciprocal(inverse, where=inverse > 0, out=np.zeros_like(inverse))
        # The point in the laser's own frame: across the sheet, along it, away from the laser.
        turned = (shadow_camera.rotation @ self._pose.rotation.T).astype(np.float32)
        shift = (shadow_camera.rotation @ self._pose.centre_mm + shadow_camera.translation).astype(np.float32)
        off = (x * turned[0, 0] + y * turned[0, 1] + turned[0, 2]) * depth + shift[0]
        near = np.flatnonzero((np.abs(off) < np.float32(_REACH_SIGMAS * laser.sigma_mm)) & (inverse > 0))
        x, y, depth, off = (each.ravel()[near] for each in (x, y, depth, off))
        along = (x * turned[1, 0] + y * turned[1, 1] + turned[1, 2]) * depth + shift[1]
        inverse_away = 1 / ((x * turned[2, 0] + y * turned[2, 1] + turned[2, 2]) * depth + shift[2])
        light = np.exp(np.square(off) * np.float32(-0.5 / laser.sigma_mm**2))
        light *= _looked_up(seen.reflects, across.ravel()[near], down.ravel()[near])
        light *= np.float32(laser.level_dn)
        column = off * inverse_away * np.float32(shadow_camera.fx) + np.float32(shadow_camera.cx)
        row = along * inverse_away * np.float32(shadow_camera.fy) + np.float32(shadow_camera.cy)
        first = _looked_up(seen.shadow, column, row)
        light[first * np.float32(1 - _SHADOW_BIAS) > inverse_away] = 0
        whole = np.zeros(shape, np.float32)
        whole.ravel()[near] = light
        return whole

    def _speckled(self, tall: Singles, laser: Laser, random: np.random.Generator) -> Singles:
        amplitude = np.sqrt(tall)
        total = np.zeros_like(tall)
        # After the coherent blur the field keeps this share of its power; the mean light must not change.
        power = 4 * np.pi * (laser.grain_px * FINE) ** 2
        for _ in range(2 * laser.looks):
            field = amplitude * self._noise.take(tall.size, random).reshape(tall.shape)
            blurred = cv2.GaussianBlur(field, (0, 0), laser.grain_px * FINE, borderType=cv2.BORDER_REPLICATE)
            total += np.square(blurred)
        total *= np.float32(power / (2 * laser.looks))
        return total


def _looked_up(picture: Singles, across: Singles, down: Singles) -> Singles:
    """Values of a picture at places in a row, linearly between pixels; 0 outside."""
    wide = 4096  # `remap` takes no picture of more than 32,767 rows or columns
    padded = np.zeros((2, -(-len(across) // wide) * wide), np.float32)
    padded[0, : len(across)], padded[1, : len(across)] = across, down
    found = cv2.remap(picture, padded[0].reshape(-1, wide), padded[1].reshape(-1, wide), cv2.INTER_LINEAR)
    return np.asarray(found.ravel()[: len(across)])


def _surface(inverse_depth: Singles, across: Singles, down: Singles) -> Singles:
    """Inverse depth between the samples of the ideal camera: linear on a surface, the nearest one's at an edge."""
    smooth = cv2.remap(inverse_depth, across, down, cv2.INTER_LINEAR)
    nearest = cv2.remap(inverse_depth, across, down, cv2.INTER_NEAREST)
    return np.where(np.abs(smooth - nearest) < _SAME_SURFACE * nearest, smooth, nearest)
