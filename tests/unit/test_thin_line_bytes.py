"""The encoder of spans: the same screen for fewer bytes."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from console.tui.thin_line import SpanUpdate, encode

STYLES = [
    None,
    Style.parse("red on black"),
    Style.parse("bold #102030 on black"),
    Style.parse("white on blue"),
    Style.parse("underline red on black"),
    Style.parse("reverse red on black"),
]
SEGMENTS = st.lists(
    st.tuples(st.text(alphabet="ab 1é界", min_size=1, max_size=5), st.sampled_from(STYLES)),
    min_size=1,
    max_size=8,
)


def screen_after(text: str) -> list[tuple[object, ...]]:
    """What a terminal shows of each cell, blanks without the colour nobody can see."""
    screen = pyte.Screen(80, 2)
    pyte.Stream(screen).feed(text)
    cells: list[tuple[object, ...]] = []
    for x in range(80):
        cell = screen.buffer[0][x]
        shown = (
            cell if cell.data != " " or cell.reverse or cell.underscore else cell._replace(fg="", bold=False)
        )
        cells.append(tuple(shown))
    return cells


def plainly(segments: list[Segment]) -> str:
    return "".join(
        text if style is None else style.render(text, color_system=ColorSystem.TRUECOLOR)
        for text, style, _ in segments
    )


@given(SEGMENTS)
def test_the_screen_is_the_same_and_no_style_is_left_behind(parts: list[tuple[str, Style | None]]) -> None:
    segments = [Segment(text, style) for text, style in parts]
    sent = encode(segments, ColorSystem.TRUECOLOR)
    assert screen_after(sent + "x") == screen_after(plainly(segments) + "x")
    assert len(sent) <= len(plainly(segments)) + len(segments) * len("0;") + len("\x1b[0m")


def test_neighbours_of_one_style_share_it() -> None:
    red = Style.parse("red on black")
    segments = [Segment("a", red), Segment("  ", Style.parse("white on black")), Segment("b", red)]
    assert encode(segments, ColorSystem.STANDARD).count("\x1b[") == 2


@pytest.mark.parametrize(("x1", "x2", "text"), [(0, 3, "abc"), (3, 6, "def"), (4, 5, "e"), (2, 9, "cdefghi")])
def test_a_span_is_sent_from_where_it_begins(x1: int, x2: int, text: str) -> None:
    from rich.console import Console

    strip = Strip([Segment("abcdefghij", Style.parse("red"))])
    update = SpanUpdate([{10: strip}], [(0, 10 + x1, 10 + x2)], [[20]])
    sent = update.render_segments(Console(color_system="truecolor"))
    assert sent.startswith(f"\x1b[1;{10 + x1 + 1}H")
    assert "".join(c for c in sent.split("m", 1)[1] if c.isalpha()).rstrip("m") == text
