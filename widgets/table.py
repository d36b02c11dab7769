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
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from backends.model import Window
from widgets.columns import Cell, Column, Now, Placed, place
from widgets.palette import Palette, palette_of
from widgets.table_lines import (
    ASCII,
    UNICODE,
    Line,
    Look,
    changed_spans,
    header_title,
    strip_of,
    thumb_lines,
)

__all__ = ["Cell", "Column", "LiveTable", "Now"]

log = logging.getLogger(__name__)

_FAILED_CELL = Cell("!", "crit")


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

    class WindowWanted(Message):
        """The table needs these rows; ``follow`` should stay at ``start + follow_offset`` (see ``View``)."""

        def __init__(
            self, table: LiveTable, start: int, count: int, follow: str | None = None, follow_offset: int = 0
        ) -> None:
            super().__init__()
            self.table = table
            self.start = start
            self.count = count
            self.follow = follow
            self.follow_offset = follow_offset

        @property
        def control(self) -> LiveTable:
            return self.table

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LiveTable.WindowWanted) and message.table is self.table

        def wants_same(self, other: LiveTable.WindowWanted) -> bool:
            """Whether both ask for the same rows."""
            return (self.start, self.count, self.follow, self.follow_offset) == (
                other.start,
                other.count,
                other.follow,
                other.follow_offset,
            )

    class RowMessage(Message):
        """Something about one row."""

        def __init__(self, table: LiveTable, row_id: str, row: Any) -> None:
            super().__init__()
            self.table = table
            self.row_id = row_id
            self.row = row

        @property
        def control(self) -> LiveTable:
            return self.table

    class CursorMoved(RowMessage):
        """The cursor is on another row now."""

    class Opened(RowMessage):
        """Enter, or a double click."""

    class MarksChanged(Message):
        """The set of marked rows changed."""

        def __init__(self, table: LiveTable, marks: frozenset[str]) -> None:
            super().__init__()
            self.table = table
            self.marks = marks

        @property
        def control(self) -> LiveTable:
            return self.table

    class SortWanted(Message):
        """The title of a column was clicked."""

        def __init__(self, table: LiveTable, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> LiveTable:
            return self.table

    class DrawFailed(Message):
        """A column's ``draw`` raised: a bug. The row shows ``!``, the app lives on."""

        def __init__(self, table: LiveTable, error: str) -> None:
            super().__init__()
            self.table = table
            self.error = error

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "nothing here",
        waiting: str = "waiting for the first reading",
        ascii_only: bool = False,
        row_id: Callable[[Any], str] = attrgetter("id"),
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._empty = empty
        self._waiting = waiting
        self._row_id = row_id
        self._now = Now(0, ascii_only)
        self._glyphs = ASCII if ascii_only else UNICODE
        self._stale = False
        self._sort: tuple[str, bool] = ("", False)
        self._skip = 0
        # The window.
        self._known = False
        self._start = 0
        self._rows: tuple[Any, ...] = ()
        self._total = 0
        # The cursor and marks, by row id.
        self._cursor = 0
        self._cursor_id: str | None = None
        self._marks: set[str] = set()
        self._asked: LiveTable.WindowWanted | None = None
        self._asking = False
        self._follow_timer: Timer | None = None
        # What is painted.
        self._placed: tuple[Placed, ...] = ()
        self._painted: dict[int, Line] = {}
        self._drawn: LRUCache[str, tuple[Any, Now, tuple[Cell, ...]]] = LRUCache(1024)
        self._strips: LRUCache[Line, Strip] = LRUCache(1024)
        self._palette: Palette | None = None
        self._draw_error = ""

    # --- what is pushed in ---------------------------------------------------------------------------

    def show(self, window: Window) -> None:
        """Replace the window. Only cells that look different are repainted."""
        self._known = True
        self._start, self._rows = window.start, window.rows
        before = self._cursor
        was_visible = self._is_visible(before)
        at_top = self.scroll_offset.y == 0
        self._set_total(window.total)
        self._place_cursor(window)
        if was_visible:
            shift = 0 if at_top else self._cursor - before
            self._scroll_rows(self.scroll_offset.y + shift)
            self._reveal_cursor()
        self._paint()
        self._want()

    def set_now(self, ms: int) -> None:
        """Tell the time (ms since the epoch). Ages that read the same are not repainted."""
        self._now = self._now._replace(ms=ms)
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
        if (column, descending) != self._sort:
            self._sort = (column, descending)
            self._paint()

    # --- what can be asked ---------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, shown or not."""
        return self._columns

    @property
    def visible_columns(self) -> tuple[Column, ...]:
        """The columns that fit now."""
        return tuple(placed.column for placed in self._placed)

    @property
    def total(self) -> int:
        """Rows that match the view."""
        return self._total

    @property
    def cursor_index(self) -> int:
        """Position of the cursor in the order of the view."""
        return self._cursor

    @property
    def cursor_id(self) -> str | None:
        """Id of the row under the cursor; ``None`` while it has not arrived."""
        return self._cursor_id

    @property
    def cursor_row(self) -> Any | None:
        """The row under the cursor; ``None`` while it has not arrived."""
        row = self._row_at(self._cursor)
        return row if row is not None and self._row_id(row) == self._cursor_id else None

    @property
    def marks(self) -> frozenset[str]:
        """Ids of the marked rows, in view or not."""
        return frozenset(self._marks)

    @property
    def wanted(self) -> LiveTable.WindowWanted | None:
        """What was asked for last: what a subscription made anew should ask for."""
        return self._asked

    # --- marks -----------------------------------------------------------------------------------------

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or unmark it, and step down."""
        if (row := self.cursor_row) is None:
            return
        self._marks.symmetric_difference_update({self._row_id(row)})
        self._marks_changed()
        self.action_move(1)

    def mark_all(self) -> bool:
        """Mark every row of the window; ``False`` when the view has more rows than the window holds."""
        self._marks.update(self._row_id(row) for row in self._rows)
        self._marks_changed()
        return len(self._rows) >= self._total

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
        self.post_message(self.MarksChanged(self, self.marks))

    # --- movement --------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        self.move_to(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        step = pages * max(1, self._page - 1)
        self._scroll_rows(self.scroll_offset.y + step)
        self.move_to(self._cursor + step)

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(self._total - 1)

    def action_open(self) -> None:
        if (row := self.cursor_row) is not None:
            self.post_message(self.Opened(self, self._row_id(row), row))

    def action_more_columns(self, step: int) -> None:
        """Bring columns that did not fit into reach."""
        droppable = sum(column.priority > 0 for column in self._columns)
        hidden = len(self._placed) < len(self._columns) - self._skip
        skip = max(0, min(droppable - 1, self._skip + step)) if step < 0 or hidden else self._skip
        if skip != self._skip:
            self._skip = skip
            self._relayout()

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at ``index``: painted at once in the window, else when the row comes."""
        index = max(0, min(self._total - 1, index))
        row = self._row_at(index)
        row_id = None if row is None else self._row_id(row)
        moved = (index, row_id) != (self._cursor, self._cursor_id)
        self._cursor, self._cursor_id = index, row_id
        self._reveal_cursor()
        self._paint()
        self._want()
        if moved and row_id is not None:
            self.post_message(self.CursorMoved(self, row_id, row))

    # --- the cursor follows its row ----------------------------------------------------------------------

    def _place_cursor(self, window: Window) -> None:
        """Find where the cursor's row is now; when it is gone, take the row in its place."""
        wanted = self._cursor_id
        if wanted is not None:
            index = self._index_of(wanted)
            if index is None and self._asked is not None and self._asked.follow == wanted:
                index = window.followed
                if index is None:
                    wanted = None
            elif index is None and self._holds_everything():
                wanted = None
            if index is not None:
                self._cursor = index
        if wanted is None:
            self._cursor = max(0, min(self._total - 1, self._cursor))
            row = self._row_at(self._cursor)
            self._cursor_id = None if row is None else self._row_id(row)
            if row is not None and self._cursor_id is not None:
                self.post_message(self.CursorMoved(self, self._cursor_id, row))

    def _index_of(self, row_id: str) -> int | None:
        here = self._row_at(self._cursor)
        if here is not None and self._row_id(here) == row_id:
            return self._cursor
        for offset, row in enumerate(self._rows):
            if self._row_id(row) == row_id:
                return self._start + offset
        return None

    def _holds_everything(self) -> bool:
        return self._start == 0 and len(self._rows) >= self._total

    def _row_at(self, index: int) -> Any | None:
        offset = index - self._start
        return self._rows[offset] if 0 <= offset < len(self._rows) else None

    # --- asking for rows ---------------------------------------------------------------------------------

    def _want(self) -> None:
        """Ask for rows: at once when some are missing, after a pause when only the row to follow changed."""
        page = self._page
        if page <= 0 or self._asking:
            return
        wanted = self._wanted_now()
        if self._asked is not None and wanted.wants_same(self._asked):
            return
        if not self._covers(page // 2) or self._asked is None or self._asked.count < wanted.count:
            self._asking = True
            self.call_next(self._ask)
        elif wanted.follow != self._asked.follow:
            if self._follow_timer is not None:
                self._follow_timer.stop()
            self._follow_timer = self.set_timer(self.FOLLOW_DELAY_S, self._ask)

    def _ask(self) -> None:
        self._asking = False
        wanted = self._wanted_now()
        if self._asked is None or not wanted.wants_same(self._asked):
            self._asked = wanted
            self.post_message(wanted)

    def _wanted_now(self) -> LiveTable.WindowWanted:
        page = self._page
        first = self.scroll_offset.y
        start = max(0, first - page)
        lost = self._cursor_id is not None and self.cursor_row is None
        follow = self._cursor_id if lost or (first > 0 and self._is_visible(self._cursor)) else None
        offset = self._cursor - start if follow is not None else 0
        return self.WindowWanted(self, start, 3 * page, follow, max(0, min(3 * page - 1, offset)))

    def _covers(self, margin: int) -> bool:
        first = self.scroll_offset.y
        low = max(0, first - margin)
        high = min(self._total, first + self._page + margin)
        return self._known and self._start <= low and self._start + len(self._rows) >= high

    # --- scrolling ---------------------------------------------------------------------------------------

    @property
    def _page(self) -> int:
        """Rows in view: the header takes one line."""
        return self.size.height - 1

    def _set_total(self, total: int) -> None:
        if total == self._total:
            return
        self._total = total
        # Assigning virtual_size would lay out the screen and repaint the whole table for each new row. No
        # scroll bar of Textual's depends on it here: it is enough to know it and to keep the offset in range.
        self.set_reactive(Widget.virtual_size, Size(self.size.width, total + 1))
        self._scroll_rows(self.scroll_offset.y)

    def _scroll_rows(self, first: int) -> None:
        first = max(0, min(self._total - self._page, first))
        if first != self.scroll_offset.y:
            self.scroll_to(y=first, animate=False, force=True)

    def _is_visible(self, index: int) -> bool:
        return 0 <= index - self.scroll_offset.y < self._page

    def _reveal_cursor(self) -> None:
        first = self.scroll_offset.y
        if self._cursor < first:
            self._scroll_rows(self._cursor)
        elif self._cursor >= first + self._page:
            self._scroll_rows(self._cursor - self._page + 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if round(old_value) != round(new_value):
            self._paint()
            self._want()

    # --- painting ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = self._painted.get(y)
        if line is None:
            line = self._painted[y] = self._line(y)
        strip = self._strips.get(line)
        if strip is None:
            if self._palette is None:
                self._palette = palette_of(self.app)
            strip = strip_of(line, self._placed, width, self._palette, self._now.ascii)
            self._strips[line] = strip
        return strip

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
                spans = changed_spans(old, line, self._placed, width)
                regions.extend(Region(x, y, span, 1) for x, span in spans)
            elif old is None:
                regions.append(Region(0, y, width, 1))
            self._painted[y] = line
        if regions:
            self.refresh(*regions)

    def _line(self, y: int) -> Line:
        if y == 0:
            return self._header()
        first = self.scroll_offset.y
        index = first + y - 1
        in_thumb = y - 1 in thumb_lines(first, self._page, self._total)
        bar = Cell(self._glyphs.thumb, "track") if in_thumb else Cell(self._glyphs.rail)
        if index >= self._total:
            return self._nothing(y, bar)
        row = self._row_at(index)
        look = Look.STALE if self._stale else Look.PLAIN
        if row is None:
            missing = Cell(self._glyphs.missing, "dim")
            return Line(look, self._gutter(index == self._cursor, False), (missing,) * len(self._placed), bar)
        row_id = self._row_id(row)
        is_cursor = index == self._cursor and row_id == self._cursor_id
        if is_cursor:
            look |= Look.CURSOR | (Look.FOCUSED if self.has_focus else Look.PLAIN)
        marked = row_id in self._marks
        if marked:
            look |= Look.MARKED
        return Line(look, self._gutter(is_cursor, marked), self._cells(row, row_id), bar)

    def _gutter(self, is_cursor: bool, marked: bool) -> Cell:
        if marked:
            return Cell(self._glyphs.mark, "accent")
        return Cell(self._glyphs.cursor, "accent" if self.has_focus else "track") if is_cursor else Cell(" ")

    def _header(self) -> Line:
        name, descending = self._sort
        arrow = self._glyphs.down if descending else self._glyphs.up
        cells = tuple(
            Cell(
                header_title(
                    placed.column.title,
                    placed.width,
                    placed.column.align,
                    arrow if placed.column.name == name else "",
                    self._now.ascii,
                ),
                "strong" if placed.column.name == name else "title",
            )
            for placed in self._placed
        )
        hidden = len(self._placed) < len(self._columns) - self._skip
        left = Cell(self._glyphs.more_left if self._skip else " ", "dim")
        return Line(Look.PLAIN, left, cells, Cell(self._glyphs.more_right if hidden else " ", "dim"))

    def _nothing(self, y: int, bar: Cell) -> Line:
        text = (self._empty if self._known else self._waiting) if self._total == 0 and y == 2 else ""
        return Line(Look.PLAIN, Cell(" "), (), bar, message=text)

    def _cells(self, row: Any, row_id: str) -> tuple[Cell, ...]:
        """The drawn cells of a row; drawn again only when the row or the time changed."""
        drawn = self._drawn.get(row_id)
        if drawn is not None and drawn[1] == self._now and (drawn[0] is row or drawn[0] == row):
            return drawn[2]
        try:
            cells = tuple(placed.column.draw(row, self._now) for placed in self._placed)
        except Exception as error:
            self._report(error)
            cells = (_FAILED_CELL,) * len(self._placed)
        self._drawn[row_id] = (row, self._now, cells)
        return cells

    def _report(self, error: Exception) -> None:
        """Log and tell a drawing bug, once for as long as it stays the same."""
        text = f"{type(error).__name__}: {error}"
        if text != self._draw_error:
            self._draw_error = text
            log.exception("drawing a row of %s failed", self.id or type(self).__name__, exc_info=error)
            self.post_message(self.DrawFailed(self, text))

    # --- events ------------------------------------------------------------------------------------------

    def _relayout(self) -> None:
        width = max(0, self.size.width - 2)  # the gutter and the scroll bar
        self._placed = place(self._columns, width, gap=2 if width >= 120 else 1, skip=self._skip)
        self._drawn.clear()
        self._strips.clear()
        self._painted.clear()
        self._paint()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = None
        self._strips.clear()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_all())

    def _repaint_all(self) -> None:
        self.notify_style_update()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self._relayout()
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
            for placed in self._placed:
                if placed.x + 1 <= offset.x < placed.x + 1 + placed.width:
                    self.post_message(self.SortWanted(self, placed.column.name))
            return
        index = self.scroll_offset.y + offset.y - 1
        if index < self._total:
            self.move_to(index)
            if event.chain == 2:
                self.action_open()
