"""Small scans by the twin: the frames only, and the true rig in place of a calibration."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from golmok_vision.render.objects import Solid
from golmok_vision.render.simulate import Fault, Order, Simulation
from golmok_vision.scan import Dataset
from golmok_vision.scan.cloud import Cloud
from tests.vision.scan_clouds import knobbly

Floats = npt.NDArray[np.float64]


def piece() -> Solid:
    """About 60 mm, round with knobs."""
    ball = trimesh.creation.icosphere(subdivisions=5)
    towards = np.asarray(ball.vertices, float)
    return Solid(towards * knobbly(towards)[:, None], np.asarray(ball.faces, np.int64))


def scan(folder: Path, *faults: Fault, steps: int = 24, scale: float = 0.35) -> Dataset:
    """A dataset without calibration pictures and without truth, but with `calibration.json`."""
    dataset = Dataset(folder)
    order = Order(seed=3, size_mm=60, steps=steps, faults=faults, scale=scale, color=False)
    simulation = Simulation(order, piece(), dataset)
    simulation.begin()
    for _ in simulation.draw([stop for stop in simulation.stops() if stop[0] == "frame"]):
        pass
    dataset.write_json(dataset.calibration_file, simulation.true.rig.document())
    shutil.copy(dataset.truth / "object.stl", folder / "object.stl")
    shutil.rmtree(dataset.truth)
    return dataset


def off_mm(cloud: Cloud, dataset: Dataset) -> Floats:
    """How far each point is from the true surface."""
    mesh = trimesh.load_mesh(dataset.folder / "object.stl")
    points, faces = trimesh.sample.sample_surface(mesh, 200_000, seed=1)
    _, near = cKDTree(points).query(cloud.points)
    away = cloud.points - points[near]
    off = np.abs((away * mesh.face_normals[faces[near]]).sum(1))
    length = np.linalg.norm(away, axis=1)
    return np.asarray(np.where(length < 1.5, off, length))
