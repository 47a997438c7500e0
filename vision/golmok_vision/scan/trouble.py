"""What may be wrong with a scan, in words: what is so, and what to do about it, in English and in Korean.

A stage that can go on tells troubles instead of raising: a `note` is something to know, a `bad` one means that the
result must not be trusted. No sentence has a word that depends on what is filled in (Korean particles would).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Weight: TypeAlias = Literal["note", "bad"]


class Words(NamedTuple):
    """What is so, and what to do; templates for `str.format`."""

    what: str
    do: str
    what_ko: str
    do_ko: str


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong; `code` is a key of `TEXTS`, `args` fill its templates."""

    code: str
    weight: Weight
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """In English."""
        words = TEXTS[self.code]
        return f"{words.what.format(**self.args)}: {words.do.format(**self.args)}"

    @property
    def text_ko(self) -> str:
        """In Korean."""
        words = TEXTS[self.code]
        args = {name.removesuffix("_ko"): value for name, value in self.args.items()}
        return f"{words.what_ko.format(**args)}: {words.do_ko.format(**args)}"

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {"code": self.code, "weight": self.weight, "text": self.text, "text_ko": self.text_ko}


def is_good(troubles: Sequence[Trouble]) -> bool:
    """Whether the result may be trusted."""
    return all(trouble.weight == "note" for trouble in troubles)


def laser_name(laser: int) -> Mapping[str, str]:
    """The laser in words, for `args`."""
    return {"laser": f"laser {laser} (l{laser})", "laser_ko": f"레이저 {laser} (l{laser})"}


