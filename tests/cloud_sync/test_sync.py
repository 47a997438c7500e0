"""`golmok_cloud_sync.protocol.sync`: what a hello may leave out, so that old and new ends understand each other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from golmok_cloud_sync.protocol import Hello, ProtocolError, decode_request, encode_request

HELLO = Hello("gw-1", "gateway", "e1", "boot", 1, 2, title="한옥카페")


def test_the_places_time_zone_comes_along() -> None:
    said, _ = decode_request(encode_request(replace(HELLO, timezone="Asia/Seoul")))
    assert (said.title, said.timezone) == (HELLO.title, "Asia/Seoul")


def test_an_older_gateway_does_not_say_its_time_zone() -> None:
    body = encode_request(HELLO)
    assert "timezone" not in json.loads(body)
    assert decode_request(body)[0].timezone == ""


@pytest.mark.parametrize("zone", [5, None, "x" * 300, "Asia/\nSeoul", ["UTC"]])
def test_a_time_zone_that_is_no_name_is_refused(zone: object) -> None:
    head = json.loads(encode_request(HELLO)) | {"timezone": zone}
    with pytest.raises(ProtocolError):
        decode_request(json.dumps(head).encode() + b"\n")
