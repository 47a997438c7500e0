"""`golmok-scan send`: what a scan has come to goes to the cloud; without a scan, whatever still waits."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.command import Command
from golmok_edge.scan.progress import Progress
from golmok_edge.settings.language import language_of

if TYPE_CHECKING:
    from golmok_edge.outgoing import Outgoing, Parcel

_LOOKS_S: Final = 0.3


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, nargs="?", metavar="DATASET", help="the folder, reconstructed")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE",
                        help="the gateway's settings: the section [cloud] says where to")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="mesh.ply and cloud.ply as well")
    parser.add_argument("--wait", type=float, metavar="S",
                        help="wait no longer than S seconds; 0: leave it to the scan page")  # fmt: skip


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_edge.scan.sending import Sending
    from golmok_edge.settings import SettingsError, load
    from golmok_vision.scan import OrderError

    try:
        sending = Sending(load(args.config))
    except SettingsError as error:
        raise OrderError(str(error)) from None
    outgoing = sending.outgoing
    parcels = outgoing.waiting() if args.dataset is None else [sending.put(args.dataset, more=args.all)]
    if parcels and args.wait != 0:
        sending.start()
        _wait(outgoing, parcels, float("inf") if args.wait is None else args.wait)
        sending.close()
    documents = [_document(outgoing, outgoing.parcel(parcel.key) or parcel) for parcel in parcels]
    is_sent = all(one["state"] == "sent" for one in documents)
    return {"verdict": "pass" if is_sent or args.wait == 0 else "fail", "parcels": documents}


def _wait(outgoing: Outgoing, parcels: Sequence[Parcel], most_s: float) -> None:
    """Until nothing of them waits any more, whoever sends it."""
    progress, until_s = Progress("send"), time.monotonic() + most_s
    total = sum(item.size for parcel in parcels for item in parcel.items)
    while time.monotonic() < until_s:
        now = [outgoing.parcel(parcel.key) or parcel for parcel in parcels]
        progress(sum(outgoing.told(parcel).done for parcel in now), total)
        if not any(parcel.waits for parcel in now):
            return
        time.sleep(_LOOKS_S)


def _document(outgoing: Outgoing, parcel: Parcel) -> dict[str, Any]:
    told = outgoing.told(parcel)
    return {
        "scan": parcel.group,
        "state": told.code,
        "percent": told.percent,
        "detail": told.detail,
        "files": [{"name": item.name, "size": item.size, "sha256": item.sha256, "sent": item.sent}
                  for item in parcel.items],
    }  # fmt: skip


def _told(found: dict[str, Any]) -> str:
    from golmok_edge.outgoing import say

    language = language_of()
    lines = [f"{one['scan']}: {say(one['state'], language)}{_more(one)}" for one in found["parcels"]]
    nothing = "보낼 것이 없습니다" if language == "ko" else "nothing waits to be sent"
    return "\n".join(lines) or nothing


def _more(one: dict[str, Any]) -> str:
    share = "" if one["state"] == "sent" else f" ({one['percent']} %)"
    return f"{share} {one['detail']}".rstrip()


_ABOUT: Final = """\
Sends report.html, report.json, mesh.glb and mesh.stl as they are now, and waits until the cloud has them whole. Stopped
or killed, it is gone on with by the scan page, or by this command without a DATASET, from where the cloud has them."""

COMMAND: Final = Command("send", "send a scan's model and report to the cloud", _arguments, _run, _told, _ABOUT)
