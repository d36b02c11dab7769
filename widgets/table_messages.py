"""What a table tells: handled as ``on_live_table_...``, or with ``@on(LiveTable....)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from widgets.table import LiveTable


class TableMessage(Message):
    """Says which table it comes from."""

    def __init__(self, table: LiveTable) -> None:
        super().__init__()
        self.table = table

    @property
    def control(self) -> LiveTable:
        return self.table


class WindowWanted(TableMessage, namespace="live_table"):
    """The table needs these rows; ``follow`` should stay at ``start + follow_offset`` (see ``View``)."""

    def __init__(
        self, table: LiveTable, start: int, count: int, follow: str | None = None, follow_offset: int = 0
    ) -> None:
        super().__init__(table)
        self.start = start
        self.count = count
        self.follow = follow
        self.follow_offset = follow_offset

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, WindowWanted) and message.table is self.table

    def asks_as(self, other: WindowWanted | None) -> bool:
        """Whether both ask for the same rows."""
        return other is not None and (self.start, self.count, self.follow, self.follow_offset) == (
            other.start,
            other.count,
            other.follow,
            other.follow_offset,
        )


class CursorMoved(TableMessage, namespace="live_table"):
    """The cursor is on another row now."""

    def __init__(self, table: LiveTable, row_id: str, row: Any) -> None:
        super().__init__(table)
        self.row_id = row_id
        self.row = row


class Opened(TableMessage, namespace="live_table"):
    """Enter, or a double click."""

    def __init__(self, table: LiveTable, row_id: str, row: Any) -> None:
        super().__init__(table)
        self.row_id = row_id
        self.row = row


class MarksChanged(TableMessage, namespace="live_table"):
    """The set of marked rows changed."""

    def __init__(self, table: LiveTable, marks: frozenset[str]) -> None:
        super().__init__(table)
        self.marks = marks


class SortWanted(TableMessage, namespace="live_table"):
    """The title of a column was clicked."""

    def __init__(self, table: LiveTable, column: str) -> None:
        super().__init__(table)
        self.column = column


class DrawFailed(Message):
    """A function that draws data raised: a bug. What it draws shows ``!``; the app lives on."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self.error = error
