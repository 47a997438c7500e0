"""Signals, scenarios, faults, the ledger, and the twins that publish."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golmok_drivers.api import Reading, ScenarioError, UnknownDriver
from golmok_drivers.buses import open_bus
from golmok_drivers.buses.mqtt import Callbacks, Message, Mqtt
from golmok_drivers.devices.contact import ContactDriver, ContactSettings
from golmok_drivers.devices.ds18b20 import Ds18b20Settings
from golmok_drivers.devices.mqtt_json import MqttJsonDriver, MqttJsonSettings
from golmok_drivers.devices.sht4x import Sht4xDriver, Sht4xSettings
from golmok_drivers.twins import SimDevice, simulate
from golmok_drivers.twins.scenario import Fault, load_scenario, parse_signal
from golmok_drivers.twins.signals import Curve, Stage, _Lagged, felt
from golmok_drivers.twins.world import Ledger
from tests.drivers.waiting import until

HOUR = 3600.0
NOON = 12 * HOUR


def stage(base: Path = Path(), seed: int = 1) -> Stage:
    return Stage(f"{seed}/x/y", NOON, base, lambda device: lambda t: 1.0 if NOON + 600 <= t < NOON + 900 else 0.0)


def curve(base: Path = Path(), *, seed: int = 1, **table: Any) -> Curve:
    return felt(parse_signal(table, "test"), stage(base, seed))


def test_constant_and_steps() -> None:
    assert curve(kind="constant", value=4)(NOON) == 4
    steps = curve(kind="steps", at=[[0, 1], [10, 2], [20, 3]], repeat_s=30)
    assert [steps(NOON + t) for t in (0, 9.9, 10, 29, 30, 41)] == [1, 1, 2, 3, 1, 2]


def test_a_day_is_warmest_in_the_afternoon() -> None:
    day = curve(kind="daily", mean=20, swing=5, peak_h=15)
    hours = [day(hour * HOUR) for hour in range(24)]
    assert max(hours) == hours[15] == 25
    assert min(hours) == hours[3] == pytest.approx(15)
    assert day(30 * HOUR) == pytest.approx(day(6 * HOUR))


def test_noise_is_the_same_for_a_seed_and_another_for_another() -> None:
    first, again, other = (curve(seed=seed, kind="constant", value=0, noise=0.5) for seed in (1, 1, 2))
    samples = [first(NOON + t / 10) for t in range(2000)]
    assert samples == [again(NOON + t / 10) for t in range(2000)]
    assert samples[:5] != [other(NOON + t / 10) for t in range(5)]
    assert sum(samples) / 2000 == pytest.approx(0, abs=0.05)
    assert sum(sample**2 for sample in samples) / 2000 == pytest.approx(0.25, rel=0.1)


def test_a_lag_reaches_63_percent_after_its_time_constant() -> None:
    lagged = curve(kind="steps", at=[[0, 0], [100, 10]], lag_s=30)
    assert lagged(NOON + 100) == pytest.approx(0, abs=0.2)
    assert lagged(NOON + 130) == pytest.approx(6.32, abs=0.2)
    assert lagged(NOON + 400) == pytest.approx(10, abs=0.01)


def test_an_open_door_warms_a_fridge_and_the_compressor_cools_it_again() -> None:
    fridge = curve(kind="fridge", setpoint=4, door="door")
    shut = [fridge(NOON + t) for t in range(0, 600, 10)]
    assert all(3 < celsius < 5 for celsius in shut)
    assert fridge(NOON + 900) > fridge(NOON + 600) + 8
    assert fridge(NOON + 900 + HOUR) < 5.5


@settings(max_examples=15)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=10))
def test_a_signal_with_a_memory_does_not_depend_on_who_asked_before(seconds: list[int]) -> None:
    def table() -> Curve:
        return curve(kind="fridge", lag_s=10, noise=0.1)

    asked = table()
    assert [asked(NOON + second) for second in seconds] == [table()(NOON + second) for second in seconds]


def test_a_leap_of_the_clock_costs_little_and_changes_nothing() -> None:
    """Counted in asked values, not in seconds: a twin must answer within its bus's deadline."""
    asked = 0

    def air(t: float) -> float:
        nonlocal asked
        asked += 1
        return t / HOUR

    lagged = _Lagged(air, 8.0, NOON)
    lagged(NOON + 10)
    asked = 0
    after_a_month = lagged(NOON + 30 * 24 * HOUR)
    assert asked < 2000
    assert after_a_month == pytest.approx(12 + 30 * 24 - 8 / HOUR, abs=1e-3)


def test_doors_open_as_often_as_told() -> None:
    door = curve(kind="door", openings_per_h=30, open_s=10, from_h=9, to_h=21)
    open_s = sum(door(float(t)) for t in range(86_400))
    assert open_s == pytest.approx(30 * 12 * 10, rel=0.2)
    assert not any(door(float(t)) for t in range(0, int(9 * HOUR)))


