"""`golmok-scan export`: the model once more, as another kind of file or with fewer triangles."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from golmok_edge.scan.command import Command, told_troubles

# As in golmok_vision.scan.mesh, which takes a second to load.
KINDS: Final = ("obj", "stl", "ply", "glb")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder, reconstructed")
    parser.add_argument(
        "--kind", choices=KINDS, default="obj", help="STL, PLY and OBJ are in millimetres, GLB is in metres (obj)"
    )
    parser.add_argument("--triangles", type=int, metavar="N", help="no more than N triangles")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where it goes (mesh.KIND in the dataset)")


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset, OrderError
    from golmok_vision.scan.mesh import simplified, write_model
    from golmok_vision.scan.modelling import figures_of, load_model

    dataset = Dataset(args.dataset)
    if args.out is None and args.triangles is not None and args.kind != "obj":
        raise OrderError("a smaller mesh does not take the place of the whole one: give --out FILE")
    model = load_model(dataset)
    if args.triangles is not None:
        model = simplified(model, args.triangles)
    file = args.out or dataset.mesh_file(args.kind)
    dataset.write_bytes(file, write_model(model, args.kind))
    said = dataset.read_json(dataset.reconstruction_file) if dataset.reconstruction_file.exists() else {}
    return {
        "file": str(file),
        "verdict": said.get("verdict", "pass"),
        **figures_of(model),
        "troubles": said.get("troubles", []),
    }


def _told(found: dict[str, Any]) -> str:
    return "\n".join([*told_troubles(found["troubles"]), f"{found['file']}: {found['triangles']:,} triangles"])


_ABOUT: Final = """\
Of a scan whose verdict was "fail" the file is written too, and the exit code is 1."""

COMMAND: Final = Command("export", "write the model as OBJ, STL, PLY or GLB", _arguments, _run, _told, _ABOUT)
