"""The reader's language, and pieces of sentences that wait for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

Language: TypeAlias = Literal["en", "ko"]


class Say(NamedTuple):
    """A piece of a sentence in the reader's language: a word of `messages.PHRASES`, and what fills it in."""

    phrase: str
    args: Mapping[str, Any] = MappingProxyType({})


def language_of(environment: Mapping[str, str] = os.environ) -> Language:
    """The user's language as the environment says it; English if it is not Korean."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"
