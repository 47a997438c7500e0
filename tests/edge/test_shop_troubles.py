from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_cloud_sync.web import LANGUAGES
from golmok_edge.settings import Settings, normal_silence_s
from golmok_edge.shop.heard import Said
from golmok_edge.shop.situation import Situation
from golmok_edge.shop.troubles import CLOUD_PATIENCE_S, Diary, Finding, find, tell
from tests.edge.shop_support import ROWS, said, settings

FRIDGE, DOOR, PLUG = "fridge.temperature", "door.open", "stall-plug.power"
FINE = Situation(is_cloud_up=True, cloud_age_s=2.0)


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    return settings(tmp_path)


def everything(channel: str = FRIDGE, **changes: Any) -> dict[str, Said]:
    """Every channel has just said something good, but for `channel`."""
    rows = {name: said(name)[name] for name in ROWS}
    return rows | said(channel, **changes)


def found(shop: Settings, now: Situation | None, latest: Mapping[str, Said], at_s: float = 0.0) -> list[Finding]:
    return find(shop.devices, now, latest, at_s, None if now else 30.0)


def kinds(shop: Settings, now: Situation | None, latest: Mapping[str, Said], at_s: float = 0.0) -> list[str]:
    return [finding.kind for finding in found(shop, now, latest, at_s)]


def test_nothing_is_wrong_when_everything_speaks(shop: Settings) -> None:
    assert kinds(shop, FINE, everything()) == []


def test_while_the_gateway_is_down_nothing_else_is_known(shop: Settings) -> None:
    assert kinds(shop, None, everything(value=99.0)) == ["down"]


def test_a_sensor_is_silent_after_its_normal_silence(shop: Settings) -> None:
    fridge = shop.devices[0]
    assert normal_silence_s(fridge) == 25.0
    assert kinds(shop, FINE, everything(), at_s=24.0) == []
    assert kinds(shop, FINE, everything(), at_s=26.0) == ["silent"]
    assert kinds(shop, FINE, everything(), at_s=301.0) == ["silent", "silent"]  # the door may be as silent as it likes


def test_a_sensor_that_does_not_answer_is_silent(shop: Settings) -> None:
    assert kinds(shop, FINE, everything(value=None, quality="bad", reason="timeout")) == ["silent"]


@pytest.mark.parametrize(
    ("quality", "reason", "kind", "words"),
    [
        ("bad", "nack", "unplugged", "빠져 있는"),
        ("bad", "unplugged", "unplugged", "빠져 있는"),
        ("bad", "shorted", "shorted", "서로 닿아"),
        ("bad", "open-circuit", "cut", "끊어졌습니다"),
        ("bad", "wrong-part", "other", "다른 센서"),
        ("uncertain", "swapped", "other", "다른 센서"),
        ("bad", "crc", "garbled", "깨져서"),
        ("uncertain", "stuck", "stuck", "움직이지 않습니다"),
        ("uncertain", "noisy", "noisy", "심하게 튑니다"),
    ],
)
def test_what_is_wrong_with_a_sensor_is_named(shop: Settings, quality: str, reason: str, kind: str, words: str) -> None:
    value = None if quality == "bad" else 4.0
    (finding,) = found(shop, FINE, everything(value=value, quality=quality, reason=reason))
    assert finding.kind == kind
    told = {language: tell(language, finding, 60.0, 0) for language in LANGUAGES}
    assert words in told["ko"].what
    assert all(shop.devices[0].title in trouble.what and trouble.todo for trouble in told.values())


def test_an_alarm_of_silence_says_it_already(shop: Settings) -> None:
    silent = Alarm("1", "quiet", "raised", "silent", channel=FRIDGE)
    now = FINE._replace(alarms=(silent,))
    assert kinds(shop, now, everything(value=None, quality="bad", reason="nack")) == ["rule"]


def test_a_sensor_that_has_never_spoken_is_said_so_only_if_it_should_have(shop: Settings) -> None:
    latest = {DOOR: said(DOOR)[DOOR]}
    assert kinds(shop, FINE, latest) == ["never", "never"]
    assert kinds(shop, FINE, {name: row for name, row in everything().items() if name != DOOR}) == []


@pytest.mark.parametrize("kind", ["driver", "floods"])
def test_one_that_is_let_rest_is_told_so_and_not_that_it_is_silent(shop: Settings, kind: str) -> None:
    resting = FINE._replace(culprits={"fridge": kind})
    assert kinds(shop, resting, everything(value=None, quality="bad", reason="hangs")) == [kind]
    (finding,) = found(shop, resting, everything())
    for language in ("ko", "en"):
        trouble = tell(language, finding, 60.0, 0)
        assert shop.devices[0].title in trouble.what
        assert trouble.todo


