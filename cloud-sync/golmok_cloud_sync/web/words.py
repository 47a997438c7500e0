"""The words for quantities, states, units and reasons; what is not in a table is shown as it is.

Quantities are the second half of a channel (`fridge.temperature`), units are UCUM codes, reasons are those of a gap
or of a bad value. A language is a column, so a missing translation is a missing cell and a test finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from golmok_cloud_sync.web.language import Language

Words: TypeAlias = Mapping[str, Mapping[Language, str]]


def table(rows: str) -> Words:
    """A table of texts from rows of `key | 한국어 | English`."""
    cells = (tuple(cell.strip() for cell in row.split("|")) for row in rows.strip().splitlines())
    return {key: {"ko": korean, "en": english} for key, korean, english in cells}


QUANTITIES: Final = table("""
    temperature   | 온도          | Temperature
    humidity      | 습도          | Humidity
    pressure      | 기압          | Pressure
    illuminance   | 밝기          | Light
    light         | 밝기          | Light
    co2           | 이산화탄소    | CO₂
    voc           | 유기화합물    | VOC
    dust          | 먼지          | Dust
    pm25          | 초미세먼지    | Fine dust PM2.5
    pm10          | 미세먼지      | Dust PM10
    power         | 전력          | Power
    energy        | 전력량        | Energy
    voltage       | 전압          | Voltage
    current       | 전류          | Current
    frequency     | 주파수        | Frequency
    vibration     | 진동          | Vibration
    weight        | 무게          | Weight
    flow          | 유량          | Flow
    occupancy     | 사람          | People
    motion        | 움직임        | Motion
    open          | 문            | Door
    on            | 스위치        | Switch
    button        | 버튼          | Button
    battery       | 배터리        | Battery
    acceleration  | 가속도        | Acceleration
    velocity      | 진동 속도     | Vibration velocity
    kurtosis      | 첨도          | Kurtosis
    envelope      | 베어링 울림   | Ringing above 1 kHz
    bearing       | 베어링 손상 신호 | Bearing damage
    zone          | 진동 등급     | Vibration zone
    dew-point     | 이슬점        | Dew point
    cold-junction | 냉접점 온도   | Cold junction
    power-factor  | 역률          | Power factor
    run-hours     | 가동 시간     | Running hours
    volume        | 누적 유량     | Volume
    presses       | 누른 횟수     | Presses
    press         | 누름          | Press
    sound         | 소리          | Sound
    linkquality   | 신호 세기     | Signal
    rssi          | 신호 세기     | Signal
""")

FALSE: Final = table("""
    open          | 닫힘          | Closed
    on            | 꺼짐          | Off
    occupancy     | 없음          | Nobody
    motion        | 없음          | None
    button        | 떼어짐        | Released
    *             | 아니요        | No
""")
"""What a truth value that is false says, by quantity."""

TRUE: Final = table("""
    open          | 열림          | Open
    on            | 켜짐          | On
    occupancy     | 있음          | Somebody
    motion        | 있음          | Moving
    button        | 눌림          | Pressed
    *             | 예            | Yes
""")

REASONS: Final = table("""
    silent            | 센서가 조용함              | sensor silent
    device silent     | 센서가 조용함              | sensor silent
    gateway off       | 게이트웨이가 꺼져 있었음   | gateway was off
    off               | 게이트웨이가 꺼져 있었음   | gateway was off
    flood             | 너무 많은 값을 보냄        | it sent far too much
    unheard           | 아직 소식이 없음           | nothing heard yet
    broker            | 장치 통신(MQTT)이 끊김     | device messages (MQTT) lost
    disk full         | 저장 공간이 가득 참        | disk full
    evicted           | 자리가 없어 지움           | removed for lack of space
    quarantined       | 손상되어 따로 둠           | damaged, set aside
    trimmed           | 자리를 비우려 지움         | removed to make room
    refused           | 클라우드가 받지 않음       | refused by the cloud
    nack              | 센서가 대답하지 않음       | no answer
    timeout           | 대답이 너무 늦음           | answered too late
    unplugged         | 센서가 빠져 있음           | unplugged
    shorted           | 선이 합선됨                | wires shorted
    open circuit      | 센서 선이 끊김             | its wire is broken
    wrong part        | 다른 부품이 달림           | another part is there
    swapped           | 센서가 바뀜                | sensor was changed
    stuck             | 값이 움직이지 않음         | it does not move
    noisy             | 값이 심하게 튐             | its values scatter
    overrun           | 값을 놓침                  | values were lost
    crc               | 값이 깨져서 옴             | garbled on the way
    bus               | 배선(버스) 고장            | bus failed
    closed            | 버스가 닫힘                | bus closed
    range             | 잴 수 없는 값              | beyond what it can measure
    reset             | 센서가 다시 켜짐           | sensor restarted
    not ready         | 센서가 준비되지 않음       | sensor not ready
    parse             | 메시지를 읽을 수 없음      | message not readable
    hangs             | 읽는 프로그램이 멈춤       | its program hangs
    raises            | 읽는 프로그램의 오류       | its program broke
    leaks             | 읽는 프로그램이 너무 커짐  | its program takes too much
    nonsense          | 읽는 프로그램이 엉뚱함     | its program gives nonsense
    floods            | 값이 너무 많이 옴          | far too many values
    flood             | 값이 너무 많아 받지 않음   | too many values, not heard
    time              | 기기의 시각을 믿을 수 없음 | its own time is not to be trusted
    calibration       | 교정 기한이 지남           | calibration expired
    settings          | 설정이 맞지 않음           | settings do not fit
""")

UNITS: Final[Mapping[str, str]] = {
    "1": "",
    "[lb_av]": "lb",
    "[ppth]": "‰",
    "[ppm]": "ppm",
    "[ppb]": "ppb",
    "Cel": "°C",
    "[degF]": "°F",
    "uA": "µA",
    "V.A": "VA",
    "kV.A": "kVA",
    "W.h": "Wh",
    "kW.h": "kWh",
    "Ohm": "Ω",
    "kOhm": "kΩ",
    "A.h": "Ah",
    "um": "µm",
    "m2": "m²",
    "m3": "m³",
    "m3/h": "m³/h",
    "m/s2": "m/s²",
    "[g]": "g",
    "ug/m3": "µg/m³",
    "mg/m3": "mg/m³",
    "g/m3": "g/m³",
    "/cm3": "/cm³",
    "us": "µs",
    "deg": "°",
    "deg/s": "°/s",
    "dB[SPL]": "dB",
    "[pH]": "pH",
    "N.m": "N·m",
    "uS/cm": "µS/cm",
    "W/m2": "W/m²",
    "By": "B",
    "kBy": "kB",
    "MBy": "MB",
}
"""The codes that people write otherwise; every other code is its own sign."""


def quantity(language: Language, name: str) -> str:
    """The quantity's name in words: `temperature` is 온도; an unknown one stays as it is."""
    row = QUANTITIES.get(name)
    return row[language] if row else name


def states(language: Language, name: str) -> tuple[str, str]:
    """What false and true of this quantity say: of `open`, 닫힘 and 열림."""
    return FALSE.get(name, FALSE["*"])[language], TRUE.get(name, TRUE["*"])[language]


def reason(language: Language, name: str) -> str:
    """The reason in words; an unknown one stays as it is."""
    row = REASONS.get(name.replace("_", " ").replace("-", " "))
    return row[language] if row else name


def unit(code: str) -> str:
    """The unit as people write it: `Cel` is °C; an unknown one stays as it is."""
    return UNITS.get(code, code)
