"""From a path to `Settings`, or to everything that is wrong with the file.

The order is: is it a file with text, is it TOML, has each section its form, does it mean something. What is
wrong in one section hides nothing of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from golmok_drivers import catalogue
from golmok_edge.settings import calibration, syntax
from golmok_edge.settings.devices import Catalogue, Devices
from golmok_edge.settings.language import Say
from golmok_edge.settings.locate import Path as KeyPath
from golmok_edge.settings.mistakes import Mistake, Report, SettingsError, key_text, kind_of, nearest, shown
from golmok_edge.settings.model import Cloud, Device, Mqtt, Settings, Site, Store, Web
from golmok_edge.settings.rulebook import Rulebook
from golmok_edge.settings.rules import AnyRule
from golmok_edge.settings.sections import JUDGES
from golmok_edge.settings.shape import Shape
from golmok_edge.settings.source import BadSource, read_text

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

APPLICATIONS: Final = "golmok.settings"
"""The entry points by which applications register their sections: the name is the section's, the object its Struct."""
SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "site": Site,
    "store": Store,
    "mqtt": Mqtt,
    "cloud": Cloud,
    "web": Web,
}
"""The sections that the gateway itself knows, beside `device` and `rule`."""

LISTS: Final = ("device", "rule")
"""What stands in double brackets, as often as wanted."""

_S = TypeVar("_S", bound=msgspec.Struct)

Found: TypeAlias = "Callable[[str], Iterable[EntryPoint]]"
"""What finds the entry points of a group."""


class Examination(NamedTuple):
    """All that is known of a file. `settings` is None exactly when there are mistakes; warnings do not matter."""

    settings: Settings | None
    mistakes: list[Mistake]
    warnings: list[Mistake]


def load(path: str | Path) -> Settings:
    """The settings in that file; raises `SettingsError` that says everything that is wrong with it."""
    settings, mistakes = examine(path)
    if settings is None:
        raise SettingsError(mistakes)
    return settings


def examine(path: str | Path) -> tuple[Settings | None, list[Mistake]]:
    """The settings in that file, or None and all its mistakes in the order of its lines. Raises nothing."""
    return examine_closely(path)[:2]


def _installed(group: str) -> Iterable[EntryPoint]:
    """What other distributions registered; what looks for it is large, and most files need none."""
    from importlib.metadata import entry_points

    return entry_points(group=group)


def examine_closely(path: str | Path, *, drivers: Catalogue = catalogue, found: Found = _installed) -> Examination:
    """As `examine`, with the warnings too."""
    text = read_text(Path(path))
    if isinstance(text, BadSource):
        report = Report(str(path))
        report.add_at(text.line, (), text.code, **text.args)
        return Examination(None, *report.in_order())
    document = syntax.read(text)
    report = Report(str(path), document.lines, document.data)
    for fault in document.faults:
        report.add_at(fault.line, fault.path, fault.code, **fault.args)
    settings = None
    if document.data is not None:
        base = Path(path).absolute().parent
        settings = _File(document.data, Shape(report, base, partly=document.partly), found).read(drivers)
    mistakes, warnings = report.in_order()
    if not mistakes and settings is not None:
        wrong, doubtful = calibration.examined(Path(path).absolute(), settings.devices, date.today())
        mistakes, warnings = wrong, [*warnings, *doubtful]
    if mistakes or settings is None:
        return Examination(None, mistakes, warnings)
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Examination(msgspec.structs.replace(settings, file=Path(path).absolute(), version=version), [], warnings)


