"""A scan on its way to the cloud: which of its files go, through which cloud, and how far they are."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from golmok_cloud_sync.client.files import FileClient
from golmok_edge.outgoing import Outgoing, Parcel, Sender
from golmok_edge.settings import Settings
from golmok_vision.scan import OrderError

MODELS: Final = ("mesh.glb", "mesh.stl")
FILES: Final = ("report.html", "report.json", *MODELS)
"""The small ones first. The STL is for printing, the GLB for looking at; the PLY says the same at twice the bytes."""
MORE: Final = ("mesh.ply", "cloud.ply")
"""What only another program wants: which surface was invented, and the points."""
FOLDER: Final = "outgoing"
_END_S: Final = 2.0


class Sending:
    """The gateway's way of sending scans."""

    def __init__(self, settings: Settings) -> None:
        """Raises `OrderError` if there is no cloud to send to."""
        cloud = settings.cloud
        if cloud is None:
            raise OrderError(f"{settings.file} has no section [cloud]: add one with the url of your cloud")
        self.outgoing = Outgoing(settings.store.path / FOLDER)
        file = cloud.token_file
        self.sender = Sender(
            self.outgoing,
            FileClient(
                cloud.url,
                settings.site.gateway,
                token=lambda: file.read_text().strip() if file is not None and file.exists() else None,
            ),
        )
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send from now on, in a thread."""
        self._thread = threading.Thread(target=self.sender.run, name="files", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sending. A request that hangs ends with the process."""
        self.sender.close()
        if self._thread is not None:
            self._thread.join(_END_S)

    def put(self, scan: Path, *, more: bool = False) -> Parcel:
        """Have what a scan has come to sent. Raises `OrderError` if it has not come to a model."""
        wanted = (*FILES, *MORE) if more else FILES
        files = [scan / name for name in wanted if (scan / name).is_file()]
        if not any(file.name in MODELS for file in files):
            raise OrderError(f"{scan} has no model to send: golmok-scan reconstruct makes one")
        parcel = self.outgoing.put(scan.resolve().name, files)
        self.sender.wake()
        return parcel

    def told(self, scans: Path) -> Mapping[str, dict[str, Any]]:
        """How each scan in the folder `scans` is that was ever sent, by its name."""
        newest = {parcel.group: parcel for parcel in self.outgoing.all()}
        return {name: self._told(parcel, scans / name) for name, parcel in newest.items()}

    def _told(self, parcel: Parcel, scan: Path) -> dict[str, Any]:
        told = self.outgoing.told(parcel)
        files = (scan / item.name for item in parcel.items)
        changed_s = max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
        return {
            "code": told.code,
            "percent": told.percent,
            "detail": told.detail,
            "changed": datetime.fromtimestamp(changed_s) > datetime.fromisoformat(parcel.asked),
        }
