"""What a command of `golmok-scan` is: arguments, what it does, and how it tells what came out.

A command's module loads in no time: cv2, numpy and scipy take a second, so what needs them is imported when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from golmok_edge.settings.language import language_of


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

    def parser(self, commands: Any) -> None:
        """Add it to the parser of all commands."""
        parser: argparse.ArgumentParser = commands.add_parser(
            self.name, help=self.title, description=self.title[0].upper() + self.title[1:] + "."
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document; progress goes to stderr")
        self.arguments(parser)
        parser.set_defaults(run=self.run, tell=self.tell)


def told_troubles(troubles: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each thing that is wrong, in the user's language."""
    text = "text_ko" if language_of() == "ko" else "text"
    marks = {"bad": "!", "note": "-"}
    return [f"{marks[trouble['weight']]} {trouble[text]}" for trouble in troubles]
