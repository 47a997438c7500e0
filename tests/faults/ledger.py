"""Watches the file in which simulated parts note what they gave, and notes when."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from .notes import Notes

_EVERY_S = 0.02


class LedgerWatch:
    """Reads the ledger as it grows."""

    def __init__(self, file: Path, notes: Notes) -> None:
        self._file, self._notes = file, notes
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read the rest and end."""
        self._is_over.set()
        self._thread.join(10)

    def _run(self) -> None:
        self._file.touch()
        with self._file.open(encoding="utf-8") as lines:
            rest = ""
            while True:
                is_last = self._is_over.is_set()
                rest += lines.read()
                *whole, rest = rest.split("\n")
                for line in whole:
                    row = json.loads(line)
                    self._notes.gave(f"{row['device']}.{row['quantity']}", row["value"])
                if is_last:
                    return
                self._is_over.wait(_EVERY_S)
