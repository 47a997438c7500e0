"""The scanner's twin: a camera, two line lasers, a plate that turns, and what each picture of it shows.

`TrueRig` is the truth with all its imperfections; `ScannerTwin` draws pictures of it. A picture depends on the seed and
on what is drawn, never on what was drawn before: so a simulation can stop at any time and go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import cos, radians, sin
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from golmok_vision.render.objects import Body
from golmok_vision.render.raster import Floats, Pinhole, Singles, Window
from golmok_vision.render.sensor import NormalPool, Sensor
from golmok_vision.render.sheet import TILE, Laser, LineRenderer, Rays, Seen, near_sheet, tiles_of
from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.rig import Lens, Plane, Pose, Rig, Turntable, turn

WIDTH: Final = 1640
HEIGHT: Final = 1232
_FINER: Final = 2  # samples of the ideal camera per pixel of the real one, each way
PLATE_RADIUS_MM: Final = 125.0
_PLATE_MM: Final = -0.03  # a little below z = 0, so that the wobbling piece is never cut by it
_WALL_MM: Final = -260.0
_AMBIENT_DN: Final = 60.0
_COLOR_DN: Final = 260.0
_MOST: Final = (1.5 * _AMBIENT_DN, 2.0, 2.0)
"""OpenCV's rasteriser cuts values off at 1: the most that ambient light and reflected laser light can be."""

_LAMPS: Final = ((0.45, (0.55, 0.35, 0.75)), (0.25, (0.5, -0.6, 0.3)))
_SKY: Final = 0.30


@dataclass(frozen=True)
class Wobble:
    """How a real turntable turns: its plate leans, its axis nods once a turn, its steps are uneven."""

    lean_deg: float = 0.03
    lean_towards_deg: float = 0.0
    nod_deg: float = 0.004
    runout_mm: float = 0.005
    eccentric_deg: float = 0.01
    step_deg: float = 0.005


@dataclass(frozen=True)
class TrueRig:
    """What is so, and no calibration knows. `steps_per_turn` may differ from what the owner believes."""

    rig: Rig
    lasers: tuple[Laser, ...]
    wobble: Wobble = Wobble()
    sensor: Sensor = field(default_factory=Sensor)
    blur_px: float = 0.6
    seed: int = 0

    @classmethod
    def standard(cls, seed: int, scale: float = 1.0, lasers: int = 2) -> TrueRig:
        """The rig of the documentation, each copy of it a little different: 300 mm away, lasers 35 degrees aside.

        `scale` below 1 is the same with a smaller picture, for tests; with one of `lasers` it is the first.
        """
        random = np.random.Generator(np.random.SFC64([seed, 1]))
        focal = 1365.0 * scale * (1 + 0.01 * random.normal())
        width, height = round(WIDTH * scale), round(HEIGHT * scale)
        lens = Lens(
            width,
            height,
            focal,
            focal * (1 + 0.0005 * random.normal()),
            (width - 1) / 2 + 8 * scale * random.normal(),
            (height - 1) / 2 + 8 * scale * random.normal(),
            (
                -0.08 + 0.01 * random.normal(),
                0.05 + 0.01 * random.normal(),
                5e-4 * random.normal(),
                5e-4 * random.normal(),
                0.0,
            ),
        )
        centre = np.array([300.0 + 3 * random.normal(), 0.0, 140.0 + 3 * random.normal()])
        pose = Pose.looking(centre, [0, random.normal(), 42 + random.normal()], 0.7 * random.normal())
        both = tuple(_laser(side, random) for side in (35.0, -35.0))
        made = both[:lasers]
        table = Turntable(3200.0)
        wobble = Wobble(lean_towards_deg=float(random.uniform(0, 360)))
        return cls(Rig(lens, pose, tuple(laser.plane for laser in made), table), made, wobble, seed=seed)

    def carry(self, step: float, nth: int) -> tuple[Floats, Floats]:
        """Rotation and shift of what lies on the plate at this step of the motor, from where it lay at step 0.

        `nth` numbers the stops: each has its own small error of the step.
        """
        angle = self.rig.turntable.angle_deg(step)
        if step == 0:
            return np.eye(3), np.zeros(3)
        dice = np.random.Generator(np.random.SFC64([self.seed, 2, nth]))
        w = self.wobble
        angle += w.eccentric_deg * sin(radians(angle)) + w.step_deg * dice.normal()
        nod = radians(w.nod_deg) * sin(radians(angle))
        tilt, _ = cv2.Rodrigues(np.array([nod, 0.0, 0.0]))
        shift = w.runout_mm * np.array([cos(radians(2 * angle)) - 1, sin(radians(2 * angle)), 0.0])
        return np.asarray(tilt, float) @ turn(angle), shift

    def leaning(self) -> Floats:
        """How the plate leans to the axis at step 0: a rotation."""
        aside = turn(self.wobble.lean_towards_deg) @ [1.0, 0.0, 0.0]
        rotation, _ = cv2.Rodrigues(aside * radians(self.wobble.lean_deg))
        return np.asarray(rotation, float)

    def document(self) -> dict[str, Any]:
        """`truth/rig.json`: the rig, and what no calibration can know."""
        w = self.wobble
        return {
            **self.rig.document(),
            "seed": self.seed,
            "blur_px": self.blur_px,
            "laser_light": [
                {"source_mm": each.source_mm.tolist(), "sigma_mm": each.sigma_mm, "looks": each.looks}
                for each in self.lasers
            ],
            "wobble": {"lean_deg": w.lean_deg, "nod_deg": w.nod_deg, "runout_mm": w.runout_mm,
                       "eccentric_deg": w.eccentric_deg, "step_deg": w.step_deg},
        }  # fmt: skip


