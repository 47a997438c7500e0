"""The power goes: what the store had written and not synced is lost, or torn. See `power/` for how that is modelled."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from .power import disk
from .programs import ROOT
from .shop import Shop
from .street import Street

_PROBE: Final = """\
import sys
from pathlib import Path
from tests.faults.power import tracer
tracer.install(*map(Path, sys.argv[1:]))
"""


def why_not() -> str:
    """Why power cuts cannot be modelled here; empty if they can."""
    with tempfile.TemporaryDirectory(prefix="golmok-faults-") as folder:
        place = Path(folder, "place")
        place.mkdir()
        command = [sys.executable, "-c", _PROBE, str(place), str(Path(folder, "journal"))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"files cannot be watched: {done.stderr.strip().splitlines()[-1:]}"


def power_cut(street: Street, shop: Shop, chance: random.Random) -> bool:
    """The power goes while the cloud is away, so that what was taken lies on the disk alone."""
    journal = shop.folder / "journal"
    shop.kill_gateway()
    shop.http.go_away()
    shop.gateway.watch(shop.store, journal)
    shop.start_gateway()
    shop.wait_ready()
    shop.wait_moving(needs_cloud=False)
    time.sleep(chance.uniform(0, 1.5))
    shop.wait_moving(needs_cloud=False)
    shop.kill_gateway()
    if chance.random() < 0.5:
        shop.kill_broker()
        shop.broker.start()
    with tempfile.TemporaryDirectory(dir=shop.folder) as left:
        disk.cut(journal, Path(left, "var"), chance)
        shop.put_image(Path(left, "var"))
    journal.unlink()
    shop.gateway.watch(None, None)
    if shop.machine:
        shop.reboot(time.time_ns() // 1_000_000 - chance.randrange(1, 10) * 1_000)
    shop.http.come_back()
    shop.start_gateway()
    shop.wait_ready()
    return True
