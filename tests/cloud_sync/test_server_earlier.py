"""What was saved of a damaged store comes in its old epoch beside the present one, and hides nothing of it."""

from __future__ import annotations

from golmok_cloud_sync.protocol import Hello, StreamReport, decode_request, encode_request
from golmok_cloud_sync.server.fleet import Fleet
from golmok_cloud_sync.server.log import StreamKey


def hello(epoch: str, tail: int, acked: int, *, earlier: bool = False) -> Hello:
    reports = {"readings": StreamReport(tail, acked)}
    return Hello("gw-1", "gateway", epoch, "boot", 1, 2, streams=reports, earlier=earlier)  # type: ignore[arg-type]  # a literal


def epochs(fleet: Fleet) -> dict[str, int]:
    now = fleet.get("gw-1")
    assert now is not None
    return {store.epoch: store.backlog for store in now.stores.values()}


def test_the_member_is_optional_on_the_wire() -> None:
    assert decode_request(encode_request(hello("e2", 1, 0)))[0].earlier is False
    assert b"earlier" not in encode_request(hello("e2", 1, 0))
    assert decode_request(encode_request(hello("e1", 1, 0, earlier=True)))[0].earlier is True


def test_two_epochs_of_a_store_do_not_take_turns() -> None:
    fleet = Fleet()
    for _ in range(3):
        fleet.heard(hello("e2", 10, 10), 1)
        fleet.taken(StreamKey("gw-1", "gateway", "e2", "readings"), 11, [], "boot")
        fleet.heard(hello("e1", 500, 100, earlier=True), 2)
        fleet.taken(StreamKey("gw-1", "gateway", "e1", "readings"), 101, [], "boot")
        assert epochs(fleet) == {"e2": 0, "e1": 400}
    fleet.taken(StreamKey("gw-1", "gateway", "e1", "readings"), 501, [], "boot")
    fleet.heard(hello("e2", 10, 10), 3)
    assert epochs(fleet) == {"e2": 0}
