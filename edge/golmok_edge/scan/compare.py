"""`golmok-scan compare`: how far a model is from a mesh that is right, as figures, a coloured mesh and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.command import Command

if TYPE_CHECKING:
    from golmok_vision.scan.compare import Reference
    from golmok_vision.scan.mesh import Model

_IN_PLACE: Final = "object.stl"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="DATASET|MESH", help="a dataset's folder, or STL, PLY or OBJ in mm")
    parser.add_argument(
        "--reference", type=Path, metavar="MESH",
        help="STL, PLY or OBJ in mm; left out, the truth of a simulated dataset",
    )  # fmt: skip
    parser.add_argument(
        "--in-place", action="store_true", help="do not align: the reference is in the turntable's frame"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where deviation.ply and deviation.png go (the dataset)"
    )
    parser.add_argument("--most", type=float, metavar="MM", help="deviation that has the full colour (found)")


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset, OrderError
    from golmok_vision.scan.compare import compare
    from golmok_vision.scan.deviation import colour_range_mm, deviation_ply, deviation_png

    if args.most is not None and not args.most > 0:
        raise OrderError("--most must be more than 0 mm")
    model = _model(args.model)
    reference, in_place = _reference(args)
    found = compare(model, reference, align=not (args.in_place or in_place))
    most = args.most or colour_range_mm(found.signed_mm, model)
    folder = Dataset(args.out or (args.model if args.model.is_dir() else args.model.parent))
    files = folder.folder / "deviation.ply", folder.folder / "deviation.png"
    folder.write_bytes(files[0], deviation_ply(model, found, most))
    folder.write_bytes(files[1], deviation_png(model, found, most))
    return {
        "model": str(args.model),
        "reference": str(args.reference or args.model / "truth" / _IN_PLACE),
        **found.figures,
        "colour_range_mm": round(most, 4),
        "files": [str(file) for file in files],
    }


def _model(path: Path) -> Model:
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.modelling import load_any_model, load_model

    return load_model(Dataset(path)) if path.is_dir() else load_any_model(path)


def _reference(args: argparse.Namespace) -> tuple[Reference, bool]:
    """The reference, and whether it lies where the model does."""
    from golmok_vision.scan import Dataset, OrderError
    from golmok_vision.scan.modelling import load_reference, load_truth

    if args.reference is not None:
        return load_reference(args.reference), False
    if not args.model.is_dir():
        raise OrderError("a mesh alone has no truth to compare with: give --reference")
    return load_truth(Dataset(args.model)), True


def _told(found: dict[str, Any]) -> str:
    lines = [
        f"measured surface: {found['rms_mm']:.3f} mm RMS, 95 % within {found['p95_mm']:.3f} mm, "
        f"mean {found['mean_mm']:+.3f} mm, scale {100 * (found['scale'] - 1):+.3f} %",
    ]
    if found["volume_ratio"] is not None:
        lines.append(f"volume {100 * (found['volume_ratio'] - 1):+.2f} %, closed: {found['watertight']}")
    if "visible" in found:
        seen = found["visible"]
        lines.append(f"of what could be seen {seen['share_within_0.3_mm']:.1%} is within 0.3 mm")
    if found["aligned"] and not found["alignment_certain"]:
        lines.append("it fits in more than one way: a round piece looks the same from several sides")
    return "\n".join([*lines, *(f"wrote {file}" for file in found["files"])])


COMMAND: Final = Command("compare", "tell how far a model is from a reference", _arguments, _run, _told)
