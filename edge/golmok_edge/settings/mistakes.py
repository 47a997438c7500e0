"""What a mistake is, and the report that gathers all of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, Final

import msgspec

from golmok_edge.settings.language import Language, Say
from golmok_edge.settings.locate import Path

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST: Final = 60


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong in a settings file: where, what, and what to do about it."""

    file: str
    line: int
    """From 1; 1 also for what concerns the file as a whole."""
    key: str
    """Such as `device[2].driver` (devices counted from 1), empty for the file as a whole."""
    subject: str
    """The name of the device, if it is about one that has a name."""
    code: str
    args: dict[str, Any]

    def message(self, language: Language = "en") -> str:
        """What is wrong."""
        return self._said("what", language)

    def remedy(self, language: Language = "en") -> str:
        """What to do about it."""
        return self._said("do", language)

    def _said(self, part: str, language: Language) -> str:
        from golmok_edge.settings.messages import MESSAGES, fill

        template: str = getattr(MESSAGES[self.code], f"{part}_ko" if language == "ko" else part)
        return fill(template, self.args, language)

    def sentence(self, language: Language = "en", *, warning: bool = False) -> str:
        """The whole mistake in one line: `FILE:LINE: KEY: what is wrong; what to do`."""
        key = self.key
        if self.subject:
            device, _, rest = key.partition(".")
            key = f'{device} "{self.subject}"' + (f" .{rest}" if rest else "")
        parts = [f"{self.file}:{self.line}", key, ("주의" if language == "ko" else "warning") if warning else ""]
        said = f"{self.message(language)}; {self.remedy(language)}"
        return one_line(": ".join([part for part in parts if part] + [said]))

    def document(self, language: Language = "en") -> dict[str, Any]:
        """For `--json`."""
        return {
            "file": self.file,
            "line": self.line,
            "key": self.key,
            "message": one_line(self.message(language)),
            "remedy": one_line(self.remedy(language)),
        }


class SettingsError(ValueError):
    """A settings file that cannot be used; `mistakes` says everything that is wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistake.sentence() for mistake in self.mistakes))


class Report:
    """Gathers mistakes and warnings by path; knows on which line each path stands."""

    def __init__(self, file: str, lines: Mapping[Path, int] | None = None, data: Mapping[str, Any] | None = None):
        self._file = file
        self._lines = lines or {}
        self._data = data or {}
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self._paths: set[Path] = set()
        self._around: set[Path] = set()

    def add(self, path: Path, code: str, /, **args: Any) -> None:
        """A mistake at `path`, or around it if that does not stand in the file."""
        self.add_at(self.line(path), path, code, **args)

    def add_at(self, line: int, path: Path, code: str, /, **args: Any) -> None:
        """A mistake on a known line."""
        self._paths.add(path)
        self._around.update(path[:length] for length in range(len(path)))
        self.mistakes.append(self._made(path, line, code, args))

    def warn(self, path: Path, code: str, /, **args: Any) -> None:
        """Something that works but is not wise, or not yet ready."""
        self.warnings.append(self._made(path, self.line(path), code, args))

    def has(self, path: Path) -> bool:
        """Whether a mistake was reported at `path` itself."""
        return path in self._paths

    def has_below(self, path: Path) -> bool:
        """Whether a mistake was reported at `path` or at anything in it."""
        return self.has(path) or self.has_inside(path)

    def has_inside(self, path: Path) -> bool:
        """Whether a mistake was reported at anything in `path`."""
        return path in self._around

    def line(self, path: Path) -> int:
        """The line of `path`, or of what it is in."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def in_order(self) -> tuple[list[Mistake], list[Mistake]]:
        """All mistakes and all warnings as one reads the file, without repetition."""
        return _sorted(self.mistakes), _sorted(self.warnings)

    def _made(self, path: Path, line: int, code: str, args: dict[str, Any]) -> Mistake:
        return Mistake(self._file, line, written(path), self._subject(path), code, args)

    def _subject(self, path: Path) -> str:
        devices = self._data.get("device")
        if len(path) < 2 or path[0] != "device" or not isinstance(devices, list) or not isinstance(path[1], int):
            return ""
        device = devices[path[1]]
        name = device.get("name") if isinstance(device, dict) else None
        return name if isinstance(name, str) else ""


def written(path: Path) -> str:
    """A path as people write it; lists count from 1."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + key_text(part)
    return text


def key_text(key: str) -> str:
    """A key as it stands in TOML."""
    return key if _BARE.fullmatch(key) else toml_text(key)


def shown(value: Any) -> str:
    """A value as it stands in TOML, shortened to fit in a sentence."""
    match value:
        case bool():
            text = "true" if value else "false"
        case str():
            return toml_text(value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…")
        case list():
            text = f"[{_some([shown(item) if not isinstance(item, (list, dict)) else '…' for item in value[:4]])}]"
        case dict():
            text = f"{{ {_some([f'{key_text(shortened(key))} = …' for key in list(value)[:4]])} }}"
        case datetime() | date() | time():
            text = value.isoformat()
        case int() if abs(value) >= 10**_LONGEST:
            text = "…"
        case _:
            text = str(value)
    return text if isinstance(value, str) else shortened(text)


def _some(items: list[str]) -> str:
    """At most three items, and whether there are more."""
    return ", ".join([*items[:3], "…"] if len(items) > 3 else items)


def shortened(text: str) -> str:
    """The text, cut so that it fits in a sentence."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def toml_text(text: str) -> str:
    """Text in double quotes, with control characters escaped as TOML does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def kind_of(value: Any) -> Say:
    """What sort of value it is, in the reader's language."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "switch"),
        (str, "text"),
        (int, "whole"),
        (float, "number"),
        (list, "list"),
        (dict, "table"),
        ((datetime, date, time), "date"),
    )
    return Say(next((word for kind, word in kinds if isinstance(value, kind)), "nothing"))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote `name` probably meant."""
    from difflib import get_close_matches  # here: who makes no mistake need not hold it in memory

    folded = {_folded(one): one for one in known}
    close = get_close_matches(_folded(name)[:_LONGEST], folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def one_line(text: str) -> str:
    """The text with everything escaped that would break or hide a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


def _sorted(mistakes: list[Mistake]) -> list[Mistake]:
    unique = {(one.line, one.key, one.code, str(one.args)): one for one in mistakes}
    return sorted(unique.values(), key=lambda one: one.line)