def _laser(azimuth_deg: float, random: np.random.Generator) -> Laser:
    """A sheet that stands nearly upright and passes close to the axis."""
    azimuth = radians(azimuth_deg + random.normal())
    source = np.array([300 * cos(azimuth), 300 * sin(azimuth), 130 + 5 * random.normal()])
    inward = np.array([-cos(azimuth), -sin(azimuth), 0.0])
    upright = np.array([0.0, 0.0, 1.0]) + radians(1.0) * random.normal() * np.array([-inward[1], inward[0], 0.0])
    normal = np.cross(inward, upright)
    normal /= np.linalg.norm(normal)
    through = source - 300 * inward  # the axis
    aside = float(random.normal())
    source = source + aside * normal
    return Laser(Plane(normal, float(normal @ through) + aside), source)


@dataclass(frozen=True)
class Print:
    """A picture on a plane: `origin_mm` is the middle of texel (0, 0), `right` and `down` lead over one texel."""

    texture: Singles
    origin_mm: Floats
    right_mm: Floats
    down_mm: Floats

    def moved(self, rotation: Floats, shift: Floats) -> Print:
        """The same elsewhere."""
        return Print(self.texture, rotation @ self.origin_mm + shift, rotation @ self.right_mm, rotation @ self.down_mm)


@dataclass(frozen=True)
class Scene:
    """What stands on the plate, at step 0: bodies, and at most one of them printed on."""

    body: Body | None = None
    printed: Print | None = None

    def moved(self, rotation: Floats, shift: Floats) -> Scene:
        """The same after a turn."""
        body = self.body
        if body is not None:
            single = rotation.T.astype(np.float32)
            body = replace(
                body, corners=body.corners @ single + shift.astype(np.float32), normals=body.normals @ single
            )
        return Scene(body, self.printed and self.printed.moved(rotation, shift))


@dataclass
class Shot:
    """One stop of the table, drawn without lasers: the ground for all its pictures."""

    inverse_depth: Singles
    reflects: Sequence[Singles]
    shadows: Sequence[Singles]
    shadow_cameras: Sequence[Pinhole]
    tiles: Sequence[npt.NDArray[np.int64]]
    ambient: Singles
    color: Singles | None = field(default=None)


