# ruff: noqa: E501  # a row of the table is a line
"""Every text of the pages on the gateway, in every language they speak, and how numbers and durations are said.

A person who runs a café reads this, not an engineer: each trouble has a line that says what is (`<trouble>`) and one
that says what to do (`<trouble>_do`). Names are filled in without a particle after them, because 이/가 and 은/는
depend on how a name ends.
"""

from __future__ import annotations

from typing import Final

from golmok_cloud_sync.web import Language, Words, table

TEXTS: Final[Words] = table("""
    language         | 언어                                     | Language
    needs_script     | 새 값을 보려면 이 화면을 새로 고쳐 주세요. | Reload this page to see new values.
    devices          | 센서                                     | Sensors
    troubles         | 지금 할 일                               | What to do now
    today            | 오늘                                     | today
    fine             | 모두 잘 되고 있습니다                    | Everything is fine
    fine_more        | 센서 {count}개가 값을 보내고 있습니다.   | {count} sensors are reporting.
    waiting          | 첫 값을 기다리고 있습니다                | Waiting for the first values
    waiting_more     | 센서를 켠 지 얼마 안 되었습니다.         | The sensors have only just been switched on.
    no_devices       | 아직 연결된 센서가 없습니다              | No sensors yet
    no_devices_more  | 설정 파일에 센서를 적으면 여기에 나타납니다. | Sensors that stand in the settings file show up here.
    attention_one    | 한 가지를 봐 주세요                      | One thing needs you
    attention        | {count}가지를 봐 주세요                  | {count} things need you
    down             | 기록이 멈춰 있습니다                     | Recording has stopped
    down_do          | 보통은 1분 안에 저절로 다시 시작합니다. 5분이 지나도 그대로면 게이트웨이의 전원을 뽑았다가 10초 뒤에 다시 꽂아 주세요. 아래는 마지막으로 본 값입니다. | It usually starts again by itself within a minute. If this stays for 5 minutes, unplug the gateway, wait 10 seconds and plug it in again. Below are the last known values.
    driver           | {device} 센서를 읽는 프로그램에 문제가 있습니다 | The program that reads {device} is in trouble
    driver_do        | 저절로 다시 시작하고, 다른 센서는 계속 기록됩니다. 10분이 지나도 그대로면 설치하신 분에게 알려 주세요. | It starts again by itself, and the other sensors go on. If this stays for 10 minutes, tell whoever installed it.
    floods           | {device} 센서가 값을 너무 많이 보냅니다  | {device} sends far too many values
    floods_do        | 다른 센서가 밀리지 않게 잠깐씩 받지 않습니다. 센서의 전원을 껐다 켜 주세요. 계속되면 설치하신 분에게 알려 주세요. | It is not listened to now and then, so that the others are not held up. Please switch it off and on again. If this stays, tell whoever installed it.
    silent           | {device} 센서가 {duration}째 조용합니다  | {device} has been silent for {duration}
    silent_do        | 전선과 전원을 확인해 주세요.             | Please check its cable and power.
    silent_mqtt_do   | 전원이 켜져 있는지, 건전지와 와이파이를 확인해 주세요. | Please check its power or battery, and the Wi-Fi.
    unplugged        | {device} 센서가 빠져 있는 것 같습니다    | {device} seems to be unplugged
    unplugged_do     | 센서의 전선이 제자리에 꽂혀 있는지 확인해 주세요. | Please check that its cable is plugged in.
    shorted          | {device} 센서의 전선이 서로 닿아 있습니다 | The wires of {device} touch each other
    shorted_do       | 전선이 눌리거나 젖지 않았는지 확인해 주세요. 같은 선에 달린 센서 하나를 빼서 나머지가 살아나면 그 센서입니다. | Please check that its cable is neither squeezed nor wet. If the others come back when one on the same cable is unplugged, it is that one.
    cut              | {device} 센서의 전선이 끊어졌습니다      | The wire of {device} is broken
    cut_do           | 센서 쪽 단자와 플러그가 빠지지 않았는지 확인해 주세요. 괜찮으면 센서를 바꿔야 하니 설치하신 분에게 알려 주세요. | Please check its terminals and its plug. If they are fine the sensor must be changed: tell whoever installed it.
    other            | {device} 자리에 다른 센서가 달려 있습니다 | Another sensor is in the place of {device}
    other_do         | 센서를 바꾸셨다면 설치하신 분에게 알려 주세요. 바꾸지 않았다면 플러그가 서로 바뀌지 않았는지 확인해 주세요. | If you changed the sensor, tell whoever installed it. If not, please check whether two plugs were mixed up.
    garbled          | {device} 센서의 값이 깨져서 옵니다       | The values of {device} arrive garbled
    garbled_do       | 전선이 헐겁거나 모터와 전기선 옆을 지나지 않는지 확인해 주세요. | Please check that its cable is not loose and does not run beside motors or mains.
    stuck            | {device} 센서의 값이 움직이지 않습니다   | The value of {device} does not move
    stuck_do         | 센서가 제자리에 있는지 확인하고, 한 번 뺐다 꽂아 주세요. 계속되면 설치하신 분에게 알려 주세요. | Please check that it is in its place, unplug it and plug it in again. If this stays, tell whoever installed it.
    noisy            | {device} 센서의 값이 심하게 튑니다       | The values of {device} jump about
    noisy_do         | 전선이 헐겁지 않은지, 모터나 전기선 옆을 지나지 않는지 확인해 주세요. | Please check that its cable is not loose and does not run beside motors or mains.
    never            | {device} 센서에서 아직 값이 오지 않았습니다 | {device} has not reported yet
    never_do         | 전선과 전원을 확인해 주세요.             | Please check its cable and power.
    never_mqtt_do    | 전원이 켜져 있는지, 건전지와 와이파이를 확인해 주세요. | Please check its power or battery, and the Wi-Fi.
    high             | {device} {quantity} {value}: {limit}보다 높은 지 {duration}째입니다 | {device} {quantity} {value}: above {limit} for {duration}
    high_do          | 그 자리를 직접 확인해 주세요.            | Please go and look at it.
    high_temperature_do | 문이 잘 닫혀 있는지, 안에 든 것이 괜찮은지 확인해 주세요. | Please check that the door is shut and that what is inside is still good.
    high_alarm       | {device} {quantity} {limit}보다 높습니다 | {device} {quantity} is above {limit}
    low_alarm        | {device} {quantity} {limit}보다 낮습니다 | {device} {quantity} is below {limit}
    low              | {device} {quantity} {value}: {limit}보다 낮은 지 {duration}째입니다 | {device} {quantity} {value}: below {limit} for {duration}
    low_do           | 그 자리를 직접 확인해 주세요.            | Please go and look at it.
    rule_do          | 그 자리를 직접 확인해 주세요.            | Please go and look at it.
    rule_silent_do   | 센서의 전선과 전원을 확인해 주세요. 그동안은 아무도 지켜보지 못합니다. | Please check the sensor's cable and power: nobody watches it meanwhile.
    rule_left_do     | 닫거나 꺼 주세요.                        | Please shut it, or switch it off.
    rule_too-hot_do  | 바로 가마의 전원을 끊어 주세요.          | Switch the kiln off at once.
    rule_abnormal_do | 기계를 멈추고 소리와 진동을 확인해 주세요. | Please stop the machine, and listen and feel what is wrong.
    rule_seen        | 확인하신 분: {by}. 괜찮아지면 저절로 사라집니다. | Seen by {by}. It goes away by itself when all is well.
    rule_button      | 확인했습니다                             | I have seen it
    bad              | {device} {quantity} 값을 믿을 수 없습니다 | {device} {quantity}: the value cannot be trusted
    bad_do           | 센서가 빠지거나 젖지 않았는지 확인해 주세요. 계속되면 설치하신 분에게 알려 주세요. | Please check that the sensor is plugged in and dry. If this stays, tell whoever installed it.
    clock            | 아직 시각을 모릅니다                     | The time of day is not known yet
    clock_do         | 기록은 계속됩니다. 인터넷에 연결되면 시각이 저절로 맞춰지고, 그때까지는 그래프의 시각이 맞지 않을 수 있습니다. | Recording goes on. Times are put right by themselves once there is Internet; until then those of the curves may be wrong.
    broker           | 무선 장치와의 연결이 끊겼습니다          | The connection to the wireless devices is lost
    broker_do        | 저절로 다시 연결합니다. 5분이 지나도 그대로면 게이트웨이의 전원을 뽑았다가 10초 뒤에 다시 꽂아 주세요. | It reconnects by itself. If this stays for 5 minutes, unplug the gateway, wait 10 seconds and plug it in again.
    disk             | 저장 공간이 가득 찼습니다                | The storage is full
    disk_do          | 새 값을 기록하지 못하고 있습니다. 설치하신 분에게 바로 알려 주세요. | New values are not being recorded. Please tell whoever installed the gateway at once.
    broken           | 저장 장치에 기록할 수 없습니다           | The storage cannot be written
    broken_do        | 새 값을 기록하지 못하고 있습니다. SD 카드가 고장 났을 수 있으니 설치하신 분에게 바로 알려 주세요. | New values are not being recorded. The SD card may be broken: please tell whoever installed the gateway at once.
    damage           | 손상된 기록 파일을 따로 두었습니다       | A damaged file of records was put aside
    damage_do        | 새 파일에 계속 기록하고, 읽을 수 있는 것은 저절로 살립니다. 메모리 카드가 낡았을 수 있으니 설치하신 분에게 알려 주세요. | Recording goes on in a new file, and what can be read is saved by itself. The memory card may be wearing out: please tell whoever installed the gateway.
    budget           | 보내지 못한 기록으로 저장 공간이 찼습니다 | The storage is full of records that could not be sent
    budget_do        | 새 값을 기록하지 못하고 있습니다. 인터넷이 연결되면 저절로 이어집니다: 공유기와 인터넷 선을 확인해 주세요. | New values are not being recorded. It goes on by itself once there is Internet: please check the router and its cable.
    evicting         | 오래 보내지 못해 가장 오래된 측정값부터 지우고 있습니다 | Nothing could be sent for long: the oldest values are being deleted
    evicting_do      | 새 값과 경보는 계속 기록됩니다. 더 잃지 않으려면 인터넷을 연결해 주세요. | New values and alarms are still recorded. To lose no more, please bring the Internet back.
    card             | 이 속도면 SD 카드가 약 {months}개월밖에 가지 않습니다 | At this rate the SD card lasts only about {months} months
    card_do          | 설치하신 분에게 알려 주세요. 저장 간격을 늘리거나 내구성이 높은 카드로 바꾸면 오래갑니다. | Please tell whoever installed the gateway. It lasts longer when values are stored less often, or on a high-endurance card.
    card_life        | 이 속도면 SD 카드는 약 {years}년 갑니다  | At this rate the SD card lasts about {years} years
    card_long        | 이 속도면 SD 카드는 {years}년 넘게 갑니다 | At this rate the SD card lasts more than {years} years
    cloud            | 클라우드로 보내지 못한 지 {duration}째입니다 | Nothing has reached the cloud for {duration}
    cloud_never      | 아직 클라우드에 연결하지 못했습니다      | The cloud has not been reached yet
    cloud_do         | 인터넷이 끊겨도 기록은 계속됩니다; {count}개가 기다리는 중이고, 연결되면 저절로 보냅니다. 공유기와 인터넷 선을 확인해 주세요. | Recording goes on without the Internet; {count} readings are waiting and will be sent by themselves. Please check the router and its cable.
    cloud_first      | 클라우드에 연결하는 중입니다             | Connecting to the cloud
    cloud_fine       | 클라우드로 잘 보내고 있습니다            | Everything is being sent to the cloud
    cloud_behind     | 밀린 기록을 보내는 중입니다: {count}개 남음 | Catching up with the cloud: {count} left
    cloud_waiting    | 인터넷이 끊겨도 기록은 계속됩니다; {count}개가 기다리는 중 | Recording goes on without the Internet; {count} readings are waiting
    cloud_unknown    | 클라우드로 보내고 있는지 지금은 모릅니다 | Whether data reach the cloud is not known right now
    cloud_none       | 클라우드 없이 이 기기에만 기록합니다     | Readings are kept on this device only
    lost             | 화면이 게이트웨이와 끊겼습니다           | This page has lost the gateway
    lost_do          | 아래는 마지막으로 본 값입니다. 다시 연결되면 저절로 이어집니다. | Below are the last known values. It goes on by itself when the connection is back.
    no_value         | 아직 값이 없습니다                       | No value yet
    no_answer        | 센서가 답하지 않습니다                   | The sensor does not answer
    uncertain        | 확실하지 않은 값입니다                   | This value is uncertain
    not_trusted      | 믿을 수 없는 값입니다                    | This value cannot be trusted
    just_now         | 방금                                     | just now
    time             | 시각                                     | Time
    least            | 최저                                     | Least
    mean             | 평균                                     | Mean
    most             | 최고                                     | Most
    show_values      | 표로 보기                                | As a table
    no_values        | 오늘은 아직 값이 없습니다                | No values yet today
    gap              | {reason}                                 | {reason}
    range            | 최저 {least} · 최고 {most}               | Low {least} · high {most}
    gap_line         | {reason} {from}–{to}                     | {reason} {from}–{to}
    gap_open         | {reason} {from}부터 지금까지             | {reason} since {from}
    lacks            | 값 {count}개가 빠짐                      | {count} readings missing
    show_gaps        | 기록이 빈 때 {count}번                   | Times without a record: {count}
    chart_words      | 마지막 {now}, 최저 {least}, 최고 {most}, 빈 구간 {gaps}개 | Last {now}, least {least}, most {most}, {gaps} gaps
""")

