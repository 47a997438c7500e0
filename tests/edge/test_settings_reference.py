"""The page of all settings is what the types say, and its example is a file that can be used."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from golmok_edge.settings import reference
from golmok_edge.settings.files import SECTIONS
from golmok_edge.settings.kinds import example_line, struct_type, told
from golmok_edge.settings.model import Common, Limit
from tests.edge.settings_files import DESIGN, examined

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_committed_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference.page(), "run: python -m golmok_edge.settings.reference docs/settings.md"


def test_its_example_is_a_good_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example == DESIGN
    assert examined(tmp_path, example).mistakes == []


def test_every_key_of_ours_has_a_meaning_and_an_example() -> None:
    applications = reference.own_applications().values()
    classes: list[type[msgspec.Struct]] = [*SECTIONS.values(), Common, Limit, *applications]
    classes += [inner for cls in applications for _, inner in reference.inside(cls)]
    assert len(classes) > len(SECTIONS) + 4
    for cls in classes:
        for field in struct_type(cls).fields:
            assert {"description", "examples"} <= told(field.type).keys(), f"{cls.__name__}.{field.name}"


def test_every_example_is_right(tmp_path: Path) -> None:
    (tmp_path / "mqtt.pw").write_text("secret")
    text = ""
    for name, cls in {**SECTIONS, **reference.own_applications()}.items():
        lines = [example_line(field.encode_name, field.type) for field in struct_type(cls).fields]
        text += "\n".join([f"[{name}]", *lines, ""])
    assert [mistake.sentence() for mistake in examined(tmp_path, text).mistakes] == []
