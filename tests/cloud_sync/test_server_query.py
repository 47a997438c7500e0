"""What was taken can be asked back: in order, page by page, by channel and time, in three forms."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime

import httpx
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import Record, Value, Void, record_crc
from tests.cloud_sync.server_support import WALL_MS, Sender, anchor, readings

CHANNELS = ("fridge.temperature", "door.open", "plug.power")


def a_shop(client: httpx.Client) -> Sender:
    """Three channels, two boots, two epochs, two stores, an anchor for one boot only."""
    first = Sender(client)
    for store, epoch in (("gateway", "bb"), ("gateway", "aa"), ("shop", "cc")):
        one = Sender(client, first.gateway, store, epoch)
        if epoch == "bb":
            one.record("events", [anchor()])
        one.record(
            "readings",
            [
                Record(CHANNELS[i % 3], [i / 100, i % 2 == 0, i][i % 3], "", "boot" if i < 60 else "later", 1000 * i)
                for i in range(90)
            ],
        )
        for lo in range(1, 91, 30):
            parts = [one.frame("readings", lo, lo + 30)]
            one.sync([*parts, one.frame("events", 1, 2)] if epoch == "bb" and lo == 1 else parts)
    return first


@pytest.fixture(scope="module")
def shop(cloud_client: httpx.Client) -> Sender:
    return a_shop(cloud_client)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limits=st.lists(st.integers(1, 120), min_size=1, max_size=5),
    channel=st.none() | st.sampled_from([*CHANNELS, "no.such"]),
    window=st.none() | st.tuples(st.integers(-5, 70), st.integers(0, 40)),
)
def test_pages_put_together_are_the_whole(
    shop: Sender, limits: list[int], channel: str | None, window: tuple[int, int] | None
) -> None:
    wanted: dict[str, str | int] = {} if channel is None else {"channel": channel}
    if window is not None:
        first, length = window
        wanted["from"] = _time(WALL_MS + 1000 * first)
        wanted["to"] = _time(WALL_MS + 1000 * (first + length))
    expected = [
        line
        for line in shop.query("readings")
        if (channel is None or line["channel"] == channel) and (window is None or _within(line["ts"], window))
    ]
    assert shop.query("readings", **wanted) == expected
    found, at = [], 0
    response = shop.client.get(f"{shop.path}/readings", params={**wanted, "limit": limits[0]})
    while True:
        lines = [json.loads(line) for line in response.text.splitlines()]
        assert len(lines) <= limits[at % len(limits)]
        found += lines
        if "next" not in response.links:
            break
        assert lines
        at += 1
        url = httpx.URL(response.links["next"]["url"]).copy_set_param("limit", limits[at % len(limits)])
        response = shop.client.get(url)
    assert found == expected


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="milliseconds")


def _within(ts: str | None, window: tuple[int, int]) -> bool:
    if ts is None:
        return False
    second = (datetime.fromisoformat(ts).timestamp() * 1000 - WALL_MS) / 1000
    return window[0] <= second < window[0] + window[1]


def test_a_last_page_has_no_link_even_when_it_is_full(sender: Sender) -> None:
    sender.record("readings", readings(20))
    sender.send_all()
    for limit, linked in [(19, True), (20, False), (21, False)]:
        response = sender.client.get(f"{sender.path}/readings", params={"limit": limit})
        assert ("next" in response.links) is linked


def test_a_cursor_goes_on_exactly_while_new_records_arrive(sender: Sender) -> None:
    sender.record("readings", readings(100))
    sender.sync([sender.frame("readings", 1, 41)])
    response = sender.client.get(f"{sender.path}/readings", params={"limit": 7})
    seqs = [json.loads(line)["seq"] for line in response.text.splitlines()]
    hi = 41
    while "next" in response.links:
        if hi < 101:
            sender.sync([sender.frame("readings", hi, hi + 5)])
            hi += 5
        response = sender.client.get(response.links["next"]["url"])
        seqs += [json.loads(line)["seq"] for line in response.text.splitlines()]
    assert hi > 41
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= hi - 12


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 100_001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"from": "yesterday"}, "from: 'yesterday' is not a time like 2026-03-01T09:30:00Z"),
        ({"to": "2026-03-01T09:30:00"}, "to:"),
        ({"from": "2026-02-30T00:00:00Z"}, "from:"),
        ({"from": "2026-03-01T09:30:00 09:00"}, "write the + of an offset as %2B"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "e30"}, "cursor"),
        ({"cursor": "\u00e9"}, "cursor"),
    ],
)
def test_a_wrong_question_is_said_to_be_wrong(shop: Sender, parameters: dict[str, str | int], says: str) -> None:
    response = shop.client.get(f"{shop.path}/readings", params=parameters)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert says in response.json()["detail"]


def test_a_time_may_have_any_offset(shop: Sender) -> None:
    utc = shop.query("readings", to="2025-06-15T15:07:00Z")
    assert utc
    assert shop.query("readings", to="2025-06-16T00:07:00+09:00") == utc
    assert shop.query("readings", to="2025-06-15t15:07:00.000000z") == utc


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/gateways/nobody", 404), ("/v1/gateways/nobody/readings", 404),
        ("/v1/gateways/nobody/chart?channel=x", 404), ("/v1/live?gateway=nobody", 404), ("/v2", 404), ("/v1/sync", 405),
    ],
)  # fmt: skip
def test_every_error_is_a_problem_document(cloud_client: httpx.Client, path: str, status: int) -> None:
    response = cloud_client.get(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["remedy"]


# --- forms ----------------------------------------------------------------------------------------------------------


def test_csv_holds_what_json_lines_hold(shop: Sender) -> None:
    response = shop.client.get(f"{shop.path}/readings", headers={"Accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    lines = shop.query("readings")
    assert [int(row["seq"]) for row in rows] == [line["seq"] for line in lines]
    assert [json.loads(row["value"]) for row in rows] == [line["value"] for line in lines]
    assert [row["ts"] or None for row in rows] == [line["ts"] for line in lines]
    assert list(rows[0])[:8] == ["store", "epoch", "seq", "ts", "channel", "value", "unit", "quality"]


def test_csv_quotes_what_must_be_quoted(sender: Sender) -> None:
    texts = ['say "hi"', "a,b", "line\nbreak", "", "한글"]
    sender.record("orders", [Record("order", text, "", "b", i) for i, text in enumerate(texts)])
    sender.send_all()
    text = sender.client.get(f"{sender.path}/orders", headers={"Accept": "text/csv"}).content.decode()
    assert [row["value"] for row in csv.DictReader(io.StringIO(text, newline=""))] == texts


PARQUET = {"Accept": "application/vnd.apache.parquet"}


def parquet(sender: Sender, **parameters: str | int) -> list[dict[str, object]]:
    response = sender.client.get(f"{sender.path}/readings", params=parameters, headers=PARQUET)
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    rows: list[dict[str, object]] = pq.read_table(io.BytesIO(response.content)).to_pylist()
    return rows


@pytest.mark.parametrize("channel", [*CHANNELS, "no.such"])
def test_parquet_of_one_kind_has_a_column_of_that_kind(shop: Sender, channel: str) -> None:
    rows = parquet(shop, channel=channel)
    lines = shop.query("readings", channel=channel)
    assert [(type(row["value"]), row["value"]) for row in rows] == [(type(n["value"]), n["value"]) for n in lines]
    assert [row["ts"] and row["ts"].isoformat(timespec="milliseconds").replace("+00:00", "Z") for row in rows] == [  # type: ignore[attr-defined]
        line["ts"] for line in lines
    ]


def test_parquet_of_many_kinds_has_json_and_a_column_for_each_kind(shop: Sender) -> None:
    rows, lines = parquet(shop), shop.query("readings")
    assert [json.loads(str(row["value"])) for row in rows] == [line["value"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        kinds = {bool: "value_bool", int: "value_number", float: "value_number", str: "value_text"}
        assert row[kinds[type(line["value"])]] == line["value"]
        assert sum(row[name] is not None for name in set(kinds.values())) == 1


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [([1, 2], int), ([1, 2.5], float), ([2**60, 0.5], str), ([2**60], int), ([True, 1], str), ([None, 1.5], float)],
)
def test_parquet_never_rounds_a_value(sender: Sender, numbers: list[float | None], kind: type) -> None:
    sender.record("readings", [Record("x", number, "", "b", i) for i, number in enumerate(numbers)])
    sender.send_all()
    rows = [row["value"] for row in parquet(sender)]
    assert {type(value) for value in rows} - {type(None)} == {kind}
    assert [json.loads(str(v)) if kind is str else v for v in rows] == numbers


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/x-ndjson"), ("application/x-ndjson", "application/x-ndjson"),
        ("application/json", "application/x-ndjson"), ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/html, */*;q=0.1", "application/x-ndjson"), ("*/*, text/csv", "application/x-ndjson"),
    ],
)  # fmt: skip
def test_accept_chooses_the_form(shop: Sender, accept: str, kind: str) -> None:
    response = shop.client.get(f"{shop.path}/readings?limit=1", headers={"Accept": accept})
    assert response.headers["content-type"].partition(";")[0] == kind


def test_what_cannot_be_sent_is_not_acceptable(shop: Sender) -> None:
    response = shop.client.get(f"{shop.path}/readings", headers={"Accept": "image/png"})
    assert response.status_code == 406


# --- time -----------------------------------------------------------------------------------------------------------


def test_time_is_told_by_anchors_also_by_late_ones(sender: Sender) -> None:
    sender.record("readings", readings(10))
    sender.send_all()
    assert {line["ts"] for line in sender.query("readings")} == {None}
    assert sender.query("readings", **{"from": "1970-01-01T00:00:00Z"}) == []
    sender.record("events", [anchor(), anchor(10_000, WALL_MS + 10_400)])
    sender.sync([sender.frame("events", 1, 3)])
    lines = sender.query("readings")
    assert [lines[0]["ts"], lines[5]["ts"]] == ["2025-06-15T15:06:40.000Z", "2025-06-15T15:06:45.200Z"]
    assert len(sender.query("readings", **{"from": "2025-06-15T15:06:45.200Z"})) == 5


def test_where_a_clock_was_set_there_are_bounds_instead_of_times(sender: Sender) -> None:
    sender.record("readings", readings(10))
    sender.record("events", [anchor(3_000, WALL_MS + 3_000), anchor(7_000, WALL_MS - 53_000)])
    sender.send_all()
    lines = sender.query("readings")
    assert [bool(line["ts"]) for line in lines] == [at not in (4, 5, 6) for at in range(10)]
    assert (lines[5]["ts_min"], lines[5]["ts_max"]) == ("2025-06-15T15:05:44.994Z", "2025-06-15T15:06:45.006Z")
    assert [line["ts"] for line in lines[6:8]] == [None, "2025-06-15T15:05:47.000Z"]


def test_a_time_that_may_be_wrong_by_more_than_a_second_says_so(sender: Sender) -> None:
    sender.record("events", [anchor()])
    day = 86_400_000
    sender.record("readings", [Record("x", 1, "", "boot", mono) for mono in (day // 5, day)])
    sender.send_all()
    near, far = sender.query("readings")
    assert (near["ts"], "ts_min" in near) == ("2025-06-15T19:54:40.000Z", False)
    assert (far["ts"], far["ts_min"], far["ts_max"]) == (
        "2025-06-16T15:06:40.000Z", "2025-06-16T15:06:35.675Z", "2025-06-16T15:06:44.325Z"
    )  # fmt: skip


def test_a_boot_that_never_learned_the_time_lies_between_its_neighbours(sender: Sender) -> None:
    events = [anchor(), Record("gateway.stop", "{}", "", "boot", 60_000), Record("x", 1, "", "dark", 0)]
    sender.record("readings", [Record("x", 1, "", "dark", 5_000), Record("x", 2, "", "never told", 5_000)])
    sender.record("events", [*events, Record("gateway.stop", "{}", "", "dark", 20_000)])
    sender.send_all()
    dark, unheard = sender.query("readings")
    assert [dark.get(name) for name in ("ts", "ts_min", "ts_max")] == [None, "2025-06-15T15:07:44.992Z", None]
    sender.record("events", [anchor(1_000, WALL_MS + 3_600_000, "next")])
    sender.sync([sender.frame("events", 5, 6)])
    dark, unheard = sender.query("readings")
    assert (dark["ts"], dark["ts_max"]) == (None, "2025-06-15T16:06:24.006Z")
    assert [unheard.get(name) for name in ("ts", "ts_min", "ts_max")] == [None, None, None]


def test_a_record_that_waited_has_bounds_instead_of_a_time(sender: Sender) -> None:
    sender.record("events", [anchor()])
    record = Record("x", 1, "", "boot", 60_000)
    sender.record("readings", [
        record._replace(waited_ms=20_000), record._replace(waited_ms=None),
        record._replace(waited_ms=None, wall_ms=WALL_MS), record._replace(waited_ms=5, boot="unknown"),
    ])  # fmt: skip
    sender.send_all()
    told = [[line.get(name) for name in ("ts", "ts_min", "ts_max")] for line in sender.query("readings")]
    assert told == [
        [None, "2025-06-15T15:07:20.000Z", "2025-06-15T15:07:40.000Z"],
        [None, None, "2025-06-15T15:07:40.000Z"],
        ["2025-06-15T15:06:40.000Z", None, None],
        [None, None, None],
    ]


# --- gaps and charts ------------------------------------------------------------------------------------------------


def test_the_gap_ledger_holds_voids_and_what_the_gateway_says(sender: Sender) -> None:
    said = {"from_ms": WALL_MS, "to_ms": WALL_MS + 5_000, "count": 3, "channel": "plug.power"}
    sender.record("events", [anchor(), Record("gap.broker", json.dumps(said), "", "boot", 9_000)])
    sender.record("readings", readings(10))
    last = record_crc(sender.records["readings"][-1])
    counts = {"fridge.temperature": 7, "plug.power": 3}
    sender.sync([sender.frame("events", 1, 3), sender.frame("readings", 1, 11),
                 Void("readings", 11, 21, "quarantined", counts, last)])  # fmt: skip
    broker, void = sender.query("gaps")
    assert (broker["reason"], broker["channel"], broker["count"]) == ("broker", "plug.power", 3)
    assert (broker["from"], broker["to"]) == ("2025-06-15T15:06:40.000Z", "2025-06-15T15:06:45.000Z")
    assert (void["reason"], void["channel"], void["counts"], void["to"]) == ("quarantined", None, counts, None)
    assert [gap["count"] for gap in sender.query("gaps", channel="plug.power")] == [3, 3]
    assert [gap["count"] for gap in sender.query("gaps", channel="fridge.temperature")] == [7]
    assert sender.query("gaps", channel="door.open") == []
    assert [gap["reason"] for gap in sender.query("gaps", to="2025-06-15T15:06:41Z")] == ["broker"]
    assert sender.query("gaps", limit=1) == [broker, void]
    text = sender.client.get(f"{sender.path}/gaps", headers={"Accept": "text/csv"}).text
    assert [row["reason"] for row in csv.DictReader(io.StringIO(text))] == ["broker", "quarantined"]
    table = pq.read_table(io.BytesIO(sender.client.get(f"{sender.path}/gaps", headers=PARQUET).content))
    assert table.column("count").to_pylist() == [3, 10]


def test_the_lost_end_of_a_damaged_store_lies_between_what_is_left(sender: Sender) -> None:
    """From the last reading of the channel that the cloud has, though the gateway found only an earlier one."""
    sender.record("readings", readings(10))
    said = {"channels": {"fridge.temperature": None}, "from_boot": "boot", "from_mono_ms": 1,
            "from_ms": WALL_MS + 2_000, "to_boot": "boot", "to_mono_ms": 90_000}  # fmt: skip
    told = [{**said, "end_of": sender.epoch}, {**said, "channels": {"no.such": None}, "end_of": sender.epoch},
            {**said, "from_mono_ms": 2}]  # fmt: skip
    events = [Record("gap.quarantined", json.dumps(value), "", "boot", 95_000 + at) for at, value in enumerate(told)]
    sender.record("events", [anchor(), *events])
    sender.send_all()
    lines = sender.query("gaps")
    last = sender.query("readings", channel="fridge.temperature")[-1]["ts"]
    assert last > lines[1]["from"]
    assert [line["from"] for line in lines] == [last, "2025-06-15T15:06:40.001Z", "2025-06-15T15:06:40.002Z"]
    assert {line["to"] for line in lines} == {"2025-06-15T15:08:10.000Z"}
    assert [line["from"] for line in sender.query("gaps", channel="fridge.temperature")] == [last, lines[2]["from"]]


def test_a_chart_has_least_mean_and_greatest_of_each_stretch(sender: Sender) -> None:
    sender.record("events", [anchor()])
    sender.record("readings", readings(100))
    sender.send_all()
    asked: dict[str, str | int] = {
        "channel": "fridge.temperature",
        "from": "2025-06-15T15:06:40Z",
        "to": "2025-06-15T15:08:20Z",
        "points": 4,
    }
    chart = sender.client.get(f"{sender.path}/chart", params=asked).json()
    assert (chart["channel"], chart["unit"], chart["gaps"]) == ("fridge.temperature", "Cel", [])
    assert [[round(v, 9) for v in point[1:]] for point in chart["points"]] == [
        [0.0, 0.12, 0.24], [0.25, 0.37, 0.49], [0.5, 0.62, 0.74], [0.75, 0.87, 0.99]
    ]  # fmt: skip
    assert [point[0] - WALL_MS for point in chart["points"]] == [12_000, 37_000, 62_000, 87_000]


def test_a_chart_counts_truth_values_and_leaves_texts_out(sender: Sender) -> None:
    sender.record("events", [anchor()])
    kinds: list[Value] = [True, False, "text", None, 3]
    sender.record("readings", [Record("x", value, "", "boot", i) for i, value in enumerate(kinds)])
    sender.send_all()
    asked: dict[str, str | int] = {
        "channel": "x",
        "from": "2025-06-15T15:06:40Z",
        "to": "2025-06-15T15:06:41Z",
        "points": 1,
    }
    ((_, least, mean, greatest),) = sender.client.get(f"{sender.path}/chart", params=asked).json()["points"]
    assert (least, round(mean, 6), greatest) == (0, round(4 / 3, 6), 3)


def test_openapi_describes_every_path(cloud_client: httpx.Client) -> None:
    schema = cloud_client.get("/openapi.json").json()
    kinds = ["readings", "events", "orders", "gaps", "chart", "alarms", "files"]
    assert set(schema["paths"]) == {
        "/healthz", "/metrics", "/v1/sync", "/v1/live", "/v1/load", "/v1/gateways", "/v1/gateways/{gateway}",
        "/v1/alarms", "/v1/push/key", "/v1/push/subscriptions",
        "/v1/gateways/{gateway}/alarms/{alarm}/acknowledge", "/v1/gateways/{gateway}/files/{file}",
        "/v1/files/{gateway}", "/v1/files/{gateway}/{upload}",
        *(f"/v1/gateways/{{gateway}}/{kind}" for kind in kinds),
    }  # fmt: skip
    readings_of = schema["paths"]["/v1/gateways/{gateway}/readings"]["get"]
    names = {"gateway", "channel", "from", "to", "cursor", "limit"}
    assert {parameter["name"] for parameter in readings_of["parameters"]} == names
    assert set(readings_of["responses"]["200"]["content"]) == {
        "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"
    }  # fmt: skip
    assert "Problem" in schema["components"]["schemas"]


def test_health_and_metrics(cloud_client: httpx.Client, sender: Sender) -> None:
    assert cloud_client.get("/healthz").json()["status"] == "ok"
    sender.record("readings", readings(5))
    sender.send_all()
    text = cloud_client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['golmok_records_total{stream="readings"}']) >= 5
    assert float(lines['golmok_gateways{state="online"}']) >= 1
