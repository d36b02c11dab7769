"""The trust boundary for text: whatever comes from outside is cleaned once, here, at decode.

Process names, log lines, host names, branches and model output may hold escape sequences that write to
the clipboard, move the cursor or reorder what an operator reads. After :func:`clean` a string has one line
and no control, bidirectional or invisible character; what was removed stays visible as a symbol.
"""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1, and the characters that reorder or hide text: bidirectional marks,
# embeddings, overrides and isolates, zero-width characters, line/paragraph separators, tag characters.
# U+200D (zero-width joiner) and variation selectors stay: emoji are built from them.
UNSAFE_CHARACTERS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"
)
UNSAFE = re.compile(f"[{UNSAFE_CHARACTERS}]")
_UNSAFE_LINE = re.compile(f"[\t\n{UNSAFE_CHARACTERS}]")

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def visible(character: str) -> str:
    """A printable stand-in for one unsafe character: ``\\x1b`` becomes ``␛``."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    return REPLACEMENT


def _stand_in(match: re.Match[str]) -> str:
    character = match.group()
    return " " if character in "\t\n" else visible(character)


def clean(text: str | bytes, limit: int = 500) -> str:
    """One safe line. Tabs and newlines become spaces; longer than ``limit`` characters ends in ``…``.

    Bytes are decoded as UTF-8; bytes that are not UTF-8 become U+FFFD.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4 + 4].decode("utf-8", "replace")
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE_LINE.sub(_stand_in, text)


def clean_lines(text: str | bytes, limit: int = 100_000) -> str:
    """Safe text of several lines: as :func:`clean`, but newlines stay and tabs become four spaces.

    Carriage returns before a newline go; the *end* is kept when the text is longer than ``limit``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if len(text) > limit:
        text = "…" + text[-(limit - 1) :]
    text = text.replace("\r\n", "\n").expandtabs(4)
    return UNSAFE.sub(_stand_in, text)


def clean_optional(text: str | bytes | None, limit: int = 500) -> str | None:
    """:func:`clean` for a value that may be absent."""
    return None if text is None else clean(text, limit)
