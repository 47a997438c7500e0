"""The owner's page as HTML and as events: what was heard from the gateway, told in one language.

The parts that change are rendered here, from the same templates as the whole page, and sent ready; so there is one
place that escapes what devices say, and one that chooses the words.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from golmok_cloud_sync.web import LANGUAGES, Language
from golmok_edge.settings import Device, Settings
from golmok_edge.shop.heard import Heard
from golmok_edge.shop.situation import Situation
from golmok_edge.shop.troubles import LEAST_CARD_YEARS, Diary, Finding, Trouble, find, tell
from golmok_edge.shop.view import Curve, Level, Value, curve, slots, title, value
from golmok_edge.web import TEXTS, for_script, say
from golmok_edge.web.serving import templates

BEHIND: Final = 1_000
"""With more waiting than this the gateway is catching up, not just between two calls."""
_LONG_YEARS: Final = 30
"""Nobody plans further ahead."""
_CALM_S: Final = 0.25
"""Browsers are told at most so often; faster nobody reads."""
_HEARTBEAT_S: Final = 15.0
_NOTE_S: Final = 1.0

_TEMPLATES: Final = templates()


class Card(NamedTuple):
    """A device on the page."""

    title: str
    channels: list[tuple[Value, Curve | None]]


class Line(NamedTuple):
    """One line with its colour."""

    level: Level
    text: str


class Now(NamedTuple):
    """The top of the page."""

    level: Level
    headline: str
    more: str
    troubles: list[Trouble]
    cloud: Line | None
    """Whether data reach the cloud; None where the troubles already say it."""
    card: Line | None = None
    """How long the SD card lasts; None where nobody knows, or the troubles say it."""

    @property
    def announcement(self) -> str:
        """What a screen reader says aloud when it changes."""
        return " ".join(trouble.alarm for trouble in self.troubles if trouble.alarm)


@dataclass
class Page:
    """The page of one shop."""

    settings: Settings
    heard: Heard
    diary: Diary

    def html(self, language: Language, now_s: float) -> str:
        """The whole page."""
        cards = self._cards(language, now_s)
        return _TEMPLATES.get_template("owner.html").render(
            language=language,
            languages=LANGUAGES,
            site=self.settings.site,
            text={key: row[language] for key, row in TEXTS.items()},
            texts=for_script(language),
            now=self._now(language, now_s),
            cards=cards,
            shape=_shape(cards),
        )

    async def events(self, language: Language) -> AsyncIterator[str]:
        """The changes, as server-sent events, until the shop closes."""
        told: dict[str, str] = {}
        quiet_since_s = time.monotonic()
        with self.heard.listener() as listener:
            changed = set(self.heard.latest)
            while not self.heard.closing:
                news = [*self._parts(language, told), *self._values(language, changed)]
                if not news and time.monotonic() - quiet_since_s > _HEARTBEAT_S:
                    news = [": still here\n\n"]
                if news:
                    quiet_since_s = time.monotonic()
                    yield "".join(news)
                changed = await listener.wait(longest_s=1.0)
                await asyncio.sleep(_CALM_S)

    def _parts(self, language: Language, told: dict[str, str]) -> Iterable[str]:
        """The parts of the page that are not as this browser was told."""
        now_s = time.monotonic()
        now, cards = self._now(language, now_s), self._cards(language, now_s)
        parts = {
            "cards": {"shape": _shape(cards), "html": ""},
            "now": {"html": _part("now.html", language, now=now), "announcement": now.announcement},
        }
        for name, data in parts.items():
            mark = json.dumps(data)
            if told.get(name) != mark:
                told[name] = mark
                if name == "cards":
                    data["html"] = _part("cards.html", language, cards=cards)
                yield _event(name, data)

    def _values(self, language: Language, changed: Iterable[str]) -> Iterable[str]:
        now_s = time.monotonic()
        for device in self.settings.devices:
            for slot in slots(device, self.heard.latest):
                if slot.channel in changed:
                    said = value(language, slot, self.heard.latest.get(slot.channel), now_s)
                    yield _event("value", said._asdict())

    def _cards(self, language: Language, now_s: float) -> list[Card]:
        return [self._card(language, device, now_s) for device in self.settings.devices]

    def _card(self, language: Language, device: Device, now_s: float) -> Card:
        latest = self.heard.latest
        said = [(slot, latest.get(slot.channel)) for slot in slots(device, latest)]
        return Card(title(device), [(value(language, slot, s, now_s), curve(language, slot, s)) for slot, s in said])

    async def keep_diary(self) -> None:
        """Note since when things are wrong, also while nobody looks. Until cancelled."""
        while True:
            self._lasting(time.monotonic())
            await asyncio.sleep(_NOTE_S)

    def _lasting(self, now_s: float) -> list[tuple[Finding, float]]:
        heard = self.heard
        found = find(self.settings.devices, heard.situation, heard.latest, now_s, heard.down_s(now_s))
        return self.diary.lasting(found, now_s)

    def _now(self, language: Language, now_s: float) -> Now:
        gateway, lasting = self.heard.situation, self._lasting(now_s)
        backlog = gateway.backlog if gateway else 0
        troubles = [tell(language, finding, lasting_s, backlog) for finding, lasting_s in lasting]
        is_told = any(finding.kind.startswith("cloud") for finding, _ in lasting)
        cloud = None if is_told else _cloud(language, gateway)
        return Now(*self._verdict(language, troubles), troubles, cloud, _card(language, gateway))

    def _verdict(self, language: Language, troubles: list[Trouble]) -> tuple[Level, str, str]:
        if troubles:
            count = "attention_one" if len(troubles) == 1 else "attention"
            level: Level = "bad" if any(t.level == "bad" for t in troubles) else "warn"
            return level, say(language, count, count=str(len(troubles))), ""
        if not self.settings.devices:
            return "warn", say(language, "no_devices"), say(language, "no_devices_more")
        speaking = sum(any(s.channel in self.heard.latest for s in slots(d, {})) for d in self.settings.devices)
        if not speaking or self.heard.situation is None:
            return "good", say(language, "waiting"), say(language, "waiting_more")
        return "good", say(language, "fine"), say(language, "fine_more", count=str(speaking))


def _cloud(language: Language, now: Situation | None) -> Line:
    if now is None:
        return Line("warn", say(language, "cloud_unknown"))
    if not now.has_cloud:
        return Line("good", say(language, "cloud_none"))
    if now.is_cloud_up is None:
        return Line("good", say(language, "cloud_first"))
    if not now.is_cloud_up:
        return Line("warn", say(language, "cloud_waiting", count=f"{now.backlog:,}"))
    if now.backlog > BEHIND:
        return Line("good", say(language, "cloud_behind", count=f"{now.backlog:,}"))
    return Line("good", say(language, "cloud_fine"))


def _card(language: Language, now: Situation | None) -> Line | None:
    if now is None or now.card_years is None or now.card_years < LEAST_CARD_YEARS:
        return None
    if now.card_years >= _LONG_YEARS:
        return Line("good", say(language, "card_long", years=str(_LONG_YEARS)))
    return Line("good", say(language, "card_life", years=str(round(now.card_years))))


def _part(template: str, language: Language, **values: Any) -> str:
    text = {key: row[language] for key, row in TEXTS.items()}
    return _TEMPLATES.get_template(template).render(text=text, **values)


def _shape(cards: list[Card]) -> str:
    """Changes when there is a card or a channel more, not when a value changes."""
    channels = [(card.title, [(said.channel, how) for said, how in card.channels]) for card in cards]
    return sha256(repr(channels).encode()).hexdigest()[:16]


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
