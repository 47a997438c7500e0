"""`golmok-gateway ble decode`: an answer for each line of JSON that holds an advert. Nothing is kept between lines."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from golmok_drivers import adverts
from golmok_drivers.api import PayloadError

LONGEST_LINE: Final = 1 << 16
"""Bytes; an advert has 31, an extended one at most 1,650."""
_UUID: Final = re.compile(r"(?:0x)?(?:0000)?([0-9a-f]{4})(?:-0000-1000-8000-00805f9b34fb)?", re.IGNORECASE)
_KEY_BYTES: Final = 16
_ADDRESS_BYTES: Final = 6


class _LineError(ValueError):
    """A line that is no advert; the text says what to write."""


def run(source: Path, *, as_json: bool) -> int:
    """Answer each line of `source` ("-": standard input). 0, also when some could not be read."""
    if str(source) == "-":
        _print(sys.stdin.buffer, as_json=as_json)
        return 0
    try:
        with source.open("rb") as lines:
            _print(lines, as_json=as_json)
    except OSError as error:
        print(f"golmok-gateway: {source}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def answers(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """One answer a line: the quantities by name, or `error`."""
    for line in lines:
        try:
            yield _decoded(line)
        except (PayloadError, _LineError) as error:
            yield {"error": str(error)}


def _print(lines: BinaryIO, *, as_json: bool) -> None:
    for answer in answers(_pieces(lines)):
        said = json.dumps(answer, ensure_ascii=False, allow_nan=False) if as_json else _told(answer)
        print(said, flush=True)  # whoever writes line by line waits for the answer


def _pieces(lines: BinaryIO) -> Iterator[bytes]:
    """The lines, of which one that is too long comes as one that is a little too long."""
    while line := lines.readline(LONGEST_LINE + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := lines.readline(LONGEST_LINE)):
            pass
        yield line


def _told(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"? {answer['error']}"
    return ", ".join(f"{name} {value}" for name, value in answer.items())


def _decoded(line: bytes) -> dict[str, Any]:
    advert = _advert(line)
    service: dict[int, bytes] = {}
    manufacturer: dict[int, bytes] = {}
    if "servicedata" in advert:
        service[_uuid(advert.get("servicedatauuid"))] = _bytes(advert, "servicedata")
    if "manufacturerdata" in advert:
        data = _bytes(advert, "manufacturerdata")
        if len(data) < 2:
            raise _LineError("manufacturerdata: the company's id, two bytes, is missing")
        manufacturer[int.from_bytes(data[:2], "little")] = data[2:]
    return adverts.decode(service, manufacturer, _cipher(advert), _address(advert))


def _advert(line: bytes) -> dict[str, Any]:
    if len(line.rstrip(b"\r\n")) > LONGEST_LINE:
        raise _LineError(f"a line of more than {LONGEST_LINE} bytes")
    try:
        advert = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _LineError(f"no JSON: {getattr(error, 'msg', error)}") from error
    if not isinstance(advert, dict):
        raise _LineError('no advert: {"servicedatauuid": "fcd2", "servicedata": "4002ca09"}, say')
    return {name: value for name, value in advert.items() if value not in (None, "")}


def _uuid(text: object) -> int:
    found = _UUID.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise _LineError(f"servicedatauuid: four hexadecimal digits are needed, fcd2 say, not {text!r}")
    return int(found[1], 16)


def _bytes(advert: dict[str, Any], name: str, size: int | None = None) -> bytes:
    text = advert[name]
    try:
        data = bytes.fromhex(text.replace(":", "") if size else text)
    except (ValueError, TypeError, AttributeError):
        raise _LineError(f"{name}: pairs of hexadecimal digits are needed, not {text!r:.60}") from None
    if size is not None and len(data) != size:
        raise _LineError(f"{name}: {size} bytes are needed, these are {len(data)}")
    return data


def _address(advert: dict[str, Any]) -> bytes | None:
    return _bytes(advert, "address", _ADDRESS_BYTES) if "address" in advert else None


def _cipher(advert: dict[str, Any]) -> adverts.Cipher | None:
    if "key" not in advert:
        return None
    key = _bytes(advert, "key", _KEY_BYTES)
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # 6 MB that only keyed devices need

    return AESCCM(key, tag_length=4)
