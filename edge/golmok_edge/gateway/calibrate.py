# ruff: noqa: E501  # a row of the table of words is a line
"""`golmok-gateway calibrate DEVICE`: walks a technician through it, and writes what was found beside the settings.

The live value comes from the running gateway, uncalibrated: what is in force is undone. Asked for is only what nobody
else can know: what the reference says. Nothing is written before the technician has seen how far the curve passes by
the points.
"""

from __future__ import annotations

import getpass
import json as json_text
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean, pstdev
from typing import Any, Final, TextIO

from golmok_drivers.api import Channel
from golmok_drivers.units import quantity_name, unit_sign
from golmok_edge.settings import Device, Language, Settings, language_of
from golmok_edge.settings.calibration import (
    Book,
    Calibration,
    CalibrationError,
    Kind,
    Point,
    book_file,
    fitted,
    read_book,
    written,
)
from golmok_edge.store.layout import replace_file

Ask = Callable[[Settings, dict[str, Any]], dict[str, Any]]

VALID_DAYS: Final = 365
SAMPLES: Final = 5
_WAIT_S: Final = 30.0
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "begin": (
        "Calibrating {channel}. Hold the sensor and the reference at the same place; wait until both stand still.",
        "{channel} 교정을 시작합니다. 센서와 기준기를 같은 곳에 두고 둘 다 안정될 때까지 기다리십시오.",
    ),
    "live": ("  the sensor says {value} {unit} (scatter {scatter}, {count} values)", "  센서 값: {value} {unit} (흔들림 {scatter}, {count}개)"),
    "reference": ("  what does the reference say, in {unit}? ", "  기준기의 값은 얼마입니까 ({unit})? "),
    "more": ("  Another point? Put both there and press y, or Enter to end: ", "  다른 점도 잽니까? 옮긴 뒤 y, 끝내려면 Enter: "),
    "curve": ("{kind}: {coefficients}", "{kind}: {coefficients}"),
    "residual": ("  {measured} -> {corrected}, reference {reference}, off by {residual}", "  {measured} -> {corrected}, 기준 {reference}, 차이 {residual}"),
    "keep": ("Write it? [y/N] ", "저장합니까? [y/N] "),
    "kept": ("Written: {id}, in force now, valid until {until} ({file})", "저장했습니다: {id}, 지금부터 적용, {until}까지 유효 ({file})"),
    "undone": ("Taken back: {channel} is uncalibrated now ({file})", "되돌렸습니다: {channel} 채널은 이제 교정 없음 ({file})"),
    "not": ("Nothing was written.", "저장하지 않았습니다."),
    "none": ("no calibration", "교정 없음"),
    "shown": ("{channel}: {id}, {kind} of {at}, valid until {until}, by {by}", "{channel}: {id}, {kind} {at}, {until}까지 유효, 담당 {by}"),
    "ever": ("for ever", "계속"),
    "number": ("  a number is needed, such as 0.0", "  숫자를 쓰십시오. 예: 0.0"),
}  # fmt: skip