def test_a_machine_runs_its_share() -> None:
    cycle = curve(kind="cycle", low=3, high=450, period_s=100, duty=0.5)
    running = [cycle(float(t)) == 450 for t in range(0, 20_000)]
    assert sum(running) / 20_000 == pytest.approx(0.5, abs=0.05)


def test_a_csv_column(tmp_path: Path) -> None:
    (tmp_path / "room.csv").write_text("when,Temperature\na,21.5\nb,22.25\n")
    once = curve(tmp_path, kind="csv", file="room.csv", column="Temperature", interval_s=2, repeat=False)
    again = curve(tmp_path, kind="csv", file="room.csv", column="Temperature", interval_s=2)
    assert [once(NOON + t) for t in (0, 1.9, 2, 9)] == [21.5, 21.5, 22.25, 22.25]
    assert [again(NOON + t) for t in (0, 2, 4, 6)] == [21.5, 22.25, 21.5, 22.25]
    for table in ({"file": "none.csv", "column": "x"}, {"file": "room.csv", "column": "Temp"},
                  {"file": "room.csv", "column": "when"}):  # fmt: skip
        with pytest.raises(ScenarioError, match=r"\.csv"):
            felt(parse_signal({"kind": "csv"} | table, "test"), stage(tmp_path))


def test_faults_begin_end_and_come_again() -> None:
    once = Fault(kind="crc", start_s=30, duration_s=10)
    assert [once.began(t) for t in (29.9, 30, 39.9, 40)] == [None, 30, 30, None]
    often = Fault(kind="crc", start_s=30, duration_s=10, every_s=100)
    assert [often.began(t) for t in (0, 35, 45, 131, 145, 235)] == [None, 30, None, 130, None, 230]


