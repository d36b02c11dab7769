"""Windows on the work table: a few rows out of a million, in any order, through any filter.

Without a filter, and in an order that an index holds, a window costs a few index steps. Otherwise the ids
of all matching rows are put in order once and kept for ten times as long as that took (at most while
nothing changed), so an expensive view takes a tenth of a core at worst; the rows themselves are always read
fresh.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter, OrderedDict
from collections.abc import Mapping

from msgspec import Struct

from backends.clock import Clock
from backends.coordination import statements
from backends.coordination.errors import Invalid
from backends.coordination.filtering import compile_text
from backends.coordination.journal import item_of
from backends.fields import FIELDS
from backends.model import View, Window, WorkItem, WorkState

_KEPT_ORDERS = 8
_REST = 10  # times its cost that a computed order is kept

_INDEXED: Mapping[str, tuple[str, ...]] = {
    "": ("shelf", "rank", "num"),
    "state": ("shelf", "rank", "num"),
    "age": ("num",),  # items are numbered as they are added
    "id": ("id",),
    "priority": ("priority", "num"),
    "type": ("kind", "num"),
}
"""Orders by field that an index holds. Most urgent first: dead (newest first), leased (longest held first),
ready (as claims take them), blocked, scheduled (next first), cancelled, succeeded (newest first)."""


class _Order(Struct):
    """All matching items of a view, in order."""

    numbers: array[int]
    counts: dict[str, int]
    data_version: int
    made_at: int  # monotonic ms
    observed_at: int
    cost_ms: int


class WorkWindows:
    """Remembers the orders of the views asked for last. Lives on one reader thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: OrderedDict[tuple[str, str, bool], _Order] = OrderedDict()

    def window(self, sql: sqlite3.Connection, view: View) -> Window:
        """A window whose order no index holds. Raises FilterError for a filter that cannot be read."""
        order = self._order(sql, view)
        total = len(order.numbers)
        followed = _index_of(sql, order.numbers, view.follow)
        start = clamped_start(view, followed, total)
        rows = _rows(sql, order.numbers[start : start + view.count])
        return Window(
            "work", start, rows, total, counts=order.counts, followed=followed, observed_at=order.observed_at
        )

    def _order(self, sql: sqlite3.Connection, view: View) -> _Order:
        key = (view.filter, view.sort, view.descending)
        version: int = sql.execute("PRAGMA data_version").fetchone()[0]
        began = self._clock.monotonic_ms()
        kept = self._orders.get(key)
        if kept is not None and (
            (kept.data_version == version and not _depends_on_time(view.filter))
            or began - kept.made_at < kept.cost_ms * _REST
        ):
            self._orders.move_to_end(key)
            return kept
        now = self._clock.now_ms()
        numbers, counts = _matching(sql, view, now)
        ended = self._clock.monotonic_ms()
        order = _Order(numbers, counts, version, ended, now, ended - began)
        self._orders[key] = order
        self._orders.move_to_end(key)
        if len(self._orders) > _KEPT_ORDERS:
            self._orders.popitem(last=False)
        return order


def has_index(view: View) -> bool:
    """Whether :func:`indexed_window` can serve this view."""
    return not view.filter.strip() and view.sort in _INDEXED


def check_view(view: View) -> None:
    """Raise :class:`Invalid` for a view of another table or by a field there is not."""
    if view.table != "work":
        raise Invalid(f"the store keeps the table 'work', not '{view.table}'")
    if view.sort and view.sort not in FIELDS["work"]:
        raise Invalid(f"work has no field '{view.sort}' to sort by; known: {' '.join(FIELDS['work'])}")


def indexed_window(
    sql: sqlite3.Connection, view: View, counts: Mapping[WorkState, int], now_ms: int
) -> Window:
    """A window straight from an index. ``counts`` are of the whole table."""
    columns = _INDEXED[view.sort]
    total = sum(counts.values())
    followed = _position(sql, columns, view) if view.follow else None
    start = clamped_start(view, followed, total)
    by_state = {state.value: n for state, n in counts.items() if n}
    rows = _rows(sql, _page(sql, columns, view.descending, start, view.count, total))
    return Window(
        "work", start, rows, total, counts=by_state, table_total=total, followed=followed, observed_at=now_ms
    )


def _page(
    sql: sqlite3.Connection, columns: tuple[str, ...], descending: bool, start: int, count: int, total: int
) -> list[int]:
    count = min(count, total - start)
    if count <= 0:
        return []
    from_the_end = total - start - count
    if from_the_end < start:
        found = sql.execute(page_query(columns, not descending), (count, from_the_end)).fetchall()
        found.reverse()
    else:
        found = sql.execute(page_query(columns, descending), (count, start)).fetchall()
    return [num for (num,) in found]


def page_query(columns: tuple[str, ...], descending: bool) -> str:
    direction = " DESC" if descending else ""
    return f"SELECT num FROM item ORDER BY {', '.join(c + direction for c in columns)} LIMIT ? OFFSET ?"


def position_query(columns: tuple[str, ...], descending: bool) -> str:
    """How many items stand before the one with these column values."""
    places = ", ".join("?" * len(columns))
    return f"SELECT count(*) FROM item WHERE ({', '.join(columns)}) {'>' if descending else '<'} ({places})"


def _position(sql: sqlite3.Connection, columns: tuple[str, ...], view: View) -> int | None:
    place = sql.execute(f"SELECT {', '.join(columns)} FROM item WHERE id = ?", (view.follow,)).fetchone()
    if place is None:
        return None
    position: int = sql.execute(position_query(columns, view.descending), place).fetchone()[0]
    return position


def clamped_start(view: View, followed: int | None, total: int) -> int:
    """Where the window starts: at the followed row less its offset, and never past the last full page."""
    start = view.start if followed is None else followed - view.follow_offset
    return max(0, min(start, total - view.count))


def _rows(sql: sqlite3.Connection, numbers: list[int] | array[int]) -> tuple[WorkItem, ...]:
    found = (sql.execute(statements.ITEM_BY_NUM, (num,)).fetchone() for num in numbers)
    return tuple(item_of(row) for row in found if row is not None)


def _index_of(sql: sqlite3.Connection, numbers: array[int], item_id: str | None) -> int | None:
    row = sql.execute("SELECT num FROM item WHERE id = ?", (item_id,)).fetchone() if item_id else None
    if row is None:
        return None
    try:
        return numbers.index(row[0])
    except ValueError:
        return None


def _matching(sql: sqlite3.Connection, view: View, now_ms: int) -> tuple[array[int], dict[str, int]]:
    condition, params = compile_text("work", view.filter, now_ms)
    where = f" WHERE {condition}" if condition else ""
    found = sql.execute(f"SELECT num, state FROM item{where} ORDER BY {_order_by(view)}", params)
    numbers: array[int] = array("q")
    counts: Counter[str] = Counter()
    while batch := found.fetchmany(10_000):
        nums, states = zip(*batch, strict=True)
        numbers.extend(nums)
        counts.update(states)
    return numbers, dict(counts)


def _order_by(view: View) -> str:
    direction = " DESC" if view.descending else ""
    if view.sort in _INDEXED:
        return ", ".join(column + direction for column in _INDEXED[view.sort])
    column = FIELDS["work"][view.sort].attribute
    return f"{column} IS NULL, {column}{direction}, num{direction}"  # unknown is last, either way


def _depends_on_time(text: str) -> bool:
    return any(sign in text for sign in "<>=:")
