"""`POST /v1/sync` against a real server: taken once, whatever is lost, doubled, cut anew or forked on the way."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import httpx
import pytest

from golmok_cloud_sync.protocol import (
    Frame,
    Record,
    Stream,
    StreamReport,
    Value,
    Verdict,
    Void,
    record_crc,
    void_crc,
)
from golmok_cloud_sync.protocol.sync import MAX_REQUEST
from tests.cloud_sync.server_support import Sender, anchor, readings


def values(sender: Sender, what: str = "readings") -> list[object]:
    return [line["value"] for line in sender.query(what)]


def test_what_was_sent_is_given_back(sender: Sender) -> None:
    sender.record("events", [anchor()])
    sender.record("readings", readings(1_200))
    sender.send_all()
    lines = sender.query("readings")
    assert [line["seq"] for line in lines] == list(range(1, 1_201))
    assert [line["value"] for line in lines] == [r.value for r in readings(1_200)]
    assert lines[61] == {
        "store": "gateway", "epoch": sender.epoch, "seq": 62, "ts": "2025-06-15T15:07:41.000Z",
        "channel": "fridge.temperature", "value": 0.61, "unit": "Cel", "quality": "good",
    }  # fmt: skip


def test_values_keep_their_kind(sender: Sender) -> None:
    kinds: list[Value] = [True, False, 1, 0, 2**60, -5, 1.0, 0.1, 1e300, "", "문", "\x85\u2028\u2029\n", None]
    sender.record("readings", [Record("x.y", value, "", "b", i) for i, value in enumerate(kinds)])
    sender.send_all()
    found = values(sender)
    assert [(type(v), v) for v in found] == [(type(v), v) for v in kinds]


def test_a_hello_alone_tells_where_the_streams_are(sender: Sender) -> None:
    sender.record("readings", readings(10))
    reply = sender.sync()
    assert (reply.streams["readings"].next_seq, reply.streams["readings"].last_crc) == (1, 0)
    assert reply.results == []
    assert reply.pace_s == 60


def test_frames_of_several_streams_are_each_judged_alone(sender: Sender) -> None:
    sender.record("readings", readings(20))
    sender.record("orders", [Record("order", "{}", "", "b", 0)])
    reply = sender.sync([sender.frame("readings", 11, 21), sender.frame("orders", 1, 2)])
    assert [(r.stream, r.verdict) for r in reply.results] == [("readings", Verdict.GAP), ("orders", Verdict.APPLY)]
    assert {s: r.next_seq for s, r in reply.streams.items()} == {"readings": 1, "orders": 2}


def test_frames_of_one_stream_follow_each_other_in_one_request(sender: Sender) -> None:
    sender.record("readings", readings(30))
    reply = sender.sync([sender.frame("readings", 1, 11), sender.frame("readings", 11, 31)])
    assert [r.verdict for r in reply.results] == [Verdict.APPLY] * 2
    assert reply.streams["readings"].last_crc == record_crc(sender.records["readings"][29])


@pytest.mark.parametrize(
    ("lo", "hi", "status", "verdict"),
    [
        (1, 21, 200, Verdict.DUPLICATE),
        (5, 12, 200, Verdict.DUPLICATE),
        (11, 25, 409, Verdict.RECUT),
        (22, 25, 409, Verdict.GAP),
        (21, 25, 200, Verdict.APPLY),
    ],
)
def test_each_cut_has_its_verdict(sender: Sender, lo: int, hi: int, status: int, verdict: Verdict) -> None:
    sender.record("readings", readings(30))
    sender.sync([sender.frame("readings", 1, 11), sender.frame("readings", 11, 21)])
    response = sender.post([sender.frame("readings", lo, hi)])
    assert response.status_code == status
    assert response.json()["results"] == [{"stream": "readings", "result": verdict}]
    assert response.json()["streams"]["readings"]["next_seq"] == (25 if verdict is Verdict.APPLY else 21)
    assert len(sender.query("readings")) == (24 if verdict is Verdict.APPLY else 20)


def test_a_409_is_a_problem_and_a_reply_in_one(sender: Sender) -> None:
    sender.record("readings", readings(30))
    response = sender.post([sender.frame("readings", 11, 21)])
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["title"], document["detail"]) == (409, "Conflict", "readings: gap")


def test_recut_after_lost_replies_everything_arrives_once(sender: Sender) -> None:
    """30 % of the replies are lost; what was not acknowledged is cut at other places the next time."""
    random_ = random.Random(7)
    sender.record("readings", readings(3_000))
    acked, lost = 1, 0
    while acked <= 3_000:
        hi = min(acked + random_.randint(1, 300), 3_001)
        lo = max(1, acked - random_.choice([0, 0, 40]))
        reply = sender.sync([sender.frame("readings", lo, hi)])
        if random_.random() < 0.3:
            lost += 1
        else:
            acked = reply.streams["readings"].next_seq
    assert lost > 3
    assert values(sender) == [r.value for r in sender.records["readings"]]


def test_a_doubled_frame_that_is_another_history_is_a_fork(sender: Sender) -> None:
    sender.record("readings", readings(20))
    sender.send_all()
    sender.records["readings"] = readings(20)[:10] + readings(10, start=500)
    for lo, hi in [(1, 21), (5, 15), (12, 21)]:
        response = sender.post([sender.frame("readings", lo, hi)])
        assert response.status_code == 409
        assert response.json()["results"][0]["result"] == "fork"
    assert sender.sync([sender.frame("readings", 1, 9)]).results[0].verdict is Verdict.DUPLICATE


def test_a_frame_that_follows_another_record_is_a_fork(sender: Sender) -> None:
    sender.record("readings", readings(20))
    sender.send_all()
    sender.records["readings"] = readings(19) + readings(2, start=900)
    reply = sender.sync([sender.frame("readings", 21, 22)])
    assert (reply.results[0].verdict, reply.streams["readings"].fork) == (Verdict.FORK, True)
    assert len(sender.query("readings")) == 20


def test_a_store_that_lost_records_is_told_so(sender: Sender) -> None:
    sender.record("readings", readings(20))
    sender.send_all()
    response = sender.post(readings=StreamReport(tail=12))
    assert response.status_code == 409
    assert response.json()["streams"]["readings"]["fork"] is True
    same = sender.post([sender.frame("readings", 1, 11)], readings=StreamReport(tail=12))
    assert same.json()["results"] == [{"stream": "readings", "result": "fork"}]
    assert sender.post(readings=StreamReport(tail=20)).status_code == 200


def test_asked_for_crcs_are_those_of_the_records(sender: Sender) -> None:
    sender.record("readings", readings(1_100))
    sender.send_all()
    sender.sync([Void("readings", 1_101, 1_151, "evicted", {}, record_crc(sender.records["readings"][-1]))])
    asked = (1, 2, 499, 500, 501, 1_100, 1_101, 1_150, 1_151, 9_999)
    reply = sender.sync(readings=StreamReport(tail=1_150, probes=asked))
    crcs = [record_crc(sender.records["readings"][seq - 1]) for seq in asked[:6]]
    voids = [void_crc("readings", seq, "evicted") for seq in (1_101, 1_150)]
    assert list(reply.streams["readings"].crcs.values()) == [*crcs, *voids, None, None]


def test_a_void_passes_through_the_same_gate_and_is_a_gap(sender: Sender) -> None:
    sender.record("events", [anchor()])
    sender.record("readings", readings(30))
    sender.sync([sender.frame("events", 1, 2), sender.frame("readings", 1, 11)])
    void = Void("readings", 11, 21, "evicted", {"fridge.temperature": 10}, record_crc(sender.records["readings"][9]))
    assert sender.sync([replace(void, prev_crc=1)]).results[0].verdict is Verdict.FORK
    assert sender.sync([replace(void, prev_crc=1), replace(void, lo=15)]).results[1].verdict is Verdict.FORK
    assert sender.sync([replace(void, lo=12)]).results[0].verdict is Verdict.GAP
    assert sender.sync([void]).results[0].verdict is Verdict.APPLY
    assert sender.sync([void]).results[0].verdict is Verdict.DUPLICATE
    after = sender.frame("readings", 21, 31)
    assert isinstance(after, Frame)
    assert sender.sync([after]).results[0].verdict is Verdict.FORK
    after = replace(after, prev_crc=void_crc("readings", 20, "evicted"))
    assert sender.sync([after]).results[0].verdict is Verdict.APPLY
    assert [line["seq"] for line in sender.query("readings")] == [*range(1, 11), *range(21, 31)]
    (gap,) = sender.query("gaps")
    assert (gap["seq"], gap["seq_end"], gap["count"], gap["reason"]) == (11, 20, 10, "evicted")
    assert (gap["from"], gap["to"]) == ("2025-06-15T15:06:49.000Z", "2025-06-15T15:07:00.000Z")


def test_a_void_of_what_had_come_already_is_acknowledged(sender: Sender) -> None:
    """The reply was lost, then the gateway evicted what it thought had never arrived."""
    sender.record("readings", readings(10))
    sender.send_all()
    reply = sender.sync([Void("readings", 1, 11, "evicted", {}, 0)])
    assert (reply.results[0].verdict, reply.streams["readings"].next_seq) == (Verdict.DUPLICATE, 11)
    assert len(sender.query("readings")) == 10


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        (lambda f: replace(f, payload=f.payload[:-1] + b"!"), "damaged on the way"),
        (lambda f: replace(f, crc32=f.crc32 ^ 1), "damaged on the way"),
        (lambda f: replace(f, codec=7), "codec 7 is not known"),
        (lambda f: replace(f, count=f.count + 1), "holds 10 records"),
    ],
    ids=["payload", "crc", "codec", "count"],
)
def test_what_does_not_decode_is_refused_and_not_acknowledged(sender: Sender, damage, detail: str) -> None:  # type: ignore[no-untyped-def]
    sender.record("readings", readings(10))
    response = sender.post([damage(sender.frame("readings", 1, 11))])
    assert response.status_code == 409
    (result,) = response.json()["results"]
    assert result["result"] == "refused"
    assert detail in result["detail"]
    assert response.json()["streams"]["readings"]["next_seq"] == 1
    assert sender.sync([sender.frame("readings", 1, 11)]).results[0].verdict is Verdict.APPLY


def test_both_codecs_give_the_same(sender: Sender) -> None:
    sender.record("readings", readings(20))
    sender.sync([sender.frame("readings", 1, 11, codec=0), sender.frame("readings", 11, 21, codec=1)])
    assert values(sender) == [r.value for r in readings(20)]


def test_epochs_are_read_in_the_order_of_first_contact(cloud_client: httpx.Client, sender: Sender) -> None:
    later = Sender(cloud_client, sender.gateway, epoch="0" * 16)
    earlier = Sender(cloud_client, sender.gateway, epoch="f" * 16)
    shop = Sender(cloud_client, sender.gateway, store="a-shop", epoch="5" * 16)
    for one in (earlier, later, shop):
        one.sync()
    for one in (later, shop, earlier):
        one.record("readings", readings(3))
        one.send_all()
    found = [(line["store"], line["epoch"][0], line["seq"]) for line in sender.query("readings")]
    assert found == [(s, e, n) for s, e in [("a-shop", "5"), ("gateway", "f"), ("gateway", "0")] for n in (1, 2, 3)]


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../x", "가게", "a" * 33, "-a"])
def test_a_name_that_no_gateway_may_have_is_refused(cloud_client: httpx.Client, name: str) -> None:
    sender = Sender(cloud_client)
    sender.gateway = name
    response = sender.post()
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(sender: Sender) -> None:
    response = sender.client.post("/v1/sync", content=b" " * (MAX_REQUEST + 1), headers=sender.headers)
    assert response.status_code == 413
    body = (b" " * 100_000 for _ in range(MAX_REQUEST // 100_000 + 2))
    assert sender.client.post("/v1/sync", content=body, headers=sender.headers).status_code == 413


def test_what_a_page_of_another_site_posts_is_refused(sender: Sender) -> None:
    headers = {"Origin": "https://elsewhere.example", "Content-Type": "text/plain"}
    response = sender.client.post("/v1/sync", content=sender.body(), headers=headers)
    assert response.status_code == 415


def test_the_newest_values_are_there_though_a_backlog_drains(sender: Sender) -> None:
    sender.record("readings", readings(100))
    sender.latest = [Record("fridge.temperature", 77.5, "Cel", "boot", 10**9)]
    sender.sync([sender.frame("readings", 1, 51)])
    detail = sender.client.get(sender.path).json()
    assert [value["value"] for value in detail["latest"]] == [77.5]
    assert (detail["backlog"], detail["state"]) == (50, "online")


@pytest.mark.parametrize("stream", ["events", "orders"])
def test_events_and_orders_are_asked_back_by_their_own_names(sender: Sender, stream: Stream) -> None:
    sender.record(stream, [Record("door.alarm", json.dumps({"high": 8.5}), "", "b", 5, "bad", "too warm")])
    sender.send_all()
    (line,) = sender.query(stream)
    assert (line["channel"], line["reason"], line["ts"]) == ("door.alarm", "too warm", None)
    assert sender.query("readings") == []
