"""Looking through the camera while nothing is captured: opened when somebody looks, given back when nobody does.

Pictures go to whoever asked and nowhere else: none is kept, none is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from golmok_edge.scan.eye import Eye
from golmok_edge.scan.hardware import Scanner
from golmok_edge.scan.plan import Light
from golmok_edge.scan.settings import Scan
from golmok_vision.scan.view import beam, burnt, jpeg, marked, sharpness

IDLE_S: Final = 6.0


class Look(NamedTuple):
    """A picture for a browser, and what is to be known of it."""

    jpeg: bytes
    figures: dict[str, Any]


class Live:
    """The camera's owner while somebody looks; everything happens in one thread of its own."""

    def __init__(self, settings: Scan, opened: Callable[[], AbstractContextManager[Scanner]]) -> None:
        self._settings = settings
        self._open = opened
        self._thread = ThreadPoolExecutor(1, "live")
        self._held: tuple[AbstractContextManager[Scanner], Eye] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def look(self, light: Light) -> Look:
        """What the camera sees in that light; raises `DriverError`, `ScanError`, `OSError`."""
        loop = asyncio.get_running_loop()
        if self._idle is not None:
            self._idle.cancel()
        try:
            return await loop.run_in_executor(self._thread, self._look, light)
        finally:
            self._idle = loop.call_later(IDLE_S, lambda: self._thread.submit(self._let_go))

    async def close(self) -> None:
        """Let go of the camera, for a capture or for good; it may be looked through again afterwards."""
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)

    def _look(self, light: Light) -> Look:
        try:
            return self._looked(self._eye(), light)
        except BaseException:
            self._let_go()
            raise

    def _eye(self) -> Eye:
        if self._held is None:
            manager = self._open()
            self._held = manager, Eye(manager.__enter__(), self._settings)
        return self._held[1]

    def _looked(self, eye: Eye, light: Light) -> Look:
        picture = eye.picture(light)
        gray = picture if picture.ndim == 2 else picture[:, :, 1]
        figures: dict[str, Any] = {"sharpness": round(sharpness(gray), 3), "burnt": round(burnt(gray), 5)}
        if light in ("l0", "l1"):
            line = beam(picture, eye.picture("off"))
            figures["line"] = {
                "rows": line.rows, "width_px": round(line.width_px, 2), "peak": round(line.peak_dn),
                "burnt": round(line.burnt, 3),
            }  # fmt: skip
        return Look(jpeg(marked(picture)), figures)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held[0].__exit__(None, None, None)
