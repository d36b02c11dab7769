"""Which panes there are, where only one is shown: ``1 Agents 12  [2 Work 4]  3 GPUs``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backends.text import clean
from widgets.columns import Cell
from widgets.lines import PageLine
from widgets.one_line import OneLine
from widgets.quantities import count


class Tab(NamedTuple):
    """One pane: the key that goes there, its name, and how many there are of what it shows."""

    name: str
    key: str
    title: str
    figure: int = 0
    style: str = ""  # of the figure, while it is not zero


class PaneTabs(OneLine):
    """One line of tabs; the brackets say which pane is shown."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = "tabs") -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self._tabs: tuple[Tab, ...] = ()
        self._shown = ""

    def set_tabs(self, tabs: Sequence[Tab], shown: str) -> None:
        """Replace all tabs; ``shown`` is the name of the pane that is on screen."""
        self._tabs, self._shown = tuple(tabs), shown
        self.redraw()

    def show(self, name: str) -> None:
        """Another pane is on screen."""
        self._shown = name
        self.redraw()

    def draw(self, width: int) -> PageLine:
        cells: list[Cell] = []
        for tab in self._tabs:
            is_shown = tab.name == self._shown
            cells.append(Cell("[" if is_shown else " ", "accent"))
            cells.append(Cell(clean(tab.key, 10), "accent"))
            cells.append(Cell(f" {tab.title}", "strong" if is_shown else "dim"))
            if tab.figure:
                cells.append(Cell(f" {count(tab.figure)}", tab.style))
            cells.append(Cell("] " if is_shown else "  ", "accent"))
        return tuple(cells)
