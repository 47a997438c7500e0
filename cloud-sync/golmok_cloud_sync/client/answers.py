"""What the cloud says when it does not do what it was asked: problem documents (RFC 9457), and when to come again."""

from __future__ import annotations

import json
import math
from typing import Any

from .line import Answer


def problem_of(answer: Answer) -> str:
    """What the server says is wrong, else the status' own words."""
    problem = document_of(answer)
    return str(problem.get("detail") or problem.get("title"))[:300] if problem is not None else answer.reason


def document_of(answer: Answer) -> dict[str, Any] | None:
    """The body's JSON object, if it is one."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def retry_after_s(answer: Answer) -> float:
    """Seconds that the server asks to wait: exactly from its problem document, else the header's whole ones
    (RFC 9110, 10.2.3; the form with a date is not used here)."""
    document = document_of(answer) or {}
    for told in (document.get("retry_after_s"), answer.headers.get("Retry-After")):
        try:
            seconds = float(told)  # type: ignore[arg-type]  # anything may stand there
        except (TypeError, ValueError):
            continue
        if 0 <= seconds < math.inf:
            return seconds
    return 0.0
