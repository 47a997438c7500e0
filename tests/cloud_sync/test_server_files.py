"""Files in the cloud: a real server, and a plain sender that shares no code with the client."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import secrets
import socket
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_cloud_sync.protocol.tus import FileHead
from golmok_cloud_sync.server import cli
from golmok_cloud_sync.server.file_store import LASTS_S, DamagedError, FileStore, Limits, NoRoomError, OffsetError
from golmok_cloud_sync.server.registry import Registry
from tests.cloud_sync.server_support import CloudProcess, wait_until

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = random.Random(1).randbytes(300_000)


def head(name: str = "mesh.stl", content: bytes = BYTES, group: str = "scan-1") -> FileHead:
    return FileHead(name, len(content), hashlib.sha256(content).hexdigest(), group)


def announce(client: httpx.Client, gateway: str, told: FileHead, **more: str) -> httpx.Response:
    headers = {**TUS, "Upload-Length": str(told.size), "Upload-Metadata": told.metadata(), **more}
    return client.post(f"/v1/files/{gateway}", headers=headers)


def place(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return urljoin(str(answer.url), answer.headers["Location"])


def push(client: httpx.Client, url: str, offset: int, piece: bytes, **more: str) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **more}
    return client.patch(url, content=piece, headers=headers)


def begun(url: str, token: str, offset: int, size: int) -> socket.socket:
    """A line on which the head of a request has been sent, and its bytes have not."""
    target = urlsplit(url)
    line = socket.create_connection(("127.0.0.1", target.port or 0))
    line.sendall(
        f"PATCH {target.path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n"
        f"Content-Length: {size - offset}\r\n\r\n".encode()
    )
    return line


def offset_of(client: httpx.Client, url: str) -> int:
    answer = client.head(url, headers=TUS)
    assert answer.status_code == 200, answer.status_code
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def listed(client: httpx.Client, gateway: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    found = client.get(f"/v1/gateways/{gateway}/files").json()
    return found["files"], found["coming"]


class Tokens(httpx.Auth):
    """Made as they are needed: a gateway's for its files, a reader's for all else."""

    def __init__(self, folder: Path) -> None:
        self._registry = Registry(folder)
        self.made: dict[str | None, str] = {}

    def of(self, gateway: str | None) -> str:
        if gateway not in self.made:
            self.made[gateway] = self._registry.make_token(gateway)
        return self.made[gateway]

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        found = re.match("/v1/files/([a-z0-9-]+)", request.url.path)
        request.headers.setdefault("Authorization", f"Bearer {self.of(found[1] if found else None)}")
        yield request


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    cloud = CloudProcess(tmp_path_factory.mktemp("files") / "data", "--files-bytes", "40000000")
    yield cloud
    cloud.kill()


@pytest.fixture(scope="module")
def tokens(cloud: CloudProcess) -> Tokens:
    return Tokens(cloud.folder)


@pytest.fixture
def client(cloud: CloudProcess, tokens: Tokens) -> Iterator[httpx.Client]:
    with cloud.client(auth=tokens) as client:
        yield client


def test_a_file_comes_in_pieces_and_shows_when_it_is_whole(client: httpx.Client) -> None:
    told = head()
    url = place(announce(client, "gw-1", told))
    for at in range(0, len(BYTES), 120_000):
        here, coming = listed(client, "gw-1")
        assert (here, [(one["name"], one["received"]) for one in coming]) == ([], [("mesh.stl", at)])
        answer = push(client, url, at, BYTES[at : at + 120_000])
        assert (answer.status_code, answer.headers["Tus-Resumable"]) == (204, "1.0.0")
        assert answer.headers["Upload-Offset"] == str(min(at + 120_000, len(BYTES)))
    (one,), coming = listed(client, "gw-1")
    assert coming == []
    assert (one["size"], one["sha256"], one["kind"], one["group"]) == (told.size, told.sha256, "model", "scan-1")
    again = announce(client, "gw-1", told)
    assert (place(again), again.headers["Upload-Offset"]) == (url, str(told.size))  # it does not come twice
    assert client.delete(url, headers=TUS).status_code == 403  # nor can a gateway take it away


def test_it_is_read_back_whole_or_in_part(client: httpx.Client) -> None:
    page = b"<script>alert(1)</script>"
    push(client, place(announce(client, "gw-read", head("보고서.html", page))), 0, page)
    (one,), _ = listed(client, "gw-read")
    path = f"/v1/gateways/gw-read/files/{one['id']}"
    got = client.get(path)
    assert got.content == page
    assert got.headers["Content-Type"] == "application/octet-stream"  # never a page of the server's own
    assert got.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''scan-1-%EB%B3%B4")
    assert (got.headers["X-Content-Type-Options"], got.headers["ETag"]) == ("nosniff", f'"{one["sha256"]}"')
    assert (client.head(path).headers["Content-Length"], client.head(path).content) == (str(len(page)), b"")
    part = client.get(path, headers={"Range": "bytes=1-6"})
    assert (part.status_code, part.content) == (206, page[1:7])


def test_what_is_not_what_was_announced_never_shows(client: httpx.Client) -> None:
    url = place(announce(client, "gw-wrong", head()))
    answer = push(client, url, 0, bytes(len(BYTES)))
    assert (answer.status_code, answer.json()["title"]) == (460, "Checksum Mismatch")
    assert listed(client, "gw-wrong") == ([], [])
    assert client.head(url, headers=TUS).status_code == 404
    assert int(announce(client, "gw-wrong", head()).headers["Upload-Offset"]) == 0  # it may be sent again


def test_a_damaged_piece_is_not_kept(client: httpx.Client) -> None:
    url = place(announce(client, "gw-piece", head()))
    for name in ("sha1", "sha256"):
        digest = base64.b64encode(hashlib.new(name, BYTES[:1000]).digest()).decode()
        damaged = push(client, url, 0, BYTES[1:1001], **{"Upload-Checksum": f"{name} {digest}"})
        assert (damaged.status_code, offset_of(client, url)) == (460, 0)
    assert push(client, url, 0, BYTES[:1000], **{"Upload-Checksum": f"sha256 {digest}"}).status_code == 204
    assert push(client, url, 1000, b"x", **{"Upload-Checksum": "crc32 eA=="}).status_code == 400


def test_bytes_must_follow_on_those_that_are_here(client: httpx.Client) -> None:
    url = place(announce(client, "gw-offset", head()))
    push(client, url, 0, BYTES[:500])
    for offset in (0, 499, 501, len(BYTES)):
        answer = push(client, url, offset, b"")
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "500")
    assert push(client, url, 500, BYTES).status_code == 400  # more than was announced
    assert push(client, url, -1, b"x").status_code == 400
    assert offset_of(client, url) == 500


def test_tus_is_spoken_as_its_page_has_it(client: httpx.Client) -> None:
    told = client.options("/v1/files/gw-1").headers
    assert (told["Tus-Version"], told["Tus-Max-Size"]) == ("1.0.0", "40000000")
    assert set(told["Tus-Extension"].split(",")) == {"creation", "expiration", "checksum", "termination"}
    wrong = client.post("/v1/files/gw-1", headers={"Tus-Resumable": "0.2"})
    assert (wrong.status_code, wrong.headers["Tus-Version"]) == (412, "1.0.0")
    answer = announce(client, "gw-tus", head())
    url = place(answer)
    assert answer.headers["Upload-Expires"].endswith("GMT")
    patch = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    overridden = client.post(url, content=BYTES[:10], headers={**TUS, **patch})
    assert (overridden.status_code, offset_of(client, url)) == (204, 10)
    assert push(client, url, 10, b"x", **{"Content-Type": "text/plain"}).status_code == 415
    assert client.put(url, headers=TUS).status_code == 405
    assert client.delete(url, headers=TUS).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    empty = place(announce(client, "gw-tus", head("empty.json", b"")))
    assert offset_of(client, empty) == 0
    assert [one["name"] for one in listed(client, "gw-tus")[0]] == ["empty.json"]


def test_no_name_leads_out_of_the_folder(client: httpx.Client, cloud: CloudProcess) -> None:
    for name in ("../../../evil.stl", "/etc/passwd", "..\\x", "a\x00b\n.stl", "."):
        content = name.encode()
        push(client, place(announce(client, "gw-name", head(name, content, group="../up"))), 0, content)
    files, _ = listed(client, "gw-name")
    assert {one["name"] for one in files} == {"evil.stl", "passwd", "x", "ab.stl", "file"}
    assert {one["group"] for one in files} == {"up"}
    assert {file.parent for file in cloud.folder.rglob("*.file")} >= {cloud.folder / "files" / "gw-name"}
    assert not list(cloud.folder.parent.rglob("*evil*"))
    for path in ("..%2f..%2fregistry.db", "registry.db", "0" * 31, "..%2flog.db"):
        assert client.get(f"/v1/gateways/gw-name/files/{path}").status_code == 404
        assert client.head(f"/v1/files/gw-name/{path}", headers=TUS).status_code == 404
    assert announce(client, "..", head()).status_code == 404
    assert announce(client, "gw.x", head()).status_code == 400


def test_what_is_too_much_is_refused_with_the_remedy(client: httpx.Client) -> None:
    huge = announce(client, "gw-much", FileHead("huge.stl", 40_000_001, "0" * 64))
    assert (huge.status_code, huge.json()["remedy"]) == (413, "send a smaller file")
    place(announce(client, "gw-much", FileHead("a.stl", 30_000_000, "1" * 64)))  # what only comes counts as well
    full = announce(client, "gw-much", FileHead("b.stl", 30_000_000, "2" * 64))
    assert full.status_code == 507
    assert "golmok-cloud files" in full.json()["remedy"]


def test_a_cut_request_leaves_what_came_and_who_comes_again_need_not_wait(client: httpx.Client, tokens: Tokens) -> None:
    url = place(announce(client, "gw-cut", head()))
    with begun(url, tokens.of("gw-cut"), 0, len(BYTES)) as silent:
        silent.sendall(BYTES[:1234])
        time.sleep(0.3)  # it has come, and the rest never will: the line is dead, and the server does not know
        began = time.monotonic()
        assert offset_of(client, url) == 1234
        assert time.monotonic() - began < 5
    assert push(client, url, 1234, BYTES[1234:]).status_code == 204


def test_who_brings_too_many_at_once_is_told_when_to_come_again(client: httpx.Client, tokens: Tokens) -> None:
    with ExitStack() as lines:
        for n in range(4):
            content = bytes([n]) * 1000
            url = place(announce(client, "gw-many", head(f"{n}.stl", content)))
            line = lines.enter_context(begun(url, tokens.of("gw-many"), 0, 1000))
            line.sendall(content[:1])
        wait_until(lambda: announce(client, "gw-many", head("5.stl")).status_code == 429, "the fifth is turned away")
        answer = announce(client, "gw-many", head("5.stl"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
        place(announce(client, "gw-few", head()))  # others are not
    wait_until(lambda: announce(client, "gw-many", head("5.stl")).status_code == 201, "the lines are gone")


def test_gateways_and_readers_keep_to_their_own(client: httpx.Client, cloud: CloudProcess, tokens: Tokens) -> None:
    two, reader = ({"Authorization": f"Bearer {tokens.of(whose)}"} for whose in ("gw-b", None))
    told = head()
    url = place(announce(client, "gw-a", told))
    for wrong, status in (({"Authorization": ""}, 401), (two, 403), (reader, 403)):
        assert announce(client, "gw-a", told, **wrong).status_code == status
        assert client.head(url, headers={**TUS, **wrong}).status_code == status
        assert push(client, url, 0, b"x", **wrong).status_code == status
        assert client.delete(url, headers={**TUS, **wrong}).status_code == status
    # The same file of another gateway is another file: it neither sees nor spoils the first.
    other = place(announce(client, "gw-b", told))
    assert push(client, other, 0, bytes(len(BYTES))).status_code == 460
    assert push(client, url, 0, BYTES).status_code == 204
    assert listed(client, "gw-b") == ([], [])
    ((here,), _) = listed(client, "gw-a")
    path = f"/v1/gateways/gw-a/files/{here['id']}"
    assert client.get(path).content == BYTES
    assert [client.get(path, headers=wrong).status_code for wrong in ({"Authorization": ""}, two)] == [401, 403]
    said = (cloud.folder.parent / "cloud.err").read_text()
    assert not any(token in said for token in tokens.made.values())
    assert cli.main(["files", "--data", str(cloud.folder), "--delete", str(here["id"])]) == 0
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_any_moment_an_upload_goes_on_exactly_where_its_bytes_end(
    cloud: CloudProcess, tokens: Tokens, kills: int
) -> None:
    chance, offset = random.Random(kills), 0
    content = chance.randbytes((kills + 1) * (7 << 18))
    told, gateway = head("big.stl", content), f"gw-kill-{kills}"
    for _ in range(kills):
        with cloud.client(auth=tokens) as client:
            url = place(announce(client, gateway, told))
            assert offset_of(client, url) >= offset  # what was acknowledged is there
            offset = offset_of(client, url)
            few = content[offset : offset + chance.randrange(1, 200_000)]
            offset = int(push(client, url, offset, few).headers["Upload-Offset"])
            with begun(url, tokens.of(gateway), offset, len(content)) as line:
                line.sendall(content[offset : offset + chance.randrange(1 << 20, 3 << 19)])
                (part,) = (cloud.folder / "files" / gateway).glob("*.part")
                wait_until(lambda part=part, offset=offset: part.stat().st_size > offset, "some is there")  # type: ignore[misc]
                time.sleep(chance.uniform(0, 0.01))
                cloud.kill()
        cloud.restart()
    with cloud.client(auth=tokens) as client:
        offset = offset_of(client, url)
        assert push(client, url, offset, content[offset:]).status_code == 204
        ((one,), coming) = listed(client, gateway)
        assert client.get(f"/v1/gateways/{gateway}/files/{one['id']}").content == content
        assert coming == []


# --- the store alone


def test_killed_before_it_was_shown_it_is_shown_when_it_is_asked_for(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    upload = store.announce("gw-1", head())
    store.append(upload, 0, BYTES)  # and here the power goes
    assert [one.is_here for one in FileStore(tmp_path).all("gw-1")] == [False]
    again = FileStore(tmp_path).announce("gw-1", head())
    assert (again.is_here, store.path(again).read_bytes()) == (True, BYTES)
    spoilt = store.announce("gw-1", head("other"))
    store.append(spoilt, 0, bytes(len(BYTES)))
    with pytest.raises(DamagedError):
        store.find("gw-1", spoilt.id)
    assert store.find("gw-1", spoilt.id) is None


def test_only_an_id_names_a_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.announce("gw-1", head("mine", b""))
    other = store.announce("gw-2", head("theirs", b""))
    assert store.find("gw-2", other.id) is not None
    for name in (f"../gw-2/{other.id}", other.id.upper(), f"{other.id}\n", other.id[:-1], ""):
        assert store.find("gw-1", name) is None
    assert store.find("gw-1", other.id) is None


def test_what_does_not_come_is_given_up(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    here, coming = store.announce("gw-1", head("here", b"")), store.announce("gw-1", head("coming"))
    stray = tmp_path / "files" / "gw-1" / f"{'0' * 32}.part"
    stray.write_bytes(b"x")
    assert store.sweep() == []
    old = time.time() - LASTS_S - 60
    for file in (tmp_path / "files").rglob("*.*"):
        os.utime(file, (old, old))
    assert [one.id for one in store.sweep()] == [coming.id]
    assert [one.id for one in store.all("gw-1")] == [here.id]
    assert not stray.exists()


def test_a_full_disk_is_said_and_leaves_no_half_piece(tmp_path: Path) -> None:
    roomy, tight = FileStore(tmp_path), FileStore(tmp_path, Limits(spare_bytes=1 << 60))
    upload = roomy.announce("gw-1", head())
    roomy.append(upload, 0, BYTES[:10])
    with pytest.raises(NoRoomError, match="disk is nearly full"):
        tight.append(upload, 10, BYTES[10:])
    with pytest.raises(NoRoomError):
        tight.announce("gw-1", head("other"))
    assert roomy.append(upload, 10, BYTES[10:]) == len(BYTES)


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Path]:
    """A folder where a sync costs nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 40)), max_size=12))
def test_whatever_offsets_are_sent_only_the_file_comes_out(in_memory: Path, sent: list[tuple[int, int]]) -> None:
    store, content = FileStore(in_memory), BYTES[:100]
    upload, offset = store.announce("gw-1", head(secrets.token_hex(8), content)), 0
    for step, size in [*sent, (0, 100), (0, 0)]:
        at = max(0, offset + step)
        piece = content[at : at + size]
        if at != offset:
            with pytest.raises(OffsetError):
                store.append(upload, at, piece)
        elif offset < len(content):
            offset = store.append(upload, at, piece)
        found = store.find("gw-1", upload.id)
        assert found is not None
        assert (found.offset, found.is_here) == (offset, offset == len(content))
    assert store.path(upload).read_bytes() == content
