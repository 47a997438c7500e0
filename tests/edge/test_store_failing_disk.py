"""A disk that answers writes with an error: what was stored stays, the reason is told with a remedy, it goes on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .store_support import ROOT, prepared

PROGRAM = """
import sys
from pathlib import Path
from golmok_edge.store import Store, StoreError
from tests.edge.store_support import records, same, some

folder, switch, number = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with Store.open(folder) as store:
    store.append({"readings": some(10)})
    switch.write_text(number)
    for attempt in ({"readings": some(1)}, {"orders": some(1)}, {"readings": some(3)}):
        try:
            store.append(attempt)
            sys.exit("it was taken")
        except StoreError as error:
            print(type(error).__name__, error)
    try:
        store.look_again()
        sys.exit("it would be taken")
    except StoreError as error:
        print(type(error).__name__, error)
    assert same(records(store), some(10))
    switch.write_text("")
    store.look_again()
    store.append({"readings": some(5, 10), "orders": some(1)})
    assert same(records(store), some(15))
with Store.open(folder) as store:
    assert same(records(store), some(15)) and store.tail("orders") == 1
"""


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (apt install gcc): a disk with EIO, EROFS and EDQUOT was NOT tested")
    library = tmp_path_factory.mktemp("disk") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.mark.parametrize(
    ("number", "kind", "remedy"),
    [
        (errno.EIO, "StoreWriteError", "worn out"),
        (errno.EROFS, "StoreReadOnlyError", "replace the SD card"),
        (errno.EDQUOT, "StoreFullError", "quota"),
        (errno.ENOSPC, "StoreFullError", "Make room"),
    ],
)
def test_each_error_of_a_disk_is_told_with_its_remedy_and_passes(
    tmp_path: Path, failing_disk: Path, number: int, kind: str, remedy: str
) -> None:
    folder = prepared(tmp_path / "var")
    environment = {
        **os.environ,
        "LD_PRELOAD": str(failing_disk),
        "FAIL_BELOW": str(folder),
        "FAIL_SWITCH": str(tmp_path / "switch"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "switch"), str(number)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in told] == [kind] * 4
    assert all(remedy in line for line in told)
