"""`golmok-cloud`: who is let in, what is said when something is wrong, and that it ends when told to."""

from __future__ import annotations

import json
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from golmok_cloud_sync.protocol import CONTENT_TYPE
from golmok_cloud_sync.server.registry import FILE, Registry
from tests.cloud_sync.server_support import CloudProcess, Sender, readings, run_cli, wait_until


def token(folder: Path, *whose: str) -> str:
    done = run_cli("token", "--data", str(folder), *whose)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A server that lets in only who has a token."""
    process = CloudProcess(tmp_path_factory.mktemp("guarded") / "data", "--listen", "127.0.0.1:0")
    yield process
    process.kill()


@pytest.fixture
def client(guarded: CloudProcess) -> Iterator[httpx.Client]:
    with guarded.client() as client:
        yield client


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def status(client: httpx.Client, method: str, path: str, secret: str | None, body: bytes = b"") -> int:
    headers = {"Content-Type": CONTENT_TYPE, **(bearer(secret) if secret is not None else {})}
    response = client.request(method, path, content=body, headers=headers)
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    return response.status_code


def test_each_token_opens_its_own_door(guarded: CloudProcess, client: httpx.Client) -> None:
    own = Sender(client, "gw-own")
    own.record("readings", readings(3))
    body = own.body([own.frame("readings", 1, 4)])
    gateway, reader = token(guarded.folder, "--gateway", "gw-own"), token(guarded.folder, "--reader")
    assert client.get("/v1/gateways/gw-own", headers=bearer(reader)).json()["state"] == "never"
    assert status(client, "POST", "/v1/sync", None, body) == 401
    assert status(client, "POST", "/v1/sync", "wrong", body) == 401
    assert status(client, "POST", "/v1/sync", reader, body) == 403
    assert status(client, "POST", "/v1/sync", gateway, body) == 200
    assert status(client, "POST", "/v1/sync", gateway, Sender(client, "gw-other").body()) == 403
    for path in ("/v1/gateways", "/v1/gateways/gw-own", "/v1/gateways/gw-own/readings", "/v1/live", "/v1/gateways/x"):
        assert status(client, "GET", path, None) == 401
        assert status(client, "GET", path, "wrong") == 401
        assert status(client, "GET", path, gateway) == 403
    for who, answer in ((None, 401), ("wrong", 401), (gateway, 403), (reader, 404)):
        acknowledge = "/v1/gateways/gw-own/alarms/none/acknowledge"
        seen = client.post(acknowledge, json={"by": "x"}, headers=bearer(who) if who else {})
        assert seen.status_code == answer
    assert status(client, "GET", "/v1/gateways/gw-own/readings", reader) == 200
    assert status(client, "GET", "/healthz", None) == 200
    assert status(client, "GET", "/metrics", None) == 200


def test_an_unknown_gateway_is_told_what_to_do(client: httpx.Client) -> None:
    response = Sender(client, "gw-unknown").post()
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "golmok-cloud token --data DIR --gateway NAME" in response.json()["remedy"]


def test_a_new_token_works_at_once_also_when_another_was_asked_for_just_before(
    guarded: CloudProcess, client: httpx.Client
) -> None:
    for _ in range(3):
        assert status(client, "GET", "/v1/gateways", "wrong") == 401
        assert status(client, "GET", "/v1/gateways", token(guarded.folder, "--reader")) == 200


def test_a_new_token_replaces_the_gateways_old_one(guarded: CloudProcess, client: httpx.Client) -> None:
    sender = Sender(client, "gw-renewed")
    old = token(guarded.folder, "--gateway", "gw-renewed")
    wait_until(lambda: status(client, "POST", "/v1/sync", old, sender.body()) == 200, "the token is known")
    new = token(guarded.folder, "--gateway", "gw-renewed")
    wait_until(lambda: status(client, "POST", "/v1/sync", old, sender.body()) == 401, "the old one is no more")
    assert status(client, "POST", "/v1/sync", new, sender.body()) == 200


def test_only_hashes_are_kept_and_only_for_their_owner(tmp_path: Path) -> None:
    done = run_cli("token", "--data", str(tmp_path / "new"), "--gateway", "gw-1", "--json")
    document = json.loads(done.stdout)
    assert document["gateway"] == "gw-1"
    file = tmp_path / "new" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert document["token"].encode() not in file.read_bytes()
    registry = Registry(tmp_path / "new")
    holder = registry.holder(document["token"])
    assert holder is not None
    assert holder.gateway == "gw-1"
    assert registry.holder(document["token"][:-1]) is None
    assert registry.gateways() == {"gw-1"}
    registry.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["serve", "--data", "{data}", "--listen", "0.0.0.0:0", "--open-enrolment"], 2, "listen on 127.0.0.1"),
        (["serve", "--data", "{data}", "--listen", "example.org:0", "--open-enrolment"], 2, "--open-enrolment would"),
        (["serve", "--data", "{data}", "--listen", "8400"], 2, "write HOST:PORT"),
        (["serve", "--data", "{data}", "--listen", "127.0.0.1:99999"], 2, "write HOST:PORT"),
        (["serve", "--data", "{data}", "--listen", "127.0.0.1:{taken}"], 1, "Address already in use"),
        (["serve", "--data", "{data}", "--listen", "192.0.2.1:0"], 1, "cannot listen on 192.0.2.1"),
        (["serve", "--data", "{file}/below"], 2, "cannot be made"),
        (["serve", "--data", "{file}"], 2, "cannot be made"),
        (["serve", "--database", "postgresql://localhost/golmok"], 2, "not in this release"),
        (["serve"], 2, "one of the arguments --data --database is required"),
        (["serve", "--data", "{data}", "--wrong"], 2, "unrecognized arguments"),
        (["token", "--data", "{data}", "--gateway", "No Name"], 2, "is no name"),
        (["token", "--data", "{file}", "--reader"], 2, "cannot be made"),
        (["token", "--data", "{data}"], 2, "one of the arguments --gateway --reader is required"),
        ([], 2, "COMMAND"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    (tmp_path / "file").write_text("a file")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        names = {"data": tmp_path / "data", "file": tmp_path / "file", "taken": taken.getsockname()[1]}
        done = run_cli(*(argument.format(**names) for argument in arguments))
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_second_server_on_the_same_data_is_refused(cloud: CloudProcess) -> None:
    done = run_cli("serve", "--data", str(cloud.folder), "--listen", "127.0.0.1:0")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "in use by another server" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_though_pages_watch_and_keeps_everything(tmp_path: Path, number: int) -> None:
    cloud = CloudProcess(tmp_path / "data")
    with cloud.client() as client, cloud.client() as other:
        sender = Sender(client)
        sender.record("readings", readings(10))
        sender.send_all()
        with other.stream("GET", "/v1/live") as live:
            lines = live.iter_lines()
            assert next(lines) == "retry: 2000"
            began = time.monotonic()
            assert cloud.stop(number) == 0
            assert time.monotonic() - began < 10  # it takes less than 2 s where nothing else runs
            assert list(lines)[-1] == ""
    cloud.restart()
    with cloud.client() as client:
        assert len(Sender(client, sender.gateway).query("readings")) == 10
        assert client.get(sender.path).json()["channels"] == 1
    assert cloud.stop() == 0
    assert "Traceback" not in (tmp_path / "cloud.err").read_text()
