"""`golmok-scan send`: the real program and a real cloud, killed in the middle."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from golmok_edge.scan import cli
from golmok_edge.scan.sending import FILES, MORE
from tests.cloud_sync.server_support import CloudProcess, wait_until
from tests.edge.scan_page import with_cloud
from tests.edge.test_outgoing import arrived, port_of
from tests.faults.http_line import Exchange, HttpLine


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    cloud = CloudProcess(tmp_path_factory.mktemp("cloud") / "data", "--open-enrolment")
    yield cloud
    cloud.kill()


def scan(folder: Path) -> Path:
    """A finished one, as far as sending cares."""
    made = folder / "vase"
    made.mkdir()
    for name in (*FILES, *MORE, "dataset.toml"):
        (made / name).write_bytes(random.Random(name).randbytes(150_000 if name == "mesh.stl" else 9_000))
    return made


def _slowly(exchange: Exchange) -> None:
    time.sleep(0.15)
    exchange.answer(exchange.ask())


def test_killed_in_the_middle_it_goes_on_and_each_file_is_there_once(tmp_path: Path, cloud: CloudProcess) -> None:
    made, line = scan(tmp_path), HttpLine(port_of(cloud))
    config = with_cloud(tmp_path, f"http://127.0.0.1:{line.port}")
    line.afflict(_slowly, 1_000)
    command = [sys.executable, "-m", "golmok_edge.scan.cli", "send"]
    with subprocess.Popen([*command, str(made), *config], stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: len(line.carried) > 2, "some is under way")
        process.kill()
    assert len(arrived(cloud, "gw-scan")) < len(FILES)
    line.calm()
    done = subprocess.run([*command, *config, "--json"], capture_output=True, text=True, timeout=60, check=True)
    (parcel,) = json.loads(done.stdout)["parcels"]
    assert (parcel["scan"], parcel["state"], parcel["percent"]) == ("vase", "sent", 100)
    assert "of 177000" in done.stderr  # how far it was
    assert arrived(cloud, "gw-scan") == {name: (made / name).read_bytes() for name in FILES}
    line.close()


def test_what_it_cannot_do_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = with_cloud(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "empty").mkdir()
    assert cli.main(["send", str(tmp_path / "empty"), *config]) == 2
    assert "golmok-scan reconstruct" in capsys.readouterr().err
    made = scan(tmp_path)
    assert cli.main(["send", str(made), *config, "--wait", "0", "--json"]) == 0  # it is put there
    assert cli.main(["send", *config, "--wait", "1", "--json"]) == 1
    first, second = (json.loads(line)["parcels"] for line in capsys.readouterr().out.splitlines())
    assert [one["state"] for one in (*first, *second)] == ["queued", "offline"]
    assert not any(thread.name == "files" for thread in threading.enumerate())
    (tmp_path / "gateway.toml").write_text('[site]\ngateway = "gw-scan"\n')
    assert cli.main(["send", str(made), *config]) == 2
    assert "section [cloud]" in capsys.readouterr().err
