"""What is told of a damaged store whose end is not known."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from golmok_cloud_sync.protocol import Record
from golmok_cloud_sync.protocol.gaps import parse
from golmok_edge.gateway.lostends import told
from golmok_edge.store import Store
from golmok_edge.store.aside import About, End, read_aside, set_aside
from golmok_edge.store.layout import Layout
from golmok_edge.store.pagefile import PAGE_BYTES
from golmok_edge.store.salvage import Salvage

EXPECTED = ["plug.power", "timed.n", "dead.x"]


def values(about: About) -> dict[str, dict[str, Any]]:
    found = list(told(about, EXPECTED))
    return {name: one for one in found for name in one["channels"]}


def test_each_channel_s_gap_begins_with_its_own_last_reading() -> None:
    ends = {
        "readings": {"plug.power": End(90, "b1", 900), "timed.n": End(80, "b1", 800, 1_700_000_000_000)},
        "events": {"gap.silent": End(3, "b1", 700), "room.alarm": End(2, "b1", 100)},
    }
    about = About(epoch="a1", boot="b2", mono_ms=50, ends=ends, first=("b0", 5))
    said = values(about)
    until = {"to_boot": "b2", "to_mono_ms": 50, "end_of": "a1"}
    assert said.keys() == {*EXPECTED, "room.alarm"}
    for name, since in {
        "plug.power": {"from_boot": "b1", "from_mono_ms": 900},
        "timed.n": {"from_boot": "b1", "from_mono_ms": 800, "from_ms": 1_700_000_000_000},
        "dead.x": {"from_boot": "b0", "from_mono_ms": 5},
        "room.alarm": {"from_boot": "b1", "from_mono_ms": 700},
    }.items():
        assert {k: v for k, v in said[name].items() if k not in ("channels", "detail")} == since | until


def test_where_the_end_is_known_nothing_more_is_told() -> None:
    assert list(told(About(epoch="a1", boot="b", end_known=True), EXPECTED)) == []


def test_what_cannot_be_named_begins_nobody_knows_when() -> None:
    """Not with the event itself: then it would end before it began."""
    about = About(boot="b2", mono_ms=50, ends={"readings": {"plug.power": End(9, "b1", 900)}})
    for value in told(about, EXPECTED):
        gap = parse(Record("gap.quarantined", json.dumps(value), "", "b2", 99))
        assert (gap.begin, gap.from_ms, gap.epoch) == (None, None, "")
        assert gap.end == ("b2", 50)


def test_the_salvage_finds_the_last_reading_of_each_channel(tmp_path: Path) -> None:
    """Of a file that was cut: of what stands before the cut, whatever came after it; the newest event is no end."""
    folder = tmp_path / "var"
    with Store.open(folder, name="main") as store:
        store.append({"events": [Record("gateway.start", "{}", "", "b1", 1)]})
        for at in range(2_000):
            noise = "".join(random.Random(at).choices("abcdefghijklmnopqrstuvwxyz", k=400))
            records = [Record("text.t", noise, "", "b1", at * 10)]
            records += [Record("early.e", at, "", "b1", at * 10)] if at < 5 else []
            records += [Record("waited.w", at, "", "b1", at * 10, waited_ms=None)]
            store.append({"readings": records})
            if at % 500 == 0:
                store.append({"events": [Record("room.alarm", "{}", "", "b1", at * 10)]})
    layout = Layout(folder)
    size = layout.file.stat().st_size
    with layout.file.open("r+b") as out:
        out.truncate(size // 2 // PAGE_BYTES * PAGE_BYTES)
    layout.mark_file.unlink()
    aside = set_aside(layout, About(boot="b1", mono_ms=30_000))
    Salvage(aside).run()
    about = read_aside(aside.folder).about
    assert not about.end_known
    readings = about.ends["readings"]
    with Store.open(aside.salvaged) as saved:
        found = list(saved.reader.recent("readings", None, 10_000))
    last = max(record.mono_ms for record in found if record.channel == "text.t")
    assert 0 < last < 19_990
    assert readings["text.t"][1:3] == ("b1", last)
    assert readings["early.e"][1:3] == ("b1", 40)
    assert "waited.w" not in readings
    assert about.first in (("b1", 0), ("b1", 1))
