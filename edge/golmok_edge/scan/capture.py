"""`golmok-scan capture`: pictures from the scanner, or from its twin, into a dataset."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.command import Command, told_troubles
from golmok_edge.scan.progress import Progress
from golmok_edge.scan.simulate import FINISHES

if TYPE_CHECKING:
    from golmok_edge.scan.hardware import Twins
    from golmok_edge.scan.settings import Scan

WHATS: Final = ("frames", "table", "camera")
# As in golmok_drivers.scanner.world and golmok_edge.scan.hardware, which take a second to load.
FAULTS: Final = (
    "late", "lost", "unplugged", "laser-dead", "home-dead", "motor-dead", "weak-motor", "blur", "empty",
)  # fmt: skip


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder; a capture that was stopped goes on")
    parser.add_argument("--what", choices=WHATS, default="frames",
                        help="the piece; the board on the table; the board in the hand (frames)")  # fmt: skip
    parser.add_argument("--steps", type=int, default=400, metavar="N", help="stops of the table in one turn (400)")
    parser.add_argument("--exposures", type=exposures, metavar="MS,MS",
                        help="of laser pictures, the longest first; auto: what the piece needs (auto)")  # fmt: skip
    parser.add_argument("--calibration", type=Path, metavar="DATASET", help="use the calibration of that dataset")
    parser.add_argument("--check", action="store_true", help="only look at focus, exposure and lasers; take nothing")
    parser.add_argument("--force", action="store_true", help="begin although that check finds something")
    add_equipment(parser)


def add_equipment(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which scanner: the settings' or a twin."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's settings with a section [scan]")
    twins = parser.add_argument_group("twins")
    twins.add_argument("--twins", action="store_true", help="the scanner is a simulated one")
    twins.add_argument("--mesh", type=Path, metavar="FILE", help="the twins' piece: STL, PLY or OBJ, z up")
    twins.add_argument("--seed", type=int, default=1, metavar="S", help="which of the simulated rigs (1)")
    twins.add_argument("--size", type=float, default=100.0, metavar="MM", help="the piece's longest edge (100)")
    twins.add_argument("--scale", type=float, default=1.0, metavar="F", help="of the picture: 1 is 1640 x 1232 (1)")
    twins.add_argument("--finish", choices=FINISHES, default="plain", help="what the piece's surface is like")
    twins.add_argument("--fault", action="append", default=[], choices=FAULTS, help="what is wrong; again for more")
    twins.add_argument("--no-home", action="store_true", help="the turntable has no home switch")


def exposures(text: str) -> tuple[float, ...] | None:
    """What `--exposures` says, as argparse calls it."""
    return None if text == "auto" else tuple(float(part) for part in text.split(","))


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_drivers.errors import DriverError
    from golmok_edge.scan.capturing import Capture, NotReadyError, Order
    from golmok_edge.scan.hardware import opened
    from golmok_vision.scan import Dataset, ScanError

    order = Order(args.what, args.steps, args.force, args.exposures)
    settings, twins = equipment(args)
    dataset = Dataset(args.dataset)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the lasers go out on the way
    try:
        with opened(settings, twins, wire_of(args.dataset)) as scanner:
            capture = Capture(scanner, settings, dataset, order)
            if args.check:
                found = capture.check()
                return {"dataset": str(args.dataset), "verdict": "fail" if found else "pass", "troubles": found}
            if args.calibration is not None:
                borrow(Dataset(args.calibration), dataset)
            # The page shows how long the capture takes; the comma keeps the look around out of that.
            return capture.run(Progress(f"capture {args.what}"), Progress("capture, exposures"))
    except NotReadyError as error:
        return {"dataset": str(args.dataset), "error": str(error), "verdict": "fail", "troubles": error.found}
    except DriverError as error:
        raise ScanError(str(error)) from error


def equipment(args: argparse.Namespace) -> tuple[Scan, Twins | None]:
    """The section `[scan]`, and the twins where these are asked for; raises `OrderError`."""
    from golmok_edge.scan.hardware import Twins
    from golmok_edge.scan.settings import Scan
    from golmok_edge.settings import SettingsError, load
    from golmok_vision.scan import OrderError

    settings = Scan(camera="sim+camera://")
    if args.config is not None:
        try:
            found = load(args.config).applications.get("scan")
        except SettingsError as error:
            raise OrderError(str(error)) from None
        if not isinstance(found, Scan):
            raise OrderError(f"{args.config} has no section [scan]: add one, with the camera and the pins")
        settings = found
    elif not args.twins:
        raise OrderError("give --config FILE with a section [scan], or --twins for a simulated scanner")
    if not args.twins and not settings.camera.startswith("sim+"):
        return settings, None
    told = settings.camera.removeprefix("sim+camera://")
    mesh = args.mesh or (args.config.parent / told if args.config is not None and told else None)
    if mesh is None:
        raise OrderError("the twins want a piece: --mesh FILE (STL, PLY or OBJ, z up)")
    return settings, Twins(
        mesh, args.seed, args.size, args.scale, args.finish, tuple(dict.fromkeys(args.fault)), not args.no_home
    )  # fmt: skip


def wire_of(dataset: Path) -> Path:
    """Where the twins' copper is: it outlives the process, as pins and plate do."""
    return dataset / "truth" / "wire"


def borrow(lender: Any, dataset: Any) -> None:
    """The rig has not changed since it was calibrated: take that calibration, unless there is one."""
    if not dataset.calibration_file.exists():
        lender.calibration()  # it must be a whole one
        dataset.write_bytes(dataset.calibration_file, lender.calibration_file.read_bytes())


def _told(found: dict[str, Any]) -> str:
    lines = told_troubles(found["troubles"])
    if "stops" in found:
        lines.append(f"{found['dataset']}: {found['stops']} stops, {found['taken']} of them taken now")
    elif found["verdict"] == "pass":
        lines.append("focus, exposure and lasers are good")
    return "\n".join(lines)


_ABOUT: Final = """\
First the board in the hand (--what camera) and on the table (--what table), once for a rig; then each piece. Before it
begins it looks at focus, exposure, lasers and the room on the disk. Stopped or killed, the same command goes on."""

COMMAND: Final = Command("capture", "take the pictures", _arguments, _run, _told, _ABOUT)
