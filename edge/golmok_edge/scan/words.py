"""What the capture says to a person: what is wrong with the picture, what to put where. In English and in Korean."""

from __future__ import annotations

from typing import Any, Final

from golmok_edge.settings.language import language_of
from golmok_vision.scan.trouble import Words

TROUBLES: Final[dict[str, Words]] = {
    "no-line": Words(
        "laser {n} (l{n}) is not seen",
        "see whether it is lit and points at the axis, and put the piece on the table",
        "레이저 {n} (l{n}) 빛이 보이지 않습니다",
        "켜지는지, 회전축을 향하는지 확인하고 물건을 올려놓으세요",
    ),
    "line-burnt": Words(
        "the line of laser {n} is saturated in {share:.0%} of its rows",
        "set laser_ms to {ms:.2g}, or turn the laser down",
        "레이저 {n} 선의 {share:.0%}가 너무 밝아 잘렸습니다",
        "laser_ms를 {ms:.2g}로 줄이거나 레이저를 약하게 하세요",
    ),
    "line-dim": Words(
        "the line of laser {n} is dark ({peak:.0f} of 255)",
        "set laser_ms to {ms:.2g}, or darken the room",
        "레이저 {n} 선이 어둡습니다 (255 중 {peak:.0f})",
        "laser_ms를 {ms:.2g}로 늘리거나 방을 어둡게 하세요",
    ),
    "line-wide": Words(
        "the line of laser {n} is {px:.1f} pixels wide, {limit:.1f} are allowed",
        "focus the camera's lens, then the laser's, until the line is thinnest",
        "레이저 {n} 선의 폭이 {px:.1f} 픽셀입니다 (허용 {limit:.1f})",
        "선이 가장 가늘어질 때까지 카메라 렌즈, 그다음 레이저 초점을 맞추세요",
    ),
    "room-bright": Words(
        "the room is too bright: {share:.0%} of the picture is saturated without a laser",
        "draw the curtain, switch off the lamp above",
        "방이 너무 밝습니다. 레이저 없이도 화면의 {share:.0%}가 하얗습니다",
        "커튼을 치고 위의 조명을 끄세요",
    ),
    "late": Words(
        "{count} pictures came late and were taken again, more slowly",
        "end what else this machine does while it scans",
        "사진 {count}장이 늦게 와서 더 천천히 다시 찍었습니다",
        "스캔하는 동안 다른 작업을 멈추세요",
    ),
}

ASKED: Final[dict[str, tuple[str, str]]] = {
    "piece": ("Put the piece in the middle of the table", "물건을 회전판 가운데에 올려놓으세요"),
    "hand": (
        "Hold the board before the camera, tilted, another way each time; look at: {cells}",
        "보정판을 카메라 앞에 들고 매번 다르게 기울이세요. 채울 곳: {cells_ko}",
    ),
    "again": (
        "The board was not seen whole and sharp: hold it still, all of it in the picture",
        "보정판이 온전히, 선명하게 보이지 않았습니다. 화면 안에서 움직이지 않게 드세요",
    ),
    "table-0": ("Lay the board flat on the table, printed side up", "보정판을 인쇄면이 위로 오게 회전판에 눕히세요"),
    "table-1": (
        "Stand the board on the table, facing the camera, leaning back a little (about 15 degrees)",
        "보정판을 카메라를 향해 세우고 뒤로 조금(15도쯤) 기울이세요",
    ),
    "table-2": (
        "Lean the board further back (about 30 degrees), still facing the camera",
        "보정판을 뒤로 더(30도쯤) 기울이세요. 계속 카메라를 향하게 하세요",
    ),
}


def trouble(code: str, weight: str, **args: Any) -> dict[str, Any]:
    """One thing that is wrong, as the stages' `--json` has it."""
    words = TROUBLES[code]
    return {
        "code": code,
        "weight": weight,
        "text": f"{words.what.format(**args)}: {words.do.format(**args)}",
        "text_ko": f"{words.what_ko.format(**args)}: {words.do_ko.format(**args)}",
    }


def asked(key: str, **args: Any) -> str:
    """What to do, in the user's language."""
    english, korean = ASKED[key]
    return (korean if language_of() == "ko" else english).format(**args)