TEXTS: Final[dict[str, Words]] = {
    # --- pictures
    "picture": Words(
        "a picture cannot be used ({error})",
        "the rest was used without it",
        "쓸 수 없는 사진이 있습니다 ({error})",
        "이 사진을 빼고 계산했습니다",
    ),
    "view-rejected": Words(
        "{file}: the board was not found ({corners} corners)",
        "hold it so that all of it is sharp and in the picture",
        "{file}: 보정판을 찾지 못했습니다 (모서리 {corners}개)",
        "보정판 전체가 선명하게 나오도록 다시 찍으세요",
    ),
    "view-odd": Words(
        "{file}: the corners do not fit the others ({px:.1f} px)",
        "it was left out; hold the board still and flat",
        "{file}: 모서리가 다른 사진과 맞지 않습니다 ({px:.1f} px)",
        "빼고 계산했습니다. 보정판을 평평하게, 움직이지 않게 잡으세요",
    ),
    # --- camera
    "few-views": Words(
        "the board was found in fewer than 4 pictures",
        "take 20 pictures of the board in the hand, all over the picture, and see that dictionary in [board] is "
        "that of the printed board",
        "보정판이 보이는 사진이 4장보다 적습니다",
        "보정판을 손에 들고 화면 곳곳에서 20장 찍고 [board]의 dictionary가 인쇄한 것과 같은지 보세요",
    ),
    "few-hand": Words(
        "the board was found in {count} pictures in the hand",
        "take 20, all over the picture: the lens is known the better",
        "손에 든 보정판 사진이 {count}장뿐입니다",
        "화면 곳곳에서 20장 찍으면 렌즈를 더 정확히 알 수 있습니다",
    ),
    "other-board": Words(
        "markers are seen, but not the board that dataset.toml describes",
        "put squares_x, squares_y and dictionary of the printed board into [board]",
        "마커는 보이지만 dataset.toml에 적힌 보정판이 아닙니다",
        "인쇄한 보정판의 squares_x, squares_y, dictionary를 [board]에 적으세요",
    ),
    "coverage": Words(
        "no corner was seen in these parts of the picture: {cells}",
        "hold the board there too, in two more pictures",
        "화면의 다음 부분에서 모서리가 보이지 않았습니다: {cells}",
        "그쪽에서도 보정판을 두 장 더 찍으세요",
    ),
    "no-tilt": Words(
        "the board was held flat to the camera in most pictures",
        "tilt it by 30 degrees to all sides: else the focal length is not known",
        "대부분의 사진에서 보정판이 카메라와 나란합니다",
        "사방으로 30도쯤 기울여 찍으세요. 그래야 초점 거리를 알 수 있습니다",
    ),
    "blurred": Words(
        "corners are off by {px:.2f} px on average, {limit:.2f} are allowed",
        "glue the board onto something flat, focus, let nobody move the camera, and take the pictures again",
        "모서리 오차가 평균 {px:.2f} px입니다 (허용 {limit:.2f})",
        "보정판을 평평한 판에 붙이고 초점을 맞춘 뒤 카메라를 건드리지 말고 다시 찍으세요",
    ),
    # --- table
    "few-turns": Words(
        "the board was seen in too few turns of the table",
        "take at least 10 pictures all around with the board lying, and see that [steps] table has a number for each",
        "테이블 위 보정판 사진이 너무 적습니다",
        "보정판을 눕히고 한 바퀴 돌며 10장 넘게 찍고 [steps] table에 숫자를 모두 적으세요",
    ),
    "no-axis": Words(
        "the board did not turn about one axis",
        "fix it to the plate so that it cannot slip, and see that [steps] placement is right",
        "보정판이 한 축을 중심으로 돌지 않았습니다",
        "미끄러지지 않게 판에 고정하고 [steps] placement가 맞는지 확인하세요",
    ),
    "no-lying": Words(
        "there is no picture of the board lying flat on the plate",
        "lay it down, take pictures all around, and name the placement in [steps] lying",
        "보정판을 판에 눕혀 찍은 사진이 없습니다",
        "눕혀서 한 바퀴 찍고 [steps] lying에 그 placement를 적으세요",
    ),
    "placement-unseen": Words(
        "in one placement the board was never found",
        "take its pictures again, or take it out of [steps]",
        "보정판이 한 번도 보이지 않은 placement가 있습니다",
        "다시 찍거나 [steps]에서 빼세요",
    ),
    "laser-unseen": Words(
        "{laser}: its line was not seen on the board",
        "switch it on, turn it to the plate's middle, and darken the room",
        "{laser}: 보정판에서 레이저 선이 보이지 않습니다",
        "레이저를 켜고 판 가운데를 향하게 하고 방을 어둡게 하세요",
    ),
    "sheet-unknown": Words(
        "{laser}: all its points on the board lie on one line",
        "take pictures of the board standing up as well, in two leans",
        "{laser}: 보정판 위의 점이 모두 한 직선에 있습니다",
        "보정판을 세운 사진도 두 가지 기울기로 찍으세요",
    ),
    "unsolved": Words(
        "the pictures contradict each other: corners are off by {px:.1f} px",
        "see that [steps] and [board] are right, then take the pictures again",
        "사진들이 서로 맞지 않습니다: 모서리 오차 {px:.1f} px",
        "[steps]와 [board]가 맞는지 확인하고 다시 찍으세요",
    ),
    "steps": Words(
        "a turn has {measured:.1f} steps of the motor, dataset.toml says {nominal}",
        "the measured number is used; put it into nominal_per_turn before the next scan",
        "한 바퀴는 모터 {measured:.1f}스텝인데 dataset.toml에는 {nominal}입니다",
        "잰 값을 씁니다. 다음 스캔 전에 nominal_per_turn을 고치세요",
    ),
    # --- lasers
    "line-rough": Words(
        "{laser}: its points are off its plane by {mm:.2f} mm, {limit:.2f} are allowed",
        "focus the line, fix the laser so that it cannot shake, and take the table's pictures again",
        "{laser}: 점들이 평면에서 {mm:.2f} mm 벗어납니다 (허용 {limit:.2f})",
        "선의 초점을 맞추고 레이저를 단단히 고정한 뒤 테이블 사진을 다시 찍으세요",
    ),
    "lasers-disagree": Words(
        "the two lasers measure the board {mm:.2f} mm apart, {limit:.2f} are allowed",
        "a laser was moved between the pictures: fix both and take the table's pictures again",
        "두 레이저의 측정값이 {mm:.2f} mm 다릅니다 (허용 {limit:.2f})",
        "촬영 중에 레이저가 움직였습니다. 둘 다 고정하고 테이블 사진을 다시 찍으세요",
    ),
    "one-laser": Words(
        "one laser: its place could not be checked against another",
        "scan something of known diameter with this calibration and give it to measure --gauge; that checks it",
        "레이저가 하나여서 그 위치를 다른 레이저와 견주어 확인하지 못했습니다",
        "지름을 아는 물체를 이 보정으로 스캔하고 measure --gauge로 알려 주면 확인됩니다",
    ),
    "unsure": Words(
        "points will be off by {mm:.2f} mm because of the calibration alone, {limit:.2f} are allowed",
        "take more pictures: of the board in the hand, and standing on the table",
        "보정만으로도 점이 {mm:.2f} mm 벗어날 수 있습니다 (허용 {limit:.2f})",
        "손에 든 보정판과 테이블에 세운 보정판을 더 찍으세요",
    ),
    # --- the scan
    "calibration-failed": Words(
        "the calibration did not pass",
        "run `golmok-scan calibrate`, and do what it says",
        "보정이 통과하지 못했습니다",
        "`golmok-scan calibrate`를 실행하고 안내대로 하세요",
    ),
    "no-frames": Words(
        "[steps] frames in dataset.toml is empty",
        "put the motor's step of each frame there",
        "dataset.toml의 [steps] frames가 비어 있습니다",
        "프레임마다 모터의 스텝을 적으세요",
    ),
    "picture-black": Words(
        "{file} is black",
        "it was left out; if there are many, look at the camera's cable",
        "{file}: 사진이 검습니다",
        "빼고 계산했습니다. 여러 장이면 카메라 케이블을 보세요",
    ),
    "picture-white": Words(
        "{file} is overexposed",
        "it was left out; if there are many, shorten the exposure and keep daylight away",
        "{file}: 사진이 너무 밝습니다",
        "빼고 계산했습니다. 여러 장이면 노출을 줄이고 햇빛을 막으세요",
    ),
    "picture-apart": Words(
        "{file} is darker in places than the one without laser: one was shifted, or the light changed",
        "it was left out; keep the room's light as it is while scanning",
        "{file}: 레이저를 끈 사진보다 어두운 곳이 있습니다. 사진이 밀렸거나 조명이 바뀌었습니다",
        "빼고 계산했습니다. 스캔하는 동안 조명을 바꾸지 마세요",
    ),
    "frame-aside": Words(
        "{file}: the line on the plate is not where it is in the other pictures",
        "it was left out",
        "{file}: 판 위의 선이 다른 사진과 다른 곳에 있습니다",
        "빼고 계산했습니다",
    ),
    "frame-odd": Words(
        "frame {frame}: most of its points do not fit the others'",
        "it was left out",
        "프레임 {frame}: 점 대부분이 다른 프레임과 맞지 않습니다",
        "빼고 계산했습니다",
    ),
    "unsteady": Words(
        "{laser}: in {count} pictures its line was not where it should be",
        "fix the laser and the camera, calibrate and scan again",
        "{laser}: 사진 {count}장에서 선이 제자리에 없습니다",
        "레이저와 카메라를 고정하고 보정과 스캔을 다시 하세요",
    ),
    "camera-moved": Words(
        "the camera was moved at frame {frame}: from there on both lines on the plate stand elsewhere",
        "fix the camera, then calibrate and scan again",
        "프레임 {frame}에서 카메라가 움직였습니다. 그 뒤로 판 위의 두 선이 모두 다른 곳에 있습니다",
        "카메라를 고정하고 보정과 스캔을 다시 하세요",
    ),
    "all-moved": Words(
        "the camera was moved between calibration and scan: both lines on the plate stand elsewhere",
        "fix the camera, then calibrate and scan again",
        "보정과 스캔 사이에 카메라가 움직였습니다. 판 위의 두 선이 모두 다른 곳에 있습니다",
        "카메라를 고정하고 보정과 스캔을 다시 하세요",
    ),
    "laser-moved": Words(
        "{laser} was moved between calibration and scan",
        "fix it, then calibrate and scan again",
        "보정과 스캔 사이에 움직인 레이저가 있습니다 ({laser})",
        "고정하고 보정과 스캔을 다시 하세요",
    ),
    "laser-moved-at": Words(
        "{laser} was moved at frame {frame}",
        "fix it, then calibrate and scan again",
        "프레임 {frame}에서 움직인 레이저가 있습니다 ({laser})",
        "고정하고 보정과 스캔을 다시 하세요",
    ),
    "line-moved": Words(
        "the laser or the camera was moved between calibration and scan: the line on the plate stands elsewhere",
        "fix both, then calibrate and scan again",
        "보정과 스캔 사이에 레이저나 카메라가 움직였습니다. 판 위의 선이 다른 곳에 있습니다",
        "둘 다 고정하고 보정과 스캔을 다시 하세요",
    ),
    "line-moved-at": Words(
        "the laser or the camera was moved at frame {frame}: from there on the line on the plate stands elsewhere",
        "fix both, then calibrate and scan again",
        "프레임 {frame}에서 레이저나 카메라가 움직였습니다. 그 뒤로 판 위의 선이 다른 곳에 있습니다",
        "둘 다 고정하고 보정과 스캔을 다시 하세요",
    ),
    "empty": Words(
        "nothing stands on the turntable",
        "put the piece in its middle and scan again",
        "회전판 위에 아무것도 없습니다",
        "물건을 가운데에 놓고 다시 스캔하세요",
    ),
    "few-points": Words(
        "only {count} points were measured",
        "see that both lasers shine on the piece; spray a dark or glossy one with matting spray",
        "측정된 점이 {count}개뿐입니다",
        "두 레이저가 물건을 비추는지 보고, 어둡거나 번쩍이면 무광 스프레이를 뿌리세요",
    ),
    "part-turn": Words(
        "{degrees:.0f} degrees of the turn were not scanned",
        "a whole turn has {measured:.0f} steps of the motor: set nominal_per_turn to that and scan all around again",
        "한 바퀴 중 {degrees:.0f}도가 스캔되지 않았습니다",
        "한 바퀴는 모터 {measured:.0f}스텝입니다. nominal_per_turn 값을 그렇게 고치고 한 바퀴를 다시 스캔하세요",
    ),
    "many-bad": Words(
        "{count} of {total} pictures with a laser cannot be used",
        "see what the other messages say and scan again",
        "레이저 사진 {total}장 중 {count}장을 쓸 수 없습니다",
        "다른 안내를 보고 다시 스캔하세요",
    ),
    "piece-disagrees": Words(
        "the two lasers measure the piece {mm:.2f} mm apart, {limit:.2f} are allowed",
        "calibrate again, and let nothing be moved before the scan is done",
        "두 레이저가 잰 표면이 {mm:.2f} mm 다릅니다 (허용 {limit:.2f})",
        "다시 보정하고 스캔이 끝날 때까지 아무것도 움직이지 마세요",
    ),
    "torn": Words(
        "on {share:.0%} of the surface the two lasers measure places that are more than {mm:g} mm apart",
        "the table slipped or stood still, or the piece moved on it: fix the piece, see that the motor loses no steps, "
        "and scan again",
        "표면의 {share:.0%}에서 두 레이저가 잰 곳이 {mm:g} mm 넘게 다릅니다",
        "회전판이 미끄러졌거나 멈췄거나 물건이 움직였습니다. 물건을 고정하고 모터가 제대로 도는지 보고 다시 스캔하세요",
    ),
    "table-stood": Words(
        "the table did not turn after frame {frame}, in all at {count} stops: the lines repeat there to the grain",
        "tighten the plate on its axle, see that nothing holds it, let the motor speed up more slowly (ramp_hz_s), and "
        "scan again",
        "프레임 {frame} 뒤로 회전판이 돌지 않은 곳이 모두 {count}곳입니다. 그곳에서는 레이저 선이 무늬까지 똑같습니다",
        "판을 축에 단단히 조이고 걸리는 것이 없는지 보고 모터 가속(ramp_hz_s)을 줄인 뒤 다시 스캔하세요",
    ),
    "table-jammed": Words(
        "the table did not turn: the lines are the same at every stop, to the grain",
        "see that the motor has power and its plate is fixed to the axle; if the plate did turn, the piece has the "
        "same rings all around: stick a crumb of clay onto its side and scan again",
        "회전판이 돌지 않았습니다. 모든 사진에서 레이저 선이 무늬까지 똑같습니다",
        "모터 전원과 판의 고정을 확인하세요. 판이 돌았다면 무늬가 빙 둘러 같은 것이니 옆면에 작은 점토를 붙이고 다시 "
        "스캔하세요",
    ),
    "turn-untold": Words(
        "a round, plain piece cannot show whether the table turned",
        "watch whether it turns; or stick a crumb of clay onto the piece and scan again",
        "둥글고 무늬 없는 물건으로는 회전판이 돌았는지 알 수 없습니다",
        "판이 도는지 눈으로 보거나, 물건에 작은 점토를 붙이고 다시 스캔하세요",
    ),
    "uncompared": Words(
        "too little was measured by both lasers to compare them: whether the table slipped is not known",
        "scan with more stops",
        "두 레이저가 함께 잰 곳이 적어 비교하지 못했습니다. 회전판이 미끄러졌는지 알 수 없습니다",
        "더 촘촘히 스캔하세요",
    ),
    "one-laser-scan": Words(
        "one laser: its place could not be checked against another, nor whether the table slipped",
        "where it matters, compare a length of the model with a caliper, or scan a gauge",
        "레이저가 하나여서 그 위치도, 회전판이 미끄러졌는지도 다른 레이저와 견주어 확인하지 못했습니다",
        "중요하면 모형의 길이를 캘리퍼로 잰 값과 비교하거나 게이지를 스캔하세요",
    ),
    "laser-uncalibrated": Words(
        "there are pictures of a second laser, which the calibration does not know: they were not used",
        "take the table's pictures of the board with both lasers, and calibrate again",
        "두 번째 레이저의 사진이 있지만 보정에 없는 레이저라 쓰지 않았습니다",
        "보정판 사진을 두 레이저로 다시 찍고 보정하세요",
    ),
    "laser-silent": Words(
        "{laser} gave {count} points, the other one {most}",
        "see that it is lit in its own pictures and dark in all others, and that it points at the axis",
        "점이 거의 없는 레이저가 있습니다: {laser} {count}개, 다른 레이저 {most}개",
        "자기 사진에서만 켜지고 다른 사진에서는 꺼지는지, 회전축을 향하는지 확인하세요",
    ),
    "lasers-swapped": Words(
        "l0 shows the line of laser 1, and l1 that of laser 0",
        "exchange the two in laser_pins (or the files' names), and scan again",
        "l0 사진에 레이저 1이, l1 사진에 레이저 0이 보입니다",
        "laser_pins의 두 값(또는 파일 이름)을 서로 바꾸고 다시 스캔하세요",
    ),
    "plate-height": Words(
        "by the lasers the plate lies at z = {mm:.2f} mm, it should be 0",
        "something was moved since the calibration, or thickness_mm is wrong: measure it and calibrate again",
        "레이저로 재면 판의 높이가 {mm:.2f} mm입니다 (0이어야 함)",
        "보정 뒤에 무언가 움직였거나 thickness_mm가 틀렸습니다. 다시 재고 보정하세요",
    ),
    # --- several poses
    "poses-apart": Words(
        "pose {nth} does not fit the first one ({share:.0%} of its points lie on it, {mm:.2f} mm off)",
        "scan the same piece so that both poses show half of it or more",
        "자세 {nth}: 첫 자세와 맞지 않습니다 (점의 {share:.0%}만 겹치고 {mm:.2f} mm 어긋남)",
        "두 자세에서 같은 면이 절반 넘게 보이도록 다시 스캔하세요",
    ),
    "poses-unclear": Words(
        "pose {nth} fits the first one in more than one way",
        "look at the model; if it is wrong, stick a few crumbs of clay onto the piece and scan both poses again",
        "자세 {nth}: 첫 자세와 여러 방향으로 맞습니다",
        "모델을 확인하고 틀렸으면 물건에 작은 점토를 몇 개 붙이고 두 자세를 다시 스캔하세요",
    ),
    # --- the model
    "no-mesh": Words(
        "no model can be made of the points ({why})",
        "scan with more stops; see that both lasers shine on the piece, and that it is not dark or glossy",
        "측정된 점으로는 모형을 만들 수 없습니다",
        "더 촘촘히 스캔하고, 두 레이저가 물건을 비추는지, 어둡거나 번쩍이지 않는지 보세요",
    ),
    "much-invented": Words(
        "{share:.0%} of the surface was never seen and is invented",
        "look at the red places in the pictures; scan the piece a second time lying otherwise, and give both",
        "표면의 {share:.0%}는 보이지 않아 추정한 것입니다",
        "그림의 붉은 곳을 확인하고, 물건을 다르게 눕혀 한 번 더 스캔해 함께 넣으세요",
    ),
    "missed": Words(
        "{share:.1%} of the measured points lie more than {mm:g} mm off the model: something thin or sharp is cut off",
        "compare the model with the piece, and scan with more stops",
        "측정된 점의 {share:.1%}가 모형에서 {mm:g} mm 넘게 떨어져 있습니다. 얇거나 뾰족한 곳이 잘렸습니다",
        "모형을 실물과 비교하고 더 촘촘히 스캔하세요",
    ),
    "some-invented": Words(
        "{share:.0%} of the surface was never seen: what it hides, a hollow or a hole, is in no figure's doubt",
        "look at the red places; where it matters, scan the piece a second time lying otherwise, and give both",
        "표면의 {share:.0%}는 보이지 않았습니다. 그 뒤의 구멍이나 파인 곳은 부피와 오차에 들어 있지 않습니다",
        "붉은 곳을 확인하고, 중요하면 물건을 다르게 눕혀 한 번 더 스캔해 함께 넣으세요",
    ),
    "scale-wrong": Words(
        "the gauge of {true:g} mm measures {measured:.3f} mm ({percent:+.2f} %)",
        "measure the board's squares with a caliper, correct square_mm and marker_mm, calibrate and scan again",
        "{true:g} mm 게이지가 {measured:.3f} mm로 측정됩니다 ({percent:+.2f} %)",
        "보정판의 칸을 캘리퍼로 재서 square_mm와 marker_mm를 고치고 보정과 스캔을 다시 하세요",
    ),
    "scale-unchecked": Words(
        "nothing of known size was measured: all lengths may be wrong by {percent:.1f} %",
        "scan a ball or a cylinder of known diameter with the same calibration, and give --gauge",
        "크기를 아는 물체로 확인하지 않았습니다. 모든 길이가 {percent:.1f} %까지 틀릴 수 있습니다",
        "지름을 아는 공이나 원기둥을 같은 보정으로 스캔하고 --gauge로 알려 주세요",
    ),
    # --- size
    "board-size": Words(
        "the board is not as large as dataset.toml says: by it the plate is {measured:.1f} mm wide, by "
        "caliper {nominal:.1f} (squares would be {square:.2f} mm)",
        "print the board again at 100 % (no 'fit to page'), or measure its squares with a caliper and "
        "correct square_mm and marker_mm",
        "보정판 크기가 dataset.toml과 다릅니다: 보정판으로 재면 판 지름이 {measured:.1f} mm, 실제는 "
        "{nominal:.1f} mm입니다 (칸은 {square:.2f} mm일 것)",
        "보정판을 배율 100 %로 다시 인쇄하거나('용지에 맞춤' 끄기), 칸을 캘리퍼로 재서 square_mm와 "
        "marker_mm를 고치세요",
    ),
    "size-unchecked": Words(
        "the scale rests on the print alone: all lengths may be wrong by {percent:.1f} % (printers stretch by 0.1 to "
        "0.5 %), and by more if the board was fitted to the page",
        "measure the printed board over all its {squares} squares with a caliper and calibrate with --board-mm (or "
        "length_mm in [board]); or give the plate's diameter ([plate] diameter_mm); or scan a gauge",
        "크기는 인쇄한 보정판만 믿은 것입니다. 모든 길이가 {percent:.1f} %까지 틀릴 수 있고(프린터 오차 0.1~0.5 %), "
        "용지에 맞춰 인쇄했으면 더 틀립니다",
        "인쇄한 보정판의 {squares}칸 전체 길이를 캘리퍼로 재서 --board-mm(또는 [board] length_mm)로 알려 주고 다시 "
        "보정하세요. 판의 지름([plate] diameter_mm)을 적거나 게이지를 스캔해도 됩니다",
    ),
    "rim-unseen": Words(
        "the plate's rim was not seen where [plate] diameter_mm says, so the board's size is not checked",
        "measure the plate's diameter with a caliper, and see that its rim stands out from what is behind it",
        "[plate] diameter_mm 자리에서 판의 가장자리를 찾지 못해 보정판 크기를 확인하지 못했습니다",
        "판의 지름을 캘리퍼로 다시 재고 가장자리가 배경과 구별되는지 보세요",
    ),
    "size-changed": Words(
        "all lengths are {percent:+.2f} % beside those of the calibration before, and all angles as they were",
        "the board of then or that of now is not as large as [board] says: measure its squares with a caliper",
        "각도는 그대로인데 모든 길이가 지난 보정보다 {percent:+.2f} % 다릅니다",
        "그때나 지금의 보정판이 [board]에 적힌 크기가 아닙니다. 칸을 캘리퍼로 재세요",
    ),
    "thickness": Words(
        "by the lasers the plate lies {mm:.2f} mm beside z = 0",
        "measure the board's thickness with a caliper and correct thickness_mm",
        "레이저로 재면 판이 z = 0에서 {mm:.2f} mm 어긋납니다",
        "보정판 두께를 캘리퍼로 재서 thickness_mm를 고치세요",
    ),
}
