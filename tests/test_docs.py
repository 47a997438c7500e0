"""What the documentation shows is so: its settings pass, its messages decode, its request is taken, its words are ours.

Code blocks say what they are in their first line (three backticks, `toml device`), so that none is left out by
accident. Commands of the README and links to files are `test_house.py`'s.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from golmok_cloud_sync.notify import channels_of, read_config
from golmok_cloud_sync.protocol import Frame, decode, decode_request
from golmok_cloud_sync.server.metrics import Metrics, render
from golmok_drivers import catalogue, errors
from golmok_drivers.api import MessageDriver
from golmok_drivers.twins import SimDevice, simulate
from golmok_edge.settings import Language, examine_closely
from golmok_edge.web import TEXTS, say
from tests.test_house import ROOT, commands_of, run_command

PAGES = ["README.md", "ARCHITECTURE.md", *(f"docs/{name}.md" for name in
         ("owner", "technician", "operator", "engineer", "api", "scan"))]  # fmt: skip
SITE = '[site]\ngateway = "shop-1"\n'


class Block(NamedTuple):
    """A code block: its language, the words behind that, and what stands in it."""

    page: str
    line: int
    language: str
    words: list[str]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """All code blocks of the pages in these languages."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w+)(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1], match[2].split(), match[3]))
    return [block for block in found if block.language in languages]


