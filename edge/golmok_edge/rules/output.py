"""What a rule can switch: a relay, a buzzer, a light. Drivers that can be switched have this, and need not know it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Output(Protocol):
    """Something that is on or off."""

    async def set(self, on: bool) -> None:
        """Switch it; raises `DriverError`. What is so already stays so."""
