"""Traces a Python process from its first line on, when its environment asks for it (`tracer.environment`)."""

from __future__ import annotations

import os
from pathlib import Path

if (folder := os.environ.get("GOLMOK_TEST_POWER_FOLDER")) and (journal := os.environ.get("GOLMOK_TEST_POWER_JOURNAL")):
    from tests.faults.power import tracer

    tracer.install(Path(folder), Path(journal))
