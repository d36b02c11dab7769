"""A widget of one line that repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from backends.text import clean
from widgets.columns import Cell, fit
from widgets.lines import PageLine, difference
from widgets.palette import Palette, palette_of


class OneLine(Widget):
    """One line of cells. Subclasses say what it is in :meth:`draw` and call :meth:`redraw`."""

    DEFAULT_CSS = """
    OneLine { height: 1; width: 1fr; }
    """

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ascii_only = ascii_only
        self._painted: PageLine | None = None
        self._palette: Palette | None = None

    def draw(self, width: int) -> PageLine:
        """The line, at most ``width`` cells wide."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again and repaint what differs."""
        if not self.is_mounted or not self.size:
            return
        line = self.draw(self.size.width)
        old, self._painted = self._painted, line
        if old is None:
            self.refresh()
        elif old != line:
            start, end = difference(old, line, self.size.width)
            self.refresh(Region(start, 0, max(1, end - start), 1))

    def render_line(self, y: int) -> Strip:
        if y > 0:
            return Strip.blank(self.size.width, self.rich_style)
        if self._painted is None:
            self._painted = self.draw(self.size.width)
        if self._palette is None:
            self._palette = palette_of(self)
        palette = self._palette
        segments = [
            Segment(fit(cell.text, cell_len(cell.text), "left", self.ascii_only), palette[cell.style])
            for cell in self._painted
            if cell.text
        ]
        return Strip(segments).adjust_cell_length(self.size.width, palette[""])

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = None

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_all())

    def _repaint_all(self) -> None:
        self.notify_style_update()
        self.refresh()

    def on_resize(self) -> None:
        self._painted = None
        self.redraw()


class Hints(OneLine):
    """The keys that matter here, as ``key what it does``; those that do not fit are left to ``?``."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = "hints") -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self._hints: tuple[tuple[str, str], ...] = ()

    def set_hints(self, hints: Sequence[tuple[str, str]]) -> None:
        """Replace the hints, the most useful first."""
        self._hints = tuple((clean(key, 20), clean(label, 40)) for key, label in hints)
        self.redraw()

    def draw(self, width: int) -> PageLine:
        cells: list[Cell] = [Cell(" ")]
        used = 1
        for key, label in self._hints:
            needed = cell_len(key) + 1 + cell_len(label) + 3
            if used + needed - 3 > width:
                break
            cells += [Cell(key, "accent"), Cell(f" {label}", "dim"), Cell("   ")]
            used += needed
        return tuple(cells)


class Notice(OneLine):
    """One line across the screen for what must be known now; it takes no room while there is nothing."""

    DEFAULT_CSS = """
    Notice { display: none; }
    """

    def __init__(self, *, ascii_only: bool = False, id: str | None = "notice") -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self._text = ""

    def say(self, text: str) -> None:
        """Say ``text``; "" takes the line away."""
        self._text = clean(text)
        self.display = bool(self._text)
        self.redraw()

    def draw(self, width: int) -> PageLine:
        return (Cell(" ! " if self.ascii_only else " ▲ ", "crit"), Cell(self._text, "crit"))
