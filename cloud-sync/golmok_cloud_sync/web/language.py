"""Which language a page speaks: what the reader chose, else what the browser asks for, else Korean."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, TypeGuard, get_args

Language: TypeAlias = Literal["ko", "en"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
COOKIE: Final = "lang"
COOKIE_AGE_S: Final = 365 * 24 * 3600


def is_language(text: str | None) -> TypeGuard[Language]:
    """Whether `text` names a language that the pages speak."""
    return text in LANGUAGES


def choose(query: str | None, cookie: str | None, accept: str | None) -> Language:
    """The language for `?lang=`, the cookie and `Accept-Language`, in that order.

    A browser that asks for neither of ours gets English; one that asks for nothing gets Korean.
    """
    if is_language(query):
        return query
    if is_language(cookie):
        return cookie
    if not accept or accept.strip() == "*":
        return "ko"
    wanted = sorted(_weighed(accept), key=lambda pair: -pair[1])
    return next((name for name, weight in wanted if weight > 0 and is_language(name)), "en")


def _weighed(accept: str) -> list[tuple[str, float]]:
    """`ko-KR,en;q=0.8` as [("ko", 1.0), ("en", 0.8)]; what cannot be read weighs nothing."""
    pairs = []
    for part in accept.split(","):
        tag, _, parameter = part.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            pairs.append((tag.strip().lower().split("-")[0], float(weight) if name.strip() == "q" else 1.0))
        except ValueError:
            continue
    return pairs
