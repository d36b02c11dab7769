"""A live table of any length that holds only the rows of its window.

Rows are pushed in with :meth:`LiveTable.show`; what the table needs next is asked for with
:class:`LiveTable.WindowWanted`. Nothing here fetches. Every change, whether of data, cursor, scroll
position or time, takes one path: work out what each screen line should be, compare it with what is painted,
and refresh only the cells that differ. A key press costs by the height of the screen, never by the number of
rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from time import monotonic
from typing import Any, ClassVar, TypeAlias

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from backends.model import Window
from widgets.columns import Cell, Column, Now
from widgets.palette import Palette, palette_of
from widgets.row_window import RowWindow
from widgets.table_drawing import TableDrawing
from widgets.table_lines import Line, Look, changed_spans
from widgets.table_messages import (
    CursorMoved,
    DrawFailed,
    MarksChanged,
    Opened,
    SortWanted,
    WindowWanted,
)

__all__ = ["Cell", "Column", "LiveTable", "Now"]

log = logging.getLogger(__name__)


class LiveTable(ScrollView, can_focus=True):
    """A virtual table. The cursor and the marks belong to rows, not to positions."""

    DEFAULT_CSS = """
    LiveTable {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size: 0 0;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="table.page-down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="table.page-up"),
        Binding("home,g", "first", "First row", show=False, id="table.first"),
        Binding("end,G", "last", "Last row", show=False, id="table.last"),
        Binding("right", "more_columns(1)", "Columns to the right", show=False, id="table.right"),
        Binding("left", "more_columns(-1)", "Columns to the left", show=False, id="table.left"),
        Binding("enter", "open", "Open", show=False, id="table.open"),
    ]

    # A pause in cursor movement after which the row to follow is told; only matters for rows that jump far.
    FOLLOW_DELAY_S: ClassVar[float] = 0.1

    WindowWanted: TypeAlias = WindowWanted
    CursorMoved: TypeAlias = CursorMoved
    Opened: TypeAlias = Opened
    MarksChanged: TypeAlias = MarksChanged
    SortWanted: TypeAlias = SortWanted

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        view: str = "",
        empty: str = "nothing here",
        waiting: str = "waiting for the first reading",
        ascii_only: bool = False,
        row_id: Callable[[Any], str] = attrgetter("id"),
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.view = view  # the table of the Picture whose rows it shows
        self._empty = empty
        self._waiting = waiting
        self._drawing = TableDrawing(columns, ascii_only, self._report)
        self._stale = False
        self._held = RowWindow(row_id)
        self._marks: set[str] = set()
        self._resting = True
        self._row_came_at = 0.0
        self._asked: WindowWanted | None = None
        self._asking = False
        self._follow_timer: Timer | None = None
        self._painted: dict[int, Line] = {}
        self._palette: Palette | None = None
        self._draw_error = ""

    # --- what is pushed in ---------------------------------------------------------------------------

    def show(self, window: Window) -> None:
        """Replace the window. Only cells that look different are repainted."""
        held = self._held
        before, before_id, total = held.cursor, held.cursor_id, held.total
        was_visible = self._is_visible(before)
        at_top = self.scroll_offset.y == 0
        moved = held.replace(window, self._resting)
        if moved and before_id is not None:
            self._row_came_at = monotonic()
        if held.total != total:
            self._total_changed()
        if was_visible:
            self._scroll_rows(self.scroll_offset.y + (0 if at_top else held.cursor - before))
            self._reveal_cursor()
        self._paint()
        self._want()
        if moved:
            self._tell_cursor()

    def rest(self) -> None:
        """Put the cursor on the first row, and keep it there until the operator moves it.

        What is most urgent stays in view in a table nobody is working in.
        """
        self._resting = True
        self.move_to(0)

    def hold(self) -> None:
        """The operator works with the row under the cursor: the cursor stays with it from now on."""
        self._resting = False

    def set_now(self, ms: int) -> None:
        """Tell the time (ms since the epoch). Ages that read the same are not repainted."""
        self._drawing.now = self._drawing.now._replace(ms=ms)
        self._paint()

    def set_stale(self, stale: bool) -> None:
        """Grey everything out: what is shown is old."""
        if stale != self._stale:
            self._stale = stale
            self._paint()

    def set_empty(self, text: str) -> None:
        """What to say when no row matches."""
        if text != self._empty:
            self._empty = text
            self._paint()

    def set_sort(self, column: str, descending: bool) -> None:
        """Show the sort arrow on ``column``; empty means the table's own order."""
        if (column, descending) != self._drawing.sort:
            self._drawing.sort = (column, descending)
            self._paint()

    def hide_columns(self, names: frozenset[str]) -> None:
        """Leave out the columns of these names: they would say the same in every row."""
        if names != self._drawing.hidden:
            self._drawing.hidden = names
            self._lay_out()

    # --- what can be asked ---------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, shown or not."""
        return self._drawing.columns

    @property
    def visible_columns(self) -> tuple[Column, ...]:
        """The columns that fit now."""
        return tuple(placed.column for placed in self._drawing.placed)

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows at hand: those of the window."""
        return tuple(self._held.rows)

    @property
    def empty(self) -> str:
        """What is said when no row matches."""
        return self._empty

    @property
    def total(self) -> int:
        """Rows that match the view."""
        return self._held.total

    @property
    def cursor_index(self) -> int:
        """Position of the cursor in the order of the view."""
        return self._held.cursor

    @property
    def cursor_id(self) -> str | None:
        """Id of the row under the cursor; ``None`` while it has not arrived."""
        return self._held.cursor_id

    @property
    def cursor_row(self) -> Any | None:
        """The row under the cursor; ``None`` while it has not arrived."""
        return self._held.cursor_row

    @property
    def cursor_age_s(self) -> float:
        """How long the row under the cursor has been there, when it came by itself; seconds."""
        return monotonic() - self._row_came_at

    @property
    def marks(self) -> frozenset[str]:
        """Ids of the marked rows, in view or not."""
        return frozenset(self._marks)

    @property
    def wanted(self) -> WindowWanted | None:
        """What was asked for last: what a subscription made anew should ask for."""
        return self._asked

    def text_of(self, row: Any) -> str:
        """A row as one line of text: what every column draws, shown or not, separated by tabs."""
        return "\t".join(column.draw(row, self._drawing.now).text for column in self.columns)

    # --- marks -----------------------------------------------------------------------------------------

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or unmark it, and step down."""
        held = self._held
        if held.cursor_id is not None and held.cursor_row is not None:
            self.hold()
            self._marks.symmetric_difference_update({held.cursor_id})
            self._marks_changed()
            self.action_move(1)

    def mark_all(self) -> bool:
        """Mark every row of the window; ``False`` when the view has more rows than the window holds."""
        self._marks.update(self._held.row_id(row) for row in self._held.rows)
        self._marks_changed()
        return self._held.holds_everything

    def clear_marks(self) -> None:
        """Unmark every row."""
        if self._marks:
            self._marks.clear()
            self._marks_changed()

    def keep_marks(self, ids: Iterable[str]) -> None:
        """Drop every mark that is not in ``ids``."""
        kept = self._marks.intersection(ids)
        if kept != self._marks:
            self._marks = kept
            self._marks_changed()

    def _marks_changed(self) -> None:
        self._paint()
        self.post_message(MarksChanged(self, self.marks))

    # --- movement --------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        self.hold()
        self.move_to(self._held.cursor + rows)

    def action_page(self, pages: int) -> None:
        self.hold()
        step = pages * max(1, self._page - 1)
        self._scroll_rows(self.scroll_offset.y + step)
        self.move_to(self._held.cursor + step)

    def action_first(self) -> None:
        self.hold()
        self.move_to(0)

    def action_last(self) -> None:
        self.hold()
        self.move_to(self._held.total - 1)

    def action_open(self) -> None:
        held = self._held
        if held.cursor_id is not None and held.cursor_row is not None:
            self.hold()
            self.post_message(Opened(self, held.cursor_id, held.cursor_row))

    def action_more_columns(self, step: int) -> None:
        """Bring columns that did not fit into reach."""
        drawing = self._drawing
        droppable = sum(column.priority > 0 for column in drawing.columns)
        if (step < 0 and drawing.skipped) or (step > 0 and drawing.hides_columns):
            drawing.skipped = max(0, min(droppable - 1, drawing.skipped + step))
            self._lay_out()

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at ``index``: painted at once in the window, else when the row comes."""
        moved = self._held.move_to(index)
        self._reveal_cursor()
        self._paint()
        self._want()
        if moved:
            self._tell_cursor()

    def _tell_cursor(self) -> None:
        held = self._held
        if held.cursor_id is not None and held.cursor_row is not None:
            self.post_message(CursorMoved(self, held.cursor_id, held.cursor_row))

    # --- asking for rows ---------------------------------------------------------------------------------

    def _want(self) -> None:
        """Ask for rows: at once when some are missing, after a pause when only the row to follow changed."""
        page = self._page
        if page <= 0 or self._asking:
            return
        wanted = self._wanted_now()
        if wanted.asks_as(self._asked):
            return
        first, margin = self.scroll_offset.y, page // 2
        if (
            self._asked is None
            or self._asked.count < wanted.count
            or self._held.cursor_is_lost
            or not self._held.covers(first - margin, page + 2 * margin)
        ):
            self._asking = True
            self.call_next(self.settle)
        elif wanted.follow != self._asked.follow:
            if self._follow_timer is not None:
                self._follow_timer.stop()
            self._follow_timer = self.set_timer(self.FOLLOW_DELAY_S, self.settle)

    def settle(self) -> None:
        """Ask now for what is wanted, without waiting for a pause in movement."""
        self._asking = False
        wanted = self._wanted_now()
        if not wanted.asks_as(self._asked):
            self._asked = wanted
            self.post_message(wanted)

    def _wanted_now(self) -> WindowWanted:
        """Three pages around the first row in view.

        At the top nothing is followed: new rows may come in above the cursor, most urgent first, and be seen.
        """
        held, page, first = self._held, self._page, self.scroll_offset.y
        start = max(0, first - page)
        follows = held.cursor_is_lost or (first > 0 and self._is_visible(held.cursor))
        if not follows or held.cursor_id is None:
            return WindowWanted(self, start, 3 * page)
        offset = max(0, min(3 * page - 1, held.cursor - start))
        return WindowWanted(self, start, 3 * page, held.cursor_id, offset)

    # --- scrolling ---------------------------------------------------------------------------------------

    @property
    def _page(self) -> int:
        """Rows in view: the header takes one line."""
        return self.size.height - 1

    def _total_changed(self) -> None:
        # Assigning virtual_size would lay out the screen and repaint the whole table for each new row. No
        # scroll bar of Textual's depends on it here: it is enough to know it and to keep the offset in range.
        self.set_reactive(Widget.virtual_size, Size(self.size.width, self._held.total + 1))
        self._scroll_rows(self.scroll_offset.y)

    def _scroll_rows(self, first: int) -> None:
        first = max(0, min(self._held.total - self._page, first))
        if first != self.scroll_offset.y:
            self.scroll_to(y=first, animate=False, force=True)

    def _is_visible(self, index: int) -> bool:
        return 0 <= index - self.scroll_offset.y < self._page

    def _reveal_cursor(self) -> None:
        first = self.scroll_offset.y
        cursor = self._held.cursor
        if cursor < first:
            self._scroll_rows(cursor)
        elif cursor >= first + self._page:
            self._scroll_rows(cursor - self._page + 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if round(old_value) != round(new_value):
            self._paint()
            self._want()

    # --- painting ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        line = self._painted.get(y)
        if line is None:
            line = self._painted[y] = self._line(y)
        if self._palette is None:
            self._palette = palette_of(self)
        return self._drawing.strip(line, self.size.width, self._palette)

    def _paint(self) -> None:
        """Refresh the cells whose look differs from what is painted."""
        if not self.is_mounted or not self.size:
            return
        width = self.size.width
        regions: list[Region] = []
        for y in range(self.size.height):
            line = self._line(y)
            old = self._painted.get(y)
            if old is not None and old != line:
                spans = changed_spans(old, line, self._drawing.placed, width)
                regions.extend(Region(x, y, span, 1) for x, span in spans)
            elif old is None:
                regions.append(Region(0, y, width, 1))
            self._painted[y] = line
        if regions:
            self.refresh(*regions)

    def _line(self, y: int) -> Line:
        drawing, held, first = self._drawing, self._held, self.scroll_offset.y
        if y == 0:
            return drawing.header()
        index = first + y - 1
        bar = drawing.bar(y - 1, first, self._page, held.total)
        if index >= held.total:
            says = self._empty if held.known else self._waiting
            return drawing.message(says if held.total == 0 and y == 2 else "", bar)
        look = Look.STALE if self._stale else Look.PLAIN
        row = held.row_at(index)
        if row is None:
            return drawing.missing(look | (Look.CURSOR if index == held.cursor else Look.PLAIN), bar)
        row_id = held.row_id(row)
        if index == held.cursor and row_id == held.cursor_id:
            look |= Look.CURSOR | (Look.FOCUSED if self.has_focus else Look.PLAIN)
        if row_id in self._marks:
            look |= Look.MARKED
        return drawing.row(row, row_id, look, bar)

    def _report(self, error: Exception) -> None:
        """Log and tell a drawing bug, once for as long as it stays the same."""
        text = f"{type(error).__name__}: {error}"
        if text != self._draw_error:
            self._draw_error = text
            log.exception("drawing a row of %s failed", self.id or type(self).__name__, exc_info=error)
            self.post_message(DrawFailed(text))

    # --- events ------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self._drawing.lay_out(self.size.width)
        self._painted.clear()
        self._paint()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = None
        self._drawing.forget_styles()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_all())

    def _repaint_all(self) -> None:
        self.notify_style_update()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()
        self._scroll_rows(self.scroll_offset.y)
        self._want()

    def on_focus(self) -> None:
        self._paint()

    def on_blur(self) -> None:
        self._paint()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            if (column := self._drawing.column_at(offset.x)) is not None:
                self.post_message(SortWanted(self, column.name))
            return
        index = self.scroll_offset.y + offset.y - 1
        if index < self._held.total:
            self.hold()
            self.move_to(index)
            if event.chain == 2:
                self.action_open()
