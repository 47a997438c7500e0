"""From `cloud.ply` to `mesh.stl`, `mesh.ply`, `mesh.glb`: what the second half of `golmok-scan reconstruct` does.

What the first half said of the points (verdict, troubles) goes into `reconstruction.json`, so that measuring and the
report can say it too: a model of points that are not to be trusted must not look like another one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from golmok_vision.render import objects
from golmok_vision.scan.cloud import Cloud, read_cloud
from golmok_vision.scan.compare import Reference, reference_of
from golmok_vision.scan.dataset import Dataset
from golmok_vision.scan.errors import DatasetError, MeshError
from golmok_vision.scan.mesh import (
    INVENTED,
    PLATE,
    WRITERS,
    Model,
    is_closed,
    model_of,
    read_model,
    simplified,
    write_model,
)
from golmok_vision.scan.mesh.build import Progress

KINDS: Final = ("stl", "glb", "ply")
"""In the order of writing: where `mesh.ply` is, the others are."""


def load_cloud(dataset: Dataset) -> Cloud:
    """The points that reconstructing wrote; raises `DatasetError` with the remedy where there are none."""
    return read_cloud(_content(dataset.cloud_file), str(dataset.cloud_file))


def load_model(dataset: Dataset) -> Model:
    """The model that reconstructing wrote; raises `DatasetError` or `MeshError` with the remedy."""
    return read_model(_content(dataset.mesh_file("ply")), str(dataset.mesh_file("ply")))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{file} is missing: run `golmok-scan reconstruct {file.parent}`") from None


def forget_model(dataset: Dataset) -> None:
    """Take away what an earlier run made: if this one fails, nothing old is taken for its result."""
    for file in (*map(dataset.mesh_file, WRITERS), dataset.reconstruction_file):
        file.unlink(missing_ok=True)


def make_model(
    dataset: Dataset, cloud: Cloud, triangles: int | None = None, progress: Progress = lambda done, total: None
) -> Model:
    """Make the model of a cloud and write its files.

    With `triangles` it has no more than so many. Raises `MeshError` where the cloud is of no piece, `OrderError`.
    """
    model = model_of(cloud, progress)
    if triangles is not None:
        model = simplified(model, triangles)
    for kind in KINDS:
        dataset.write_bytes(dataset.mesh_file(kind), write_model(model, kind))
    return model


def figures_of(model: Model) -> dict[str, Any]:
    """What reconstructing tells of a model."""
    return {
        "triangles": len(model.faces),
        "watertight": is_closed(model.faces, len(model.vertices)),
        "volume_mm3": round(model.volume_mm3, 2),
        "invented_share": round(model.share(INVENTED), 4),
        "plate_share": round(model.share(PLATE), 4),
    }


# --- meshes of others


def load_any_model(file: Path) -> Model:
    """A mesh of ours or of others as a model; of others' all counts as measured."""
    if file.suffix.lower() == ".ply":
        try:
            return read_model(_content(file), str(file))
        except MeshError:
            pass  # it is of others
    solid = objects.load(file)
    n = len(solid.vertices)
    return Model(
        solid.vertices.astype(np.float32), solid.faces.astype(np.int32), np.full((n, 3), 160, np.uint8),
        np.zeros(n, np.uint8), np.zeros(n, np.float32),
    )  # fmt: skip


def load_reference(file: Path) -> Reference:
    """A mesh that is held to be right, in millimetres."""
    solid = objects.load(file)
    return reference_of(solid.vertices, solid.faces)


def load_truth(dataset: Dataset) -> Reference:
    """The truth of a simulated dataset; raises `DatasetError` where it has none."""
    file, visible = dataset.truth / "object.stl", dataset.truth / "visible.npy"
    if not file.exists():
        raise DatasetError(f"{dataset.folder} has no truth/object.stl, it is not simulated: give --reference")
    solid = objects.load(file)
    seen: Any = None
    if visible.exists():
        try:
            seen = np.load(visible, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DatasetError(f"{visible} is damaged ({error}): simulate again") from None
    return reference_of(solid.vertices, solid.faces, seen)