class _File:
    """Reads the sections of one file."""

    def __init__(self, data: dict[str, Any], shape: Shape, found: Found) -> None:
        self._data = data
        self._shape = shape
        self._report = shape.report
        self._found = found

    def read(self, drivers: Catalogue) -> Settings | None:
        """The settings, or None; there are mistakes in the report then."""
        applications = self._applications()
        if "site" not in self._data and not self._shape.partly:
            self._report.add(("site",), "missing-section", name="site", example='gateway = "gw-0001"')
        site = self._section("site", Site)
        store = self._section("store", Store, always=True)
        web = self._section("web", Web, always=True)
        mqtt, cloud = self._section("mqtt", Mqtt), self._section("cloud", Cloud)
        timezone = "UTC" if site is None or self._report.has(("site", "timezone")) else site.timezone
        devices = self._devices(Devices(self._shape, timezone=timezone, drivers=drivers))
        rules = self._rules(devices)
        if site is None or store is None or web is None or self._report.mistakes:
            return None
        if mqtt is None and any(device.bus is None for device in devices):
            mqtt = Mqtt()
        return Settings(
            file=Path(),
            version="",
            site=site,
            store=store,
            mqtt=mqtt,
            cloud=cloud,
            web=web,
            devices=devices,
            rules=rules,
            applications=applications,
        )

    def _section(self, name: str, cls: type[_S], *, always: bool = False) -> _S | None:
        """The section, if it is in the file; with `always` also of defaults, which may not fit this machine."""
        table = self._table(name) if name in self._data else {} if always else None
        if table is None:
            return None
        made = self._shape.make(cls, table, (name,))
        if name in JUDGES:
            JUDGES[name](self._shape.sound(cls, table, (name,)), self._report)
        return made

    def _table(self, name: str) -> dict[str, Any] | None:
        """The section's table; None when it is something else, which is reported."""
        value = self._data[name]
        if isinstance(value, dict):
            return value
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            self._report.add((name,), "double-brackets", name=name)
        else:
            self._not_a_section(name, value, f"[{name}]")
        return None

    def _not_a_section(self, name: str, value: Any, header: str) -> None:
        self._report.add(
            (name,), "wrong-type", kind=kind_of(value), found=shown(value), wanted=Say("section"), example=header
        )

    def _devices(self, devices: Devices) -> tuple[Device, ...]:
        made = [devices.read(table, ("device", index)) for index, table in enumerate(self._listed("device"))]
        return tuple(device for device in made if device is not None)

    def _rules(self, devices: tuple[Device, ...]) -> tuple[AnyRule, ...]:
        is_whole = len(devices) == len(self._listed("device", tell=False)) and not self._shape.partly
        book = Rulebook(self._shape, devices, is_whole=is_whole)
        made = [book.read(table, ("rule", index)) for index, table in enumerate(self._listed("rule"))]
        return tuple(rule for rule in made if rule is not None)

    def _listed(self, name: str, *, tell: bool = True) -> list[Any]:
        """The tables under `[[name]]`; something else is reported, and none."""
        listed = self._data.get(name, [])
        if isinstance(listed, list):
            return listed
        if tell and isinstance(listed, dict):
            self._report.add((name,), "single-brackets", name=name)
        elif tell:
            self._not_a_section(name, listed, f"[[{name}]]")
        return []

    def _applications(self) -> dict[str, msgspec.Struct]:
        """The sections that are not ours: those of applications, and mistakes."""
        strange = [name for name in self._data if name not in SECTIONS and name not in LISTS]
        points = {point.name: point for point in self._found(APPLICATIONS)} if strange else {}
        made: dict[str, msgspec.Struct] = {}
        for name in strange:
            if name not in points:
                self._unknown(name, [*SECTIONS, *LISTS, *points])
            elif cls := self._struct(points[name]):
                section = self._section(name, cls)
                made |= {name: section} if section is not None else {}
        return made

    def _struct(self, point: EntryPoint) -> type[msgspec.Struct] | None:
        try:
            cls = point.load()
        except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
            self._report.add((point.name,), "application-broken", name=point.name, why=error)
            return None
        if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
            return cls
        why = f"{point.value} is no msgspec Struct"
        self._report.add((point.name,), "application-broken", name=point.name, why=why)
        return None

    def _unknown(self, name: str, known: list[str]) -> None:
        path: KeyPath = (name,)
        if not isinstance(self._data[name], (dict, list)):
            section = _home(name)
            if section:
                self._report.add(path, "key-outside", section=section)
                return
        near = nearest(name, known)
        header = "[[{}]]" if near in LISTS else "[{}]"
        if near:
            self._report.add(path, "unknown-section-near", name=key_text(name), near=header.format(near))
        else:
            self._report.add(path, "unknown-section", name=key_text(name), known=", ".join(known))


def _home(key: str) -> str | None:
    """The section that has such a key."""
    return next((name for name, cls in SECTIONS.items() if key in cls.__struct_fields__), None)
