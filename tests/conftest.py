"""For all tests: a slow machine fails none, and none that takes long is begun when all else is done."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("golmok", deadline=None)
settings.load_profile("golmok")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with few tests first: they are the long ones, with real programs; those with many fill in at the end."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (tests[item.path], item.path))
