"""Holes in a channel, and whether lines of the gap ledger cover them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .oracle import Case

SLACK_S: Final = 1.0
"""A line may begin and end so much beside the readings around the hole."""


def holes(moments: Sequence[float], limit_s: float, began: float, ended: float) -> Iterator[tuple[float, float]]:
    """Where nothing was for longer than `limit_s`, also before the first and after the last."""
    for begin, end in pairwise([began, *moments, ended]):
        if end - begin > limit_s:
            yield begin, end


def covered(case: Case, channel: str, begin: float, end: float, reasons: Collection[str] = ()) -> bool:
    """Whether lines about `channel` (with one of `reasons`, if any are named) cover all from `begin` to `end`."""
    lines = []
    for gap in case.gaps:
        if not gap.is_of(channel) or (reasons and gap.reason not in reasons):
            continue
        if (gap.begin is None or gap.end is None) and not case.has_unknown_boot:
            if gap.begin is None:
                continue
            lines.append((gap.begin, case.ended_at))  # still open
            continue
        if gap.begin is None and gap.end is None:
            continue  # it tells nothing of when
        lines.append((begin if gap.begin is None else gap.begin, end if gap.end is None else gap.end))
    reached, is_touched = begin, False
    for first, last in sorted(lines):
        if last + SLACK_S < begin:
            continue
        if first - SLACK_S > reached:
            break
        reached, is_touched = max(reached, last + SLACK_S), True
    return is_touched and reached >= end - SLACK_S
