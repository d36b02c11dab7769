"""The second line of the trust boundary: what reaches the terminal holds no unsafe character.

Data is cleaned where it enters (:mod:`backends.text`); should a string ever get past that, this filter
replaces its unsafe characters in every line that Textual is about to write. Install it from
``App.get_line_filters``.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from backends.text import clean


class OutputFilter(LineFilter):
    """Replaces unsafe characters in all segments that are not Textual's own control codes.

    Tabs and newlines, which would move the cursor, become spaces. Links (OSC 8) and actions in a segment's
    style can only come from markup, which data never is; link targets are dropped all the same.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(_is_safe(segment) for segment in segments):
            return segments
        return [segment if _is_safe(segment) else _made_safe(segment) for segment in segments]


def _is_safe(segment: Segment) -> bool:
    text, style, control = segment
    if control:
        return True
    if style is not None and style.link:
        return False
    return (text.isascii() and text.isprintable()) or _clean(text) == text


def _made_safe(segment: Segment) -> Segment:
    style = segment.style
    if style is not None and style.link:
        style = style.update_link(None)
    return Segment(_clean(segment.text), style)


def _clean(text: str) -> str:
    return clean(text, len(text))
