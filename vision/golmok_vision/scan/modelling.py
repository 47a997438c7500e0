"""From `cloud.ply` to `mesh.stl`, `mesh.ply`, `mesh.glb`: what the second half of `golmok-scan reconstruct` does.

What the first half said of the points (verdict, troubles) goes into `reconstruction.json`, so that measuring and the
report can say it too: a model of points that are not to be trusted must not look like another one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from golmok_vision.scan.cloud import Cloud, read_cloud
from golmok_vision.scan.dataset import Dataset
from golmok_vision.scan.errors import DatasetError
from golmok_vision.scan.mesh import INVENTED, PLATE, Model, is_closed, model_of, read_model, simplified, write_model
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


def make_model(
    dataset: Dataset, cloud: Cloud, triangles: int | None = None, progress: Progress = lambda done, total: None
) -> Model:
    """Make the model of a cloud and write its files; an older one is taken away first.

    With `triangles` it has no more than so many. Raises `MeshError` where the cloud is of no piece, `OrderError`.
    """
    for kind in KINDS:
        dataset.mesh_file(kind).unlink(missing_ok=True)
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
