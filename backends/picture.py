"""The Picture: everything currently known, as tables of nouns that change by whole rows.

A reader hands over a :class:`Reading`; :meth:`Picture.apply` swaps that source's rows and tells whoever
watches a table which ids changed. A failed reading that names no table changes no row: the last good ones
stay, and the source's :class:`~backends.model.SourceState` says since when and why they are old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec.structs import replace

from backends.model import SourceState

#: Told the ids that were added, changed or removed.
Watcher = Callable[[set[str]], None]


class Row(Protocol):
    """What every row of a table has."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source said at one moment: all rows it has now, for each table it feeds."""

    state: SourceState
    tables: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class Reader(Protocol):
    """One source of one host. Reads never overlap; a failure is a ``Reading`` whose state is not ok."""

    host: str
    source: str

    async def read(self) -> Reading: ...

    async def close(self) -> None: ...


class Table:
    """Rows by id. Equal rows are not changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, Any] = {}
        self._owned: dict[str, set[str]] = {}
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` after every change. Returns what ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def replace(self, owner: str, rows: Iterable[Row]) -> set[str]:
        """Make ``rows`` all that ``owner`` has in this table. Returns the ids that changed."""
        changed: set[str] = set()
        seen: set[str] = set()
        for row in rows:
            seen.add(row.id)
            if self.rows.get(row.id) != row:
                self.rows[row.id] = row
                changed.add(row.id)
        for gone in self._owned.get(owner, set()) - seen:
            del self.rows[gone]
            changed.add(gone)
        self._owned[owner] = seen
        self._tell(changed)
        return changed

    def put(self, rows: Iterable[Row]) -> set[str]:
        """Add or change single rows that no owner replaces as a whole."""
        changed = set()
        for row in rows:
            if self.rows.get(row.id) != row:
                self.rows[row.id] = row
                changed.add(row.id)
        self._tell(changed)
        return changed

    def discard(self, ids: Iterable[str]) -> None:
        """Remove rows; ids that are not there are ignored."""
        self._tell({id_ for id_ in ids if self.rows.pop(id_, None) is not None})

    def _tell(self, changed: set[str]) -> None:
        if changed:
            for watcher in tuple(self._watchers):
                watcher(changed)


class Picture:
    """All tables, and how each source is doing."""

    def __init__(self, tables: Iterable[str]) -> None:
        self.tables = {name: Table(name) for name in tables}
        self.sources: dict[tuple[str, str], SourceState] = {}
        self._source_watchers: list[Callable[[SourceState], None]] = []

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    def watch_sources(self, watcher: Callable[[SourceState], None]) -> None:
        """Call ``watcher`` whenever a source's state changes."""
        self._source_watchers.append(watcher)

    def apply(self, reading: Reading) -> None:
        """Take in one reading."""
        state = reading.state
        key = (state.host, state.source)
        before = self.sources.get(key)
        for name, rows in reading.tables.items():  # a failing source may still name what it lost
            self.tables[name].replace(f"{state.host}/{state.source}", rows)
        if not state.ok and before is not None:
            state = replace(
                state,
                observed_at=state.observed_at or before.observed_at,
                failing_since_at=before.failing_since_at or state.failing_since_at,
            )
        self.sources[key] = state
        if before != state:
            for watcher in tuple(self._source_watchers):
                watcher(state)
