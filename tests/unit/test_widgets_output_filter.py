"""What gets past cleaning does not get past the output filter."""

from __future__ import annotations

from rich.segment import ControlType, Segment
from rich.style import Style
from textual.color import Color

from backends.text import UNSAFE
from widgets.output_filter import OutputFilter

BACKGROUND = Color.parse("black")


def filtered(*segments: Segment) -> list[Segment]:
    return OutputFilter().apply(list(segments), BACKGROUND)


def test_unsafe_characters_become_visible_and_keep_their_place() -> None:
    hostile = "a\x1b]52;c;aGk=\x07b\x9b31m\u202ec\td\ne"
    (segment,) = filtered(Segment(hostile, Style(bold=True)))
    assert UNSAFE.search(segment.text) is None
    assert "\t" not in segment.text
    assert "\n" not in segment.text
    assert len(segment.text) == len(hostile)
    assert segment.style == Style(bold=True)


def test_control_segments_of_the_framework_pass() -> None:
    control = Segment("\x1b[2J", None, [(ControlType.CLEAR,)])
    assert filtered(control) == [control]


def test_safe_lines_are_handed_through_untouched() -> None:
    segments = [Segment("plain"), Segment("日本 ●", Style(color="red"))]
    assert OutputFilter().apply(segments, BACKGROUND) is segments


def test_links_are_dropped() -> None:
    (segment,) = filtered(Segment("here", Style(link="https://example.org")))
    assert segment.text == "here"
    assert segment.style is not None
    assert segment.style.link is None
