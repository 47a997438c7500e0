# ruff: noqa: N818  (the names are what people say of a bus: a nack, a timeout; as in gpiozero's exc.py)
"""What can go wrong between a sensor and its value.

Each leaf says in one word (`reason`) what the reading's quality shall show, and derives from the builtin a
caller would expect. Plug-ins take these from `golmok_drivers.api`.
"""

from __future__ import annotations

from typing import ClassVar


class DriverError(Exception):
    """Root of all errors of drivers and buses."""

    reason: ClassVar[str] = "error"


class BusError(DriverError, OSError):
    """The bus itself failed: gone, not permitted, broken wire."""

    reason = "bus"


class BusNack(BusError):
    """Nobody answered at this address, or the device refused the byte."""

    reason = "nack"


class BusTimeout(BusError, TimeoutError):
    """The transaction was not over by its deadline."""

    reason = "timeout"


class BusBackoff(BusTimeout):
    """Not tried: the device's transactions hung before, and its pause is not over."""


class Unplugged(BusError):
    """The device is not on the bus at all (its 1-wire folder or its pin is gone)."""

    reason = "unplugged"


class Silent(BusTimeout):
    """A device that speaks by itself was not heard for longer than it is ever silent."""

    reason = "silent"


class Shorted(BusError):
    """The line is shorted: it reads all zeros, which have a right checksum, or nothing moves on it any more."""

    reason = "shorted"


class Swapped(Unplugged):
    """It is away, and another one of its kind is there instead."""

    reason = "swapped"


class OpenCircuit(BusError):
    """The sensor's wire is broken: the part that measures it is there and says so."""

    reason = "open-circuit"


class WrongPart(BusError):
    """Another part answers than the driver is for."""

    reason = "wrong-part"


class Overrun(BusError):
    """Values were lost, since they were not fetched in time."""

    reason = "overrun"


class BusClosed(BusError):
    """The bus was closed while the transaction waited for its turn."""

    reason = "closed"


class CrcError(DriverError, ValueError):
    """The bytes came, but their checksum says they are not what was sent."""

    reason = "crc"


class OutOfRange(DriverError, ValueError):
    """A value that the part cannot have measured."""

    reason = "range"


class ResetValue(DriverError, ValueError):
    """The part's power-on value: it restarted, and has measured nothing yet."""

    reason = "reset"


class NotReady(DriverError, RuntimeError):
    """The part is there but has no measurement yet."""

    reason = "not-ready"


class PayloadError(DriverError, ValueError):
    """A message or a text that is not what its device sends."""

    reason = "parse"


class RefusedError(DriverError):
    """A message that can be read but is not believed: recorded and sent again, say. Each has the reason of its own."""

    reason = "refused"

    def __init__(self, text: str, reason: str = "refused") -> None:
        super().__init__(text)
        self.reason = reason  # type: ignore[misc]  # of this one


class CommandError(DriverError, ValueError):
    """What an output was told is nothing that it can do; the message says what it can."""

    reason = "command"


class BusUrlError(DriverError, ValueError):
    """A bus URL that names no bus; the message says what to write instead."""

    reason = "settings"


class ScenarioError(DriverError, ValueError):
    """A scenario file that cannot be played; the message names the file and the key."""

    reason = "settings"


class KeyFileError(DriverError, ValueError):
    """A file that holds no key, or one that others can read; the message says what to do."""

    reason = "settings"


class UnknownDriver(DriverError, LookupError):
    """No driver of that name; the message offers the nearest names."""

    reason = "settings"


class WrongApi(DriverError, ImportError):
    """A plug-in written for another version of `golmok_drivers.api`."""

    reason = "settings"


class Misbehaved(DriverError):
    """Not the device but its driver: whatever it does, it is ended and started anew, ever later."""


class DriverHangs(Misbehaved, TimeoutError):
    """It neither ends what it does nor lets itself be stopped."""

    reason = "hangs"


class DriverRaises(Misbehaved, RuntimeError):
    """It raised what is no `DriverError`, or its process ended."""

    reason = "raises"


class DriverLeaks(Misbehaved, MemoryError):
    """It takes more and more memory, file descriptors, threads or tasks."""

    reason = "leaks"


class DriverFloods(Misbehaved, OverflowError):
    """It gives more readings than its device may."""

    reason = "floods"


class DriverTalksNonsense(Misbehaved, TypeError):
    """What it gave is no list of readings of its channels."""

    reason = "nonsense"
