from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from golmok_edge.shop.link import Link, NoGatewayError
from tests.edge.shop_support import FakeGateway, row


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[FakeGateway]:
    gateway = FakeGateway(tmp_path)
    gateway.start()
    yield gateway
    gateway.stop()


def why(question: Callable[[], Coroutine[Any, Any, object]]) -> str:
    with pytest.raises(NoGatewayError) as caught:
        asyncio.run(question())
    return str(caught.value)


def test_a_question_is_answered(gateway: FakeGateway) -> None:
    gateway.points = [[1, 2.0, 3.0, 4.0]]
    link = Link(gateway.path)
    answer = asyncio.run(link.ask("history", channel="a.b", from_ms=1, to_ms=2, points=3))
    assert answer["points"] == [[1, 2.0, 3.0, 4.0]]
    assert gateway.asked == [{"get": "history", "channel": "a.b", "from_ms": 1, "to_ms": 2, "points": 3}]


def test_values_are_watched_until_the_gateway_goes(tmp_path: Path) -> None:
    gateway = FakeGateway(tmp_path)
    gateway.start()

    async def watch() -> None:
        async with Link(gateway.path).watch() as rows:
            await Link(gateway.path).ask("latest")
            gateway.say("fridge.temperature", value=5.0)
            assert await anext(rows) == row("fridge.temperature", value=5.0)
            gateway.stop()
            await anext(rows)

    assert why(watch) == "the gateway has closed the connection"


def test_no_gateway_is_said_so(tmp_path: Path) -> None:
    link = Link(tmp_path / "gateway.sock")
    assert why(lambda: link.ask("status")) == f"the gateway is not running (nobody listens at {link.path})"


def test_a_socket_that_a_killed_gateway_left_is_no_gateway(tmp_path: Path) -> None:
    gateway = FakeGateway(tmp_path)
    gateway.start()
    gateway.stop()
    assert gateway.path.exists()
    assert "not running" in why(lambda: Link(gateway.path).ask("status"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every socket")
def test_a_socket_of_another_user_says_whose_the_shop_must_be(gateway: FakeGateway) -> None:
    gateway.path.chmod(0)
    assert "run golmok-shop as the user that runs golmok-gateway" in why(lambda: Link(gateway.path).ask("status"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"nonsense\n", "cannot be read"),
        (b"[1, 2]\n", "closed the connection"),
        (b"", "closed the connection"),
        (b'{"error": "no such question"}\n', "refused: no such question"),
        (b"\xff\xfe\n", "cannot be read"),
    ],
)
def test_whatever_answers_otherwise_is_no_gateway(tmp_path: Path, answer: bytes, reason: str) -> None:
    path = tmp_path / "gateway.sock"

    async def ask() -> None:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(say, path):
            await Link(path).ask("status")

    assert reason in why(ask)


def test_a_gateway_that_hangs_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert why(lambda: Link(path, answer_s=0.2).ask("status")) == "the gateway has not answered for 0.2 s"
