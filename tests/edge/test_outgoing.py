"""Files on their way: the folder alone, then both ends as real programs with a line between that breaks."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from golmok_cloud_sync.client import Pace
from golmok_cloud_sync.client.files import LEAST_PIECE, MOST_PIECE, FileClient, Stint, TurnedAwayError
from golmok_cloud_sync.client.line import LineError
from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.tus import FileHead
from golmok_edge.outgoing import Outgoing, Parcel, Sender
from golmok_edge.outgoing.words import TEXTS
from tests.cloud_sync.server_support import CloudProcess, wait_until
from tests.cloud_sync.server_support import Sender as Plain
from tests.cloud_sync.slow_link import SlowLink
from tests.faults.http_line import Act, HttpLine, cut_reply, cut_request, damage, hole, late, swallow_reply


def made(folder: Path, **sizes: int) -> list[Path]:
    """Files with something in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (folder / f"{name}.stl").write_bytes(random.Random(name).randbytes(size))
    return [folder / f"{name}.stl" for name in sizes]


# --- the folder


def test_what_is_put_is_what_is_sent_whatever_becomes_of_it(tmp_path: Path) -> None:
    outgoing, (file,) = Outgoing(tmp_path / "out"), made(tmp_path / "scan", mesh=1000)
    content = file.read_bytes()
    parcel = outgoing.put("scan-1", [file])
    (tmp_path / "new").write_bytes(b"another")
    (tmp_path / "new").replace(file)
    assert outgoing.file(parcel, parcel.items[0]).read_bytes() == content
    later = outgoing.put("scan-1", [file])
    assert later.key != parcel.key
    assert [one.key for one in Outgoing(tmp_path / "out").waiting()] == [parcel.key, later.key]
    newest = outgoing.newest("scan-1")
    assert newest is not None
    assert newest.key == later.key


def test_the_same_is_one_parcel_and_may_be_asked_for_again(tmp_path: Path) -> None:
    outgoing, files = Outgoing(tmp_path / "out"), made(tmp_path / "scan", a=10, b=20)
    parcel = outgoing.put("scan-1", files)
    for item in parcel.items:
        outgoing.sent(parcel, item)
    assert (outgoing.waiting(), outgoing.told(outgoing.all()[0]).code) == ([], "sent")
    assert not outgoing.file(parcel, parcel.items[0]).exists()
    assert outgoing.put("scan-1", files).key == parcel.key
    (again,) = outgoing.waiting()
    assert outgoing.file(again, again.items[1]).read_bytes() == files[1].read_bytes()
    outgoing.failed(again, again.items[0], "too-large")
    outgoing.sent(again, again.items[1])
    assert outgoing.told(outgoing.all()[0]).code == "failed-too-large"


def test_only_one_sends_and_what_a_kill_left_is_swept(tmp_path: Path) -> None:
    outgoing = Outgoing(tmp_path / "out")
    with outgoing.turn() as first, Outgoing(tmp_path / "out").turn() as second:
        assert (first, second) == (True, False)
    half = tmp_path / "out" / ".new-x"
    half.mkdir()
    outgoing.tidy()
    assert half.exists()
    os.utime(half, (0, 0))
    for n in range(5):
        parcel = Parcel(f"k{n:04d}", "g", f"{n:04d}", ())
        (tmp_path / "out" / parcel.key).mkdir()
        outgoing._keep(parcel)
    outgoing.tidy(kept=3)
    assert not half.exists()
    assert [one.key for one in outgoing.all()] == ["k0002", "k0003", "k0004"]


def test_a_piece_is_what_the_line_carries_in_a_second_and_then_it_rests_as_long() -> None:
    stint = Stint()
    assert stint.size == LEAST_PIECE
    for _ in range(10):
        assert stint.took(stint.size, stint.size / 200_000) == pytest.approx(stint.size / 200_000, rel=0.6)
    assert stint.size == pytest.approx(200_000, rel=0.01)
    stint.took(stint.size, 20.0)  # the line has become slow
    assert stint.size == LEAST_PIECE
    for _ in range(10):
        stint.took(stint.size, 0.0)
    assert stint.size == MOST_PIECE


def test_every_state_has_words() -> None:
    assert all(row["ko"] and row["en"] for row in TEXTS.values())


# --- both ends


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    cloud = CloudProcess(tmp_path_factory.mktemp("cloud") / "data", "--open-enrolment", "--files-bytes", "5000000")
    yield cloud
    cloud.kill()


def port_of(cloud: CloudProcess) -> int:
    return int(cloud.url.rpartition(":")[2])


