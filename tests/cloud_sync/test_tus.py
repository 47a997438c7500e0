"""What both ends say of files: metadata, names and numbers, from whoever may send them."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from golmok_cloud_sync.protocol import ProtocolError
from golmok_cloud_sync.protocol.tus import MOST_NAME, FileHead, harmless, head_of, number, read_metadata

SHA = "ab" * 32
names = st.text(min_size=1, max_size=40).map(harmless)


@given(names, names, st.integers(0, 2**53 - 1))
def test_what_one_end_tells_the_other_understands(name: str, group: str, size: int) -> None:
    head = FileHead(name, size, SHA, group)
    assert head_of(str(size), head.metadata()) == head
    assert re.fullmatch("[0-9a-f]{32}", head.id)


@given(st.text(max_size=60), st.text(max_size=60))
@example("filename eA==,sha256", "1")
@example("filename ****", "1")
@example(f"sha256 {SHA}", "-1")
def test_anything_else_is_refused_in_words(metadata: str, length: str) -> None:
    with pytest.raises(ProtocolError, match=r"Upload-Metadata|bytes"):
        head_of(length, metadata)


@pytest.mark.parametrize("text", [None, "", "-1", "+1", "1.0", " 1", "01", "１", "9" * 16, "1e3", "0x10"])
def test_a_number_is_digits(text: str | None) -> None:
    with pytest.raises(ProtocolError):
        number(text)


@given(st.text(max_size=200))
@example("../../etc/passwd")
@example("..\\..\\boot.ini")
@example(".." + "/" * 3)
@example("e\u200d\u0301")
@example("\u202etxt.exe\n\x00")
def test_a_name_is_harmless(name: str) -> None:
    safe = harmless(name)
    assert 0 < len(safe) <= MOST_NAME
    assert not set(safe) & set("/\\\x00\r\n")
    assert not safe.startswith(".")
    assert not any(unicodedata.category(c).startswith("C") for c in safe)
    assert harmless(safe) == safe


def test_a_name_stays_what_people_call_it() -> None:
    assert harmless("도자기 그릇 (큰).stl") == "도자기 그릇 (큰).stl"


def test_metadata_is_as_tus_writes_it() -> None:
    assert read_metadata("filename 7ZWc, is_draft,empty ") == {"filename": "한", "is_draft": "", "empty": ""}
    for twice in ("a eA==,a eA==", "b =,c", "\u00e9 eA=="):
        with pytest.raises(ProtocolError):
            read_metadata(twice)


def test_another_file_is_another_upload() -> None:
    heads = [FileHead("a", 1, SHA), FileHead("b", 1, SHA), FileHead("a", 2, SHA), FileHead("a", 1, "cd" * 32),
             FileHead("a", 1, SHA, "scan")]  # fmt: skip
    assert len({head.id for head in heads}) == len(heads)
