"""The chain from cloud to model, one step a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from golmok_vision.scan.cloud import Cloud, Singles
from golmok_vision.scan.mesh.closed import Faces, closed_surface, without_ghosts
from golmok_vision.scan.mesh.fitting import Fitted, fitted, is_invented, leaves_samples
from golmok_vision.scan.mesh.indicator import Grid, indicator
from golmok_vision.scan.mesh.model import INVENTED, MEASURED, PLATE, Model, require_closed
from golmok_vision.scan.mesh.samples import Samples, samples_of

Progress: TypeAlias = Callable[[int, int], None]

_STEPS = 4


def model_of(cloud: Cloud, progress: Progress = lambda done, total: None) -> Model:
    """A closed model of what the cloud's points lie on; raises `MeshError` that says why there is none."""
    progress(0, _STEPS)
    samples = samples_of(cloud)
    progress(1, _STEPS)
    grid = Grid.around(samples)
    surface = closed_surface(*indicator(samples, grid), grid)
    progress(2, _STEPS)
    gaps, nearest = samples.nearest(surface[0])
    vertices, faces, kept = without_ghosts(*surface, is_invented(gaps, samples))
    progress(3, _STEPS)
    fit = fitted(vertices, faces, nearest[kept], samples, grid.edge_mm)
    model = Model(fit.vertices, faces, _colours(fit, samples), _kinds(fit, faces, samples), fit.gaps_mm)
    progress(_STEPS, _STEPS)
    return require_closed(model)


def _kinds(fit: Fitted, faces: Faces, samples: Samples) -> npt.NDArray[np.uint8]:
    unseen = np.where(is_invented(fit.gaps_mm, samples) | leaves_samples(fit, faces, samples), INVENTED, MEASURED)
    return np.where(fit.vertices[:, 2] <= 0, PLATE, unseen).astype(np.uint8)


def _colours(fit: Fitted, samples: Samples) -> npt.NDArray[np.uint8]:
    """Of the nearest samples, the nearer the more."""
    around = samples.neighbours[fit.nearest][:, :6]
    away = np.square(samples.points[around] - fit.vertices[:, None]).sum(2)
    weight: Singles = 1 / (away + 0.05 * samples.spacing_mm**2)
    mixed = np.einsum("nk,nkc->nc", weight, samples.colours[around]) / weight.sum(1, keepdims=True)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)
