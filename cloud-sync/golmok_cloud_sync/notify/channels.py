"""How a notice is sent. Each call sends once, waits for the other end's word, and raises what went wrong."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from http.client import HTTPException
from typing import Final, Literal, Protocol
from urllib.error import HTTPError

from golmok_cloud_sync.notify.notice import Notice
from golmok_cloud_sync.web.language import Language

PATIENCE_S: Final = 20.0
ID_HEADER: Final = "Golmok-Notice"
AGAIN_LATER: Final = frozenset({408, 425, 429})
"""Answers of the kind 4xx that do not mean that it will never be taken."""


class NotSentError(Exception):
    """It was not taken. `is_final`: nor will it be, however often it is tried."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Tells it from the others; the same after a restart."""

    def send(self, notice: Notice) -> None:
        """Send it once; raises `NotSentError`. Blocks."""


@dataclass(frozen=True)
class Email:
    """Through a mail server. What it has taken is its business; a mail with the same Message-ID is the same mail."""

    name: str
    host: str
    port: int
    sender: str
    to: Sequence[str]
    security: Literal["tls", "starttls", "none"] = "tls"
    username: str = ""
    password: str = ""
    language: Language = "ko"

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        message = EmailMessage()
        message["Subject"] = notice.subject(self.language)
        message["From"], message["To"] = self.sender, ", ".join(self.to)
        message["Message-ID"] = f"<{notice.id}@{self.sender.rpartition('@')[2] or 'golmok'}>"
        message[ID_HEADER] = notice.id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text(self.language))
        try:
            with self._connected() as server:
                if self.username:
                    server.login(self.username, self.password)
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            is_final = all(500 <= code < 600 for code, _ in error.recipients.values())
            raise NotSentError(f"{self.host}: no recipient was taken: {_answers(error)}", is_final=is_final) from error
        except smtplib.SMTPResponseException as error:
            # A password or sender that is refused may be put right: only what is said of this mail is final.
            is_final = isinstance(error, smtplib.SMTPDataError) and 500 <= error.smtp_code < 600
            raise NotSentError(f"{self.host}: {error.smtp_code} {error.smtp_error!r}", is_final=is_final) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotSentError(f"{self.host}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=PATIENCE_S, context=ssl.create_default_context())
        server = smtplib.SMTP(self.host, self.port, timeout=PATIENCE_S)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


@dataclass(frozen=True)
class Webhook:
    """A POST of JSON. `Idempotency-Key` is the notice's id; with a secret, `Golmok-Signature` is the body's HMAC."""

    name: str
    url: str
    secret: bytes = b""

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        body = json.dumps(notice.document(), ensure_ascii=False, allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": notice.id, ID_HEADER: notice.id}
        if self.secret:
            headers["Golmok-Signature"] = f"sha256={hmac.new(self.secret, body, hashlib.sha256).hexdigest()}"
        post(self.url, body, headers)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """POST it and see that it was taken; raises `NotSentError`. It is not followed elsewhere."""
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310  # checked by the config
    try:
        with _OPENER.open(request, timeout=PATIENCE_S) as reply:
            reply.read(1024)
    except HTTPError as error:
        is_final = 400 <= error.code < 500 and error.code not in AGAIN_LATER
        raise NotSentError(f"{url} answered {error.code}", is_final=is_final) from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotSentError(f"{url}: {getattr(error, 'reason', None) or error}") from error


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is an error: alarms go where the settings say and nowhere else."""


_OPENER: Final = urllib.request.build_opener(_Unfollowed)


def _answers(error: smtplib.SMTPRecipientsRefused) -> str:
    return ", ".join(f"{who} {code}" for who, (code, _) in error.recipients.items())
