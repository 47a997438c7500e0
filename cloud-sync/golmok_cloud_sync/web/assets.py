"""The pages' own files (scripts, styles, pictures), read once: what is not in the package cannot be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Final, NamedTuple

_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """One file as it is served; the tag changes when its content does, so browsers may keep it and only ask."""

    body: bytes
    headers: Mapping[str, str]

    def is_held_by(self, if_none_match: str | None) -> bool:
        """Whether the browser's `If-None-Match` names this very content."""
        return if_none_match == self.headers["ETag"]


def assets(*packages: str) -> dict[str, Asset]:
    """Every file in the folder `static` of `packages`, by name; of two with one name the later package's stands."""
    return {name: _asset(name, body) for package in packages for name, body in _files(package)}


def _files(package: str) -> Iterator[tuple[str, bytes]]:
    for file in files(package).joinpath("static").iterdir():
        if file.name.rpartition(".")[2] in _MEDIA_TYPES:
            yield file.name, file.read_bytes()


def _asset(name: str, body: bytes) -> Asset:
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    tag = f'"{sha256(body).hexdigest()[:16]}"'
    return Asset(body, {"Content-Type": media_type, "ETag": tag, "Cache-Control": "no-cache"})
