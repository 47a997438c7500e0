"""The UCUM codes we know, each with the sign people read; and the names of quantities in Korean and English.

A table and not a parser: a typing mistake in a unit must be found before the shop opens, and shops need about
sixty units. Whoever needs another one adds a line.
"""

from __future__ import annotations

from typing import Final

UNITS: Final[dict[str, str]] = {
    "1": "",
    "%": "%",
    "[ppth]": "‰",
    "[ppm]": "ppm",
    "[ppb]": "ppb",
    "Cel": "°C",
    "[degF]": "°F",
    "K": "K",
    "Pa": "Pa",
    "hPa": "hPa",
    "kPa": "kPa",
    "bar": "bar",
    "mbar": "mbar",
    "lx": "lx",
    "lm": "lm",
    "cd": "cd",
    "V": "V",
    "mV": "mV",
    "A": "A",
    "mA": "mA",
    "uA": "µA",
    "W": "W",
    "kW": "kW",
    "mW": "mW",
    "V.A": "VA",
    "kV.A": "kVA",
    "W.h": "Wh",
    "kW.h": "kWh",
    "J": "J",
    "kJ": "kJ",
    "Hz": "Hz",
    "kHz": "kHz",
    "MHz": "MHz",
    "Ohm": "Ω",
    "kOhm": "kΩ",
    "F": "F",
    "C": "C",
    "A.h": "Ah",
    "g": "g",
    "kg": "kg",
    "[lb_av]": "lb",
    "mg": "mg",
    "m": "m",
    "cm": "cm",
    "mm": "mm",
    "um": "µm",
    "km": "km",
    "m2": "m²",
    "m3": "m³",
    "L": "L",
    "mL": "mL",
    "L/min": "L/min",
    "L/h": "L/h",
    "m3/h": "m³/h",
    "m/s": "m/s",
    "mm/s": "mm/s",
    "km/h": "km/h",
    "m/s2": "m/s²",
    "[g]": "g",
    "ug/m3": "µg/m³",
    "mg/m3": "mg/m³",
    "g/m3": "g/m³",
    "/cm3": "/cm³",
    "/min": "/min",
    "s": "s",
    "ms": "ms",
    "us": "µs",
    "min": "min",
    "h": "h",
    "d": "d",
    "deg": "°",
    "rad": "rad",
    "deg/s": "°/s",
    "dB": "dB",
    "dB[SPL]": "dB",
    "dBm": "dBm",
    "[pH]": "pH",
    "N": "N",
    "N.m": "N·m",
    "uS/cm": "µS/cm",
    "W/m2": "W/m²",
    "bit": "bit",
    "By": "B",
    "kBy": "kB",
    "MBy": "MB",
}
"""UCUM code -> how it is printed. `1` is for counts, states and texts."""

_ALIASES: Final[dict[str, str]] = {
    "°C": "Cel",
    "C°": "Cel",
    "degC": "Cel",
    "celsius": "Cel",
    "℃": "Cel",
    "°F": "[degF]",
    "F°": "[degF]",
    "fahrenheit": "[degF]",
    "percent": "%",
    "%RH": "%",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "lux": "lx",
    "kWh": "kW.h",
    "VA": "V.A",
    "Ah": "A.h",
    "Ω": "Ohm",
    "µg/m³": "ug/m3",
    "ug/m³": "ug/m3",
    "m³": "m3",
    "m²": "m2",
    "l": "L",
    "l/min": "L/min",
    "rpm": "/min",
    "sec": "s",
    "°": "deg",
    "B": "By",
    "m/s²": "m/s2",
    "watt": "W",
    "watts": "W",
    "kilowatt": "kW",
    "volt": "V",
    "volts": "V",
    "ampere": "A",
    "amp": "A",
    "amps": "A",
    "hertz": "Hz",
    "ohm": "Ohm",
    "pascal": "Pa",
    "kelvin": "K",
    "gram": "g",
    "kilogram": "kg",
    "liter": "L",
    "litre": "L",
    "meter": "m",
    "metre": "m",
    "hour": "h",
    "minute": "min",
    "second": "s",
    "day": "d",
    "": "1",
    "none": "1",
    "bool": "1",
}

QUANTITIES: Final[dict[str, tuple[str, str]]] = {
    "temperature": ("온도", "Temperature"),
    "humidity": ("습도", "Humidity"),
    "illuminance": ("조도", "Light"),
    "light": ("조도", "Light"),
    "co2": ("이산화탄소", "CO₂"),
    "occupancy": ("재실", "Occupied"),
    "pressure": ("압력", "Pressure"),
    "power": ("전력", "Power"),
    "energy": ("전력량", "Energy"),
    "voltage": ("전압", "Voltage"),
    "current": ("전류", "Current"),
    "frequency": ("주파수", "Frequency"),
    "battery": ("배터리", "Battery"),
    "open": ("열림", "Open"),
    "on": ("켜짐", "On"),
    "motion": ("움직임", "Motion"),
    "button": ("버튼", "Button"),
    "flow": ("유량", "Flow"),
    "dust": ("먼지", "Dust"),
    "pm25": ("초미세먼지", "PM2.5"),
    "pm10": ("미세먼지", "PM10"),
    "vibration": ("진동", "Vibration"),
    "weight": ("무게", "Weight"),
    "acceleration": ("가속도", "Acceleration"),
    "velocity": ("진동 속도", "Vibration velocity"),
    "kurtosis": ("첨도", "Kurtosis"),
    "envelope": ("베어링 울림", "Ringing above 1 kHz"),
    "bearing": ("베어링 손상 신호", "Bearing damage"),
    "zone": ("진동 등급", "Vibration zone"),
    "dew-point": ("이슬점", "Dew point"),
    "cold-junction": ("냉접점 온도", "Cold junction"),
    "power-factor": ("역률", "Power factor"),
    "run-hours": ("가동 시간", "Running hours"),
    "volume": ("누적 유량", "Volume"),
    "presses": ("누른 횟수", "Presses"),
    "press": ("누름", "Press"),
    "sound": ("소리", "Sound"),
    "linkquality": ("신호 세기", "Link quality"),
}
"""Quantity -> its name in Korean and in English."""


def is_unit(code: str) -> bool:
    """Whether `code` is one of the UCUM codes we know."""
    return code in UNITS


def nearest_unit(text: str) -> str | None:
    """The code somebody probably meant who wrote `text`, for the message of a settings check."""
    from difflib import get_close_matches  # here: who makes no mistake need not hold it in memory

    if text in UNITS:
        return text
    by_fold = {code.casefold(): code for code in UNITS}
    by_fold |= {alias.casefold(): code for alias, code in _ALIASES.items()}
    near = _ALIASES.get(text) or by_fold.get(text.strip().casefold())
    if near:
        return near
    close = get_close_matches(text.casefold(), by_fold, n=1, cutoff=0.5)
    return by_fold[close[0]] if close else None


def unit_sign(code: str) -> str:
    """How `code` is printed for people (`Cel` is °C); an unknown code is printed as it stands."""
    return UNITS.get(code, code)


def quantity_name(quantity: str, language: str = "en") -> str:
    """The quantity's name for people; an unknown one is the word itself with blanks for dashes."""
    ko, en = QUANTITIES.get(quantity, ("", ""))
    return (ko if language == "ko" else en) or quantity.replace("-", " ").replace("_", " ")
