"""A table's rows kept in one order, for views that look through a window at them.

The order changes by the rows that changed: with 100,000 rows, one changed row costs two binary searches, not
a sort. What is counted are the rows in the order, so totals always agree with what is shown.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from functools import total_ordering
from typing import Any

from backends.clock import Clock
from backends.fields import FIELDS, Kind
from backends.filter import FilterError, matcher, parse_filter
from backends.model import Agent, Finding, Reach, Severity, Window
from backends.picture import Table
from console.watch.tally import Tally

#: Above this share of changed rows a fresh sort is cheaper than single moves.
RESORT_SHARE = 8
#: Processes are busy by steps of this share of a core.
BUSY_STEP_PCT = 5.0
#: A filter on ages is evaluated again this often.
AGE_FILTER_PERIOD_MS = 2_000


@total_ordering
class Reversed:
    """Turns the order of one text round."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and self.text == other.text

    def __lt__(self, other: Reversed) -> bool:
        return other.text < self.text


_SEVERITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def _natural(table: str) -> Callable[[Any], tuple[Any, ...]]:
    """The table's own order: most urgent first, then by name."""
    if table == "agents":
        return lambda row: (-row.urgency, row.team, row.name, row.id)
    if table == "findings":
        return lambda row: (_SEVERITY[row.severity], row.since_at or 0, row.id)
    if table == "gpus":
        return lambda row: (row.host, row.index, row.id)
    if table == "processes":
        # busy ones first, in steps: what idles at 0-5 % of a core must not change places every second
        return lambda row: (-((row.cpu_pct or 0.0) // BUSY_STEP_PCT), -(row.rss_bytes or 0), row.id)
    if table == "worktrees":
        return lambda row: (
            not (row.error or row.conflicted),
            not (row.ahead and row.behind),
            not (row.dirty or row.staged),
            row.repository,
            row.linked,
            row.name,
            row.id,
        )
    if table == "copies":
        return lambda row: (-row.repositories, -len(row.paths), row.name, row.id)
    return lambda row: (row.id,)


def sort_key(table: str, sort: str, descending: bool) -> Callable[[Any], tuple[Any, ...]]:
    """Rows' sort key. Unknown values come last in both directions. Raises ``KeyError`` on a bad field."""
    if not sort:
        return _natural(table)
    field = FIELDS[table][sort]
    get = field.get
    if field.kind in (Kind.AGE,):
        descending = not descending  # the greater age is the smaller instant

    def key(row: Any) -> tuple[Any, ...]:
        value = get(row)
        if value is None or value == "":
            return (1, 0, row.id)
        if isinstance(value, str):
            text = str(value).casefold()
            return (0, Reversed(text) if descending else text, row.id)
        return (0, -value if descending else value, row.id)

    return key


def counted(table: str) -> Callable[[Any], str] | None:
    """The word under which a row is counted, for tables whose states are counted."""
    if table == "agents":
        return agent_word
    if table == "work":
        return lambda row: str(row.state.value)
    if table == "hosts":
        return lambda row: str(row.reach.value)
    if table == "findings":
        return _finding_word
    if table == "gpus":
        return lambda row: str(row.status)
    return None


def agent_word(agent: Agent) -> str:
    """How an agent is counted: by activity, or by reach when it cannot be heard."""
    if agent.reach is Reach.UNREACHABLE:
        return "unreachable"
    return agent.activity.value if agent.activity is not None else "unknown"


def _finding_word(finding: Finding) -> str:
    return finding.severity.value


class Order:
    """The rows of one table that match a filter, sorted, kept up to date. Close it when done."""

    def __init__(self, table: Table, filter_text: str, sort: str, descending: bool, clock: Clock) -> None:
        self.table = table
        self._terms = parse_filter(table.name, filter_text)
        self._key = sort_key(table.name, sort, descending)
        self._word = counted(table.name)
        self._clock = clock
        self._keys: list[tuple[Any, ...]] = []
        self._key_of: dict[str, tuple[Any, ...]] = {}
        self._tally = Tally()
        self._changed: set[str] = set()
        self._filtered_at = 0
        self._by_time = depends_on_time(table.name, filter_text)
        self._matches = self._matcher()
        self._rebuild()
        self._unwatch = table.watch(self._changed.update)

    def close(self) -> None:
        """Stop following the table."""
        self._unwatch()

    def __len__(self) -> int:
        return len(self._keys)

    def window(self, start: int, count: int, follow: str | None = None, follow_offset: int = 0) -> Window:
        """``count`` rows from ``start``, or so that ``follow`` stands at ``follow_offset`` of the window."""
        self.settle()
        followed = self.index(follow) if follow is not None else None
        if followed is not None:
            start = followed - follow_offset
        start = max(0, min(start, len(self._keys) - count))
        rows = self.table.rows
        return Window(
            table=self.table.name,
            start=start,
            rows=tuple(rows[key[-1]] for key in self._keys[start : start + count]),
            total=len(self._keys),
            counts=dict(self._tally.counts),
            table_total=len(rows),
            followed=followed,
        )

    def index(self, row_id: str) -> int | None:
        """Where the row stands now."""
        key = self._key_of.get(row_id)
        return None if key is None else bisect_left(self._keys, key)

    def settle(self) -> None:
        """Take in what changed since the last look."""
        if self._by_time and self._clock.now_ms() - self._filtered_at >= AGE_FILTER_PERIOD_MS:
            self._matches = self._matcher()
            self._rebuild()
        elif len(self._changed) * RESORT_SHARE > len(self.table.rows):
            self._rebuild()
        else:
            for row_id in self._changed:
                self._move(row_id)
        self._changed.clear()

    def _matcher(self) -> Callable[[Any], bool]:
        self._filtered_at = self._clock.now_ms()
        return matcher(self.table.name, self._terms, self._filtered_at)

    def _rebuild(self) -> None:
        rows = self.table.rows.values()
        if self._terms:
            rows = [row for row in rows if self._matches(row)]  # type: ignore[assignment]
        self._key_of = {row.id: self._key(row) for row in rows}
        self._keys = sorted(self._key_of.values())
        if self._word is not None:
            self._tally.reset({row.id: self._word(row) for row in rows})

    def _move(self, row_id: str) -> None:
        row = self.table.rows.get(row_id)
        if row is not None and self._terms and not self._matches(row):
            row = None
        before = self._key_of.get(row_id)
        now = None if row is None else self._key(row)
        if before != now:
            if before is not None:
                del self._keys[bisect_left(self._keys, before)]
            if now is None:
                del self._key_of[row_id]
            else:
                insort(self._keys, now)
                self._key_of[row_id] = now
        if self._word is not None:
            self._tally.set(row_id, None if row is None else self._word(row))


def depends_on_time(table: str, filter_text: str) -> bool:
    """True when rows may begin or cease to match while nothing but time changes."""
    try:
        terms = parse_filter(table, filter_text)
    except (FilterError, KeyError):
        return False
    return any(
        term.field is not None and FIELDS[table][term.field].kind in (Kind.AGE, Kind.LEFT) for term in terms
    )