_SCRIPT_KEYS: Final = (
    "just_now",
    "time",
    "least",
    "mean",
    "most",
    "show_values",
    "no_values",
    "gap",
    "gap_line",
    "gap_open",
    "lacks",
    "show_gaps",
    "range",
    "chart_words",
)

_DURATIONS: Final = (
    (86_400, {"ko": ("{}일", "{}일"), "en": ("{} day", "{} days")}),
    (3_600, {"ko": ("{}시간", "{}시간"), "en": ("{} hour", "{} hours")}),
    (60, {"ko": ("{}분", "{}분"), "en": ("{} minute", "{} minutes")}),
    (1, {"ko": ("{}초", "{}초"), "en": ("{} second", "{} seconds")}),
)

_DIGITS: Final = {"Cel": 1, "[degF]": 1, "%": 0, "[ppm]": 0, "lx": 0, "hPa": 0}


def say(language: Language, key: str, **values: str) -> str:
    """The text `key` with its names filled in."""
    text = TEXTS[key][language]
    return text.format(**values) if values else text


def for_script(language: Language) -> dict[str, str]:
    """The texts that the page's script says by itself."""
    return {key: TEXTS[key][language] for key in _SCRIPT_KEYS}


def duration(language: Language, seconds: float) -> str:
    """How long, in one unit: 3분, 2 hours; a unit is used from two of it on, so that 90 minutes stay minutes.

    From ten on seconds go by tens: nobody needs them all, and the text should stand still.
    """
    whole = int(seconds) if seconds >= 120 else max(1, int(seconds)) if seconds < 10 else int(seconds) // 10 * 10
    length, words = next((row for row in _DURATIONS if whole >= 2 * row[0]), _DURATIONS[-1])
    count = whole // length
    return words[language][count != 1].format(count)


def digits(unit: str) -> int | None:
    """How many digits after the point are always written with this unit; None where the size of the number decides."""
    return _DIGITS.get(unit)


def number(value: float, unit: str) -> str:
    """A measured number as people read it: 1,234, 45.3, 4.25; both languages write it alike."""
    size = abs(value)
    by_size = 0 if isinstance(value, int) or size >= 1000 else 1 if size >= 10 else 2
    text = f"{value:,.{_DIGITS.get(unit, by_size)}f}"
    return text if text.strip("-0.,") else text.lstrip("-")
