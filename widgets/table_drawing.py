"""How a table looks: its columns placed in a width, its rows drawn into lines, its lines into strips.

Keeps what is dear to make again: the cells of a row until the row or the time changes, and styled strips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.cache import LRUCache
from textual.strip import Strip

from widgets.columns import Cell, Column, Now, Placed, place
from widgets.palette import Palette
from widgets.table_lines import ASCII, UNICODE, Line, Look, header_title, strip_of, thumb_lines

_FAILED = Cell("!", "crit")
_WIDE = 120  # from this width on, columns stand two cells apart


class TableDrawing:
    """The columns of one table and everything drawn from them.

    ``failed`` is told of an exception that a column's ``draw`` raised; that row shows ``!`` in every cell.
    """

    def __init__(
        self, columns: Sequence[Column], ascii_only: bool, failed: Callable[[Exception], None]
    ) -> None:
        self.columns = tuple(columns)
        self.now = Now(0, ascii_only)
        self.glyphs = ASCII if ascii_only else UNICODE
        self.sort: tuple[str, bool] = ("", False)
        self.placed: tuple[Placed, ...] = ()
        self.skipped = 0
        self.hidden: frozenset[str] = frozenset()  # names of columns that would say nothing
        self._failed = failed
        self._cells: LRUCache[str, tuple[Any, Now, tuple[Cell, ...]]] = LRUCache(1024)
        self._strips: LRUCache[Line, Strip] = LRUCache(1024)

    @property
    def hides_columns(self) -> bool:
        """Columns lie beyond the right edge."""
        return len(self.placed) < len(self._shown) - self.skipped

    @property
    def _shown(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.name not in self.hidden)

    def lay_out(self, width: int) -> None:
        """Place the columns in a table ``width`` cells wide, gutter and scroll bar included."""
        self.placed = place(self._shown, max(0, width - 2), gap=2 if width >= _WIDE else 1, skip=self.skipped)
        self._cells.clear()
        self._strips.clear()

    def forget_styles(self) -> None:
        """The theme changed."""
        self._strips.clear()

    def column_at(self, x: int) -> Column | None:
        """The column drawn at cell ``x`` of the table."""
        for placed in self.placed:
            if placed.x + 1 <= x < placed.x + 1 + placed.width:
                return placed.column
        return None

    def header(self) -> Line:
        """Titles, the sort arrow, and marks where columns are hidden."""
        name, descending = self.sort
        arrow = self.glyphs.down if descending else self.glyphs.up
        cells = []
        for column, _, width in self.placed:
            is_sorted = column.name == name
            title = header_title(
                column.title, width, column.align, arrow if is_sorted else "", self.now.ascii
            )
            cells.append(Cell(title, "strong" if is_sorted else "title"))
        left = Cell(self.glyphs.more_left if self.skipped else " ", "dim")
        right = Cell(self.glyphs.more_right if self.hides_columns else " ", "dim")
        return Line(Look.PLAIN, left, tuple(cells), right)

    def bar(self, y: int, first: int, page: int, total: int) -> Cell:
        """The scroll bar's cell at line ``y`` of the rows."""
        if y in thumb_lines(first, page, total):
            return Cell(self.glyphs.thumb, "track")
        return Cell(self.glyphs.rail)

    def row(self, row: Any, row_id: str, look: Look, bar: Cell) -> Line:
        """One row as a line."""
        return Line(look, self._gutter(look), self._cells_of(row, row_id), bar)

    def missing(self, look: Look, bar: Cell) -> Line:
        """A row that exists but has not arrived: never drawn as empty."""
        return Line(look, self._gutter(look), (Cell(self.glyphs.missing, "dim"),) * len(self.placed), bar)

    def message(self, text: str, bar: Cell) -> Line:
        """A sentence instead of a row; no text is a blank line."""
        return Line(Look.PLAIN, Cell(" "), (), bar, message=text)

    def strip(self, line: Line, width: int, palette: Palette) -> Strip:
        """The styled line."""
        strip = self._strips.get(line)
        if strip is None:
            strip = self._strips[line] = strip_of(line, self.placed, width, palette, self.now.ascii)
        return strip

    def _gutter(self, look: Look) -> Cell:
        if look & Look.MARKED:
            return Cell(self.glyphs.mark, "accent")
        if look & Look.CURSOR:
            return Cell(self.glyphs.cursor, "accent" if look & Look.FOCUSED else "track")
        return Cell(" ")

    def _cells_of(self, row: Any, row_id: str) -> tuple[Cell, ...]:
        known = self._cells.get(row_id)
        if known is not None and known[1] == self.now and (known[0] is row or known[0] == row):
            return known[2]
        try:
            cells = tuple(placed.column.draw(row, self.now) for placed in self.placed)
        except Exception as error:
            self._failed(error)
            cells = (_FAILED,) * len(self.placed)
        self._cells[row_id] = (row, self.now, cells)
        return cells
