"""A real server with a tiny limit: what it cannot hold is told to come again, orders go first, nothing is lost."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from golmok_cloud_sync.client import Courier, Pace
from golmok_cloud_sync.protocol import CONTENT_TYPE, Hello, Record, Stream
from tests.cloud_sync.both_ends import MemoryOutbox
from tests.cloud_sync.server_support import CloudProcess, Sender, readings, run_cli, wait_until
from tests.cloud_sync.test_courier import Machine

URGENT = {"Content-Type": CONTENT_TYPE, "Golmok-Lane": "urgent"}
TINY = 60_000
"""Room for two or three ordinary requests."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    process = CloudProcess(tmp_path_factory.mktemp("tiny") / "data", "--open-enrolment", "--queue-bytes", str(TINY))
    yield process
    process.kill()


@pytest.fixture
def client(tiny: CloudProcess) -> Iterator[httpx.Client]:
    with tiny.client() as client:
        yield client


class Hanging:
    """A request of which the body does not come: it holds its place."""

    def __init__(self, url: str, length: int, *headers: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        head = ["POST /v1/sync HTTP/1.1", f"Host: {host}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {length}"]
        self.send("\r\n".join([*head, *headers, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """The status, and the problem document."""
        with self.socket.makefile("rb") as file:
            status = int(file.readline().split()[1])
            headers = dict(line.decode().lower().rstrip().split(": ", 1) for line in iter(file.readline, b"\r\n"))
            return status, json.loads(file.read(int(headers["content-length"])))

    def __enter__(self) -> Hanging:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def metric(client: httpx.Client, name: str) -> float:
    (found,) = re.findall(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found)


def held(client: httpx.Client) -> float:
    return metric(client, "golmok_queue_bytes")


def sender_with(client: httpx.Client, count: int = 10) -> Sender:
    sender = Sender(client)
    sender.record("readings", readings(count))
    sender.record("orders", readings(5, channel="table-1.order"))
    return sender


@pytest.fixture
def full(tiny: CloudProcess, client: httpx.Client) -> Iterator[Hanging]:
    """Somebody takes all the room there is."""
    wait_until(lambda: held(client) == 0, "nobody is there")
    with Hanging(tiny.url, TINY) as hanging:
        hanging.send(b"x" * (TINY - 1000))
        wait_until(lambda: held(client) > TINY, "it was let in")
        yield hanging
    wait_until(lambda: held(client) == 0, "its place is free again")


@pytest.mark.usefixtures("full")
def test_who_finds_no_room_is_told_when_to_come_again(client: httpx.Client) -> None:
    before = metric(client, 'golmok_turned_away_total{reason="full"}')
    sender = sender_with(client)
    response = sender.post([sender.frame("readings", 1, 11)])
    problem = response.json()
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["reason"]) == (429, "full")
    assert int(response.headers["retry-after"]) - 1 < problem["retry_after_s"] <= int(response.headers["retry-after"])
    assert metric(client, 'golmok_turned_away_total{reason="full"}') == before + 1
    assert client.get("/v1/load").json()["overloaded"] is True


@pytest.mark.usefixtures("full")
def test_a_large_body_is_answered_429_and_not_cut_off_and_the_connection_serves_on(client: httpx.Client) -> None:
    for _ in range(3):
        response = client.post("/v1/sync", content=b"x" * (8 << 20), headers={"Content-Type": CONTENT_TYPE})
        assert response.status_code == 429
        assert "connection" not in response.headers
    assert held(client) < 2 * TINY + 100_000


@pytest.mark.usefixtures("full")
def test_orders_are_taken_though_it_is_full(client: httpx.Client) -> None:
    sender = sender_with(client)
    sender.headers = URGENT
    reply = sender.sync([sender.frame("orders", 1, 6)])
    assert reply.streams["orders"].next_seq == 6


@pytest.mark.usefixtures("full")
def test_what_only_says_that_it_is_urgent_is_turned_away(client: httpx.Client) -> None:
    sender = sender_with(client)
    sender.headers = URGENT
    assert sender.post([sender.frame("readings", 1, 11)]).status_code == 429
    assert sender.post([sender.frame("orders", 1, 6), sender.frame("readings", 1, 11)]).status_code == 429
    big = client.post("/v1/sync", content=b"x" * 65_537, headers=URGENT)
    assert big.status_code == 429


@pytest.mark.usefixtures("full")
def test_one_gateway_cannot_pass_everything_off_as_orders(client: httpx.Client) -> None:
    sender = Sender(client, headers=URGENT)
    dice = random.Random(3)
    sender.record("events", [Record("a.b", dice.randbytes(32_000).hex(), "", "boot", i) for i in range(100)])
    codes: list[int] = []
    while 429 not in codes and len(codes) < 100:
        seq = len(codes) + 1
        codes.append(sender.post([sender.frame("events", seq, seq + 1)]).status_code)
    assert codes[0] == 200
    assert codes[-1] == 429
    other = sender_with(client)
    other.headers = URGENT
    assert other.sync([other.frame("orders", 1, 6)]).streams["orders"].next_seq == 6


def test_a_body_that_trickles_in_gives_way_when_its_place_is_wanted(full: Hanging, client: httpx.Client) -> None:
    sender = sender_with(client)
    codes: list[int] = []

    def is_taken() -> bool:
        full.send(b"x")
        codes.append(sender.post([sender.frame("readings", 1, 11)]).status_code)
        return codes[-1] == 200

    wait_until(is_taken, "there is room")
    assert set(codes) <= {200, 429}
    status, problem = full.answer()
    assert (status, problem["reason"]) == (429, "slow")


def test_an_upload_of_8_mb_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    """It has sent a part when its line dies; then come ordinary requests and orders, and nobody is told to wait."""
    cloud = CloudProcess(tmp_path / "data", "--open-enrolment")
    with cloud.client() as client, Hanging(cloud.url, 8 << 20) as hanging:
        hanging.send(bytes(1 << 20))
        wait_until(lambda: held(client) > 1 << 20, "it is in")
        for _ in range(10):
            sender = sender_with(client)
            assert sender.post([sender.frame("readings", 1, 11)]).status_code == 200
            sender.headers = URGENT
            assert sender.sync([sender.frame("orders", 1, 6)]).streams["orders"].next_seq == 6
        assert held(client) > 1 << 20, "nor was it sent away"
    cloud.kill()


def test_a_gateway_with_a_token_that_reconnects_while_its_requests_hang_is_not_locked_out(tmp_path: Path) -> None:
    token = json.loads(run_cli("token", "--data", str(tmp_path / "data"), "--gateway", "gw-1", "--json").stdout)[
        "token"
    ]
    cloud = CloudProcess(tmp_path / "data", "--queue-bytes", str(4 * (16_384 + 2 * 10_000)))
    hanging = [Hanging(cloud.url, 10_000, f"Authorization: Bearer {token}") for _ in range(12)]
    with cloud.client() as client:
        sender = Sender(client, "gw-1", headers={"Content-Type": CONTENT_TYPE, "Authorization": f"Bearer {token}"})
        sender.record("readings", readings(10))
        wait_until(lambda: sender.post([sender.frame("readings", 1, 11)]).status_code == 200, "it is let in")
    for one in hanging:
        one.socket.close()
    cloud.kill()


def test_the_pages_answer_while_nobody_else_is_let_in(full: Hanging, client: httpx.Client) -> None:
    for path in ("/", "/healthz", "/metrics", "/v1/gateways", "/v1/load"):
        assert client.get(path).status_code == 200


def test_a_limit_that_is_none_is_told(tmp_path: Path) -> None:
    ran = run_cli("serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0", "--queue-bytes", "0")
    assert (ran.returncode, "--queue-bytes" in ran.stderr) == (2, True)


# --- a fleet of real clients ------------------------------------------------------------------------------------------


class Gateway:
    """The product's client with a store in memory."""

    def __init__(self, url: str, number: int, count: int) -> None:
        self.name = f"fleet-{number:03d}"
        self.outbox = MemoryOutbox(f"{number:016x}")
        self.values = [1_000_000 * number + at for at in range(count)]
        self.outbox.entries["readings"] += [
            Record("a.b", value, "", "boot", at) for at, value in enumerate(self.values)
        ]
        hello = Hello(self.name, "", "", "boot", 0, 0)
        self.courier = Courier(url, hello, lambda: self.outbox, clock=Machine(), pace=Pace(3600), new_boot=False)

    def order(self, number: int) -> None:
        self.outbox.entries["orders"].append(Record("table.order", number, "", "boot", number))
        self.courier.wake()

    @property
    def is_done(self) -> bool:
        return all(self.outbox.hints[stream] == self.outbox.tail(stream) for stream in ("readings", "orders"))


def stored(client: httpx.Client, gateway: str, stream: Stream) -> list[Any]:
    return [line["value"] for line in Sender(client, gateway).query(stream)]


def test_a_fleet_at_once_against_a_tiny_limit_each_record_is_there_once(tmp_path: Path) -> None:
    """60 real clients, whose threads all begin in the same moment; some have orders meanwhile."""
    cloud = CloudProcess(tmp_path / "data", "--open-enrolment", "--queue-bytes", "100000")
    fleet = [Gateway(cloud.url, number, 2_000) for number in range(60)]
    for gateway in fleet:
        gateway.courier.start()
    for gateway in fleet[::4]:
        gateway.order(1)
    ordered = fleet[::4]
    wait_until(lambda: all(g.outbox.hints["orders"] == 1 for g in ordered), "all orders are there", 60)
    wait_until(lambda: all(g.is_done for g in fleet), "everything is there", 120)
    with cloud.client() as client:
        for gateway in fleet[::8]:
            assert stored(client, gateway.name, "readings") == gateway.values
        counts = re.findall(
            r'^golmok_records_total\{stream="(\w+)"\} (\d+)$', client.get("/metrics").text, re.MULTILINE
        )
        assert dict(counts) == {"readings": str(60 * 2_000), "orders": "15"}
        for gateway in ordered:
            assert stored(client, gateway.name, "orders") == [1]
    for gateway in fleet:
        gateway.courier.close(0)
    cloud.kill()
