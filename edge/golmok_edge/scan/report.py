"""`golmok-scan report`: one page that a customer can be given, with pictures, sizes and how far to trust them.

The page is one file without scripts and without anything from elsewhere: it can be sent, printed, and kept.
"""

from __future__ import annotations

import argparse
import base64
import datetime
from typing import TYPE_CHECKING, Any, Final

from golmok_edge.scan.command import Command
from golmok_edge.scan.measure import add_questions, measured
from golmok_edge.settings.language import language_of

if TYPE_CHECKING:
    from golmok_vision.scan.mesh import Model
    from golmok_vision.scan.sections import Section

_VIEWS: Final = ((-35.0, 22.0), (145.0, 22.0), (-35.0, 70.0), (145.0, -35.0))
_VIEW_PIXELS: Final = 420
_SHARES: Final = (0.25, 0.5, 0.75)
"""Of the height: where sections are drawn if none were asked for."""

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "title": ("스캔 보고서", "Scan report"),
    "pass": ("측정값을 믿어도 됩니다.", "The sizes can be trusted, within what is said below."),
    "fail": ("이 결과를 그대로 믿지 마세요.", "Do not trust this result as it is."),
    "invented": ("보이지 않아 추정한 표면", "surface that was never seen, invented"),
    "plate": ("판에 놓인 바닥", "base, where it stood on the plate"),
    "sizes": ("크기", "Sizes"),
    "box": ("길이 × 너비 × 높이", "length × width × height"),
    "volume": ("부피", "volume"),
    "area": ("겉넓이", "surface area"),
    "seen_only": ("보인 표면만 따짐", "by the surface that was seen"),
    "closed": ("빈틈없이 닫힘", "closed, ready to print"),
    "open": ("닫히지 않음", "not closed"),
    "triangles": ("삼각형", "triangles"),
    "trust": ("얼마나 믿을 수 있나 (95 %)", "How far to trust it (95 %)"),
    "place": ("표면의 한 점", "a place on the surface"),
    "place_why": ("아래 값들을 합친 값", "what stands below, taken together"),
    "scale": ("모든 길이에 더해", "all lengths besides"),
    "from_gauge": ("크기를 아는 게이지로 확인함", "checked by a gauge of known size"),
    "from_plate": ("회전판의 지름으로 확인함", "checked by the plate's diameter"),
    "from_board": ("캘리퍼로 잰 보정판 길이에 따름", "by the board's length, measured by caliper"),
    "from_nothing": (
        "확인하지 않음: 인쇄한 보정판만 믿음(프린터 오차 0.1~0.5 %). 보정판을 캘리퍼로 재거나 게이지를 스캔하세요",
        "not checked: it rests on the print alone (printers are off by 0.1 to 0.5 %); measure the board with a "
        "caliper, or scan a gauge",
    ),
    "gauge": ("게이지", "gauge"),
    "ball": ("공", "ball"),
    "cylinder": ("원기둥", "cylinder"),
    "truly": ("실제", "truly"),
    "round": ("진원 오차 RMS", "out of round by RMS"),
    "noise": ("점의 거칠기", "roughness of the points"),
    "noise_why": ("점과 모델 사이의 거리", "how far single points lie from the model"),
    "lasers": ("두 레이저의 차이", "disagreement of the lasers"),
    "lasers_why": ("같은 표면을 잰 두 값의 차이", "on surface that both have measured"),
    "not_known": ("모름", "not known"),
    "one_laser": (
        "레이저가 하나여서 다른 레이저와 견주어 확인하지 못함",
        "one laser: its place could not be checked against another",
    ),
    "not_compared": ("두 레이저가 함께 잰 곳이 적음", "too little was measured by both lasers"),
    "calibration": ("보정의 불확실성", "calibration"),
    "calibration_why": ("카메라, 레이저, 회전판", "camera, lasers and turntable"),
    "sections": ("단면", "Sections"),
    "around": ("둘레", "around"),
    "distances": ("거리", "Distances"),
    "on_invented": ("추정한 표면에 있음", "on invented surface"),
    "foot": (
        "단위 mm, z는 회전축 방향 위쪽. 붉은 표면은 측정한 것이 아닙니다.",
        "Millimetres, z up along the turntable's axis. What is red was not measured.",
    ),
}


def _run(args: argparse.Namespace) -> dict[str, Any]:
    from golmok_vision.scan import Dataset
    from golmok_vision.scan.modelling import load_model

    found = measured(args)
    dataset = Dataset(args.dataset)
    file = dataset.folder / "report.html"
    dataset.write_bytes(file, page(found, load_model(dataset)).encode())
    return {**found, "page": str(file)}


def page(found: dict[str, Any], model: Model) -> str:
    """The page of a report."""
    import jinja2

    from golmok_vision.scan.measure import length_doubt_mm
    from golmok_vision.scan.picture import INVENTED_COLOUR, PLATE_COLOUR

    environment = jinja2.Environment(loader=jinja2.PackageLoader("golmok_edge.scan", "pages"), autoescape=True)
    sections = _sections(found, model)
    return environment.get_template("report.html").render(
        found=found,
        trust=found["uncertainty"],
        texts=TEXTS,
        language=language_of(),
        when=f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M}",
        views=[base64.b64encode(view).decode() for view in _pictures(model)],
        invented_colour=INVENTED_COLOUR,
        plate_colour=PLATE_COLOUR,
        doubt_mm=length_doubt_mm(max(found["size_mm"]), found["uncertainty"]),
        outlines=[_outline(each) for each in sections],
        box=_view_box(model),
    )


def _pictures(model: Model) -> list[bytes]:
    from golmok_vision.scan.picture import drawn, own_colours, plain_colours, png

    own, plain = own_colours(model), plain_colours(model)
    return [
        png(drawn(model, own if nth < 2 else plain, azimuth, elevation, _VIEW_PIXELS))
        for nth, (azimuth, elevation) in enumerate(_VIEWS)
    ]


def _sections(found: dict[str, Any], model: Model) -> list[Section]:
    from golmok_vision.scan.sections import section

    low, high = float(model.vertices[:, 2].min()), float(model.vertices[:, 2].max())
    asked = [each["height_mm"] for each in found["sections"]]
    return [section(model, height) for height in asked or [low + share * (high - low) for share in _SHARES]]


def _outline(section: Section) -> dict[str, Any]:
    """As an SVG path: y goes down there."""
    parts = ["M" + "L".join(f"{x:.2f} {-y:.2f}" for x, y in loop) + "Z" for loop in section.loops]
    return {
        "path": "".join(parts), "height_mm": section.height_mm, "length_mm": section.length_mm,
        "area_mm2": section.area_mm2,
    }  # fmt: skip


def _view_box(model: Model) -> str:
    low, high = model.vertices[:, :2].min(0), model.vertices[:, :2].max(0)
    edge = float((high - low).max()) * 1.08
    middle = (low + high) / 2
    return f"{middle[0] - edge / 2:.2f} {-middle[1] - edge / 2:.2f} {edge:.2f} {edge:.2f}"


def _told(found: dict[str, Any]) -> str:
    return f"{found['verdict']}: {found['page']}"


_ABOUT: Final = """\
The same as measure, and report.html: one file in Korean and English that can be sent, printed and kept."""

COMMAND: Final = Command("report", "write one page with pictures, sizes and doubts", add_questions, _run, _told, _ABOUT)
