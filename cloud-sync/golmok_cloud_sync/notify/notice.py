"""What is told: one step of one alarm of one gateway, as data and in words."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from golmok_cloud_sync.protocol.alarms import Alarm
from golmok_cloud_sync.web.alarms import heading, sentence
from golmok_cloud_sync.web.language import Language


class Notice(NamedTuple):
    """A step of an alarm."""

    gateway: str
    site: str
    """What people call the place."""
    alarm: Alarm
    at_ms: int | None
    """When it was; None if that is not known."""
    timezone: str = "UTC"

    @property
    def id(self) -> str:
        """The same whenever the same step is told, and of no other."""
        alarm = self.alarm
        named = f"{self.gateway} {alarm.id} {alarm.state} {alarm.what} {alarm.severity}"
        return hashlib.sha256(named.encode()).hexdigest()[:24]

    def subject(self, language: Language) -> str:
        """One line."""
        return " ".join(f"[{heading(language, self.alarm)}] {self.site}: {sentence(language, self.alarm)}".split())

    def text(self, language: Language) -> str:
        """Some lines."""
        lines = [
            sentence(language, self.alarm),
            "",
            f"{'곳' if language == 'ko' else 'Place'}: {self.site} ({self.gateway})",
            f"{'때' if language == 'ko' else 'Time'}: {self._when(language)}",
            f"{'경보' if language == 'ko' else 'Alarm'}: {self.alarm.id} ({self.alarm.rule})",
        ]
        if self.alarm.by:
            lines.append(f"{'확인' if language == 'ko' else 'By'}: {self.alarm.by}")
        return "\n".join(lines) + "\n"

    def document(self) -> dict[str, Any]:
        """For programs."""
        at = None if self.at_ms is None else datetime.fromtimestamp(self.at_ms / 1000, UTC)
        return {
            "id": self.id,
            "gateway": self.gateway,
            "site": self.site,
            "ts": None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "alarm": self.alarm._asdict(),
            "text": {"ko": sentence("ko", self.alarm), "en": sentence("en", self.alarm)},
        }

    def _when(self, language: Language) -> str:
        if self.at_ms is None:
            return "모름" if language == "ko" else "not known"
        try:
            zone = ZoneInfo(self.timezone)
        except (ValueError, OSError, LookupError):
            zone = ZoneInfo("UTC")
        return datetime.fromtimestamp(self.at_ms / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
