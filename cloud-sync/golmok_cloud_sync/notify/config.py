"""The settings of notices: a small TOML file beside the secrets that it names.

language = "ko"
silent_after_s = 900

[[email]]
host = "smtp.example.com"
username = "alarm@example.com"
password_file = "smtp.pw"
from = "alarm@example.com"
to = ["owner@example.com"]

[[webhook]]
url = "https://example.com/alarms"
secret_file = "hook.key"

[push]
contact = "mailto:owner@example.com"
"""

from __future__ import annotations

import ipaddress
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from golmok_cloud_sync.notify.channels import Channel, Email, Webhook
from golmok_cloud_sync.protocol.alarms import Severity
from golmok_cloud_sync.web.language import Language

_Text = Annotated[str, Meta(min_length=1, max_length=300)]


class ConfigError(ValueError):
    """The file cannot be used; the message says where and what to do."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class EmailConfig(_Table, frozen=True, kw_only=True):
    """A mail server and who is written to."""

    host: _Text
    port: Annotated[int, Meta(ge=1, le=65_535)] = 465
    security: Literal["tls", "starttls", "none"] = "tls"
    username: str = ""
    password_file: Path | None = None
    sender: _Text = msgspec.field(name="from")
    to: Annotated[tuple[_Text, ...], Meta(min_length=1)]


class WebhookConfig(_Table, frozen=True, kw_only=True):
    """Where JSON is posted."""

    url: _Text
    secret_file: Path | None = None


class PushConfig(_Table, frozen=True, kw_only=True):
    """Browsers that asked to be told. The key is made at the first start."""

    contact: Annotated[str, Meta(pattern=r"^(mailto:.+@.+|https://.+)\Z")]
    key_file: Path = Path("vapid.pem")
    subscriptions_file: Path = Path("subscriptions.json")


class Config(_Table, frozen=True, kw_only=True):
    """The whole file."""

    language: Language = "ko"
    least: Severity = "warning"
    """Graver than that or as grave is told."""
    silent_after_s: Annotated[float, Meta(ge=1, le=31 * 86_400)] = 900.0
    """A gateway that has not called for so long is an alarm."""
    email: tuple[EmailConfig, ...] = ()
    webhook: tuple[WebhookConfig, ...] = ()
    push: PushConfig | None = None
    folder: Path = Path()
    """Where the file lies; not to be written in it."""


def read_config(file: Path) -> Config:
    """The settings in that file, with absolute paths. Raises `ConfigError`."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        config = msgspec.convert(table, Config, dec_hook=lambda kind, text: kind(text))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; name a file that can be read") from error
    except (ValueError, TypeError) as error:  # of TOML, of Unicode, of msgspec
        raise ConfigError(f"{file}: {error}") from error
    for hook in config.webhook:
        _check_url(file, hook.url)
    return msgspec.structs.replace(config, folder=file.absolute().parent)


def channels_of(config: Config) -> list[Channel]:
    """The channels but push. Raises `ConfigError` where a secret cannot be used."""
    emails = [
        Email(
            name=f"email:{','.join(one.to)}",
            host=one.host,
            port=one.port,
            sender=one.sender,
            to=one.to,
            security=one.security,
            username=one.username,
            password=_secret(config.folder, one.password_file),
            language=config.language,
        )
        for one in config.email
    ]
    hooks = [
        Webhook(f"webhook:{one.url}", one.url, _secret(config.folder, one.secret_file).encode())
        for one in config.webhook
    ]
    found: Sequence[Channel] = [*emails, *hooks]
    return list({channel.name: channel for channel in found}.values())


def check_secret(file: Path) -> None:
    """Nobody else may read it. Raises `ConfigError`, OSError."""
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{file}: others may read it; run: chmod 600 {file}")


def is_safe_url(url: str) -> bool:
    """Whether what is sent there cannot be read on the way: https, or this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https" and host:
            return True
        return parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _check_url(file: Path, url: str) -> None:
    if not is_safe_url(url):
        raise ConfigError(f"{file}: webhook.url {url!r:.80} must begin with https:// (http:// on this machine only)")


def _secret(folder: Path, file: Path | None) -> str:
    if file is None:
        return ""
    try:
        check_secret(folder / file)
        return (folder / file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{folder / file}: {error.strerror}; put the secret into this file") from error