@contextmanager
def sending(outgoing: Outgoing, url: str, gateway: str) -> Iterator[Sender]:
    """Somebody sends; he waits for nothing long, and gives an answer up soon."""
    pace = Pace(0.1, uniform=lambda low, high: min(high, 0.05))
    sender = Sender(outgoing, FileClient(url, gateway, answer_s=0.4), pace, says_s=0.0)
    thread = threading.Thread(target=sender.run, daemon=True)
    thread.start()
    yield sender
    sender.close()
    thread.join(10)
    assert not thread.is_alive()


def arrived(cloud: CloudProcess, gateway: str) -> dict[str, bytes]:
    """What the cloud shows, as it gives it out."""
    with cloud.client() as client:
        answer = client.get(f"/v1/gateways/{gateway}/files")
        if answer.status_code == 404:
            return {}
        rows = answer.json()["files"]
        found = {row["name"]: client.get(f"/v1/gateways/{gateway}/files/{row['id']}").content for row in rows}
        assert len(found) == len(rows), "each is there once"
        assert all(hashlib.sha256(found[row["name"]]).hexdigest() == row["sha256"] for row in rows)
        return found


def is_done(outgoing: Outgoing) -> Callable[[], bool]:
    return lambda: not outgoing.waiting()


TROUBLES: dict[str, Callable[[random.Random], Act]] = {
    "cut-request": cut_request,
    "cut-reply": cut_reply,
    "swallowed": lambda chance: swallow_reply,
    "damaged": damage,
    "hole": lambda chance: hole(threading.Event()),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_the_line_does_each_file_arrives_once_and_whole(
    tmp_path: Path, cloud: CloudProcess, trouble: str
) -> None:
    outgoing, gateway = Outgoing(tmp_path / "out"), f"gw-{trouble}"
    files = made(tmp_path / "scan", report=3_000, mesh=1_200_000)
    line = HttpLine(port_of(cloud))
    suffered = line.afflict(TROUBLES[trouble](random.Random(4)), 2, needs_payload=trouble == "damaged")
    outgoing.put("scan-1", files)
    with sending(outgoing, f"http://127.0.0.1:{line.port}", gateway):
        wait_until(is_done(outgoing), "all is sent")
    line.close()
    assert suffered.is_over
    assert arrived(cloud, gateway) == {file.name: file.read_bytes() for file in files}
    assert outgoing.told(outgoing.all()[0]).code == "sent"


def test_without_internet_it_waits_and_goes_on_where_it_was(tmp_path: Path, cloud: CloudProcess) -> None:
    outgoing, (file,) = Outgoing(tmp_path / "out"), made(tmp_path / "scan", mesh=600_000)
    line = HttpLine(port_of(cloud))
    line.afflict(late(random.Random(5)), 1_000)
    parcel = outgoing.put("scan-1", [file])
    with sending(outgoing, f"http://127.0.0.1:{line.port}", "gw-away"):
        wait_until(lambda: outgoing.state().done > 0, "it has begun")
        line.calm()
        line.go_away()
        wait_until(lambda: outgoing.told(parcel).code == "offline", "it says so")
        before = outgoing.told(parcel)
        assert 0 < before.percent < 100
        with cloud.client() as client:
            (coming,) = client.get("/v1/gateways/gw-away/files").json()["coming"]
            assert (coming["name"], coming["size"]) == ("mesh.stl", 600_000)
            assert coming["received"] >= before.done
        line.come_back()
        wait_until(is_done(outgoing), "all is sent")
    line.close()
    assert arrived(cloud, "gw-away") == {"mesh.stl": file.read_bytes()}


def test_what_cannot_be_sent_is_said_and_holds_up_nothing_else(tmp_path: Path, cloud: CloudProcess) -> None:
    outgoing = Outgoing(tmp_path / "out")
    huge, fine, spoilt = made(tmp_path / "scan", huge=10, fine=20_000, spoilt=20_000)
    os.truncate(huge, 5_000_001)
    first, second = outgoing.put("huge", [huge, fine]), outgoing.put("spoilt", [spoilt])
    with spoilt.open("r+b") as link:  # its bytes are no more those that were announced
        link.write(b"x" * 100)
    with sending(outgoing, cloud.url, "gw-cannot"):
        wait_until(is_done(outgoing), "nothing waits any more")
    assert [outgoing.told(outgoing.parcel(one.key) or one).code for one in (first, second)] == [
        "failed-too-large", "failed-damaged",
    ]  # fmt: skip
    assert arrived(cloud, "gw-cannot") == {"fine.stl": fine.read_bytes()}


def test_a_token_that_cannot_be_sent_is_said_and_not_told() -> None:
    client = FileClient("http://127.0.0.1:9", "gw", token=lambda: "secret\nsecret")
    with pytest.raises(TurnedAwayError, match="token_file") as told:
        client.announce(FileHead("a", 1, "0" * 64))
    assert (told.value.status, "secret" in str(told.value)) == (401, False)


class _Elsewhere(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(201)
        self.send_header("Location", "http://127.0.0.2:9/v1/files/gw/1")
        self.send_header("Upload-Offset", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_place_on_another_server_is_no_place() -> None:
    """The token would go there."""
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        client = FileClient(f"http://127.0.0.1:{server.server_port}", "gw", token=lambda: "secret")
        with pytest.raises(LineError, match="elsewhere"):
            client.announce(FileHead("a", 1, "0" * 64))
        client.close()


def test_what_is_wrong_here_ends_nobody_who_sends(
    tmp_path: Path, cloud: CloudProcess, caplog: pytest.LogCaptureFixture
) -> None:
    outgoing, (file,) = Outgoing(tmp_path / "out"), made(tmp_path / "scan", fine=5_000)
    strange = tmp_path / "out" / "strange"
    (strange / "parcel.json").mkdir(parents=True)
    with sending(outgoing, cloud.url, "gw-strange") as sender:
        wait_until(lambda: "sending files failed" in caplog.text, "it is told")
        (strange / "parcel.json").rmdir()
        outgoing.put("scan-1", [file])
        sender.wake()
        wait_until(is_done(outgoing), "all is sent")
    assert arrived(cloud, "gw-strange") == {"fine.stl": file.read_bytes()}


def test_no_room_in_the_cloud_is_waited_for(tmp_path: Path, cloud: CloudProcess) -> None:
    outgoing, files = Outgoing(tmp_path / "out"), made(tmp_path / "scan", one=3_000_000, more=3_000_000)
    parcel = outgoing.put("large", files)
    with sending(outgoing, cloud.url, "gw-full"):
        wait_until(lambda: outgoing.told(parcel).code == "full", "it says so")
        wait_until(lambda: list(arrived(cloud, "gw-full")) == ["one.stl"], "what has room is sent")
    assert outgoing.waiting()


@pytest.mark.slow
def test_an_alarm_overtakes_a_file_on_a_slow_line(tmp_path: Path, cloud: CloudProcess) -> None:
    """The file takes minutes on this line; each alarm is there long before."""
    outgoing, link = Outgoing(tmp_path / "out"), SlowLink(port_of(cloud), 20_000)
    outgoing.put("scan-1", made(tmp_path / "scan", mesh=2_000_000))
    sender = Sender(outgoing, FileClient(f"http://127.0.0.1:{link.port}", "gw-slow"))
    thread = threading.Thread(target=sender.run, daemon=True)
    thread.start()
    wait_until(lambda: link.carried_up > 50_000, "the file is under way")
    with httpx.Client(base_url=f"http://127.0.0.1:{link.port}", timeout=60) as client:
        alarms = Plain(client, "gw-slow")
        for number in range(1, 4):
            alarms.record("events", [Record("alarm.raised", number, "", "boot", number)])
            assert alarms.sync([alarms.frame("events", number, number + 1)]).streams["events"].next_seq == number + 1
    assert outgoing.waiting(), "the file is still under way"
    sender.close()
    thread.join(30)
    link.close()


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_either_end_is_killed_and_the_file_arrives_once(tmp_path: Path, cloud: CloudProcess, kills: int) -> None:
    """The sender is left in the middle as by a kill: nothing of its memory goes on; the cloud is killed for real."""
    chance, gateway = random.Random(kills), f"gw-both-{kills}"
    outgoing, files = Outgoing(tmp_path / "out"), made(tmp_path / "scan", report=3_000, mesh=4_000_000)
    outgoing.put("scan-1", files)
    done = 0
    for _ in range(kills):
        with sending(Outgoing(tmp_path / "out"), cloud.url, gateway):
            wait_until(lambda done=done: outgoing.state().done > done or not outgoing.waiting(), "it comes")  # type: ignore[misc]
            done = outgoing.state().done
            time.sleep(chance.uniform(0, 0.05))
            cloud.kill()
        cloud.restart()
    with sending(Outgoing(tmp_path / "out"), cloud.url, gateway):
        wait_until(is_done(outgoing), "all is sent")
    assert arrived(cloud, gateway) == {file.name: file.read_bytes() for file in files}
