"""What the capture says to a person: what is wrong with the picture, what to put where. In English and in Korean."""

from __future__ import annotations

from errno import EDQUOT, ENOSPC
from typing import Any, Final

from golmok_vision.scan.errors import NoRoomError
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
    "touched": Words(
        "{file} looks different now: the piece, the camera or the light was moved since the stop",
        "capture it again in another folder",
        "멈춘 뒤에 물건이나 카메라, 조명이 움직였습니다 ({file})",
        "새 스캔을 처음부터 시작하세요",
    ),
    "no-home-switch": Words(
        "the turntable has no home switch, so nobody knows how the plate stands after the stop",
        "wire one (home_pin), or delete the pictures that were taken and begin again",
        "회전판에 홈 스위치가 없어 멈춘 뒤에는 판의 위치를 알 수 없습니다",
        "홈 스위치를 연결하거나(home_pin) 새 스캔을 처음부터 시작하세요",
    ),
    "exposures": Words(
        "laser pictures were taken with {ms} ms, as dark and bright places of the piece need it",
        "nothing is to be done; --exposures sets others",
        "물건의 어두운 곳과 밝은 곳에 맞춰 레이저 사진을 {ms} ms로 찍었습니다",
        "그대로 두면 됩니다. 바꾸려면 --exposures를 쓰세요",
    ),
    "late": Words(
        "{count} pictures came late and were taken again, more slowly",
        "end what else this machine does while it scans",
        "사진 {count}장이 늦게 와서 더 천천히 다시 찍었습니다",
        "스캔하는 동안 다른 작업을 멈추세요",
    ),
}

ERRORS: Final[dict[str, tuple[str, str]]] = {
    "no-room": ("no-room", "디스크에 자리가 모자랍니다. 오래된 스캔을 지우거나 장수를 줄이세요"),
    "CameraMissing": ("camera-missing", "카메라를 찾지 못했습니다. 케이블을 꽂고 설정의 camera를 확인하세요"),
    "CameraLate": ("camera-late", "카메라 사진이 제때 오지 않습니다. 이 기기에서 하는 다른 작업을 멈추고 다시 하세요"),
    "CameraBroken": ("camera-broken", "카메라가 사진을 보내지 않습니다. 케이블을 확인해 다시 꽂고 이어서 하세요"),
    "HomeNotFound": ("no-home", "회전판의 홈 스위치가 닫히지 않습니다. 모터 전원과 스위치 배선(home_pin)을 확인하세요"),
    "BusError": ("wiring", "핀을 쓸 수 없습니다. 배선과 설정의 핀 번호를 확인하고 그 핀을 쓰는 다른 프로그램을 끄세요"),
}
"""By the name of an error's class: the code, and the Korean words. The English ones are the error's own."""

LANGUAGES: Final = ("ko", "en")

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


def failure(error: BaseException) -> list[dict[str, Any]]:
    """An error of disk or hardware as a trouble; none where nothing is known to be said of its kind."""
    is_full = isinstance(error, NoRoomError) and error.errno in (None, ENOSPC, EDQUOT)
    kinds = ["no-room"] if is_full else [kind.__name__ for kind in type(error).__mro__]
    found = next((ERRORS[kind] for kind in kinds if kind in ERRORS), None)
    if found is None:
        return failure(error.__cause__) if error.__cause__ is not None else []
    code, korean = found
    return [{"code": code, "weight": "bad", "text": str(error), "text_ko": korean}]


def asked(key: str, language: str, **args: Any) -> str:
    """What to do, in that language."""
    english, korean = ASKED[key]
    return (korean if language == "ko" else english).format(**args)
