"""The rows a table holds, and the cursor that stays with its row while the order changes. Pure state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.model import Window


class RowWindow:
    """A window of rows ``[start, start + len(rows))`` out of ``total``, and the cursor.

    The cursor is a row id and the index where that row was last seen. ``cursor_id`` is ``None`` while the
    row at ``cursor`` has not arrived.
    """

    def __init__(self, row_id: Callable[[Any], str]) -> None:
        self.row_id = row_id
        self.known = False
        self.start = 0
        self.rows: tuple[Any, ...] = ()
        self.total = 0
        self.cursor = 0
        self.cursor_id: str | None = None

    @property
    def holds_everything(self) -> bool:
        """No row of the view lies outside the window."""
        return self.start == 0 and len(self.rows) >= self.total

    @property
    def cursor_row(self) -> Any | None:
        """The row under the cursor; ``None`` while it has not arrived."""
        row = self.row_at(self.cursor)
        return row if row is not None and self.row_id(row) == self.cursor_id else None

    @property
    def cursor_is_lost(self) -> bool:
        """The cursor's row exists but the window does not hold it."""
        return self.cursor_id is not None and self.cursor_row is None

    def row_at(self, index: int) -> Any | None:
        """The row at ``index`` of the whole view, when the window holds it."""
        offset = index - self.start
        return self.rows[offset] if 0 <= offset < len(self.rows) else None

    def index_of(self, row_id: str) -> int | None:
        """Where the window holds a row; the cursor's place is tried first."""
        here = self.row_at(self.cursor)
        if here is not None and self.row_id(here) == row_id:
            return self.cursor
        for offset, row in enumerate(self.rows):
            if self.row_id(row) == row_id:
                return self.start + offset
        return None

    def covers(self, first: int, count: int) -> bool:
        """Whether every existing row of ``[first, first + count)`` is held."""
        return (
            self.known
            and self.start <= max(0, first)
            and self.start + len(self.rows) >= min(self.total, first + count)
        )

    def move_to(self, index: int) -> bool:
        """Put the cursor on ``index``; ``False`` when it was there already."""
        index = self._clamp(index)
        row = self.row_at(index)
        row_id = None if row is None else self.row_id(row)
        if (index, row_id) == (self.cursor, self.cursor_id):
            return False
        self.cursor, self.cursor_id = index, row_id
        return True

    def replace(self, window: Window, resting: bool = False) -> bool:
        """Take a new window; ``True`` when the cursor is on another row now.

        A ``resting`` cursor is nobody's choice: it stays at the top, whichever row is there.
        The cursor goes where its row went. When the row is not in the window, ``window.followed`` tells
        where it is, if the window was made to ``follow`` that row and not an earlier one. Only a row that is
        known to be gone gives the cursor to the row that took its place.
        """
        self.known = True
        self.start, self.rows, self.total = window.start, window.rows, window.total
        if resting:
            return self.move_to(0)
        if self.cursor_id is not None:
            index = self.index_of(self.cursor_id)
            gone = index is None and self.holds_everything
            if index is None and window.follow == self.cursor_id:
                index = window.followed
                gone = index is None
            if index is not None:
                self.cursor = index
            if not gone:
                return False
        self.cursor_id = None
        return self.move_to(self.cursor) and self.cursor_id is not None

    def _clamp(self, index: int) -> int:
        return max(0, min(self.total - 1, index))
