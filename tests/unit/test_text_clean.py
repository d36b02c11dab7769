"""The trust boundary: whatever goes in, what comes out is safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.text import UNSAFE, clean, clean_lines, clean_optional

HOSTILE = [
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x1b[2J\x1b[H",
    "a\u202eb",
    "\u2066x\u2069",
    "zero\u200bwidth",
    "\ufefftop",
    "\U000e0041tag",
    "\ud800 lone",
    "line\u2028separator",
    "nul\x00del\x7f",
    "two\nlines\tand\rmore",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_hostile_passes(text: str) -> None:
    for safe in (clean(text), clean_lines(text)):
        assert not UNSAFE.search(safe)
        safe.encode()  # no lone surrogates either
    assert "\n" not in clean(text)


@given(st.text() | st.binary(), st.integers(1, 80))
def test_any_text_or_bytes_become_one_safe_line_of_the_length(text: str | bytes, limit: int) -> None:
    line = clean(text, limit)
    assert len(line) <= limit
    assert not UNSAFE.search(line)
    assert not any(unicodedata.category(character) == "Cc" for character in line)
    assert clean(line, limit) == line  # cleaning twice changes nothing
    assert not UNSAFE.search(clean_lines(text))


def test_what_was_removed_stays_visible() -> None:
    assert clean("\x1b[0m") == "␛[0m"
    assert clean("a\x7fb") == "a␡b"
    assert clean("a\u202eb") == "a\ufffdb"


def test_harmless_text_passes_unchanged() -> None:
    for text in ("plain", "größe µ", "日本語", "👩‍🚀", "[/x] [@click=app.bell]"):  # markup is text to us
        assert clean(text) == text
    assert clean("a\tb\nc") == "a b c"


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert clean(b"ok \xff\xfe") == "ok \ufffd\ufffd"


def test_lines_keep_their_end_when_cut() -> None:
    text = clean_lines("x" * 100 + "\nlast", 10)
    assert text.endswith("last")
    assert len(text) == 10


def test_none_stays_none() -> None:
    assert clean_optional(None) is None
    assert clean_optional("") == ""
