"""The floor: the five panes in two columns, or one at a time, and which of them has the focus."""

from __future__ import annotations

from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from widgets.agents import AgentsPane
from widgets.analysis import AnalysisPane
from widgets.drift import DriftPane
from widgets.gpu import GpuPane
from widgets.lines import LineView
from widgets.pane import Pane
from widgets.queue import QueuePane
from widgets.table import LiveTable

#: Names of the panes, in the order of their numbers.
PANES = ("agents", "queue", "gpu", "drift", "analysis")
#: Which pane shows a table.
PANE_OF = {
    "agents": "agents",
    "work": "queue",
    "gpus": "gpu",
    "processes": "gpu",
    "hosts": "gpu",
    "worktrees": "drift",
    "copies": "drift",
    "findings": "analysis",
}


class Panes(NamedTuple):
    """The five panes by name."""

    agents: AgentsPane
    queue: QueuePane
    gpu: GpuPane
    drift: DriftPane
    analysis: AnalysisPane

    def named(self, name: str) -> Pane:
        pane = getattr(self, name)
        assert isinstance(pane, Pane)
        return pane


class Floor(Horizontal):
    """All panes, or the one with the focus where there is room for one only, or when it is zoomed."""

    DEFAULT_CSS = """
    Floor { height: 1fr; }
    Floor > .floor--left { width: 62fr; }
    Floor > .floor--right { width: 38fr; }
    Floor AgentsPane { height: 4fr; }
    Floor QueuePane { height: 4fr; }
    Floor DriftPane { height: 3fr; }
    Floor AnalysisPane { height: 5fr; }
    Floor GpuPane { height: 6fr; }
    Floor Pane.-shown { border: round $border; border-title-style: bold; }
    Floor Pane.-ascii.-shown { border: ascii $border; }
    Floor.-single > Vertical { width: 100%; display: none; }
    Floor.-single Pane { display: none; }
    Floor.-single > Vertical.-shown, Floor.-single Pane.-shown { display: block; }
    """

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="floor")
        self.panes = Panes(
            AgentsPane(ascii_only=ascii_only),
            QueuePane(ascii_only=ascii_only),
            GpuPane(ascii_only=ascii_only),
            DriftPane(ascii_only=ascii_only),
            AnalysisPane(ascii_only=ascii_only),
        )
        self.focused_name = PANES[0]
        self.is_zoomed = False
        self.is_narrow = False
        self._left = Vertical(self.panes.agents, self.panes.queue, self.panes.drift, classes="floor--left")
        self._right = Vertical(self.panes.analysis, self.panes.gpu, classes="floor--right")

    def compose(self) -> ComposeResult:
        yield self._left
        yield self._right

    @property
    def focused_pane(self) -> Pane:
        """The pane whose rows keys act on."""
        return self.panes.named(self.focused_name)

    @property
    def is_single(self) -> bool:
        """One pane is shown at a time."""
        return self.is_narrow or self.is_zoomed

    @property
    def _focused(self) -> Widget | None:
        # the last messages arrive while the console is being left and has no screen any more
        return self.app.focused if self.app.screen_stack else None

    @property
    def table(self) -> LiveTable | None:
        """The table with the focus, else the first that the focused pane shows."""
        parts = [part for part in _parts(self.focused_pane) if isinstance(part, LiveTable)]
        focused = self._focused
        if isinstance(focused, LiveTable) and focused in parts:
            return focused
        return parts[0] if parts else None

    def table_of(self, name: str) -> LiveTable:
        """The table that shows rows of that name."""
        return next(table for table in self.query(LiveTable) if table.view == name)

    # --- moving the focus --------------------------------------------------------------------------------

    def focus_pane(self, name: str) -> None:
        """Give a pane the focus."""
        self.focused_name = name
        self._show_focused()
        parts = _parts(self.focused_pane)
        if parts:
            parts[0].focus()

    def refocus(self) -> None:
        """Give the focus back to the pane that had it."""
        self.focus_pane(self.focused_name)

    def step(self, step: int) -> None:
        """The next part that takes keys: another table of this pane, then the next pane."""
        parts = _parts(self.focused_pane)
        focused = self._focused
        position = parts.index(focused) if focused in parts else 0
        if 0 <= position + step < len(parts):
            parts[position + step].focus()
            return
        self.focus_pane(PANES[(PANES.index(self.focused_name) + step) % len(PANES)])
        if step < 0 and (parts := _parts(self.focused_pane)):
            parts[-1].focus()

    def focus_moved(self) -> None:
        """The focus is elsewhere now, by whatever means."""
        focused = self._focused
        for name in PANES:
            if focused is not None and self.panes.named(name) in focused.ancestors:
                self.focused_name = name
        self._show_focused()

    def zoom(self) -> None:
        """Give the focused pane the whole floor, or give it back."""
        self.is_zoomed = not self.is_zoomed
        self._show_focused()

    def set_narrow(self, narrow: bool) -> None:
        """There is room for one pane only."""
        self.is_narrow = narrow
        self._show_focused()

    def _show_focused(self) -> None:
        self.set_class(self.is_single, "-single")
        for name in PANES:
            self.panes.named(name).set_class(name == self.focused_name, "-shown")
        for column in (self._left, self._right):
            column.set_class(self.focused_pane.parent is column, "-shown")


def _parts(pane: Pane) -> list[Widget]:
    """What takes keys in a pane, tables first: a page only where it scrolls or nothing else is there."""
    tables = [table for table in pane.query(LiveTable) if table.display]
    pages = [page for page in pane.query(LineView) if page.display]
    return [*tables, *(page for page in pages if not tables or not page.fits)]
