"""What site, store, mqtt, cloud and web must mean, beyond their form."""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from msgspec import structs

from golmok_edge.settings import locate
from golmok_edge.settings.language import Say
from golmok_edge.settings.mistakes import Report, nearest, shown
from golmok_edge.settings.model import MOST_SHARED, SHARES, Budgets, shares_of

MOST_SECRET_BYTES: Final = 4_096
_HOST_ONLY: Final = frozenset("/@ #?")


Values = Mapping[str, Any]
"""A section's values by name, those without mistake in their form."""


def judge_site(site: Values, report: Report) -> None:
    """The time zone is one that this machine knows."""
    path, zone = ("site", "timezone"), site.get("timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        near = nearest(zone, known) or _by_city(zone, known)
        if not known:
            report.add(path, "no-time-zones", found=shown(zone))
        elif near:
            report.add(path, "time-zone-near", found=shown(zone), near=near)
        else:
            report.add(path, "time-zone", found=shown(zone))


def judge_store(store: Values, report: Report) -> None:
    """The folder is there and may be written, or can be made; the budgets leave something for orders."""
    if "path" in store:
        _judge_folder(store["path"], ("store", "path"), report)
    if store.get("budgets") and "max_bytes" in store:
        _judge_budgets(store["budgets"], store["max_bytes"], report)


def _judge_budgets(given: Budgets, max_bytes: int, report: Report) -> None:
    shared, most = sum(shares_of(max_bytes, given).values()), int(max_bytes * MOST_SHARED)
    if shared > most:
        own = sum(budget or 0 for budget in structs.asdict(given).values())
        left = sum(share for stream, share in SHARES.items() if getattr(given, stream) is None)
        # Budgets that are not given grow with max_bytes.
        least = (math.ceil(own / (MOST_SHARED - left)) // 1_000_000 + 1) * 1_000_000
        report.add(("store", "budgets"), "budgets", found=f"{shared:_}", most=f"{most:_}", least=f"{least:_}")


def judge_mqtt(mqtt: Values, report: Report) -> None:
    """The host is only a host; a password belongs to a user and can be read."""
    named = mqtt.get("host", "")
    host = _host_in(named)
    if named and host != named:
        report.add(("mqtt", "host"), "host-is-url", found=shown(named), example=f"host = {shown(host)}")
    secret = mqtt.get("password_file")
    if secret is not None:
        if "username" in mqtt and mqtt["username"] is None:
            report.add(("mqtt", "username"), "password-without-user")
        _judge_secret(secret, ("mqtt", "password_file"), report, _missing_password)


def judge_cloud(cloud: Values, report: Report) -> None:
    """The address is one of HTTP; the token may still come, and is not shown to others."""
    url, token = cloud.get("url"), cloud.get("token_file")
    why = _wrong_in_url(url) if url is not None else None
    if why:
        report.add(("cloud", "url"), "cloud-url", found=shown(url), why=why)
    if token is not None:
        _judge_secret(token, ("cloud", "token_file"), report, _missing_token)
        if url and not why and urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname or ""):
            report.warn(("cloud", "url"), "cloud-plain", found=shown(url))


def judge_web(web: Values, report: Report) -> None:
    """Host and port, and nothing beyond this machine while there is no login."""
    if "listen" not in web:
        return
    path, listen = ("web", "listen"), web["listen"]
    host, separator, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    good_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65_535
    good_host = bool(bare) and not _HOST_ONLY & set(bare) and (":" not in bare or host == f"[{bare}]")
    if not (separator and good_port and good_host):
        report.add(path, "listen-form", found=shown(listen))
    elif not is_loopback(bare):
        report.add(path, "listen-beyond", found=shown(listen), port=port)


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach that host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def _judge_folder(folder: Path, path: locate.Path, report: Report) -> None:
    try:
        if _is_too_long(folder):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        mode = place.stat().st_mode
    except FileNotFoundError:
        report.add(path, "store-dangling", at=place)
    except OSError as error:
        report.add(path, "path-impossible", why=error.strerror)
    else:
        if not stat.S_ISDIR(mode):
            report.add(path, "store-file", at=place)
        elif not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            report.add(path, "store-not-writable", at=place)


def _is_too_long(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _by_city(name: str, known: set[str]) -> str | None:
    """`Seoul` or `korea/seoul` is Asia/Seoul."""
    city = name.rpartition("/")[2].strip().casefold().replace(" ", "_")
    return min((zone for zone in known if zone.rpartition("/")[2].casefold() == city), key=len, default=None)


def _host_in(text: str) -> str:
    """The host of what may be a URL, or a host with its port."""
    text = text.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    if text.count(":") == 1:
        text = text.partition(":")[0]
    return "".join(char for char in text.strip("[]") if char not in _HOST_ONLY) or "127.0.0.1"


def _wrong_in_url(url: str) -> Say | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return Say("url-form")
    wrong = (
        (any(char.isspace() for char in url), "url-blank"),
        (parts.scheme not in ("http", "https"), "url-scheme"),
        (not host or bool(_HOST_ONLY & set(host)), "url-host"),
        (not _has_good_port(parts), "url-port"),
        (parts.username is not None, "url-user"),
        (bool(parts.query or parts.fragment), "url-query"),
    )
    return next((Say(why) for is_wrong, why in wrong if is_wrong), None)


def _has_good_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _missing_password(report: Report, path: locate.Path, at: Path) -> None:
    report.add(path, "secret-missing", at=at)


def _missing_token(report: Report, path: locate.Path, at: Path) -> None:
    report.warn(path, "token-missing", at=at)


def _judge_secret(
    at: Path, path: locate.Path, report: Report, missing: Callable[[Report, locate.Path, Path], None]
) -> None:
    """A regular file with one line that not everybody may read."""
    try:
        mode = at.stat().st_mode
        content = at.read_bytes() if stat.S_ISREG(mode) and at.stat().st_size <= MOST_SECRET_BYTES else None
    except FileNotFoundError:
        missing(report, path, at)
        return
    except OSError as error:
        report.add(path, "secret-unreadable", at=at, why=error.strerror)
        return
    if not stat.S_ISREG(mode):
        report.add(path, "secret-not-file", at=at)
        return
    if content is None or not _is_one_line(content):
        report.add(path, "secret-content", at=at, most=MOST_SECRET_BYTES)
    if mode & stat.S_IROTH:
        report.warn(path, "secret-open", at=at)


def _is_one_line(content: bytes) -> bool:
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return False
    return bool(text) and text.isprintable()


JUDGES: Final[dict[str, Callable[[Values, Report], None]]] = {
    "site": judge_site,
    "store": judge_store,
    "mqtt": judge_mqtt,
    "cloud": judge_cloud,
    "web": judge_web,
}
"""Section -> what judges its values."""
