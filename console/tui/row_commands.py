"""What keys do to the rows of the focused table: filter, order, marks, copies, completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backends.fields import FIELDS
from console.tui.floor import PANE_OF
from console.tui.looking import filter_problem, next_sort
from widgets.filter_bar import Completion
from widgets.lines import LineView
from widgets.table import LiveTable

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp

#: Terminals ignore or cut a longer OSC 52.
MAX_COPY = 64 * 1024


class RowCommands:
    """Acts on the table in focus; says so where there is none."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app

    def on_table(self, do: Callable[[LiveTable], object]) -> None:
        """Do something with the table in focus."""
        table = self._app.targets.table
        if table is None:
            self._app.say("there are no rows here")
        else:
            do(table)

    # --- marks -------------------------------------------------------------------------------------------

    def mark(self) -> None:
        self.on_table(LiveTable.toggle_mark)

    def mark_all(self) -> None:
        self.on_table(self._mark_all)

    def clear_marks(self) -> None:
        self.on_table(LiveTable.clear_marks)

    def _mark_all(self, table: LiveTable) -> None:
        if not table.mark_all():
            self._app.say(
                f"marked the {len(table.marks)} rows at hand of {table.total}; filter to narrow down"
            )

    # --- filter ------------------------------------------------------------------------------------------

    def filter(self, text: str | None) -> None:
        """Open the ``/`` line, or filter by ``text`` at once."""
        self.on_table(lambda table: self._filter(table, text))

    def _filter(self, table: LiveTable, text: str | None) -> None:
        if text is None:
            self._app.filter_bar.open(self._app.lookers.view_of(table).filter)
        elif problem := filter_problem(table.view, text):
            self._app.say(problem, "warning")
        else:
            self._app.lookers.filter(table, text)

    def show_filtered(self, table_name: str, text: str) -> None:
        """Go to the pane of a table and show what a counter counted; again shows everything."""
        floor = self._app.floor
        floor.focus_pane(PANE_OF[table_name])
        if table_name == "hosts":
            return
        table = floor.table_of(table_name)
        if table.display:
            table.focus()
        same = self._app.lookers.view_of(table).filter == text
        self._app.lookers.filter(table, "" if same else text)

    def complete_filter(self, text: str, cursor: int) -> list[Completion]:
        """Field names of the table in focus."""
        table = self._app.targets.table
        start = text.rfind(" ", 0, cursor) + 1
        word = text[start:cursor].removeprefix("!")
        if table is None or not word or not word.isalpha():
            return []
        begin = cursor - len(word)
        return [
            Completion(f"{name}:", str(field.kind.value), begin)
            for name, field in FIELDS[table.view].items()
            if name.startswith(word)
        ]

    # --- order -------------------------------------------------------------------------------------------

    def sort(self, field: str | None) -> None:
        """Order by ``field``, "-field" for descending; by the next column without one."""
        self.on_table(lambda table: self._sort(table, field))

    def _sort(self, table: LiveTable, field: str | None) -> None:
        if field is not None and field.removeprefix("-") not in ("", *FIELDS[table.view]):
            self._app.say(f"no field '{field}'; known: {' '.join(FIELDS[table.view])}", "warning")
            return
        wanted = next_sort(table, self._app.lookers.view_of(table).sort) if field is None else field
        self._set_sort(table, wanted.removeprefix("-"), wanted.startswith("-"))

    def reverse(self) -> None:
        self.on_table(self._reverse)

    def _reverse(self, table: LiveTable) -> None:
        view = self._app.lookers.view_of(table)
        if not view.sort:
            sort = self._app.key_of("sort")
            self._app.say(f"the table's own order has no reverse; sort by a column first ({sort})")
            return
        self._set_sort(table, view.sort, not view.descending)

    def sort_by(self, table: LiveTable, column: str) -> None:
        """A column's title was clicked."""
        if column in FIELDS[table.view]:
            view = self._app.lookers.view_of(table)
            self._set_sort(table, column, view.sort == column and not view.descending)

    def _set_sort(self, table: LiveTable, field: str, descending: bool) -> None:
        self._app.lookers.sort(table, field, descending)
        self._app.keep_choice(f"console.sort.{table.view}", f"{'-' if descending else ''}{field}")

    def sort_fields(self) -> Sequence[str]:
        """What the table in focus can be sorted by."""
        table = self._app.targets.table
        return tuple(FIELDS[table.view]) if table is not None else ()

    # --- copies ------------------------------------------------------------------------------------------

    def copy(self, *, as_json: bool) -> None:
        """The marked rows, or the one under the cursor; the page where there are no rows."""
        table = self._app.targets.table
        focused = self._app.focused
        if table is None and isinstance(focused, LineView):
            self._to_clipboard("\n".join("".join(cell.text for cell in line) for line in focused.lines))
            return
        rows = _rows_meant(table) if table is not None else []
        if table is None or not rows:
            self._app.say("no row to copy")
            return
        self._to_clipboard("\n".join(_json_of(row) if as_json else table.text_of(row) for row in rows))

    def _to_clipboard(self, text: str) -> None:
        self._app.copy_to_clipboard(text[:MAX_COPY])
        cut = f", the first {MAX_COPY // 1024} KiB" if len(text) > MAX_COPY else ""
        self._app.say(f"copied {len(text[:MAX_COPY])} characters{cut}")

    def row_ids(self, table_name: str, prefix: str) -> list[str]:
        """Ids of the rows at hand, for completion."""
        ids = [
            row.id
            for table in self._app.floor.query(LiveTable)
            if table_name in ("any", table.view)
            for row in table.rows
        ]
        return [id_ for id_ in dict.fromkeys(ids) if id_.startswith(prefix)]


def _rows_meant(table: LiveTable) -> list[Any]:
    marked = [row for row in table.rows if row.id in table.marks]
    return marked or ([table.cursor_row] if table.cursor_row is not None else [])


def _json_of(row: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(row), indent=2).decode()
