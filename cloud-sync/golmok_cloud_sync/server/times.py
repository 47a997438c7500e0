"""Times as people and programs write them: RFC 3339 in and out, milliseconds since 1970 (UTC) within."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS: Final = -62_135_596_800_000
"""0001-01-01, the first day that can be written."""
_LAST_MS: Final = 253_402_300_799_999
"""9999-12-31, the last one."""


class TimeError(ValueError):
    """A text that is no RFC 3339 time."""


def parse(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time with its offset. Raises `TimeError`."""
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        # A "+" that was not escaped in a query arrives as a space.
        hint = " (write the + of an offset as %2B)" if re.search(r" \d\d:\d\d$", text) else ""
        raise TimeError(f"{text!r:.60} is not a time like 2026-03-01T09:30:00Z or 2026-03-01T18:30:00+09:00{hint}")
    day, clock, fraction, offset = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
    except ValueError as error:
        raise TimeError(f"{text!r:.60} is not a time: {error}") from None
    return (whole - _EPOCH) // timedelta(milliseconds=1) + int(((fraction or ".")[1:] + "000")[:3])


def show(ms: int | None) -> str | None:
    """RFC 3339 in UTC with milliseconds; None for an unknown time or one no calendar can write."""
    if ms is None or not _FIRST_MS <= ms <= _LAST_MS:
        return None
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
