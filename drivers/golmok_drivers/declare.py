"""What a driver of somebody else's says of itself before it is ever opened, without believing that it says anything.

Settings are checked in the process of whoever asks, so a driver is made there once; if it hangs or breaks in that,
the check says so and goes on.
"""

from __future__ import annotations

import threading
from typing import Any, Final, NamedTuple

from golmok_drivers.api import Channel, Driver, MessageDriver
from golmok_drivers.errors import DriverError, DriverHangs, DriverRaises, DriverTalksNonsense

MADE_WITHIN_S: Final = 5.0


class Declared(NamedTuple):
    """Its channels, and the topics it wants to hear."""

    channels: tuple[Channel, ...]
    topics: tuple[str, ...] = ()


def declared(kind: type[Driver], settings: Any, timezone: str, within_s: float = MADE_WITHIN_S) -> Declared:
    """What a driver with these settings says; raises `DriverError`."""
    making = _Making(kind, settings, timezone)
    thread = threading.Thread(target=making.run, name="declare", daemon=True)
    thread.start()
    thread.join(within_s)
    if making.said is None and making.error is None:
        _stop(thread)
        raise DriverHangs(f"it was not made within {within_s:g} s")
    if making.error is not None:
        raise making.error
    assert making.said is not None
    return making.said


class _Making:
    def __init__(self, kind: type[Driver], settings: Any, timezone: str) -> None:
        self._kind, self._settings, self._timezone = kind, settings, timezone
        self.said: Declared | None = None
        self.error: DriverError | None = None

    def run(self) -> None:
        try:
            driver = self._kind(self._settings, timezone=self._timezone)
            topics = driver.topics() if isinstance(driver, MessageDriver) else ()
            self.said = Declared(_all(driver.channels, Channel), _all(topics, str))
        except DriverError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001  # a driver of anybody's must not end the gateway
            self.error = DriverRaises(f"{type(error).__name__}: {error}")


def _all(things: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(things, tuple | list) or not all(isinstance(thing, kind) for thing in things):
        raise DriverTalksNonsense(f"it gave a {type(things).__name__} where {kind.__name__}s belong")
    return tuple(things)


def _stop(thread: threading.Thread) -> None:
    """Raise in that thread; helps against what spins in Python. What sleeps is left behind: it costs nothing."""
    import ctypes  # 1 MB that nobody needs whose drivers behave

    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
