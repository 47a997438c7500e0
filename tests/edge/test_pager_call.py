"""`golmok-gateway pager call`: a page from the console, through the running gateway, to a pager and back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from golmok_drivers.devices.ble_pager import BlePagerSettings, BlePagerTwin
from golmok_drivers.twins.bluez import FakeBlueZ, Heard
from golmok_drivers.twins.bluez.daemon import ADDRESS as BUS_VARIABLE
from golmok_edge.gateway import cli
from golmok_edge.store import Reader
from tests.drivers.air import air, needs_dbus
from tests.drivers.frames import ADDRESS, KEY
from tests.drivers.worlds import StillWorld
from tests.edge.running import Gateway

SETTINGS = f"""
[site]
gateway = "gw-0001"
[[device]]
name = "pager-1"
title = "진동벨 1"
driver = "ble-pager"
bus = "ble://hci0"
address = "{ADDRESS}"
key_file = "pager-1.key"
pattern = 3
"""


async def called(gateway: Gateway, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The command's exit code, and what it said."""
    command = ["pager", "call", "--config", str(gateway.config), *arguments]
    code = await asyncio.to_thread(cli.main, command)
    said = capsys.readouterr()
    return code, said.out + said.err


async def near(bluez: FakeBlueZ, twin: BlePagerTwin) -> None:
    """The pager broadcasts, for as long as somebody is at the desk."""
    while True:
        broadcast = twin.broadcast()
        assert broadcast is not None
        bluez.hear(Heard(ADDRESS, broadcast.service_data))
        await asyncio.sleep(0.1)


def told(gateway: Gateway, channel: str) -> list[Any]:
    reader = Reader.open(gateway.folder / "var")
    try:
        return [found.record.value for found in reader.find(channel, "events")]
    finally:
        reader.close()


@needs_dbus
async def test_a_pager_buzzes_when_its_ticket_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway(tmp_path / "gw", SETTINGS)
    key = gateway.folder / "pager-1.key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    async with air() as bluez:
        gateway.environment[BUS_VARIABLE] = bluez._address
        twin = BlePagerTwin(BlePagerSettings(address=ADDRESS, key=KEY), StillWorld(battery=88.0))
        bluez.attach(ADDRESS, twin)
        with gateway.start():
            await asyncio.to_thread(gateway.wait_ready)
            broadcasting = asyncio.create_task(near(bluez, twin))
            code, said = 1, ""
            for _ in range(20):  # until the gateway has heard it
                code, said = await called(gateway, capsys, "pager-1", "17", "--lang", "en")
                if not code or "not heard yet" not in said:
                    break
            assert (code, said) == (0, "진동벨 1: ticket 17 buzzes\n")
            code, said = await called(gateway, capsys, "pager-1", "18", "--pattern", "2", "--seconds", "60", "--json")
            assert (code, json.loads(said)["buzzes"], twin.buzzed) == (0, True, [17, 18])
            bluez.mute.add(ADDRESS)
            code, said = await called(gateway, capsys, "pager-1", "19", "--lang", "ko")
            assert (code, twin.buzzed) == (1, [17, 18])
            assert "19번 진동벨이 울리지 않았습니다" in said
            assert (await called(gateway, capsys, "pager-1", "70000", "--lang", "en"))[0] == 1
            code, said = await called(gateway, capsys, "pager-2", "17", "--lang", "en")
            assert code == 2
            assert "there are: pager-1" in said
            broadcasting.cancel()
        assert told(gateway, "pager-1.paged") == ["17", "18"]
        assert "19" in told(gateway, "pager-1.failed")


async def test_without_a_gateway_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway(tmp_path, SETTINGS.replace('key_file = "pager-1.key"', f'key = "{KEY}"'))
    code, said = await called(gateway, capsys, "pager-1", "17", "--lang", "en")
    assert code == 1
    assert "it does not run" in said
