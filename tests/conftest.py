"""For all tests: a slow machine fails none."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("golmok", deadline=None)
settings.load_profile("golmok")
