"""Which drivers there are.

Ours are found by module name (`sht4x` is `golmok_drivers.devices.sht4x`), others by the entry points
`golmok.drivers` and `golmok.twins`. Nothing is imported before it is asked for: a gateway with one contact
shall not carry the libraries of thirty devices.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from golmok_drivers import devices
from golmok_drivers.api import API, Driver, Twin, UnknownDriver, WrongApi

DRIVERS: Final = "golmok.drivers"
TWINS: Final = "golmok.twins"

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Found = Callable[[str], "Iterable[EntryPoint]"]
"""What finds the entry points of a group."""


def _installed(group: str) -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # 2 MB that a gateway with our drivers only does not need

    return entry_points(group=group)


def names(found: Found = _installed) -> list[str]:
    """Every driver's name, ours and others', sorted."""
    return sorted({*_ours(), *(point.name for point in found(DRIVERS))})


def load(name: str, found: Found = _installed) -> type[Driver]:
    """The driver's class; raises `UnknownDriver` or `WrongApi`. Ours win over an entry point of the same name."""
    candidate: type[Driver] = _checked(name, _find(name, DRIVERS, "driver", found), "driver")
    return candidate


def where(name: str, found: Found = _installed) -> str:
    """Where the driver's class stands, as `module:class`; raises `UnknownDriver`."""
    if name in _ours():
        kind = load(name)
        return f"{kind.__module__}:{kind.__qualname__}"
    for point in found(DRIVERS):
        if point.name == name:
            return point.value
    raise UnknownDriver(_unknown(name, "driver", names(found)))


def load_from(place: str) -> type[Driver]:
    """The driver's class that stands there, without looking for it; raises `WrongApi`."""
    module, _, attributes = place.partition(":")
    kind: type[Driver] = attrgetter(attributes)(importlib.import_module(module))
    return _checked(place, kind, "driver")  # type: ignore[no-any-return]  # checked to be one


def twin(name: str, found: Found = _installed) -> type[Twin]:
    """The class of the driver's twin; raises `UnknownDriver` (also when the driver has none) or `WrongApi`."""
    candidate: type[Twin] = _checked(name, _find(name, TWINS, "twin", found), "twin")
    return candidate


def is_foreign(kind: type[Driver]) -> bool:
    """Whether the driver is of another distribution."""
    return kind.__module__.partition(".")[0] != __name__.partition(".")[0]


def _ours() -> list[str]:
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(devices.__path__)]


def _find(name: str, group: str, kind: str, found: Found) -> Any:
    if name in _ours():
        module = importlib.import_module(f"{devices.__name__}.{name.replace('-', '_')}")
        return _only_class(module, kind)
    for point in found(group):
        if point.name == name:
            return point.load()
    raise UnknownDriver(_unknown(name, kind, names(found)))


def _only_class(module: Any, kind: str) -> Any:
    """The module's own class that ends in Driver or Twin; a file holds one of each."""
    own = [
        value
        for key, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and key.endswith(kind.capitalize())
    ]
    if len(own) != 1:
        raise UnknownDriver(f"{module.__name__} must hold one class named …{kind.capitalize()}, it holds {len(own)}")
    return own[0]


def _unknown(name: str, kind: str, known: list[str]) -> str:
    from difflib import get_close_matches  # here: who makes no mistake need not hold it in memory

    if name in known:
        return f"the driver {name!r} has no {kind}"
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
    return f"there is no driver {name!r}; {hint}"


def _checked(name: str, candidate: Any, kind: str) -> Any:
    stated = getattr(candidate, "api", None)
    if stated != API:
        raise WrongApi(
            f"the {kind} {name!r} ({getattr(candidate, '__module__', '?')}) is written for api {stated}, "
            f"this gateway has api {API}; install the release of it that matches"
        )
    if kind == "driver" and not (inspect.isclass(candidate) and issubclass(candidate, Driver)):
        raise WrongApi(f"the driver {name!r} ({candidate!r}) is no class derived from golmok_drivers.api.Driver")
    return candidate
