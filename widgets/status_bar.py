"""The header: how many of everything, by state. Every counter is a filter; zeros are quiet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from backends.text import clean
from widgets.columns import Cell
from widgets.lines import PageLine
from widgets.one_line import OneLine
from widgets.quantities import clock, count


class Counter(NamedTuple):
    """How many rows are in one state, and the filter that shows them."""

    word: str  # "live", "blocked"
    value: int | None  # None: not known, shown as "?"
    table: str
    filter: str
    glyph: str = ""
    ascii: str = ""
    style: str = ""  # used only while the value is not zero


class CounterGroup(NamedTuple):
    """Counters that belong together: ``agents  ● 4 working  ◆ 1 blocked``."""

    title: str
    counters: tuple[Counter, ...]


class Badge(NamedTuple):
    """A word that must not be overlooked: ``READ-ONLY``."""

    text: str
    style: str = "warn"


class CounterChosen(Message):
    """The operator wants to see the rows behind a counter."""

    def __init__(self, table: str, filter: str) -> None:
        super().__init__()
        self.table = table
        self.filter = filter


_MATTERS = frozenset({"warn", "crit", "stale"})


class _Spot(NamedTuple):
    """Where a counter is drawn."""

    start: int
    end: int
    counter: Counter


class StatusBar(OneLine, can_focus=True):
    """One line of counters, badges and the clock. Left and right select a counter, enter chooses it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "select(1)", "Next counter", show=False, id="header.right"),
        Binding("left", "select(-1)", "Previous counter", show=False, id="header.left"),
        Binding("enter", "choose", "Show these", show=False, id="header.open"),
    ]

    def __init__(
        self, name_shown: str = "watchfloor", *, ascii_only: bool = False, id: str | None = "header"
    ) -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self._name_shown = name_shown
        self._groups: tuple[CounterGroup, ...] = ()
        self._badges: tuple[Badge, ...] = ()
        self._clock = ""
        self._spots: tuple[_Spot, ...] = ()
        self._selected = 0

    def set_counters(self, groups: Sequence[CounterGroup]) -> None:
        """Replace all counters."""
        self._groups = tuple(groups)
        self.redraw()

    def set_badges(self, badges: Sequence[Badge]) -> None:
        """Replace the badges: read-only, demo, the watch is away."""
        self._badges = tuple(badges)
        self.redraw()

    def set_now(self, ms: int) -> None:
        """Tell the time (ms since the epoch); painted when the minute changes."""
        if (shown := clock(ms)) != self._clock:
            self._clock = shown
            self.redraw()

    def action_select(self, step: int) -> None:
        if self._spots:
            self._selected = (self._selected + step) % len(self._spots)
            self.redraw()

    def action_choose(self) -> None:
        if self._spots:
            self._choose(self._spots[min(self._selected, len(self._spots) - 1)].counter)

    def on_click(self, event: events.Click) -> None:
        for spot in self._spots:
            if spot.start <= event.x < spot.end:
                self._choose(spot.counter)

    def _choose(self, counter: Counter) -> None:
        self.post_message(CounterChosen(counter.table, counter.filter))

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def draw(self, width: int) -> PageLine:
        right = self._right()
        room = width - sum(cell_len(cell.text) for cell in right)
        for detail in (4, 3, 2, 1, 0):
            left, spots = self._left(detail)
            if sum(cell_len(cell.text) for cell in left) <= room:
                break
        self._spots = tuple(spot for spot in spots if spot.end <= room)
        left = _cut(left, room)
        filler = room - sum(cell_len(cell.text) for cell in left)
        return (*left, Cell(" " * max(0, filler)), *right)

    def _right(self) -> list[Cell]:
        cells = [
            cell for badge in self._badges for cell in (Cell(f" {clean(badge.text, 40)} ", badge.style),)
        ]
        return [*cells, Cell(f" {self._clock} ", "dim")]

    def _left(self, detail: int) -> tuple[list[Cell], list[_Spot]]:
        """Everything (4), without the name (3), with words for what matters (2), without words (1), only what
        matters in each group (0).
        """
        cells = [Cell(f" {self._name_shown} " if detail >= 4 else "", "strong")]
        x = cell_len(cells[0].text)
        spots: list[_Spot] = []

        def add(text: str, style: str) -> None:
            nonlocal x
            cells.append(Cell(text, style))
            x += cell_len(text)

        # The cell between two counters becomes a bracket when one of them is selected: nothing moves.
        for group in self._groups:
            shown = [counter for counter in group.counters if counter.value != 0]
            if detail == 0:
                shown = [counter for counter in shown if counter.style in _MATTERS] or shown[:1]
            add("  " if detail >= 3 else " ", "")
            add(clean(group.title, 20) + ("" if shown else " 0 "), "dim")
            closing = " "
            for counter in shown:
                selected = self.has_focus and len(spots) == self._selected
                style = "accent" if selected else counter.style
                add("[" if selected else closing, "accent")
                start = x
                add(self._figure(counter, detail), style)
                says = detail >= 3 or (detail == 2 and counter.style in _MATTERS) or not counter.glyph
                if counter.word and says:
                    add(f" {clean(counter.word, 20)}", style if selected or style == "crit" else "dim")
                spots.append(_Spot(start, x, counter))
                closing = "]" if selected else " "
            if shown:
                add(closing, "accent")
        return cells, spots

    def _figure(self, counter: Counter, detail: int) -> str:
        glyph = counter.ascii if self.ascii_only else counter.glyph
        figure = "?" if counter.value is None else count(counter.value)
        return f"{glyph} {figure}" if glyph and detail >= 4 else f"{glyph}{figure}"


def _cut(cells: list[Cell], width: int) -> list[Cell]:
    """Leave out the cells that do not fit."""
    kept = []
    for cell in cells:
        width -= cell_len(cell.text)
        if width < 0:
            break
        kept.append(cell)
    return kept
