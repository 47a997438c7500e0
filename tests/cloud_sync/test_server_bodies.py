"""Whatever bytes are sent, the server answers with a problem document, and goes on."""

from __future__ import annotations

import json

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import CONTENT_TYPE
from tests.cloud_sync.server_support import Sender, readings
from tests.cloud_sync.strategies import RUNS

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def is_answered(client: httpx.Client, body: bytes, statuses: set[int]) -> None:
    response = client.post("/v1/sync", content=body, headers={"Content-Type": CONTENT_TYPE})
    assert response.status_code in statuses, response.text
    if response.status_code != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
        assert response.json()["detail"]


@FEW
@given(st.binary(max_size=300))
def test_any_bytes(cloud_client: httpx.Client, body: bytes) -> None:
    is_answered(cloud_client, body, {400})


@FEW
@given(JSON)
def test_any_json(cloud_client: httpx.Client, document: object) -> None:
    is_answered(cloud_client, json.dumps(document).encode() + b"\n", {400})


@FEW
@given(st.data())
def test_a_hello_with_a_field_of_another_kind(cloud_client: httpx.Client, data: st.DataObject) -> None:
    sender = Sender(cloud_client)
    sender.record("readings", readings(3))
    line, _, rest = sender.body([sender.frame("readings", 1, 4)]).partition(b"\n")
    document = json.loads(line)
    inside = data.draw(st.sampled_from([document, document["parts"][0], document["streams"]["readings"]]))
    inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(JSON)
    is_answered(cloud_client, json.dumps(document).encode() + b"\n" + rest, {200, 400, 409})


@FEW
@given(st.data())
def test_a_request_with_bytes_changed_or_missing(cloud_client: httpx.Client, data: st.DataObject) -> None:
    sender = Sender(cloud_client)
    sender.record("readings", readings(30))
    body = bytearray(sender.body([sender.frame("readings", 1, 31, codec=data.draw(st.sampled_from([0, 1])))]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(1, len(body))) :]
    is_answered(cloud_client, bytes(body), {200, 400, 409})


@FEW
@given(RUNS)
def test_any_records_come_back_as_they_were(cloud_client: httpx.Client, run: list) -> None:  # type: ignore[type-arg]
    sender = Sender(cloud_client)
    sender.record("readings", run)
    sender.send_all()
    lines = sender.query("readings")
    assert [(line["channel"], type(line["value"]), line["value"], line["unit"]) for line in lines] == [
        (r.channel, type(r.value), r.value, r.unit) for r in run
    ]
    assert [(line["quality"], line.get("reason", "")) for line in lines] == [(r.quality, r.reason) for r in run]