@pytest.mark.parametrize(("raw", "kind"), [(9.0, "high"), (0.5, "low")])
def test_a_value_outside_its_limits(shop: Settings, raw: float, kind: str) -> None:
    assert kinds(shop, FINE, everything(value=raw)) == [kind]


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        (FINE._replace(is_clock_known=False), "clock"),
        (FINE._replace(is_broker_up=False), "broker"),
        (FINE._replace(is_disk_full=True), "disk"),
        (FINE._replace(is_budget_full=True), "budget"),
        (FINE._replace(is_disk_broken=True), "broken"),
        (FINE._replace(is_evicting=True), "evicting"),
        (FINE._replace(is_damaged=True), "damage"),
        (FINE._replace(card_years=0.4), "card"),
        (FINE._replace(is_cloud_up=False, cloud_age_s=90.0), "cloud"),
        (FINE._replace(is_cloud_up=False, cloud_age_s=None), "cloud_never"),
    ],
)
def test_what_is_wrong_with_the_gateway(shop: Settings, now: Situation, kind: str) -> None:
    assert kinds(shop, now, everything()) == [kind]


def test_no_cloud_in_the_settings_is_no_trouble(shop: Settings) -> None:
    assert kinds(shop, Situation(has_cloud=False, is_cloud_up=False), everything()) == []


def test_the_most_pressing_comes_first(shop: Settings) -> None:
    now = FINE._replace(is_clock_known=False, is_cloud_up=False, is_disk_full=True)
    latest = everything(value=9.0) | said(PLUG, quality="bad")
    assert kinds(shop, now, latest) == ["disk", "high", "bad", "cloud", "clock"]


def test_patience_counts_from_when_it_began_and_begins_anew(shop: Settings) -> None:
    diary = Diary()
    hot = found(shop, FINE, everything(value=9.0))
    assert diary.lasting(hot, 1000.0) == []
    assert diary.lasting(hot, 1059.0) == []
    assert [lasting_s for _, lasting_s in diary.lasting(hot, 1060.0)] == [60.0]
    assert diary.lasting([], 1061.0) == []
    assert diary.lasting(hot, 1062.0) == []


def test_a_short_loss_of_the_cloud_is_not_worth_a_word(shop: Settings) -> None:
    lost = FINE._replace(is_cloud_up=False, cloud_age_s=CLOUD_PATIENCE_S - 1)
    assert Diary().lasting(found(shop, lost, everything()), 0.0) == []


def test_what_is_wrong_is_told_with_what_to_do(shop: Settings) -> None:
    told = tell("ko", Finding("silent", shop.devices[0]), 185.0, 0)
    assert told.what == "음료 냉장고 센서가 3분째 조용합니다"
    assert told.todo == "전선과 전원을 확인해 주세요."
    hot = found(shop, FINE, everything(value=9.3))[0]
    told = tell("ko", hot, 720.0, 0)
    assert told.what == "음료 냉장고 온도 9.3 °C: 8.0 °C보다 높은 지 12분째입니다"
    assert "문이 잘 닫혀 있는지" in told.todo
    told = tell("ko", Finding("cloud"), 7300.0, 1234)
    assert told.what == "클라우드로 보내지 못한 지 2시간째입니다"
    assert "인터넷이 끊겨도 기록은 계속됩니다; 1,234개가 기다리는 중" in told.todo


def test_only_alarms_are_said_aloud_and_each_once(shop: Settings) -> None:
    hot, hotter = (found(shop, FINE, everything(value=degrees))[0] for degrees in (9.3, 9.4))
    assert (
        tell("ko", hot, 720.0, 0).alarm == tell("ko", hotter, 780.0, 0).alarm == "음료 냉장고 온도 8.0 °C보다 높습니다"
    )
    assert tell("en", Finding("down"), 30.0, 0).alarm == "Recording has stopped"
    assert tell("en", Finding("silent", shop.devices[0]), 30.0, 0).alarm == ""


def test_a_device_without_wires_is_looked_for_elsewhere(shop: Settings) -> None:
    assert "Wi-Fi" in tell("en", Finding("silent", shop.devices[2]), 400.0, 0).todo


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_trouble_can_be_told(shop: Settings, language: Any) -> None:
    bad = FINE._replace(is_clock_known=False, is_broker_up=False, is_disk_full=True, is_cloud_up=False)
    cases = [
        *found(shop, bad, {}),
        *found(shop, bad._replace(cloud_age_s=None), everything(value=9.0)),
        *found(shop, FINE, everything(value=0.1) | said(PLUG, quality="bad")),
        *found(shop, FINE, everything(), at_s=9999.0),
        *found(shop, None, {}),
    ]
    assert {finding.kind for finding in cases} == {
        "down", "disk", "high", "low", "silent", "never", "bad", "broker", "cloud", "cloud_never", "clock",
    }  # fmt: skip
    for finding in cases:
        told = tell(language, finding, 60.0, 5)
        assert told.what
        assert told.todo
        assert not re.search(r"[{}]", told.what + told.todo)