class ScannerTwin:
    """Draws pictures of scenes. One for each thread: it keeps large buffers."""

    def __init__(self, true: TrueRig, noise: NormalPool, *, surroundings: bool = True) -> None:
        self.true = true
        self._noise = noise
        lens, self._pose = true.rig.lens, true.rig.pose
        columns, rows = np.meshgrid(np.arange(lens.width, dtype=float), np.arange(lens.height, dtype=float))
        flat = lens.rays(np.column_stack([columns.ravel(), rows.ravel()])).astype(np.float32)
        self._rays = Rays(flat[:, 0].reshape(rows.shape).copy(), flat[:, 1].reshape(rows.shape).copy())
        self._ideal = _ideal(lens, self._pose, self._rays)
        self._across = self._rays.x * np.float32(self._ideal.fx) + np.float32(self._ideal.cx)
        self._down = self._rays.y * np.float32(self._ideal.fy) + np.float32(self._ideal.cy)
        # The part of the blur that the mean over a pixel's area has is 1/12 of a pixel's variance.
        self._sigma = _FINER * float(np.sqrt(true.blur_px**2 + 1 / 12))
        self._lines = LineRenderer(self._rays, self._pose, self._ideal, true.blur_px, noise)
        size = self._ideal.height, self._ideal.width
        self._inverse = np.zeros(size, np.float32)
        self._planes = [np.zeros(size, np.float32) for _ in range(3)]
        if surroundings:
            body = _surroundings()
            self._inverse, values = self._ideal.inverse_depth_and(
                self._values_of(body), body.corners, self._ideal.window
            )
            self._planes = [values[:, :, i] * np.float32(_MOST[i]) for i in range(3)]
        self._still_inverse = self._inverse.copy()
        self._still_planes = [plane.copy() for plane in self._planes]
        self._still_ambient = self._seen_through_lens(self._planes[0], self._whole())
        self._still_tiles = [self._tiles(laser, self._whole()) for laser in true.lasers]
        self._dirty: Window | None = None

    # --- one stop of the table

    def shot(self, scene: Scene, *, color: bool = False) -> Shot:
        """The scene (already where it is) without lasers, and what is needed to add them."""
        self._clean()
        body = scene.body
        window = self._ideal.window_of(body.corners, 8) if body is not None else Window(0, 0, 0, 0)
        tint: Singles | None = None
        if body is not None and window.width and window.height:
            inverse, shaded = self._ideal.inverse_depth_and(self._values_of(body), body.corners, window)
            paper = None if scene.printed is None else self._print_in(scene.printed, window)
            nearer = inverse > self._inverse[window.slices]
            self._dirty = window
            np.copyto(self._inverse[window.slices], inverse, where=nearer)
            for i, plane in enumerate(self._planes):
                value = shaded[:, :, i] * np.float32(_MOST[i])
                np.copyto(plane[window.slices], value if paper is None else value * paper, where=nearer)
            if color:
                tint = self._tint(body, window, nearer)
        ambient = self._still_ambient.copy()
        region = self._pixels_of(window)
        if region.width and region.height:
            ambient[region.slices] = self._seen_through_lens(self._planes[0], region)
        cameras = [self._shadow_camera(laser, body) for laser in self.true.lasers]
        shadows = [
            camera.inverse_depth(body.corners) if body is not None else np.zeros((2, 2), np.float32)
            for camera in cameras
        ]
        tiles = [
            _joined(still, self._tiles(laser, region), region)
            for still, laser in zip(self._still_tiles, self.true.lasers, strict=True)
        ]
        shot = Shot(self._inverse, self._planes[1:], shadows, cameras, tiles, ambient)
        if color:
            shot.color = self._colored(ambient, tint, region)
        return shot

    def off(self, shot: Shot, random: np.random.Generator, brighter: float = 1.0) -> Picture:
        """The picture with the lasers off, exposed so much longer."""
        return self.true.sensor.picture(shot.ambient * np.float32(brighter), self._noise, random)

    def lit(self, shot: Shot, laser: int, random: np.random.Generator) -> Picture:
        """The picture with one laser on. Only of the last shot: the next one draws over its buffers."""
        return self.lit_by(shot, self.line(shot, laser, random), random)

    def lit_by(self, shot: Shot, line: Singles, random: np.random.Generator, brighter: float = 1.0) -> Picture:
        """The picture with this light of a laser, exposed so much longer."""
        return self.true.sensor.picture((shot.ambient + line) * np.float32(brighter), self._noise, random)

    def line(self, shot: Shot, laser: int, random: np.random.Generator) -> Singles:
        """One laser's light alone, before noise; the same dice give the same speckle."""
        seen = Seen(shot.inverse_depth, shot.reflects[laser], shot.shadows[laser])
        return self._lines.light(shot.tiles[laser], seen, self.true.lasers[laser], shot.shadow_cameras[laser], random)

    def crossings(self, shot: Shot, laser: int) -> Floats:
        """The truth of a line: pixels (n, 2) where the middle of the sheet lies on a surface that is lit and seen."""
        light, camera = self.true.lasers[laser], shot.shadow_cameras[laser]
        smooth = cv2.remap(shot.inverse_depth, self._across, self._down, cv2.INTER_LINEAR)
        nearest = cv2.remap(shot.inverse_depth, self._across, self._down, cv2.INTER_NEAREST)
        whole = np.where(np.abs(smooth - nearest) < 2e-3 * nearest, smooth, np.nan).astype(float)
        normal = self._pose.rotation @ light.plane.normal
        offset = light.plane.offset_mm - light.plane.normal @ self._pose.centre_mm
        x, y = self._rays.x.astype(float), self._rays.y.astype(float)
        off = x * normal[0] + y * normal[1] + normal[2] - whole * offset
        rows, columns = np.nonzero((off[:, :-1] * off[:, 1:] <= 0) & (off[:, :-1] != off[:, 1:]))
        before, after = off[rows, columns], off[rows, columns + 1]
        share = before / (before - after)
        one, other = whole[rows, columns], whole[rows, columns + 1]
        pixels = np.column_stack([columns + share, rows])
        rays = np.column_stack([self.true.rig.lens.rays(pixels), np.ones(len(pixels))])
        depth = 1 / (one + share * (other - one))
        points = self._pose.into_rig(rays * depth[:, None])
        places = np.rint(camera.project(points)).astype(int)
        inside = (places >= 0).all(1) & (places < [camera.width, camera.height]).all(1)
        places = np.clip(places, 0, [camera.width - 1, camera.height - 1])
        shadow = shot.shadows[laser]
        first = np.where(inside, shadow[places[:, 1] % len(shadow), places[:, 0] % shadow.shape[1]], 0.0)
        away = points @ camera.rotation[2] + camera.translation[2]
        # Depths that do not follow each other: an edge lies between the two pixels.
        same = np.abs(one - other) < 0.02 * one
        return np.asarray(pixels[same & (1 / away >= first * (1 - 1e-3))])

    def colored(self, shot: Shot, random: np.random.Generator) -> Picture:
        """The picture in colour, under white light."""
        assert shot.color is not None
        return self.true.sensor.picture(shot.color, self._noise, random)

    # --- parts

    def _whole(self) -> Window:
        return Window(0, 0, self.true.rig.lens.width, self.true.rig.lens.height)

    def _clean(self) -> None:
        """Take the last scene out of the buffers."""
        if self._dirty is not None:
            place = self._dirty.slices
            self._inverse[place] = self._still_inverse[place]
            for plane, still in zip(self._planes, self._still_planes, strict=True):
                plane[place] = still[place]
            self._dirty = None

    def _values_of(self, body: Body) -> Singles:
        """For each corner: the ambient light that it sends back, and what it would of each laser's."""
        centre = self._pose.centre_mm.astype(np.float32)
        to_camera = _unit(centre - body.corners)
        normals = np.where((np.einsum("ij,ij->i", body.normals, to_camera) < 0)[:, None], -body.normals, body.normals)
        grey = body.colors @ np.array([0.30, 0.59, 0.11], np.float32)
        values = np.zeros((len(normals), 3), np.float32)
        values[:, 0] = grey * _lamps(normals)
        for i, laser in enumerate(self.true.lasers):
            to_laser = _unit(laser.source_mm.astype(np.float32) - body.corners)
            cosine = np.einsum("ij,ij->i", normals, to_laser)
            values[:, 1 + i] = grey * np.maximum(cosine, 0)
            if body.gloss:
                half = _unit(to_laser + to_camera)
                mirrored = np.maximum(np.einsum("ij,ij->i", normals, half), 0) ** body.sharpness
                values[:, 1 + i] += np.where(cosine > 0, body.gloss * mirrored, 0)
        values[:, 0] *= _AMBIENT_DN
        return np.asarray(values / np.array(_MOST, np.float32))

    def _tint(self, body: Body, window: Window, nearer: npt.NDArray[np.bool_]) -> Singles:
        """Colours of the window's samples, relative to grey."""
        if (body.colors == body.colors[0]).all():  # of one colour all over: a fifth of a stop's time is saved
            painted = np.broadcast_to(body.colors[0], (window.height, window.width, 3)).copy()
        else:
            _, painted = self._ideal.inverse_depth_and(body.colors, body.corners, window)
        grey = painted @ np.array([0.30, 0.59, 0.11], np.float32)
        painted /= np.maximum(grey, 1e-3)[:, :, None]
        painted[~nearer] = 1.0
        return painted

    def _colored(self, ambient: Singles, tint: Singles | None, region: Window) -> Singles:
        """Blue, green, red."""
        picture = np.repeat((ambient * np.float32(_COLOR_DN / _AMBIENT_DN))[:, :, None], 3, axis=2)
        if tint is not None and self._dirty is not None:
            place = self._dirty
            whole = np.ones((self._ideal.height, self._ideal.width), np.float32)
            for channel, kind in enumerate((2, 1, 0)):
                whole[place.slices] = tint[:, :, kind]
                picture[:, :, channel][region.slices] *= self._seen_through_lens(whole, region)
        return picture

    def _print_in(self, printed: Print, window: Window) -> Singles:
        """The printed picture as the ideal camera sees it in the window."""
        ideal, pose = self._ideal, self._pose
        origin, right, down = (
            pose.rotation @ v for v in (printed.origin_mm - pose.centre_mm, printed.right_mm, printed.down_mm)
        )
        to_texel = np.linalg.inv(np.stack([right, down, origin], axis=1))
        to_ray = np.array([
            [1 / ideal.fx, 0.0, (window.left - ideal.cx) / ideal.fx],
            [0.0, 1 / ideal.fy, (window.top - ideal.cy) / ideal.fy],
            [0.0, 0.0, 1.0],
        ])  # fmt: skip
        texture = printed.texture
        return np.asarray(cv2.warpPerspective(
            texture, to_texel @ to_ray, (window.width, window.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        ), np.float32)  # fmt: skip

    def _pixels_of(self, window: Window) -> Window:
        """Which of the real camera's pixels may show something of the ideal camera's window."""
        if not window.width or not window.height:
            return Window(0, 0, 0, 0)
        reach = 4 * self._sigma
        inside = (self._across > window.left - reach) & (self._across < window.left + window.width + reach)
        inside &= (self._down > window.top - reach) & (self._down < window.top + window.height + reach)
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
        return Window(left, top, width, height)

    def _seen_through_lens(self, fine: Singles, region: Window) -> Singles:
        """A picture of the ideal camera, blurred, bent by the lens, in pixels of the real one; of `region`."""
        across, down = self._across[region.slices], self._down[region.slices]
        margin = int(5 * self._sigma) + 2
        left, top = max(int(across.min()) - margin, 0), max(int(down.min()) - margin, 0)
        right, bottom = int(across.max()) + margin, int(down.max()) + margin
        blurred = cv2.GaussianBlur(np.ascontiguousarray(fine[top:bottom, left:right]), (0, 0), self._sigma)
        places = across - np.float32(left), down - np.float32(top)
        return np.asarray(cv2.remap(blurred, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)

    def _tiles(self, laser: Laser, region: Window) -> npt.NDArray[np.int64]:
        """Tiles of the whole picture that the laser may touch in `region`."""
        mask = np.zeros(self._rays.x.shape, bool)
        if region.width and region.height:
            place = region.slices
            places = self._across[place], self._down[place]
            inverse = np.asarray(cv2.remap(self._inverse, *places, cv2.INTER_NEAREST), np.float32)
            mask[place] = near_sheet(inverse, self._rays.x[place], self._rays.y[place], self._pose, laser, 1.0)
        return tiles_of(mask)

    def _shadow_camera(self, laser: Laser, body: Body | None) -> Pinhole:
        if body is None:
            return laser.shadow_camera(np.array([0.0, 0.0, 40.0]), 100.0)
        low, high = body.corners.min(0), body.corners.max(0)
        return laser.shadow_camera((low + high) / 2.0, float(np.linalg.norm(high - low)) / 2 + 2.0)


def _ideal(lens: Lens, pose: Pose, rays: Rays) -> Pinhole:
    """A camera without distortion that sees all that the real one sees, in finer samples."""
    fx, fy = lens.fx_px * _FINER, lens.fy_px * _FINER
    left, right, top, bottom = rays.x.min() * fx, rays.x.max() * fx, rays.y.min() * fy, rays.y.max() * fy
    margin = 12
    return Pinhole(pose.rotation, pose.translation_mm, fx, fy, float(margin - left), float(margin - top),
                   int(right - left) + 2 * margin, int(bottom - top) + 2 * margin)  # fmt: skip


def _joined(still: npt.NDArray[np.int64], moving: npt.NDArray[np.int64], region: Window) -> npt.NDArray[np.int64]:
    """The surroundings' tiles outside of `region`, and the tiles inside, where the piece may hide what was there."""
    first = -(-np.array([region.top, region.left]) // TILE)
    last = np.array([region.top + region.height, region.left + region.width]) // TILE
    outside = ((still < first) | (still >= last)).any(1)
    return np.unique(np.concatenate([still[outside], moving]), axis=0)


def _unit(vectors: Singles) -> Singles:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return np.asarray(vectors / np.maximum(lengths, 1e-12)[:, None])


def _lamps(normals: Singles) -> Singles:
    """The light of a room that falls on surfaces of these normals."""
    light = np.full(len(normals), _SKY, np.float32)
    for strength, towards in _LAMPS:
        direction = np.array(towards, np.float32)
        light += np.float32(strength) * np.maximum(normals @ (direction / np.linalg.norm(direction)), 0)
    return light


def _surroundings() -> Body:
    """The plate, matt and dark, and a wall behind."""
    around = np.radians(np.arange(0, 361, 5.0))
    rim = np.column_stack([np.cos(around), np.sin(around)]) * PLATE_RADIUS_MM
    plate = [
        [(0, 0, _PLATE_MM), (*a, _PLATE_MM), (*b, _PLATE_MM)] for a, b in pairwise(rim)
    ]  # fmt: skip
    w, far = 700.0, _WALL_MM
    wall = [[(far, -w, -w), (far, w, -w), (far, w, w)], [(far, -w, -w), (far, w, w), (far, -w, w)]]
    corners = np.array(plate + wall, np.float32).reshape(-1, 3)
    normals = np.array([(0, 0, 1)] * (3 * len(plate)) + [(1, 0, 0)] * 6, np.float32)
    colors = np.array([(0.08,) * 3] * (3 * len(plate)) + [(0.15, 0.16, 0.18)] * 6, np.float32)
    return Body(corners, normals, colors)
