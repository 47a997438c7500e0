"""A street: one cloud, and the shops that are on it. Faults of the cloud are faults of all of them."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from .disk import SmallDisk
from .programs import Cloud
from .shop import Shop, Site

SHOPS = 3


class Street:
    """Cloud and shops, in a temporary folder, until the end of the `with`."""

    def __init__(self, seed: str, mosquitto: Path, code: Path, keep: Path | None = None) -> None:
        """`keep`: a folder in which the files of the street stay."""
        self.seed, self.code = seed, code
        self.cloud_lock = threading.Lock()
        """Held by whoever does something to the cloud."""
        self._stack = ExitStack()
        self.folder = keep or Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="street-")))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cloud = Cloud(self.folder, code)
        self.disks: dict[str, SmallDisk] = {}
        self.shops = [Shop(self._site(number, mosquitto)) for number in range(SHOPS)]

    def _site(self, number: int, mosquitto: Path) -> Site:
        return Site(
            name=f"gw-{number}",
            folder=self.folder / f"shop-{number}",
            cloud=self.cloud,
            mosquitto=mosquitto,
            code=self.code,
            seed=f"{self.seed}/{number}",
            has_machine=number > 0,
            commit_s=(1.0, 0.5, 1.0)[number],
        )

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.callback(self.close)
            first = self.shops[0]
            if disk := SmallDisk.mount(first.store):
                self.disks[first.site.name] = disk
            self.cloud.start().wait()
            with ThreadPoolExecutor(SHOPS) as pool:
                list(pool.map(Shop.open, self.shops))
            opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all of it."""
        for shop in self.shops:
            shop.close()
        self.cloud.kill()
        for disk in self.disks.values():
            disk.unmount()
        self._stack.close()

    def wake_cloud(self) -> None:
        """See that the cloud runs."""
        with self.cloud_lock:
            if not self.cloud.is_running:
                self.cloud.start()
            self.cloud.wait()

    def clone_site(self, shop: Shop, number: int) -> Site:
        """A second shop with the same name: who put a copy of the card into another gateway."""
        return replace(
            shop.site,
            folder=shop.folder / f"clone-{number}",
            seed=f"{shop.site.seed}/clone-{number}",
            has_machine=True,
            has_twin=False,
            first=1_000_000 * (number + 1),
        )

    def words(self) -> Mapping[str, str]:
        """The last words of each program, for a report."""
        return {"cloud": self.cloud.said(), **{shop.site.name: shop.gateway.said() for shop in self.shops}}
