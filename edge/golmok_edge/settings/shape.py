"""Whether plain data have the form of a msgspec Struct: every mistake, not only the first as msgspec says it.

What msgspec's types state (ranges, lengths, patterns, choices) is checked here key by key; what only the
struct's own code knows (`__post_init__`) is found by making it, the innermost first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from golmok_edge.settings import locate
from golmok_edge.settings.kinds import bounds, example, example_line, fits, plain, struct_type, wanted
from golmok_edge.settings.mistakes import Report, key_text, kind_of, nearest, shown
from golmok_edge.settings.model import NAME_PATTERN

_S = TypeVar("_S", bound=msgspec.Struct)
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9-]+")


class Shape:
    """Makes structs of plain data and reports what does not fit."""

    def __init__(self, report: Report, base: Path, *, partly: bool = False) -> None:
        """`base` is where relative paths begin; `partly` says that keys may be missing because their line is."""
        self.report = report
        self.base = base
        self.partly = partly

    def make(
        self, cls: type[_S], table: dict[str, Any], path: locate.Path, *, beside: Collection[str] = ()
    ) -> _S | None:
        """The struct, or None when mistakes were reported. `beside` are keys that others read from this table."""
        if not self._struct(struct_type(cls), table, path, beside):
            return None
        own = {key: value for key, value in table.items() if key not in beside}
        return self._anchored(msgspec.convert(own, cls, dec_hook=self._converted))

    def sound(self, cls: type[msgspec.Struct], table: dict[str, Any], path: locate.Path) -> dict[str, Any]:
        """After `make`: the values without mistake, and the defaults, so that one mistake does not hide another."""
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            if field.encode_name in table:
                if not self.report.has_below((*path, field.encode_name)):
                    values[field.name] = msgspec.convert(table[field.encode_name], field.type, dec_hook=self._converted)
            elif field.default is not msgspec.NODEFAULT:
                values[field.name] = field.default
        return {name: self.base / value if isinstance(value, Path) else value for name, value in values.items()}

    def value(self, kind: inspect.Type, value: Any, path: locate.Path, hint: str = "") -> bool:
        """Whether `value` fits; if not it has been reported, with `hint` as the right way to write it.

        Who knows more of a key than its type says has judged it before: what was reported then is not said twice.
        """
        if self.report.has(path):
            return False
        name = path[-1]
        hint = hint or (example_line(name, kind) if isinstance(name, str) else example(kind))
        kind = plain(kind)
        if isinstance(kind, inspect.UnionType):
            choices = [choice for choice in kind.types if fits(choice, value)]
            return self.value(choices[0], value, path, hint) if choices else self._wrong(kind, value, path, hint)
        if not fits(kind, value):
            return self._wrong(kind, value, path, hint)
        check = _CHECKS.get(type(kind))
        return check(self, kind, value, path, hint) if check else True

    def _struct(
        self, kind: inspect.StructType, table: dict[str, Any], path: locate.Path, beside: Collection[str] = ()
    ) -> bool:
        fields = {field.encode_name: field for field in kind.fields}
        strange = [key for key in table if key not in fields and key not in beside]
        meant = [self._unknown(key, path, [*fields, *beside]) for key in strange]
        missing = [self._missing(field, path) for name, field in fields.items() if name not in {*table, *meant}]
        good = [self.value(field.type, table[name], (*path, name)) for name, field in fields.items() if name in table]
        if strange or any(missing) or not all(good):
            return False
        return self._makes(kind.cls, {key: value for key, value in table.items() if key in fields}, path)

    def _unknown(self, key: str, path: locate.Path, known: list[str]) -> str | None:
        """Report a key that nobody reads; the known one that was probably meant."""
        near = nearest(key, known)
        if near:
            self.report.add((*path, key), "unknown-key-near", name=key_text(key), near=near)
        else:
            self.report.add((*path, key), "unknown-key", name=key_text(key), known=", ".join(known))
        return near

    def _missing(self, field: inspect.Field, path: locate.Path) -> bool:
        """Report the field, which is not there, if it must be."""
        name = field.encode_name
        if field.required and not self.partly:
            self.report.add((*path, name), "missing-key", name=name, example=example_line(name, field.type))
        return field.required

    def _wrong(self, kind: inspect.Type, value: Any, path: locate.Path, hint: str) -> bool:
        meant = _meant(kind, value)
        if meant is not None and isinstance(path[-1], str):
            hint = f"{key_text(path[-1])} = {shown(meant)}"
        self.report.add(path, "wrong-type", kind=kind_of(value), found=shown(value), wanted=wanted(kind), example=hint)
        return False

    def _number(self, kind: Any, value: float, path: locate.Path, hint: str) -> bool:
        if isinstance(value, float) and not math.isfinite(value):
            self.report.add(path, "not-finite", found=shown(value), example=hint)
            return False
        low = -math.inf if kind.ge is None else kind.ge
        high = math.inf if kind.le is None else kind.le
        inside = low <= value <= high and (kind.gt is None or value > kind.gt) and (kind.lt is None or value < kind.lt)
        if not inside:
            self.report.add(path, "range", found=shown(value), bounds=bounds(kind), example=hint)
        return inside

    def _text(self, kind: inspect.StrType, value: str, path: locate.Path, hint: str) -> bool:
        if not value.isprintable():
            self.report.add(path, "control-character", found=shown(value))
        elif kind.pattern == NAME_PATTERN and not re.search(NAME_PATTERN, value):
            name = path[-1] if isinstance(path[-1], str) else "name"
            good = _NOT_IN_NAMES.sub("-", value.casefold()).strip("-")[:32]
            hint = f'{name} = "{good}"' if good else hint
            self.report.add(path, "bad-name", found=shown(value), example=hint)
        elif not value and kind.min_length:
            self.report.add(path, "empty-text", example=hint)
        elif not self._length(kind, value, path, hint):
            return False
        elif kind.pattern and not re.search(kind.pattern, value):
            self.report.add(path, "pattern", found=shown(value), pattern=kind.pattern, example=hint)
        else:
            return True
        return False

    def _length(self, kind: Any, value: Collection[Any], path: locate.Path, hint: str) -> bool:
        inside = (kind.min_length or 0) <= len(value) and (kind.max_length is None or len(value) <= kind.max_length)
        if not inside:
            self.report.add(path, "length", found=len(value), bounds=bounds(kind), example=hint)
        return inside

    def _choice(self, kind: inspect.LiteralType, value: Any, path: locate.Path, hint: str) -> bool:
        if value not in kind.values:
            choices = ", ".join(map(shown, kind.values))
            near = nearest(value, [one for one in kind.values if isinstance(one, str)]) if type(value) is str else None
            hint = f"{key_text(str(path[-1]))} = {shown(near)}" if near else hint
            self.report.add(path, "choice", found=shown(value), choices=choices, example=hint)
            return False
        return True

    def _list(self, kind: Any, value: list[Any], path: locate.Path, hint: str) -> bool:
        good = [self.value(kind.item_type, item, (*path, index)) for index, item in enumerate(value)]
        return self._length(kind, value, path, hint) and all(good)

    def _table(self, kind: inspect.DictType, value: dict[str, Any], path: locate.Path, hint: str) -> bool:
        good = [
            self.value(kind.key_type, key, (*path, key)) & self.value(kind.value_type, item, (*path, key))
            for key, item in value.items()
        ]
        return self._length(kind, value, path, hint) and all(good)

    def _path(self, kind: inspect.CustomType, value: str, path: locate.Path, hint: str) -> bool:
        if not value.isprintable():
            self.report.add(path, "control-character", found=shown(value))
        elif not value:
            self.report.add(path, "empty-text", example=hint)
        return bool(value) and value.isprintable()

    def _inner(self, kind: inspect.StructType, value: dict[str, Any], path: locate.Path, hint: str) -> bool:
        return self._struct(kind, value, path)

    def _makes(self, cls: type, table: dict[str, Any], path: locate.Path) -> bool:
        """Whether the struct itself takes the table; its complaint goes to the key that it names, if it does."""
        if self.report.has_below(path):
            return False
        try:
            msgspec.convert(table, cls, dec_hook=self._converted)
        except msgspec.ValidationError as error:
            why = str(error).partition(" - at `$")[0]
            at, found = _named(table, why)
            self.report.add((*path, *at), "refused", found=shown(found), why=why)
            return False
        return True

    def _converted(self, wanted: type, value: Any) -> Any:
        if wanted is Path and isinstance(value, str):
            return self.base / value
        raise TypeError(f"settings cannot hold a {wanted.__name__}")

    def _anchored(self, made: _S) -> _S:
        """The same with default paths, which msgspec does not convert, made absolute."""
        paths = {name: getattr(made, name) for name in made.__struct_fields__}
        absolute = {name: self.base / value for name, value in paths.items() if isinstance(value, Path)}
        return msgspec.structs.replace(made, **absolute) if absolute else made


def _named(table: dict[str, Any], why: str) -> tuple[locate.Path, Any]:
    """The key, or the key in a table of it, that the complaint names, with its value; else the table itself."""
    for key, value in table.items():
        for inner in value if isinstance(value, dict) else ():
            if repr(inner) in why:
                return (key, inner), value[inner]
    for key, value in table.items():
        if re.search(rf"\b{re.escape(key.removesuffix('s'))}s?\b", why):
            return (key,), value
    return (), table


def _meant(kind: inspect.Type, value: Any) -> Any:
    """What the user probably meant: the number inside quotes, or the text outside them; None if nobody can say."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for one in map(plain, kinds):
        if isinstance(one, inspect.StrType) and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and type(one) in _UNQUOTED:
            for pattern, read in _UNQUOTED[type(one)]:
                if match := re.match(pattern, value.strip()):
                    return read(match.group())
    return None


_WHOLE: Final = r"[+-]?(0x[0-9a-fA-F]{1,8}|\d{1,18})(?![\w.])"
_UNQUOTED: Final[dict[type, tuple[tuple[str, Callable[[str], Any]], ...]]] = {
    inspect.IntType: ((_WHOLE, lambda text: int(text, 0) if "x" in text else int(text)),),
    inspect.FloatType: ((r"[+-]?\d{1,15}(\.\d{1,15})?(?![\w.])", float),),
    inspect.BoolType: ((r"(?i:true|yes|on)\Z", lambda _: True), (r"(?i:false|no|off)\Z", lambda _: False)),
}
_CHECKS: Final[dict[type, Callable[..., bool]]] = {
    inspect.IntType: Shape._number,
    inspect.FloatType: Shape._number,
    inspect.StrType: Shape._text,
    inspect.LiteralType: Shape._choice,
    inspect.ListType: Shape._list,
    inspect.VarTupleType: Shape._list,
    inspect.SetType: Shape._list,
    inspect.FrozenSetType: Shape._list,
    inspect.DictType: Shape._table,
    inspect.StructType: Shape._inner,
    inspect.CustomType: Shape._path,
}
