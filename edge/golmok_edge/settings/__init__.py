"""The settings file of a gateway: one reading finds every mistake, each with its line and what to do about it.

The gateway process reads its settings by this package too, so that it must stay light: msgspec and the
standard library only.
"""

from __future__ import annotations

from golmok_edge.settings.files import Examination, examine, examine_closely, load
from golmok_edge.settings.language import Language, language_of
from golmok_edge.settings.mistakes import Mistake, SettingsError
from golmok_edge.settings.model import Cloud, Device, Limit, Mqtt, Section, Settings, Site, Store, Web, normal_silence_s

__all__ = [
    "Cloud",
    "Device",
    "Examination",
    "Language",
    "Limit",
    "Mistake",
    "Mqtt",
    "Section",
    "Settings",
    "SettingsError",
    "Site",
    "Store",
    "Web",
    "examine",
    "examine_closely",
    "language_of",
    "load",
    "normal_silence_s",
]
