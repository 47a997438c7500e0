"""Orders and a backlog on one slow line: the order does not wait until the backlog is through."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from golmok_cloud_sync.client import Courier, Pace
from golmok_cloud_sync.client.uplink import MOST_RECORDS, SLOW_S, Uplink
from golmok_cloud_sync.protocol import Frame, Hello, Record, decode_reply, decode_request, encode_request
from tests.cloud_sync.both_ends import MemoryCloud, MemoryOutbox
from tests.cloud_sync.server_support import CloudProcess, Sender, wait_until
from tests.cloud_sync.slow_link import SlowLink
from tests.cloud_sync.test_courier import Machine

MODEM: float = 50_000 / 8
HELLO = Hello("gw-1", "", "", "boot", 0, 0)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudProcess]:
    process = CloudProcess(tmp_path / "data")
    yield process
    process.kill()


def noisy(count: int) -> list[Record]:
    """Readings that do not compress well: some six bytes each."""
    dice = random.Random(1)
    return [Record("motor.vibration", dice.random(), "mm/s", "boot", 100 * at) for at in range(count)]


def test_an_order_overtakes_a_backlog_on_a_slow_line(cloud: CloudProcess) -> None:
    """The whole backlog takes minutes on this line; each order is there long before."""
    link = SlowLink(int(cloud.url.rpartition(":")[2]), MODEM)
    outbox = MemoryOutbox("00000000000000a1")
    outbox.entries["readings"] += noisy(200_000)
    courier = Courier(
        f"http://127.0.0.1:{link.port}", HELLO, lambda: outbox, clock=Machine(), pace=Pace(3600), new_boot=False
    )
    courier.start()
    wait_until(lambda: link.carried_up > 10_000, "the backlog is under way", 60)
    waits = []
    for number in range(1, 4):
        began = time.monotonic()
        outbox.entries["orders"].append(Record("table.order", number, "", "boot", number))
        courier.wake()
        wait_until(lambda number=number: outbox.hints["orders"] == number, "the order is there", 60)  # type: ignore[misc]
        waits.append(time.monotonic() - began)

    assert outbox.hints["readings"] < outbox.tail("readings"), "the backlog is still under way"
    with cloud.client() as client:
        assert [line["value"] for line in Sender(client, "gw-1").query("orders")] == [1, 2, 3]
    courier.close(0)
    link.close()


def sizes(bytes_per_s: float, count: int, *, said: bool = True) -> list[int]:
    """How many records the frames have, where a request takes as long as its bytes do."""
    outbox = MemoryOutbox("e")
    outbox.entries["readings"] += noisy(count)
    uplink, cloud, found = Uplink(outbox), MemoryCloud(), []
    while not uplink.is_all_sent:
        body = encode_request(*uplink.compose(HELLO))
        found += [part.count for part in decode_request(body)[1] if isinstance(part, Frame)]
        uplink.took(decode_reply(cloud.handle(body)))
        if said:
            uplink.was_on_line(len(body) / bytes_per_s)
    return found


def test_frames_on_a_slow_line_take_about_two_seconds() -> None:
    found = sizes(MODEM, 40_000)
    assert found[0] == MOST_RECORDS
    bytes_each = 7
    assert all(count * bytes_each / MODEM < 1.5 * SLOW_S for count in found[1:])
    assert all(count * bytes_each / MODEM > SLOW_S / 4 for count in found[1:-1])


@pytest.mark.parametrize(("bytes_per_s", "said"), [(1e6, True), (MODEM, False)])
def test_frames_on_a_line_that_is_not_slow_or_not_known_to_be_stay_large(bytes_per_s: float, said: bool) -> None:
    assert set(sizes(bytes_per_s, 20_000, said=said)) == {MOST_RECORDS}


def test_small_frames_on_a_line_with_a_long_way_do_not_grow_smaller() -> None:
    """By satellite everything takes long, however small."""
    outbox = MemoryOutbox("e")
    uplink, cloud = Uplink(outbox), MemoryCloud()
    for _ in range(30):
        outbox.entries["readings"] += noisy(5)
        body = encode_request(*uplink.compose(HELLO))
        uplink.took(decode_reply(cloud.handle(body)))
        uplink.was_on_line(3.0)
    outbox.entries["readings"] += noisy(10_000)
    _, parts = uplink.compose(HELLO)
    assert parts[0].hi - parts[0].lo == MOST_RECORDS
