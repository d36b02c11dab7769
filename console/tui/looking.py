"""What each pane looks at: its views, their filters and orders, kept through re-attachment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from backends.fields import FIELDS, Kind
from backends.filter import FilterError, parse_filter
from backends.model import View, Window
from console.tui.link import Link
from widgets.pane import Pane
from widgets.table import LiveTable
from widgets.table_messages import DrawFailed, WindowWanted

log = logging.getLogger(__name__)

Show = Callable[[Window], None]


@dataclass
class Looker:
    """One table of one pane, and the view behind it."""

    pane: Pane
    table: LiveTable
    show: Show
    view: View
    is_main: bool  # its filter and order are what the pane's border says
    empty: str  # what the table says when there is nothing and no filter hides anything
    subscription: int | None = None
    held_back: Window | None = field(default=None, repr=False)  # newest, while painting is frozen


class Lookers:
    """All views of the console."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._by_table: dict[LiveTable, Looker] = {}
        self._frozen = False

    def add(self, pane: Pane, table: LiveTable, show: Show, sort: str = "", is_main: bool = True) -> None:
        """Look at ``table``'s rows from now on."""
        view = View(table.view, sort=sort.removeprefix("-"), descending=sort.startswith("-"), count=50)
        looker = Looker(pane, table, show, view, is_main, table.empty)
        self._by_table[table] = looker
        looker.subscription = self._link.subscribe(view, lambda window: self._arrived(looker, window))
        self._say(looker)

    def view_of(self, table: LiveTable) -> View:
        """How ``table`` is looked at now."""
        looker = self._by_table.get(table)
        return looker.view if looker is not None else View(table.view)

    def wanted(self, event: WindowWanted) -> None:
        """A table needs other rows."""
        self._change(
            event.table,
            start=event.start,
            count=event.count,
            follow=event.follow,
            follow_offset=event.follow_offset,
        )

    def filter(self, table: LiveTable, text: str) -> None:
        """Show only what matches."""
        self._change(table, filter=text, start=0, follow=None, follow_offset=0)
        table.rest()

    def sort(self, table: LiveTable, field_name: str, descending: bool) -> None:
        """Order by a field; "" is the table's own order."""
        self._change(table, sort=field_name, descending=descending, start=0, follow=None, follow_offset=0)
        table.rest()

    def freeze(self, frozen: bool) -> None:
        """Hold back what arrives, or show it."""
        self._frozen = frozen
        if not frozen:
            for looker in self._by_table.values():
                if looker.held_back is not None:
                    self._show(looker, looker.held_back)
                    looker.held_back = None

    def _arrived(self, looker: Looker, window: Window) -> None:
        if self._frozen:
            looker.held_back = window
        else:
            self._show(looker, window)

    def _show(self, looker: Looker, window: Window) -> None:
        """A pane that cannot show its rows says so; the others live on."""
        try:
            looker.show(window)
        except Exception as error:
            log.exception("showing rows of %s failed", window.table)
            looker.pane.post_message(DrawFailed(f"{type(error).__name__}: {error}"))

    def _change(self, table: LiveTable, **changes: object) -> None:
        looker = self._by_table.get(table)
        if looker is None or looker.subscription is None:
            return
        looker.view = replace(looker.view, **changes)
        self._link.change(looker.subscription, looker.view)
        self._say(looker)

    def _say(self, looker: Looker) -> None:
        view = looker.view
        looker.table.set_sort(view.sort, view.descending)
        looker.table.set_empty(
            f"nothing matches {view.filter} (esc clears the filter)" if view.filter else looker.empty
        )
        if looker.is_main:
            looker.pane.set_view(view.filter, view.sort, view.descending)


def filter_problem(table: str, text: str) -> str:
    """Why the filter cannot be used; "" when it can."""
    try:
        parse_filter(table, text)
    except FilterError as error:
        return str(error)
    return ""


def next_sort(table: LiveTable, current: str) -> str:
    """The field of the column after ``current`` that can be sorted, as in ``sort``: "-field" where the
    greatest comes first, as it does for figures; "" is the table's own order.
    """
    fields = FIELDS[table.view]
    names = ["", *(column.name for column in table.visible_columns if column.title and column.name in fields)]
    position = names.index(current) if current in names else 0
    name = names[(position + 1) % len(names)]
    return f"-{name}" if name and fields[name].kind is not Kind.TEXT else name
