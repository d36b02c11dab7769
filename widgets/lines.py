"""A scrolling page of drawn lines that repaints only what differs from the screen.

For what is not a table: GPU blocks, the host, a finding with its evidence. A page is drawn by a pure
function from its width and the time to lines of cells; an exception in it is shown as one line, logged,
and the app lives on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from widgets.columns import Cell, Now, fit
from widgets.palette import Palette, palette_of
from widgets.table_lines import ASCII, UNICODE, thumb_lines
from widgets.table_messages import DrawFailed

PageLine = tuple[Cell, ...]
Draw = Callable[[int, Now], Sequence[PageLine]]

log = logging.getLogger(__name__)


class LineView(ScrollView, can_focus=True):
    """Shows what ``draw(width, now)`` returns; call :meth:`redraw` when its data changed."""

    DEFAULT_CSS = """
    LineView {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size: 0 0;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_lines(1)", "Down", show=False, id="page.down"),
        Binding("up,k", "scroll_lines(-1)", "Up", show=False, id="page.up"),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False, id="page.page-down"),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False, id="page.page-up"),
        Binding("home,g", "scroll_ends(-1)", "Top", show=False, id="page.first"),
        Binding("end,G", "scroll_ends(1)", "Bottom", show=False, id="page.last"),
    ]

    def __init__(
        self, draw: Draw, *, ascii_only: bool = False, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._draw = draw
        self._now = Now(0, ascii_only)
        self._glyphs = ASCII if ascii_only else UNICODE
        self._lines: tuple[PageLine, ...] = ()
        self._painted: dict[int, tuple[PageLine, bool]] = {}
        self._stale = False
        self._palette: Palette | None = None
        self._draw_error = ""

    @property
    def lines(self) -> tuple[PageLine, ...]:
        """What is drawn, in view or not."""
        return self._lines

    @property
    def is_at_end(self) -> bool:
        """The last line is in view."""
        return self.scroll_offset.y >= len(self._lines) - self.size.height

    @property
    def fits(self) -> bool:
        """Every line is in view: there is nothing to scroll."""
        return len(self._lines) <= self.size.height

    def set_now(self, ms: int) -> None:
        """Tell the time (ms since the epoch)."""
        self._now = self._now._replace(ms=ms)
        self.redraw()

    def set_stale(self, stale: bool) -> None:
        """Grey everything out: what is shown is old."""
        if stale != self._stale:
            self._stale = stale
            self._painted.clear()
            self.refresh()

    def redraw(self) -> None:
        """Draw again and repaint the lines that differ."""
        if not self.is_mounted or not self.size:
            return
        lines = self._drawn()
        if len(lines) != len(self._lines):
            # As in the table: assigning virtual_size would lay out the screen and repaint everything.
            self.set_reactive(Widget.virtual_size, Size(self.size.width, len(lines)))
        self._lines = lines
        self._scroll_to_line(self.scroll_offset.y)
        self._paint()

    def action_scroll_lines(self, lines: int) -> None:
        self._scroll_to_line(self.scroll_offset.y + lines)

    def action_scroll_pages(self, pages: int) -> None:
        self._scroll_to_line(self.scroll_offset.y + pages * max(1, self.size.height - 1))

    def action_scroll_ends(self, direction: int) -> None:
        self._scroll_to_line(len(self._lines) if direction > 0 else 0)

    def reveal(self, first: int, count: int = 1) -> None:
        """Scroll as little as needed to show ``count`` lines from ``first`` on."""
        top, height = self.scroll_offset.y, self.size.height
        if first < top or count > height:
            self._scroll_to_line(first)
        elif first + count > top + height:
            self._scroll_to_line(first + count - height)

    def _scroll_to_line(self, line: int) -> None:
        line = max(0, min(len(self._lines) - self.size.height, line))
        if line != self.scroll_offset.y:
            self.scroll_to(y=line, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if round(old_value) != round(new_value):
            self._paint()

    def _drawn(self) -> tuple[PageLine, ...]:
        try:
            return tuple(tuple(line) for line in self._draw(self.size.width - 1, self._now))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if text != self._draw_error:
                self._draw_error = text
                log.exception("drawing %s failed", self.id or type(self).__name__, exc_info=error)
                self.post_message(DrawFailed(text))
            return ((Cell("! ", "crit"), Cell(f"this page cannot be drawn: {text}", "")),)

    def _line(self, y: int) -> tuple[PageLine, bool]:
        top, height = self.scroll_offset.y, self.size.height
        index = top + y
        line = self._lines[index] if index < len(self._lines) else ()
        return line, y in thumb_lines(top, height, len(self._lines))

    def _paint(self) -> None:
        if not self.is_mounted or not self.size:
            return
        width = self.size.width
        regions = []
        for y in range(self.size.height):
            line = self._line(y)
            old = self._painted.get(y)
            if old == line:
                continue
            self._painted[y] = line
            if old is None:
                regions.append(Region(0, y, width, 1))
                continue
            start, end = difference(old[0], line[0], width - 1)
            if end > start:
                regions.append(Region(start, y, end - start, 1))
            if old[1] != line[1]:
                regions.append(Region(width - 1, y, 1, 1))
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        if y not in self._painted:
            self._painted[y] = self._line(y)
        if self._palette is None:
            self._palette = palette_of(self)
        cells, in_thumb = self._painted[y]
        palette, width = self._palette, self.size.width
        base = palette["stale"] if self._stale else None
        strip = Strip(
            [
                Segment(fit(cell.text, _length(cell), "left", self._now.ascii), base or palette[cell.style])
                for cell in cells
                if cell.text
            ]
        ).adjust_cell_length(width - 1, palette[""])
        thumb = self._glyphs.thumb if in_thumb else self._glyphs.rail
        return Strip.join([strip, Strip([Segment(thumb, palette["track"])], 1)])

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = None

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_all())
        self.redraw()

    def _repaint_all(self) -> None:
        self.notify_style_update()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self._painted.clear()
        self.redraw()


def _length(cell: Cell) -> int:
    return cell_len(cell.text)


def difference(old: PageLine, new: PageLine, width: int) -> tuple[int, int]:
    """The span ``[start, end)`` outside of which two lines look the same."""
    start = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        start += _length(before)
    end = width
    if sum(map(_length, old)) == sum(map(_length, new)):
        end = sum(map(_length, new))
        for before, after in zip(reversed(old), reversed(new), strict=False):
            if before != after:
                break
            end -= _length(before)
    return min(start, width), min(end, width)