def words_of(page: str) -> str:
    """The page's text with one blank wherever there is any."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


# --- settings, scenarios, messages


TOML = blocks("toml")


@pytest.mark.parametrize("block", TOML, ids=str)
def test_a_toml_block_says_what_it_is(block: Block) -> None:
    known = (["settings"], ["device"], ["section"], ["mistakes"], ["scenario"], ["notify"])
    assert block.words[:1] in known, str(block)


@pytest.mark.parametrize("block", [b for b in TOML if b.words[0] == "notify"], ids=str)
def test_settings_of_notices_are_good(block: Block, tmp_path: Path) -> None:
    (tmp_path / "notify.toml").write_text(block.text, encoding="utf-8")
    for named in re.findall(r'_file = "(.*?)"', block.text):
        (tmp_path / named).write_text("secret\n", encoding="utf-8")
        (tmp_path / named).chmod(0o600)
    assert len(channels_of(read_config(tmp_path / "notify.toml"))) == 2


@pytest.mark.parametrize("block", [b for b in TOML if b.words[0] in ("settings", "device", "section")], ids=str)
def test_settings_pass_the_check(block: Block, tmp_path: Path) -> None:
    text = block.text if block.words[0] == "settings" else SITE + block.text
    file = a_shop(tmp_path, text)
    settings, mistakes, warnings = examine_closely(file)
    assert [str(mistake) for mistake in mistakes] == []
    assert settings is not None
    assert [str(warning) for warning in warnings] == []


def a_shop(folder: Path, text: str) -> Path:
    """The settings file, with the files that it names beside it, and the store where this user may write."""
    file = folder / "gateway.toml"
    file.write_text(text.replace("/var/lib/golmok/store", str(folder / "var")), encoding="utf-8")
    for named in re.findall(r'_file = "(.*?)"', text):
        (folder / named).write_text("secret\n", encoding="utf-8")
        (folder / named).chmod(0o600)
    for other in blocks("toml", "csv"):
        if other.words[:1] in (["scenario"], ["file"]):
            (folder / other.words[1]).write_text(other.text, encoding="utf-8")
    return file


@pytest.mark.parametrize("block", [b for b in TOML if b.words[0] == "scenario"], ids=str)
def test_a_scenario_plays_on_the_devices_beside_it(block: Block, tmp_path: Path) -> None:
    (shop,) = (b for b in TOML if b.words[0] == "settings" and b.page == block.page)
    settings = examine_closely(a_shop(tmp_path, shop.text)).settings
    assert settings is not None
    devices = [SimDevice(d.name, d.driver, d.bus or "", d.options) for d in settings.devices]
    assert f"://{block.words[1]}" in shop.text
    simulate(devices, base=tmp_path).close()


MESSAGES = [block for block in blocks("json") if block.words[:1] == ["message"]]


@pytest.mark.parametrize("block", MESSAGES, ids=str)
def test_a_message_becomes_the_values_beside_it(block: Block, tmp_path: Path) -> None:
    _, topic, *values = block.words
    device = next(b for b in reversed(TOML) if b.page == block.page and b.line < block.line)
    settings = examine_closely(a_shop(tmp_path, SITE + device.text)).settings
    assert settings is not None
    (one,) = settings.devices
    driver = catalogue.load(one.driver)(one.options, timezone=settings.site.timezone)
    assert isinstance(driver, MessageDriver)
    readings = driver.decode(topic, block.text.encode())
    assert driver.topics() == (topic,)
    assert {r.quantity: r.value for r in readings} == {k: json.loads(v) for k, v in (v.split("=") for v in values)}
    assert {r.quality for r in readings} == {"good"}
    assert {r.wall_ms is not None for r in readings} == {"time =" in device.text}


@pytest.mark.parametrize("block", [b for b in blocks("text") if b.words[:1] == ["mistakes"]], ids=str)
def test_the_check_says_what_the_page_shows(block: Block, tmp_path: Path) -> None:
    wrong = next(b for b in reversed(TOML) if b.page == block.page and b.line < block.line)
    file = tmp_path / wrong.words[1]
    file.write_text(wrong.text, encoding="utf-8")
    language: Language = "ko" if block.words[1] == "ko" else "en"
    said = [mistake.sentence(language) for mistake in examine_closely(file).mistakes]
    assert [line.replace(f"{tmp_path}/", "") for line in said] == block.text.splitlines()


# --- the request


def test_the_request_made_with_a_shell_is_one_that_the_cloud_takes(tmp_path: Path) -> None:
    if not all(map(shutil.which, ("gzip", "od"))):
        pytest.skip("no gzip or od here")
    (example,) = (block for block in blocks("sh") if block.words == ["curl"])
    making, _, _ = example.text.partition("\ncurl ")
    subprocess.run(["sh", "-euc", making], cwd=tmp_path, check=True)
    hello, parts = decode_request((tmp_path / "request").read_bytes())
    frames = [part for part in parts if isinstance(part, Frame)]
    records = [decode(f.payload, f.codec, f.count) for f in frames]
    assert hello.gateway == "curl-1"
    assert all(frame.is_whole for frame in frames)
    assert [[r.channel for r in some] for some in records] == [["clock.anchor"], ["fridge.temperature"] * 3]
    assert [(r.mono_ms, r.value) for r in records[1]] == [(40_000, 4.25), (50_000, 4.5), (60_000, 4.125)]


@pytest.mark.parametrize("block", [b for b in blocks("json") if b.words == []], ids=str)
def test_json_is_json(block: Block) -> None:
    for line in block.text.splitlines():
        msgspec.json.decode(line)


# --- commands


def our_commands() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        text = re.sub(r"^```sh curl$", "```text", text, flags=re.MULTILINE)
        text = re.sub(r"^(sudo -u [\w-]+ )?/opt/golmok/bin/", "", text, flags=re.MULTILINE)
        for command in commands_of(text):
            yield page, command
        for shown in re.findall(r"`(golmok-[a-z]+ [^`]+)`", text):
            yield page, shlex.split(shown)


OUR_COMMANDS = sorted({(page, *command) for page, command in our_commands() if command[0].startswith("golmok-")})


@pytest.mark.parametrize("command", OUR_COMMANDS, ids=" ".join)
def test_a_command_of_ours_exists_with_its_options(command: tuple[str, ...]) -> None:
    _, *words = command
    assert_helps(words)


def assert_helps(command: list[str]) -> None:
    """Whether there is help for the command, and it names every long option."""
    words = list(takewhile(lambda word: not word.startswith("-"), command))
    helped = run_command(*words, "--help")
    assert helped.returncode == 0, helped.stderr
    options = {word.partition("=")[0] for word in command if word.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", helped.stdout))


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_a_unit_starts_a_command_of_ours(block: Block) -> None:
    (start,) = re.findall(r"^ExecStart=/opt/golmok/bin/(.*)$", block.text, re.MULTILINE)
    assert_helps(start.split())


# --- words


def test_an_anchor_leads_to_a_heading() -> None:
    headings = {
        page: set(map(anchor, re.findall(r"^#+ (.*)$", (ROOT / page).read_text("utf-8"), re.M))) for page in PAGES
    }
    broken = []
    for page in PAGES:
        for path, fragment in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", (ROOT / page).read_text("utf-8")):
            target = (Path(page).parent / path).as_posix() if path else page
            if fragment not in headings.get(target, {fragment}):
                broken.append(f"{page}: {path}#{fragment}")
    assert broken == []


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


EXAMPLE = {
    "ko": {"device": "냉장고", "quantity": "온도", "duration": "20분", "months": "4"},
    "en": {"device": "Fridge", "quantity": "Temperature", "duration": "20 minutes", "months": "4"},
}


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("kind", [*(key for key in TEXTS if f"{key}_do" in TEXTS), "cloud_never"])
def test_the_owner_reads_each_trouble_as_the_page_says_it(kind: str, language: Any) -> None:
    value, limit = ("1.2 °C", "2.0 °C") if kind == "low" else ("9.1 °C", "8.0 °C")
    said = say(language, kind, **EXAMPLE[language], value=value, limit=limit)
    assert f"| {said} |" in words_of("docs/owner.md")


@pytest.mark.parametrize("key", ["fine", "no_answer", "not_trusted", "uncertain", "show_values", "cloud_none"])
def test_the_owner_reads_other_words_as_the_page_says_them(key: str) -> None:
    assert all(f"“{text.rstrip('.')}" in words_of("docs/owner.md") for text in TEXTS[key].values())


def reasons() -> set[str]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DriverError)]
    return {kind.reason for kind in kinds}


@pytest.mark.parametrize("reason", sorted({*reasons(), "silent", "time"}))
def test_the_technician_reads_what_each_reason_means(reason: str) -> None:
    assert words_of("docs/technician.md").count(f"| `{reason}` |") == 2  # in both languages


def test_the_operator_reads_what_each_metric_means() -> None:
    names = set(re.findall(r"^# TYPE (\w+)", render(Metrics(), {}, 0, 0, 0), re.MULTILINE))
    told = re.findall(r"^\| `(golmok_\w+)", (ROOT / "docs/operator.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: told.count(name) for name in told} == dict.fromkeys(names, 2)


def test_the_readme_says_which_drivers_there_are() -> None:
    text = words_of("README.md")
    assert [name for name in catalogue.names(lambda group: []) if f"`{name}`" not in text] == []


def test_the_map_names_modules_that_exist() -> None:
    """Rows of packages (`folder/package`), each followed by rows of what is in it (`.module`, with names behind)."""
    missing, package, rows = [], ROOT, 0
    for row in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\| `([\w-]+/golmok_\w+)` \|", row):
            package = ROOT / found[1]
        elif found := re.match(r"\| (`\.\w+`(?:, `\.\w+`)*) \| (.*) \|", row):
            rows += 1
            places = [package / name for name in re.findall(r"`\.(\w+)`", found[1])]
            inside = re.findall(r"`([a-z_]+)`", found[2])
            missing += [place for place in places if not is_module(place)]
            missing += [name for name in inside if not any(is_module(place / name) for place in places)]
    assert rows > 10
    assert missing == []


def is_module(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_pictures_are_there_and_light() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for path in re.findall(r'<img src="(.*?)"|!\[[^\]]*\]\((.*?)\)', text):
            picture = (ROOT / page).parent / "".join(path)
            assert picture.stat().st_size < 150_000, picture


def test_packages_that_are_said_to_be_empty_are() -> None:
    for folder in ("vision/golmok_vision", "provisioning/golmok_provisioning"):
        assert {path.name for path in (ROOT / folder).glob("*.py")} == {"__init__.py"}


def test_the_version_of_python_is_the_one_we_ask_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11, 3.12 or 3.13" in words_of("README.md")
