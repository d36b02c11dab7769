"""Lines of a table as plain values, and the spans in which two of them differ. Pure functions.

A line is compared with what is on the screen before anything is repainted, so a line is made of values that
compare: texts, meanings and a row look, not styled segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntFlag
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from widgets.columns import Align, Cell, Placed, fit
from widgets.palette import Palette


class Look(IntFlag):
    """How a whole row stands out."""

    PLAIN = 0
    CURSOR = 1
    FOCUSED = 2
    MARKED = 4
    STALE = 8


class Line(NamedTuple):
    """One screen line: a gutter cell, the drawn cells, and the cell of the scroll bar."""

    look: Look
    gutter: Cell
    cells: tuple[Cell, ...]
    bar: Cell
    message: str = ""  # instead of cells: one dim sentence over the whole line


class Glyphs(NamedTuple):
    """The table's own marks."""

    mark: str
    cursor: str
    thumb: str
    rail: str
    up: str
    down: str
    more_left: str
    more_right: str
    missing: str


UNICODE = Glyphs("●", "▌", "┃", " ", "▲", "▼", "‹", "›", "·")
ASCII = Glyphs("*", ">", "#", " ", "^", "v", "<", ">", ".")


def header_title(title: str, width: int, align: Align, arrow: str, ascii_only: bool) -> str:
    """A column's title; ``arrow`` is the sort arrow, or empty when the table is not sorted by it."""
    if not arrow:
        return fit(title, width, align, ascii_only)
    return fit(fit(title, max(0, width - 1), "left", ascii_only).rstrip() + arrow, width, align, ascii_only)


def thumb_lines(first: int, page: int, total: int) -> range:
    """Which of ``page`` lines the thumb of the scroll bar covers; empty when everything is in view."""
    if total <= page or page <= 0:
        return range(0)
    size = max(1, page * page // total)
    top = round((page - size) * first / (total - page))
    top = max(0, min(page - size, top))
    return range(top, top + size)


def changed_spans(old: Line, new: Line, placed: tuple[Placed, ...], width: int) -> Iterator[tuple[int, int]]:
    """``(x, width)`` of each run of cells that differ; neighbouring cells are one run."""
    if old == new:
        return
    if old.look != new.look or old.message != new.message or len(old.cells) != len(new.cells):
        yield 0, width
        return
    if old.gutter != new.gutter:
        yield 0, 1
    start = end = -1
    for place, before, after in zip(placed, old.cells, new.cells, strict=bool(new.cells)):
        if before == after:
            continue
        x = place.x + 1
        if start >= 0 and x - end <= 2:
            end = x + place.width
            continue
        if start >= 0:
            yield start, end - start
        start, end = x, x + place.width
    if start >= 0:
        yield start, end - start
    if old.bar != new.bar:
        yield width - 1, 1


def strip_of(line: Line, placed: tuple[Placed, ...], width: int, palette: Palette, ascii_only: bool) -> Strip:
    """The styled line, exactly ``width`` cells wide."""
    row = _row_style(line.look, palette)
    base = palette["stale"] if line.look & Look.STALE else None
    segments = [Segment(line.gutter.text, palette[line.gutter.style] + row)]
    x = 1
    plain = palette[""] + row
    if line.message:
        segments.append(Segment(fit(line.message, width - 2, "left", ascii_only), palette["dim"]))
        x = width - 1
    for place, cell in zip(placed, line.cells, strict=bool(line.cells)):
        if place.x + 1 > x:
            segments.append(Segment(" " * (place.x + 1 - x), plain))
        text = fit(cell.text, place.width, place.column.align, ascii_only)
        segments.append(Segment(text, (base or palette[cell.style]) + row))
        x = place.x + 1 + place.width
    if x < width - 1:
        segments.append(Segment(" " * (width - 1 - x), plain))
    segments.append(Segment(line.bar.text, palette[line.bar.style]))
    return Strip(segments, width).adjust_cell_length(width)


def _row_style(look: Look, palette: Palette) -> Style:
    if look & Look.CURSOR:
        return palette.cursor if look & Look.FOCUSED else palette.cursor_blurred
    return Style.null()