class RefusedError(Exception):
    """It cannot be done; the message says why, and what to do. `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    device: str
    quantity: str | None = None
    references: Sequence[float] = ()
    """Of the live value; more than one only where a person can move the sensor in between."""
    points: Sequence[Point] = ()
    """Measured before."""
    kind: Kind | None = None
    degree: int = 2
    valid_days: int | None = VALID_DAYS
    by: str | None = None
    note: str = ""
    undo: bool = False
    show: bool = False
    json: bool = False


@dataclass
class Session:
    """One calibration. `answers` is where a person types, None where there is nobody."""

    settings: Settings
    ask: Ask
    wish: Wish
    language: Language
    answers: TextIO | None
    today: Callable[[], date] = date.today
    patience_s: float = _WAIT_S

    def run(self) -> int:
        """Do it; the exit code."""
        try:
            document = self._done()
        except (RefusedError, CalibrationError, OSError) as error:
            code = getattr(error, "code", 1)
            if self.wish.json:
                print(json_text.dumps({"done": False, "detail": str(error)}, ensure_ascii=False))
            print(f"golmok-gateway: {error}", file=sys.stderr)
            return int(code)
        if self.wish.json:
            print(json_text.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        return 0 if document["done"] else 1

    def _done(self) -> dict[str, Any]:
        device, channel = self._channel()
        name, file = f"{device.name}.{channel.quantity}", book_file(self.settings.file)
        book = read_book(file)
        now = book.in_force().get(name)
        if self.wish.show:
            self._say("shown", **_told(now, self._word("ever")), channel=name) if now else self._say("none")
            return {"done": True, "version": book.version, "in_force": _plain(now)}
        points = () if self.wish.undo else self._points(name, channel, now)
        entry = self._entry(name, points)
        if self.wish.undo:
            if now is None:
                raise RefusedError(f"{name} has no calibration that could be taken back")
        elif not self._agreed(entry, channel):
            self._say("not")
            return {"done": False, "calibration": _plain(entry), "residuals": entry.residuals()}
        self._write(book, entry)
        self._say("undone" if self.wish.undo else "kept", **_told(entry, self._word("ever")), file=file)
        return {
            "done": True,
            "version": book.version + 1,
            "calibration": _plain(entry),
            "residuals": [_short(residual) for residual in entry.residuals()],
            "file": str(file),
        }

    # --- what it is about

    def _channel(self) -> tuple[Device, Channel]:
        wish = self.wish
        devices = {device.name: device for device in self.settings.devices}
        if wish.device not in devices:
            raise RefusedError(f"there is no device {wish.device!r:.60}; there are {', '.join(devices) or 'none'}", 2)
        device = devices[wish.device]
        channels = {channel.quantity: channel for channel in device.channels}
        if wish.quantity is None and len(channels) == 1:
            return device, next(iter(channels.values()))
        if wish.quantity not in channels:
            raise RefusedError(f"say which: --quantity {' or '.join(channels)}", 2)
        return device, channels[wish.quantity]

    # --- points

    def _points(self, name: str, channel: Channel, now: Calibration | None) -> list[Point]:
        wish = self.wish
        points = list(wish.points)
        if points and not wish.references:
            return points
        if not wish.references and self.answers is None:
            raise RefusedError("nobody is there to ask; give --reference VALUE, or --point MEASURED=REFERENCE", 2)
        if len(wish.references) > 1:
            raise RefusedError("one --reference only: between two somebody must move the sensor; use --point", 2)
        self._say("begin", channel=f"{name} ({quantity_name(channel.quantity, self.language)})")
        if wish.references:
            return [*points, Point(self._live(name, channel, now), wish.references[0])]
        while True:
            measured = self._live(name, channel, now)
            points.append(Point(measured, self._number(channel)))
            if self._line("more").casefold() not in ("y", "yes", "네", "예"):
                return points

    def _live(self, name: str, channel: Channel, now: Calibration | None) -> float:
        """What the sensor itself says, the mean of some values."""
        values: list[float] = []
        last_seq, until = None, time.monotonic() + self.patience_s
        while len(values) < SAMPLES:
            row = self._latest(name)
            if row is not None and row["seq"] != last_seq and row["quality"] != "bad" and _is_number(row["value"]):
                last_seq = row["seq"]
                values.append(now.undo(row["value"]) if now else float(row["value"]))
            elif time.monotonic() > until:
                break
            else:
                time.sleep(0.2)
        if not values:
            raise RefusedError(f"{name} says nothing that could be calibrated; see golmok-gateway status")
        shown = {"value": _short(fmean(values)), "scatter": _short(pstdev(values)), "count": len(values)}
        self._say("live", **shown, unit=unit_sign(channel.unit))
        return round(fmean(values), 9)

    def _latest(self, name: str) -> dict[str, Any] | None:
        rows = self.ask(self.settings, {"get": "latest"})["channels"]
        return next((row for row in rows if row["channel"] == name), None)

    def _number(self, channel: Channel) -> float:
        while True:
            said = self._line("reference", unit=unit_sign(channel.unit) or channel.quantity)
            try:
                number = float(said.replace(",", "."))
            except ValueError:
                number = math.nan
            if math.isfinite(number):
                return number
            self._say("number")

    # --- the result

    def _entry(self, name: str, points: Sequence[Point]) -> Calibration:
        wish, today = self.wish, self.today()
        kind: Kind = "none" if wish.undo else wish.kind or _usual(len(points))
        until = None if wish.valid_days is None or wish.undo else today + timedelta(days=wish.valid_days)
        return Calibration(
            id=f"{name}-{today.isoformat()}-{time.time_ns() // 1_000_000_000 % 86_400:05d}",
            channel=name,
            kind=kind,
            at=today,
            valid_until=until,
            coefficients=fitted(points, kind, wish.degree),
            points=tuple(points),
            by=wish.by or getpass.getuser(),
            note=wish.note,
        )

    def _agreed(self, entry: Calibration, channel: Channel) -> bool:
        self._say("curve", kind=entry.kind, coefficients=", ".join(f"{c:.6g}" for c in entry.coefficients))
        for point, residual in zip(entry.points, entry.residuals(), strict=True):
            corrected = _short(entry.apply(point.measured))
            shown = {"measured": _short(point.measured), "corrected": corrected, "reference": point.reference}
            self._say("residual", **shown, residual=f"{_short(residual):+g} {unit_sign(channel.unit)}")
        is_asked = self.answers is not None and not (self.wish.points or self.wish.references)
        return not is_asked or self._line("keep").casefold() in ("y", "yes", "네", "예")

    def _write(self, book: Book, entry: Calibration) -> None:
        file = book_file(self.settings.file)
        if read_book(file).version != book.version:
            raise RefusedError(f"{file} was changed by somebody else meanwhile; run it again")
        replace_file(file, written(book.with_entry(entry)), mode=0o644)

    # --- talking

    def _word(self, key: str) -> str:
        return _WORDS[key][self.language == "ko"]

    def _say(self, key: str, **values: object) -> None:
        print(self._word(key).format(**values), file=sys.stderr if self.wish.json else sys.stdout, flush=True)

    def _line(self, key: str, **values: object) -> str:
        assert self.answers is not None
        where = sys.stderr if self.wish.json else sys.stdout
        print(self._word(key).format(**values), end="", file=where, flush=True)
        line = self.answers.readline()
        if not line:
            raise RefusedError("it ended before all was said; nothing was written")
        return line.strip()


def run(settings: Settings, ask: Ask, wish: Wish, *, lang: Language | None = None) -> int:
    """The command; the exit code."""
    answers = None if wish.json and not sys.stdin.isatty() else sys.stdin
    return Session(settings, ask, wish, lang or language_of(), answers).run()


def _usual(count: int) -> Kind:
    """The curve that so many points are usually for."""
    return "offset" if count == 1 else "two-point" if count == 2 else "polynomial"


def _told(entry: Calibration, ever: str) -> dict[str, object]:
    return {
        "channel": entry.channel,
        "id": entry.id,
        "kind": entry.kind,
        "at": entry.at,
        "until": entry.valid_until or ever,
        "by": entry.by,
    }


def _plain(entry: Calibration | None) -> Any:
    import msgspec

    return None if entry is None else msgspec.to_builtins(entry)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: float) -> float:
    return round(value, 4)
