"""Before a capture begins: is it in focus, is the exposure right, do the lasers shine? Each trouble with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from golmok_edge.scan.words import trouble
from golmok_vision.scan.dataset import Picture
from golmok_vision.scan.view import Beam, beam, burnt

_FEWEST_ROWS: Final = 0.08
"""Of the picture's height."""
_WIDEST: Final = 5.5
"""Pixels of a picture 1640 wide; 2.3 is what a lens in focus and a laser of 0.35 mm give."""
_MOST_BURNT: Final = 0.25
_DIMMEST_DN: Final = 15.0
_WANTED_DN: Final = 150.0
_MOST_ROOM: Final = 0.02


def troubles(off: Picture, lit: Sequence[Picture], laser_ms: float) -> list[dict[str, Any]]:
    """What is wrong with pictures of one stop: without laser, and with each alone."""
    found = []
    white = burnt(off)
    if white > _MOST_ROOM:
        found.append(trouble("room-bright", "bad", share=white))
    for laser, on in enumerate(lit):
        found += _of_laser(laser, beam(on, off), on.shape, laser_ms)
    return found


def _of_laser(laser: int, line: Beam, shape: tuple[int, ...], laser_ms: float) -> list[dict[str, Any]]:
    high, wide = shape[:2]
    if line.rows < _FEWEST_ROWS * high:
        return [trouble("no-line", "bad", n=laser)]
    if line.burnt > _MOST_BURNT:
        return [trouble("line-burnt", "bad", n=laser, share=line.burnt, ms=laser_ms / 3)]
    limit_px = max(_WIDEST * wide / 1640, 3.0)
    if line.width_px > limit_px:  # a wide line is a dark one too: first the focus
        return [trouble("line-wide", "bad", n=laser, px=line.width_px, limit=limit_px)]
    if line.peak_dn < _DIMMEST_DN:
        wanted_ms = laser_ms * min(_WANTED_DN / max(line.peak_dn, 1.0), 10)
        return [trouble("line-dim", "bad", n=laser, peak=line.peak_dn, ms=wanted_ms)]
    return []
