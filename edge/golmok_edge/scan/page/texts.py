# ruff: noqa: E501  (a row of the table is a line)
"""The page's words, a column a language; and the files of three.js that it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from golmok_cloud_sync.web import Language, table

TEXTS: Final = table("""
    title          | 3D 스캐너                     | 3D scanner
    language       | 언어                          | Language
    pin            | 직원 PIN                      | Staff PIN
    sign_in        | 들어가기                      | Sign in
    sign_out       | 나가기                        | Sign out
    staff_only     | 카메라 영상은 직원만 볼 수 있습니다 | Only staff may look through the camera
    wrong_pin      | PIN이 맞지 않습니다           | That is not the PIN
    locked         | 여러 번 틀려서 잠겼습니다. {seconds}초 뒤에 다시 하세요 | Locked after wrong tries: try again in {seconds} s
    no_pin         | 아직 PIN이 없습니다. 이 기기에서 다음 명령으로 정하세요 | There is no PIN yet. Set one on this machine by
    from_elsewhere | 다른 페이지에서 온 요청은 받지 않습니다 | Requests from other pages are refused
    needs_script   | 이 페이지는 JavaScript가 필요합니다 | This page needs JavaScript
    new_scan       | 새 스캔                       | New scan
    put            | 물건을 회전판 가운데에 올리고 시작을 누르세요 | Put the piece in the middle of the table and press Start
    quality        | 자세히                        | Detail
    quick          | 빠르게                        | Quick
    normal         | 보통                          | Normal
    fine           | 곱게                          | Fine
    stops          | {n}장                         | {n}
    start          | 시작                          | Start
    stop           | 멈춤                          | Stop
    go_on          | 이어서 하기                   | Go on
    ready          | 준비됐습니다                  | Ready
    done           | 다 됐습니다                   | Done
    failed         | 하지 못했습니다               | It failed
    stopped        | 멈췄습니다. 찍은 사진은 그대로 있습니다 | Stopped; the pictures taken are kept
    next           | 했습니다                      | I have done it
    capture        | 사진 찍기                     | Taking pictures
    calibrate      | 보정 계산                     | Calibrating
    reconstruct    | 모양 계산                     | Working out the shape
    measure        | 재기                          | Measuring
    report         | 보고서                        | Report
    left_h         | {h}시간 {m}분 남음            | {h} h {m} min left
    left_m         | {m}분 {s}초 남음              | {m} min {s} s left
    left_s         | {s}초 남음                    | {s} s left
    not_calibrated | 아직 보정하지 않았습니다. 보정해야 밀리미터를 믿을 수 있습니다 | Not calibrated yet: only then are its millimetres right
    calibrate_now  | 지금 보정하기                 | Calibrate now
    calibrated     | 보정되어 있습니다             | Calibrated
    calibrated_print | 보정되어 있지만 크기는 인쇄한 보정판만 믿은 값입니다. 보정판을 캘리퍼로 재고 다시 보정하세요 | Calibrated, but its lengths rest on the print alone: measure the board with a caliper and calibrate again
    calibrate_again | 다시 보정                    | Calibrate again
    board_mm       | 인쇄한 보정판의 {n}칸 전체 길이 (캘리퍼, mm) | The printed board's length over its {n} squares (caliper, mm)
    board_why      | 재지 않으면 모든 길이가 인쇄 오차만큼(0.1~0.5 %) 틀릴 수 있습니다 | Not measured, all lengths may be wrong by what the print is (0.1 to 0.5 %)
    no_length      | 보정판 길이는 {mm} mm쯤이어야 합니다. 첫 칸 바깥 모서리부터 끝 칸 바깥 모서리까지 재세요 | The board should be about {mm} mm long: measure from the first square's outer edge to the last one's
    camera         | 카메라                        | Camera
    look           | 보기                          | Look
    hide           | 그만 보기                     | Stop looking
    light_color    | 조명                          | Lamp
    light_off      | 레이저 끔                     | Lasers off
    light_laser    | 레이저                        | Laser
    light_l0       | 레이저 0                      | Laser 0
    light_l1       | 레이저 1                      | Laser 1
    laser_warning  | 레이저를 눈으로 보지 마세요   | Do not look into the laser
    busy_camera    | 찍는 동안은 카메라를 볼 수 없습니다 | The camera is busy with the scan
    focus          | 초점                          | Focus
    focus_best     | 지금까지 가장 좋은 값의 {share}% | {share} % of the best so far
    focus_do       | 막대가 가장 길어질 때까지 렌즈를 천천히 돌리세요 | Turn the lens slowly until the bar is longest
    line_width     | 선의 폭                       | Line width
    pixels         | {n} 픽셀                      | {n} pixels
    brightness     | 선의 밝기                     | Line brightness
    exposure_good  | 노출이 알맞습니다             | The exposure is right
    exposure_high  | 너무 밝습니다. 빨간 곳이 줄도록 노출을 줄이세요 | Too bright: expose shorter until the red is gone
    exposure_low   | 너무 어둡습니다. 노출을 늘리거나 방을 어둡게 하세요 | Too dark: expose longer, or darken the room
    exposure_none  | 레이저 선이 보이지 않습니다   | The laser's line is not seen
    model          | 모형                          | Model
    no_model       | 아직 모형이 없습니다          | No model yet
    no_viewer      | 모형을 돌려 보는 프로그램(three.js)이 설치되지 않았습니다. 설치: scripts/setup | The viewer (three.js) is not installed: run scripts/setup
    no_webgl       | 이 브라우저는 3D를 보여 주지 못합니다. 파일을 내려받으세요 | This browser shows no 3D: download the file
    turn_it        | 끌어서 돌리고, 두 손가락이나 휠로 키우세요 | Drag to turn, pinch or scroll to zoom
    mark_unseen    | 보이지 않은 곳 표시           | Show what was not seen
    invented       | 보이지 않아 추정한 표면       | never seen, invented
    base           | 판에 놓인 바닥                | base, on the plate
    share          | {n}%                          | {n} %
    scans          | 스캔 목록                     | Scans
    no_scans       | 아직 스캔이 없습니다          | No scans yet
    pictures       | 사진 {n}/{of}                 | {n} of {of} stops
    download       | 내려받기                      | Download
    lost           | 연결이 끊겼습니다             | Connection lost
    show           | 보기                          | Show
    send           | 클라우드로 보내기             | Send to the cloud
    send_again     | 다시 보내기                   | Send again
    send_changed   | 보낸 뒤에 바뀌었습니다        | Changed since it was sent
    share          | {n} %                         | {n} %
    no_cloud       | 설정에 클라우드([cloud])가 없어 보낼 수 없습니다 | It cannot be sent: the settings name no cloud ([cloud])
""")

VIEWER: Final[Mapping[str, str]] = {
    "three.module.js": "build/three.module.js",
    "three.core.js": "build/three.core.js",
    "controls/OrbitControls.js": "examples/jsm/controls/OrbitControls.js",
    "loaders/GLTFLoader.js": "examples/jsm/loaders/GLTFLoader.js",
    "utils/BufferGeometryUtils.js": "examples/jsm/utils/BufferGeometryUtils.js",
    "utils/SkeletonUtils.js": "examples/jsm/utils/SkeletonUtils.js",
}
"""The path that a page asks for -> where it lies in the npm package `three`."""


def say(key: str, language: Language, **values: object) -> str:
    """One text, filled in."""
    text = TEXTS[key][language]
    return text.format(**values) if values else text
