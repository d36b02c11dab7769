"""Columns of a table: how wide each may be, and the text of one cell fitted to it. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

from backends.text import clean

Align = Literal["left", "right"]

# Terminals disagree on long runs of combining characters; no honest cell holds more than a few per column.
_MAX_CHARACTERS_PER_CELL = 8

# Our own punctuation where only ASCII can be shown; what comes from outside and has no stand-in becomes "?".
_ASCII = str.maketrans(
    {
        "…": "~",
        "—": "-",
        "–": "-",
        "·": "|",
        "×": "x",
        "°": " ",
        "→": ">",
        "▲": "^",
        "▼": "v",
        "█": "#",
        "↑": "^",
    }
    | {"↓": "v"}
)


class Now(NamedTuple):
    """What a drawing function may know besides its row."""

    ms: int  # milliseconds since the epoch, UTC
    ascii: bool = False  # draw with ASCII only


class Cell(NamedTuple):
    """What is drawn for one column of one row."""

    text: str
    style: str = ""  # a meaning: "", "strong", "dim", "ok", "warn", "crit", "stale", "accent"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    ``priority`` 0 is always shown; the highest goes first when width is short. A ``grow`` column shares what
    is left over. Widths are in terminal cells, without the gap between columns.
    """

    name: str  # the field it shows and is sorted by
    title: str
    width: int
    draw: Callable[[Any, Now], Cell]
    min_width: int = 0  # 0: as ``width``
    align: Align = "left"
    grow: bool = False
    priority: int = 1

    @property
    def floor(self) -> int:
        """The least width it is drawn with."""
        return self.min_width or self.width


class Placed(NamedTuple):
    """A column and where it stands."""

    column: Column
    x: int
    width: int


def place(columns: Sequence[Column], width: int, *, gap: int = 1, skip: int = 0) -> tuple[Placed, ...]:
    """Fit columns into ``width`` cells.

    Columns are dropped from the highest ``priority`` down (the rightmost first among equals) until the rest
    fit at their least width. What is left is given back: first every column up to its own width, most
    important first, then the ``grow`` columns share the remainder. ``skip`` leaves out that many droppable
    columns from the left, so that the ones beyond the right edge come into reach.
    """
    shown = [column for column in columns if column.priority == 0]
    droppable = [column for column in columns if column.priority > 0][skip:]
    free = width - sum(column.floor for column in shown) - gap * max(0, len(shown) - 1)
    kept = set(shown)
    for column in sorted(droppable, key=lambda column: column.priority):
        cost = column.floor + (gap if kept else 0)
        if cost > free:
            break
        kept.add(column)
        free -= cost
    widths = {column: column.floor for column in kept}
    for column in sorted(kept, key=lambda column: (column.priority, columns.index(column))):
        extra = max(0, min(free, column.width - widths[column]))
        widths[column] += extra
        free -= extra
    growing = [column for column in columns if column in kept and column.grow]
    for index, column in enumerate(growing):
        share = max(0, free) // (len(growing) - index)
        widths[column] += share
        free -= share
    placed: list[Placed] = []
    x = 0
    for column in columns:
        if column in kept:
            placed.append(Placed(column, x, widths[column]))
            x += widths[column] + gap
    return tuple(placed)


@lru_cache(maxsize=8192)
def fit(text: str, width: int, align: Align = "left", ascii_only: bool = False) -> str:
    """``text`` in exactly ``width`` terminal cells: cleaned, cut with an ellipsis, padded.

    Wide characters (CJK, emoji) count two cells and are never cut in half.
    """
    if width <= 0:
        return ""
    text = clean(text, max(64, width * _MAX_CHARACTERS_PER_CELL))
    if ascii_only and not text.isascii():
        text = text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
    length = cell_len(text)
    if length == width:
        return text
    if length > width:
        ellipsis = "~" if ascii_only else "…"
        return set_cell_size(text, width - 1).rstrip() + ellipsis + " " * _lost(text, width)
    padding = " " * (width - length)
    return padding + text if align == "right" else text + padding


def _lost(text: str, width: int) -> int:
    """Cells that cutting at ``width`` - 1 and dropping the spaces before the ellipsis leaves empty."""
    return width - 1 - cell_len(set_cell_size(text, width - 1).rstrip())
