"""Web Push: to browsers and installed pages that asked for it (RFC 8030, 8291, 8292).

The encryption is http-ece's, the signature py-vapid's; here stands only what is sent where. A push service keeps one
message of a topic for a telephone that is off: the topic is the alarm's, so that it wakes up to how things stand.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import http_ece
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from golmok_cloud_sync.notify.channels import ID_HEADER, NotSentError, post
from golmok_cloud_sync.notify.config import ConfigError, PushConfig, check_secret, is_safe_url
from golmok_cloud_sync.notify.notice import Notice
from golmok_cloud_sync.web.language import Language

KEPT_S: Final = 86_400
"""How long a push service keeps it for a telephone that is off."""
MOST: Final = 1_000
"""Subscriptions."""
_SIGNED_FOR_S: Final = 12 * 3_600
_GONE: Final = frozenset({404, 410})


class Keys(msgspec.Struct, frozen=True):
    """What a browser made for us."""

    p256dh: str
    auth: str


class Subscription(msgspec.Struct, frozen=True):
    """One browser that wants to be told."""

    endpoint: str
    keys: Keys
    language: Language = "ko"


class Push:
    """All subscriptions as channels, each with its own queue. Any thread may call."""

    def __init__(self, config: PushConfig, folder: Path) -> None:
        """Makes the key if there is none. Raises `ConfigError`."""
        self._config, self._file = config, folder / config.subscriptions_file
        self._vapid = _key(folder / config.key_file)
        self._lock = threading.Lock()
        try:
            kept = self._file.read_bytes() if self._file.exists() else b"[]"
            found = msgspec.json.decode(kept, type=list[Subscription])
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{self._file}: {error}; move it away, and let browsers subscribe again") from error
        self._subscriptions = {one.endpoint: one for one in found}

    @property
    def public_key(self) -> str:
        """What a browser needs to subscribe: the uncompressed point, base64url."""
        form = serialization.PublicFormat.UncompressedPoint
        point = self._vapid.public_key.public_bytes(serialization.Encoding.X962, form)
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    def channels(self) -> list[PushChannel]:
        """One for each browser."""
        with self._lock:
            return [PushChannel(self, one) for one in self._subscriptions.values()]

    def subscribe(self, document: Mapping[str, Any], language: Language) -> Subscription:
        """Take what a browser's `PushSubscription` says. Raises ValueError."""
        one = msgspec.convert({**document, "language": language}, Subscription)
        if not is_safe_url(one.endpoint) or len(one.endpoint) > 2_000:
            raise ValueError("its endpoint must begin with https://")
        _encrypted(b"", one.keys)  # whether its keys are some
        with self._lock:
            if one.endpoint not in self._subscriptions and len(self._subscriptions) >= MOST:
                raise ValueError(f"there are {MOST} subscriptions already")
            self._keep({**self._subscriptions, one.endpoint: one})
        return one

    def unsubscribe(self, endpoint: str) -> bool:
        """Tell it nothing more; whether it was there."""
        with self._lock:
            if endpoint not in self._subscriptions:
                return False
            self._keep({name: one for name, one in self._subscriptions.items() if name != endpoint})
            return True

    def send(self, to: Subscription, notice: Notice) -> None:
        """Send it to one browser; raises `NotSentError`. One that has gone is forgotten."""
        told = {
            "title": notice.subject(to.language),
            "body": notice.text(to.language),
            "tag": f"{notice.gateway} {notice.alarm.id}",
            "url": f"/gateways/{notice.gateway}",
            "id": notice.id,
        }
        place = urlsplit(to.endpoint)
        claims = {
            "aud": f"{place.scheme}://{place.netloc}",
            "exp": int(time.time()) + _SIGNED_FOR_S,
            "sub": self._config.contact,
        }
        headers = {
            **self._vapid.sign(claims),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(KEPT_S),
            "Urgency": "high" if notice.alarm.is_open else "normal",
            "Topic": base64.urlsafe_b64encode(notice.alarm.id.encode()).rstrip(b"=").decode()[:32],
            ID_HEADER: notice.id,
        }
        try:
            post(to.endpoint, _encrypted(json.dumps(told, ensure_ascii=False).encode(), to.keys), headers)
        except NotSentError as error:
            if isinstance(error.__cause__, HTTPError) and error.__cause__.code in _GONE:
                self.unsubscribe(to.endpoint)
            raise

    def _keep(self, subscriptions: dict[str, Subscription]) -> None:
        _write(self._file, msgspec.json.encode(list(subscriptions.values())))
        self._subscriptions = subscriptions


class PushChannel:
    """One browser."""

    def __init__(self, push: Push, subscription: Subscription) -> None:
        self.name = f"push:{subscription.endpoint}"
        self._push, self._subscription = push, subscription

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        self._push.send(self._subscription, notice)


def _encrypted(content: bytes, keys: Keys) -> bytes:
    try:
        made: bytes = http_ece.encrypt(
            content,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=_bytes(keys.p256dh),
            auth_secret=_bytes(keys.auth),
            version="aes128gcm",
        )
    except (ValueError, http_ece.ECEException) as error:
        raise ValueError(f"its keys are none that can be used: {error}") from error
    return made


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _key(file: Path) -> Vapid02:
    try:
        if not file.exists():
            made = Vapid02()
            made.generate_keys()
            _write(file, made.private_pem())
        check_secret(file)
        return Vapid02.from_pem(file.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{file}: {error}; a P-256 key in PEM is needed, or no file at all") from error


def _write(file: Path, content: bytes) -> None:
    """Put it in the place of what stood there, whole or not at all, and for nobody else to read. Raises OSError."""
    new = file.with_name(file.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as target:  # noqa: PTH123  # made with its mode
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    new.rename(file)
