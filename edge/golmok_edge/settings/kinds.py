"""What a msgspec type means to somebody who writes a settings file: words, bounds and examples."""

from __future__ import annotations

from functools import cache, reduce
from typing import Any, Final

import msgspec
from msgspec import inspect

from golmok_edge.settings.language import Say
from golmok_edge.settings.mistakes import key_text, shown

_LISTS: Final = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
_TABLES: Final = (inspect.DictType, inspect.StructType)
_TEXTS: Final = (inspect.StrType, inspect.CustomType, inspect.EnumType)


@cache
def struct_type(cls: type[msgspec.Struct]) -> inspect.StructType:
    """What msgspec knows of a Struct's fields."""
    kind = inspect.type_info(cls)
    assert isinstance(kind, inspect.StructType)
    return kind


def plain(kind: inspect.Type) -> inspect.Type:
    """The type without what is told about it; one that may be left out counts as if it may not."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        choices = tuple(choice for choice in kind.types if not isinstance(choice, inspect.NoneType))
        return plain(choices[0]) if len(choices) == 1 else inspect.UnionType(choices)
    return kind


def told(kind: inspect.Type) -> dict[str, Any]:
    """What is told about the type: its `description` and `examples`."""
    found: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata):
        found = {**(kind.extra_json_schema or {}), **found}
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        for choice in kind.types:
            found = {**told(choice), **found}
    return found


def fits(kind: inspect.Type, value: Any) -> bool:
    """Whether `value` is of this kind at all, whatever its size and form."""
    kind = plain(kind)
    match kind:
        case inspect.UnionType():
            return any(fits(choice, value) for choice in kind.types)
        case inspect.LiteralType():
            return type(value) in {type(choice) for choice in kind.values}
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, (int, float)) and not isinstance(value, bool)
    expected = [(_TEXTS, str), (_LISTS, list), (_TABLES, dict)]
    return all(isinstance(value, wanted) for kinds, wanted in expected if isinstance(kind, kinds))


def wanted(kind: inspect.Type) -> Say:
    """The kind of value, in the reader's language."""
    kind = plain(kind)
    match kind:
        case inspect.UnionType():
            return reduce(lambda left, right: Say("or", {"left": left, "right": right}), map(wanted, kind.types))
        case inspect.LiteralType():
            return Say("one-of", {"choices": ", ".join(map(shown, kind.values))})
        case inspect.BoolType():
            return Say("switch")
        case inspect.IntType():
            return Say("whole")
        case inspect.FloatType():
            return Say("number")
    words = [(_TEXTS, "text"), (_LISTS, "list"), (_TABLES, "table")]
    return Say(next((word for kinds, word in words if isinstance(kind, kinds)), "any"))


def bounds(kind: inspect.Type) -> Say | None:
    """The bounds of a number, or of the length of a text or list, in the reader's language."""
    kind = plain(kind)
    low, high, above, below = (
        next((getattr(kind, name) for name in names if getattr(kind, name, None) is not None), None)
        for names in (("ge", "min_length"), ("le", "max_length"), ("gt",), ("lt",))
    )
    said = []
    if low is not None and high is not None:
        said.append(Say("between", {"low": _figure(low), "high": _figure(high)}))
    elif low is not None:
        said.append(Say("least", {"low": _figure(low)}))
    elif high is not None:
        said.append(Say("most", {"high": _figure(high)}))
    if above is not None:
        said.append(Say("above", {"low": _figure(above)}))
    if below is not None:
        said.append(Say("below", {"high": _figure(below)}))
    return reduce(lambda left, right: Say("both", {"left": left, "right": right}), said) if said else None


def example(kind: inspect.Type) -> str:
    """A right value, as TOML."""
    examples = told(kind).get("examples")
    if examples:
        return toml(examples[0])
    kind = plain(kind)
    match kind:
        case inspect.UnionType():
            return example(kind.types[0])
        case inspect.LiteralType():
            return toml(kind.values[0])
        case inspect.StructType():
            return toml_table({field.encode_name: example(field.type) for field in _shown_fields(kind)})
        case inspect.DictType():
            return toml_table({"key": example(kind.value_type)})
        case inspect.IntType() | inspect.FloatType():
            return toml(next((one for one in (kind.ge, kind.le) if one is not None), (kind.gt or 0) + 1))
        case inspect.BoolType():
            return "true"
    return f"[{example(getattr(kind, 'item_type', inspect.StrType()))}]" if isinstance(kind, _LISTS) else '"…"'


def example_line(name: str, kind: inspect.Type) -> str:
    """`key = value`, with a right value."""
    return f"{key_text(name)} = {example(kind)}"


def toml(value: Any) -> str:
    """Any value as TOML, in one line."""
    if isinstance(value, dict):
        return toml_table({key: toml(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _figure(value)
    return shown(msgspec.to_builtins(value, enc_hook=str))


def toml_table(items: dict[str, str]) -> str:
    """An inline table; the values are TOML already."""
    inside = ", ".join(f"{key_text(key)} = {value}" for key, value in items.items())
    return f"{{ {inside} }}" if inside else "{}"


def _shown_fields(kind: inspect.StructType) -> list[inspect.Field]:
    """The fields that an example shows: those that are required, or else the first."""
    return [field for field in kind.fields if field.required] or list(kind.fields[:1])


def _figure(value: float) -> str:
    """A number as one writes it: whole where it is whole, in groups of three where it is long."""
    whole = float(value).is_integer()
    return f"{int(value):_}" if whole and abs(value) >= 100_000 else f"{int(value) if whole else value}"
