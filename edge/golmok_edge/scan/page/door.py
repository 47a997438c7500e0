"""Who may come in: how often a PIN may be tried, and who has signed in. No I/O, no clock of its own.

One lock for all who try, not one for each address: on a shop's network addresses cost nothing. A stranger can keep
staff out for a while by that, who then see that somebody tries; he cannot guess: at most about 100 tries a day.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

FREE_TRIES: Final = 5
_FIRST_S: Final = 30.0
_LONGEST_S: Final = 900.0
_IDLE_S: Final = 3_600.0
_ABSOLUTE_S: Final = 12 * 3_600.0
_MOST_SESSIONS: Final = 50


@dataclass(frozen=True)
class Lock:
    """Wrong tries so far, and until when none is heard. Each beyond the free ones doubles the pause."""

    wrong: int = 0
    until_s: float = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long it is still locked; 0: a try is heard."""
        return max(0.0, self.until_s - now_s)

    def after_wrong(self, now_s: float) -> Lock:
        """A wrong PIN was tried."""
        wrong = self.wrong + 1
        beyond = wrong - FREE_TRIES
        pause_s = 0.0 if beyond < 0 else min(_FIRST_S * 2 ** min(beyond, 10), _LONGEST_S)
        return Lock(wrong, now_s + pause_s)

    def after_right(self) -> Lock:
        """Somebody knew it."""
        return Lock()


@dataclass
class Session:
    """Somebody who has signed in; `token` goes with every form, so that no other page can send one (CSRF)."""

    began_s: float
    seen_s: float
    pin: str
    token: str


class Sessions:
    """Of the cookies only hashes are kept."""

    def __init__(self) -> None:
        self._held: dict[str, Session] = {}

    def begin(self, pin: str, now_s: float) -> str:
        """Somebody has signed in with the PIN of that mark: what the cookie is to be."""
        cookie = secrets.token_urlsafe(32)
        if len(self._held) >= _MOST_SESSIONS:
            del self._held[min(self._held, key=lambda key: self._held[key].seen_s)]
        self._held[_key(cookie)] = Session(now_s, now_s, pin, secrets.token_urlsafe(24))
        return cookie

    def find(self, cookie: str | None, pin: str, now_s: float) -> Session | None:
        """Whose cookie that is; nobody's when it is old, idle, or of another PIN."""
        session = self._held.get(_key(cookie)) if cookie else None
        if session is None or cookie is None:
            return None
        old = now_s - session.began_s > _ABSOLUTE_S or now_s - session.seen_s > _IDLE_S
        if old or session.pin != pin:
            self.end(cookie)
            return None
        session.seen_s = now_s
        return session

    def end(self, cookie: str | None) -> None:
        """Sign out."""
        if cookie:
            self._held.pop(_key(cookie), None)


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
