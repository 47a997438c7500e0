"""What a command of `golmok-scan` is: arguments, what it does, and how it tells what came out.

A command's module loads in no time: cv2, numpy and scipy take a second, so what needs them is imported when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from golmok_edge.settings.language import language_of

_MOST_ALIKE: Final = 3


@dataclass(frozen=True)
class Command:
    """One line of the table in `cli.py`.

    `run` gives what `--json` prints; where that has `"verdict": "fail"` the exit code is 1. `tell` makes it readable.
    """

    name: str
    title: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], dict[str, Any]]
    tell: Callable[[dict[str, Any]], str]
    about: str = ""
    """What `--help` says besides: when to use it, what it needs, what its result means."""

    def parser(self, commands: Any) -> None:
        """Add it to the parser of all commands."""
        parser: argparse.ArgumentParser = commands.add_parser(
            self.name, help=self.title, description=f"{self.title[0].upper()}{self.title[1:]}. {self.about}".strip()
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document; progress goes to stderr")
        self.arguments(parser)
        parser.set_defaults(run=self.run, tell=self.tell)


def told_troubles(troubles: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong in the user's language: the worst first, and of many alike the first few."""
    is_korean = language_of() == "ko"
    lines = []
    for weight, mark in (("bad", "!"), ("note", "-")):
        counts: dict[str, int] = {}
        for trouble in troubles:
            if trouble["weight"] != weight:
                continue
            counts[trouble["code"]] = counts.get(trouble["code"], 0) + 1
            if counts[trouble["code"]] <= _MOST_ALIKE:
                lines.append(f"{mark} {trouble['text_ko' if is_korean else 'text']}")
        for code, count in counts.items():
            if count > _MOST_ALIKE:
                more = count - _MOST_ALIKE
                lines.append(
                    f"{mark} … 그 밖에 {more}건 ({code})" if is_korean else f"{mark} … and {more} more ({code})"
                )
    return lines
