"""The page of all drivers is what the drivers say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from golmok_drivers import catalogue, reference
from golmok_edge.settings import examine_closely

PAGE = Path(__file__).parents[2] / "docs" / "drivers.md"
NAMES = catalogue.names(lambda group: [])


def test_the_committed_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference.page(), "run: python -m golmok_drivers.reference docs/drivers.md"


def test_every_driver_has_its_chapter() -> None:
    assert re.findall(r"^## ([\w-]+)$", PAGE.read_text(), re.MULTILINE)[: len(NAMES)] == NAMES


@pytest.mark.parametrize("block", re.findall(r"```toml device\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_each_block_to_paste_passes_the_check(tmp_path: Path, block: str) -> None:
    (tmp_path / "gateway.toml").write_text('[site]\ngateway = "gw-1"\n' + block)
    examination = examine_closely(tmp_path / "gateway.toml")
    assert examination.mistakes == []
    assert examination.settings is not None
    assert examination.settings.devices[0].driver == tomllib.loads(block)["device"][0]["driver"]
