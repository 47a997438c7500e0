"""Notices: to a real mail server and a real HTTP receiver, again when refused, and each step under one id."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import socket
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import http_ece
import pytest
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import Vapid02

from golmok_cloud_sync.notify import ConfigError, Email, Notice, NotSentError, Queue, Webhook, channels_of, read_config
from golmok_cloud_sync.notify.config import PushConfig
from golmok_cloud_sync.notify.push import Push
from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.alarms import Alarm, event, newest, parse

ALARM = Alarm(
    "a1", "fridge.temperature", "raised", "high", "critical", "fridge.temperature", "냉장고", 12.0, "Cel", 8.0
)
NOTICE = Notice("gw-1", "한옥카페", ALARM, 1_760_000_000_000, "Asia/Seoul")


class Receiver(ThreadingHTTPServer):
    """Notes what is posted, and answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.posts: list[tuple[dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(receiver.answers.pop(0) if receiver.answers else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # as it is called there
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one
        one.shutdown()


class Mailbox:
    """What a mail server took, and whom it refuses."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuses = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address == self.refuses:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


# --- how an alarm travels

texts = st.text(max_size=30)
alarms = st.builds(
    Alarm,
    id=st.text(min_size=1, max_size=20),
    rule=st.text(min_size=1, max_size=20),
    state=st.sampled_from(["raised", "acknowledged", "escalated", "cleared"]),
    what=texts,
    severity=st.sampled_from(["notice", "warning", "critical"]),
    channel=texts,
    title=texts,
    unit=texts,
    value=st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), texts),
    limit=st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    by=texts,
    is_acknowledged=st.booleans(),
)


@given(alarms)
def test_an_alarm_is_the_same_after_its_event(alarm: Alarm) -> None:
    told = parse(event(alarm, "b" * 32, 5))
    assert told == alarm._replace(value=None if alarm.value == "" else alarm.value)


@given(st.text(), st.sampled_from(["alarm.raised", "alarm.", "alarm.strange", "gap.off"]))
def test_what_is_no_alarm_is_none(value: str, channel: str) -> None:
    assert parse(Record(channel, value, "", "b", 1)) is None or channel == "alarm.raised"
    assert newest([Record(channel, '{"id": "x"}', "", "b", 1), Record(channel, "[]", "", "b", 1)]) == {}


# --- channels


def test_a_mail_says_it_in_words_and_bears_its_id(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    Email("m", "127.0.0.1", port, "alarm@example.com", ["owner@example.com"], "none").send(NOTICE)
    (mail,) = box.mails
    assert mail["Subject"] == "[위험] 한옥카페: 냉장고 온도 12.0 °C: 8.00 °C보다 높음"
    assert mail["Message-ID"] == f"<{NOTICE.id}@example.com>"
    assert mail["Golmok-Notice"] == NOTICE.id
    assert "2025-10-09 17:53:20 KST" in mail.get_content()


def test_a_mail_to_nobody_is_final_and_one_without_a_server_is_not(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    box.refuses = "gone@example.com"
    with pytest.raises(NotSentError, match="550") as refused:
        Email("m", "127.0.0.1", port, "alarm@example.com", ["gone@example.com"], "none").send(NOTICE)
    assert refused.value.is_final
    with pytest.raises(NotSentError) as away:
        Email("m", "127.0.0.1", 1, "alarm@example.com", ["owner@example.com"], "none").send(NOTICE)
    assert not away.value.is_final


def test_a_webhook_is_signed_and_idempotent(receiver: Receiver) -> None:
    for _ in range(2):
        Webhook("w", receiver.url, b"secret").send(NOTICE)
    (headers, body), (again, _) = receiver.posts
    assert headers["idempotency-key"] == again["idempotency-key"] == NOTICE.id
    assert headers["golmok-signature"] == "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    document = json.loads(body)
    assert (document["gateway"], document["alarm"]["value"], document["ts"]) == (
        "gw-1",
        12.0,
        "2025-10-09T08:53:20.000Z",
    )


@pytest.mark.parametrize(("status", "is_final"), [(400, True), (410, True), (302, False), (429, False), (503, False)])
def test_what_a_webhook_answers_decides_whether_it_is_tried_again(
    receiver: Receiver, status: int, is_final: bool
) -> None:
    receiver.answers = [status]
    with pytest.raises(NotSentError, match=str(status)) as refused:
        Webhook("w", receiver.url).send(NOTICE)
    assert refused.value.is_final == is_final


def test_a_step_has_an_id_of_its_own() -> None:
    ids = {NOTICE._replace(alarm=ALARM._replace(state=state)).id for state in ("raised", "escalated", "cleared")}
    assert len(ids) == 3
    assert NOTICE.id == NOTICE._replace(at_ms=None).id


# --- Web Push


class Browser:
    """What a browser makes when it subscribes, and how it reads what comes."""

    def __init__(self, endpoint: str) -> None:
        self.key, self.auth = ec.generate_private_key(ec.SECP256R1()), b"0123456789abcdef"
        form = serialization.PublicFormat.UncompressedPoint
        point = self.key.public_key().public_bytes(serialization.Encoding.X962, form)
        keys = {"p256dh": base64.urlsafe_b64encode(point).decode().rstrip("="), "auth": "MDEyMzQ1Njc4OWFiY2RlZg"}
        self.subscription = {"endpoint": endpoint, "keys": keys}

    def read(self, body: bytes) -> Any:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))


def test_a_browser_reads_what_was_pushed_and_the_service_can_check_who_sent_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    push = Push(PushConfig(contact="mailto:a@example.com"), tmp_path)
    browser = Browser(receiver.url)
    push.subscribe(browser.subscription, "ko")
    (channel,) = Push(PushConfig(contact="mailto:a@example.com"), tmp_path).channels()  # after a restart, the same
    channel.send(NOTICE)
    ((headers, body),) = receiver.posts
    assert browser.read(body)["title"] == NOTICE.subject("ko")
    assert headers["content-encoding"] == "aes128gcm"
    assert headers["urgency"] == "high"
    assert Vapid02.verify(headers["authorization"])
    assert push.public_key in headers["authorization"]
    assert (tmp_path / "vapid.pem").stat().st_mode & 0o077 == 0


def test_a_browser_that_has_gone_is_forgotten(tmp_path: Path, receiver: Receiver) -> None:
    push = Push(PushConfig(contact="mailto:a@example.com"), tmp_path)
    push.subscribe(Browser(receiver.url).subscription, "en")
    receiver.answers = [410]
    with pytest.raises(NotSentError):
        push.channels()[0].send(NOTICE)
    assert push.channels() == []


@pytest.mark.parametrize(
    "subscription",
    [
        {},
        {"endpoint": "http://example.com/x", "keys": Browser("").subscription["keys"]},
        {"endpoint": "https://example.com/x", "keys": {"p256dh": "AAAA", "auth": "AAAA"}},
        {"endpoint": 5, "keys": None},
    ],
)
def test_what_is_no_subscription_is_refused(tmp_path: Path, subscription: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Push(PushConfig(contact="mailto:a@example.com"), tmp_path).subscribe(subscription, "ko")


# --- the queue


def step(number: int) -> Notice:
    return NOTICE._replace(alarm=ALARM._replace(id=f"a{number}"))


def test_a_channel_keeps_its_order_and_holds_up_no_other() -> None:
    queue = Queue(random.Random(1).random)
    for number in range(3):
        queue.add(step(number), ["mail", "hook"], 0)
    mail, hook = queue.due(0, ["mail", "hook"])
    assert queue.failed(mail, 0, is_final=False)
    queue.went(hook)
    assert [one.channel for one in queue.due(1, ["mail", "hook"])] == ["hook"]
    (again, _) = queue.due(5_000, ["mail", "hook"])
    assert (again.notice.id, again.attempts) == (step(0).id, 1)


def test_pauses_grow_and_what_nobody_takes_is_let_go_and_counted() -> None:
    queue = Queue(lambda: 1.0)
    queue.add(NOTICE, ["mail"], 0)
    now, pauses = 0, []
    while due := queue.due(now, ["mail"]):
        goes_on = queue.failed(due[0], now, is_final=False)
        if not goes_on:
            break
        pauses.append(-now + (now := queue.next_ms() or 0))
    assert pauses[:4] == [5_000, 10_000, 20_000, 40_000]
    assert max(pauses) == 600_000
    assert (len(queue), queue.dropped) == (0, 1)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["sent", "failed", "final", "restart"])), max_size=40))
def test_no_notice_is_lost_or_doubled(steps: list[tuple[int, str]]) -> None:
    queue, sent, added, dropped = Queue(lambda: 0.5), [], [], 0
    for now, (number, what) in enumerate(steps):
        if step(number).id not in added:
            queue.add(step(number), ["mail"], now)
            added.append(step(number).id)
        due = queue.due(10**12, ["mail"])
        if what == "restart":
            memory = json.loads(json.dumps(queue.memory()))
            dropped += queue.dropped
            queue = Queue(lambda: 0.5)
            queue.recall(memory, 0)
        elif due and what == "sent":
            sent.append(due[0].notice.id)
            queue.went(due[0])
        elif due:
            queue.failed(due[0], now, is_final=what == "final")
    left = [one[1][2][0] for one in queue.memory()]
    assert len(sent) == len(set(sent))
    assert len(sent) + len(left) + queue.dropped + dropped == len(added)
    assert sent == [one for one in added if one in sent]  # in order


# --- the settings


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "hook.key").write_text("s3cret\n")
    (tmp_path / "hook.key").chmod(0o644)
    file = tmp_path / "notify.toml"
    file.write_text('[[webhook]]\nurl = "https://example.com/x"\nsecret_file = "hook.key"\n')
    with pytest.raises(ConfigError, match="chmod 600"):
        channels_of(read_config(file))
    (tmp_path / "hook.key").chmod(0o600)
    (channel,) = channels_of(read_config(file))
    assert isinstance(channel, Webhook)
    assert channel.secret == b"s3cret"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[[email]]\nhost = 'x'\n", "from"),
        ("[[webhook]]\nurl = 'http://example.com/x'\n", "https://"),
        ("[push]\ncontact = 'me'\n", "contact"),
        ("least = 'loud'\n", "least"),
        ("[[sms]]\n", "sms"),
        ("= 5", "notify.toml"),
    ],
)
def test_wrong_settings_say_what_is_wrong(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "notify.toml").write_text(text)
    with pytest.raises(ConfigError, match=word):
        read_config(tmp_path / "notify.toml")