def room(**settings: Any) -> SimDevice:
    return SimDevice("room", "sht4x", "i2c://1", Sht4xSettings(**settings))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("seed = 1\nseed = = 2\n", "line 2"),
        ("sede = 1", "sede"),
        ("[device.room]\nfault = [{ kind = 'crk' }]", "did you mean 'crc'"),
        ("[device.room.signal.temperature]\nkind = 'dayly'\nmean = 1.0", "did you mean 'daily'"),
        ("[device.room.signal.temperature]\nkind = 'daily'\nmaen = 1.0", "maen"),
        ("[device.room.signal.temperature]\nkind = 'steps'\nat = [[5, 1], [1, 2]]", "rising"),
        ("[device.room.signal.pressure]\nkind = 'constant'\nvalue = 1", "feels only humidity, temperature"),
        ("[device.raum]\n", "device.raum is not in the settings"),
        ("[device.x]\ndriver = 'sht4x'\nbus = 'i2c'\nsettings = { address = 1 }", "device.x.settings"),
        ("[device.room.signal.temperature]\nkind = 'fridge'\ndoor = 'gate'", "no device of that name"),
    ],
)
def test_wrong_scenarios_name_the_key(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "scenario.toml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        simulate([room()], base=tmp_path, scenario="scenario.toml")
    assert what in str(caught.value)


def test_a_scenario_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.toml"):
        load_scenario(tmp_path / "none.toml")
    with pytest.raises(UnknownDriver):
        simulate([SimDevice("a", "nothing", "i2c://1", None)], base=tmp_path)


async def test_a_sim_url_alone_plays_the_devices_of_its_scenario(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        "[device.x]\ndriver = 'sht4x'\nbus = 'i2c'\nsettings = { address = 0x45 }\n"
        "[device.x.signal.temperature]\nkind = 'constant'\nvalue = 33.0\n"
    )
    bus = open_bus("sim+i2c://s.toml", base=tmp_path)
    driver = Sht4xDriver(Sht4xSettings(address=0x45))
    await driver.open(bus)
    temperature, _ = await driver.sample()
    assert temperature.value == pytest.approx(33, abs=0.01)
    await bus.close()


async def test_two_buses_of_the_same_kind_are_two(tmp_path: Path) -> None:
    second = SimDevice("other", "sht4x", "i2c://3", Sht4xSettings())
    simulation = simulate([room(), second], base=tmp_path, ledger=tmp_path / "ledger")
    for url, name in (("i2c://1", "room"), ("i2c://3", "other")):
        bus = open_bus(url, base=tmp_path, simulation=simulation)
        driver = Sht4xDriver(Sht4xSettings())
        await driver.open(bus)
        await driver.sample()
        assert json.loads((tmp_path / "ledger").read_text().splitlines()[-1])["device"] == name
        await bus.close()
    simulation.close()


def lines(ledger: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


async def test_the_ledger_has_what_the_driver_got_and_nothing_else(tmp_path: Path) -> None:
    now = [NOON]
    (tmp_path / "s.toml").write_text("[device.room]\nfault = [{ kind = 'crc', start_s = 10, duration_s = 10 }]")
    simulation = simulate([room()], base=tmp_path, scenario="s.toml", ledger=tmp_path / "ledger", clock=lambda: now[0])
    bus = open_bus("i2c://1", base=tmp_path, simulation=simulation)
    driver = Sht4xDriver(Sht4xSettings())
    await driver.open(bus)
    got = []
    for second in (0, 5, 12, 19, 21, 30):
        now[0] = NOON + second
        with suppress(ValueError):
            got += [(reading.quantity, reading.value) for reading in await driver.sample()]
    assert len(got) == 8
    noted = lines(tmp_path / "ledger")
    assert [(line["quantity"], line["value"]) for line in noted] == got
    assert noted[0] | {"value": 0} == {"device": "room", "address": 0x44, "quantity": "temperature", "value": 0}
    await bus.close()
    simulation.close()


async def test_a_cancelled_measurement_is_not_given(tmp_path: Path) -> None:
    simulation = simulate([room()], base=tmp_path, ledger=tmp_path / "ledger")
    bus = open_bus("i2c://1", base=tmp_path, simulation=simulation)
    driver = Sht4xDriver(Sht4xSettings())
    await driver.open(bus)
    got = 0
    for delay in range(40):
        task = asyncio.create_task(driver.sample())
        await asyncio.sleep(delay / 2000)
        task.cancel()
        with suppress(asyncio.CancelledError):
            got += len(await task)
    assert len(lines(tmp_path / "ledger")) == got
    await bus.close()
    simulation.close()


async def test_a_door_at_a_pin_is_noted_as_it_is_told(tmp_path: Path) -> None:
    now = [NOON]
    (tmp_path / "s.toml").write_text(
        "[device.door]\nfault = [{ kind = 'bounce' }]\n"
        "[device.door.signal.open]\nkind = 'steps'\nat = [[0, 0], [10, 1], [20, 0]]"
    )
    settings = ContactSettings(pin=17, debounce_s=0.01)
    simulation = simulate(
        [SimDevice("door", "contact", "gpio://", settings)],
        base=tmp_path, scenario="s.toml", ledger=tmp_path / "ledger", clock=lambda: now[0],
    )  # fmt: skip
    bus = open_bus("gpio://", base=tmp_path, simulation=simulation)
    driver = ContactDriver(settings)
    await driver.open(bus)
    told, events = [], driver.events()
    for second in (0, 10, 20):
        now[0] = NOON + second
        told.append((await asyncio.wait_for(anext(events), 5))[0].value)
    assert told == [False, True, False]
    assert [line["value"] for line in lines(tmp_path / "ledger")] == told
    await driver.close()
    await bus.close()
    await bus.close()
    simulation.close()


async def test_mqtt_twins_publish_to_a_real_broker_what_they_note(tmp_path: Path, broker: int) -> None:
    (tmp_path / "s.toml").write_text("[device.plug]\ninterval_s = 0.01\n")
    settings = msgspec.convert(
        {"topic": "tele/plug/SENSOR", "channels": {"power": {"path": "ENERGY.Power", "unit": "W"}}}, MqttJsonSettings
    )
    driver = MqttJsonDriver(settings)
    got: list[Reading] = []
    subscribed: list[tuple[str, ...]] = []

    def on_message(message: Message) -> None:
        got.extend(driver.decode(message.topic, message.payload))
        mqtt.ack(message)

    mqtt = Mqtt("listener", Callbacks(on_message=on_message, on_subscribed=subscribed.append))
    mqtt.subscribe(driver.topics())
    mqtt.connect("127.0.0.1", broker)
    await until(lambda: bool(subscribed))
    devices = [SimDevice("plug", "mqtt-json", "", settings), room()]
    simulation = simulate(devices, base=tmp_path, scenario="s.toml", ledger=tmp_path / "ledger")
    assert simulation.publishes
    publishing = asyncio.create_task(simulation.publish("127.0.0.1", broker))
    await until(lambda: len(got) >= 50)
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing
    noted = lines(tmp_path / "ledger")
    await until(lambda: len(got) == len(noted))
    assert [line["value"] for line in noted] == [reading.value for reading in got]
    await asyncio.to_thread(mqtt.close)
    simulation.close()


def test_a_ledger_nobody_asked_for_writes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(None)
    ledger.write("a", 1, [("b", 2)])
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def test_the_default_fridge_is_a_fridge(tmp_path: Path) -> None:
    now = [NOON]
    fridge = SimDevice("fridge", "ds18b20", "w1://0", Ds18b20Settings(address="28-00000a1b2c3d"))
    world = simulate([fridge], base=tmp_path, clock=lambda: now[0])._others["fridge"].world
    felt_in_two_hours = []
    for _ in range(720):
        now[0] += 10
        felt_in_two_hours.append(world.feel("temperature"))
    assert 2 < min(felt_in_two_hours) < max(felt_in_two_hours) < 12
