"""What one transaction has done so far: the rows it changed, its events, its links of the audit chain.

The writer thread owns the only journal. A mark remembers a moment; rewinding to it forgets what came after,
in step with a SQL savepoint. After a commit :meth:`Journal.take` hands out the changes.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from backends.audit import GENESIS, AuditDraft, canonical, link
from backends.coordination import statements
from backends.coordination.errors import Conflict
from backends.coordination.nouns import Caller, EmergencyStop
from backends.coordination.states import STATES
from backends.model import AuditRecord, Event, Registration, Severity, WorkItem, WorkState

Row = tuple[Any, ...]
_encode = msgspec.json.Encoder().encode


class AgentChange(NamedTuple):
    """``registration``: as registered now, ``None`` when gone. ``patch``: only these fields changed."""

    agent_id: str
    registration: Registration | None = None
    patch: dict[str, Any] | None = None


class Move(NamedTuple):
    """An item went from one state to another; ``None`` before it existed."""

    before: WorkState | None
    after: WorkState


class Changes(Struct):
    """Everything that commits together."""

    events: list[Event] = []
    moves: list[Move] = []
    items: list[WorkItem] = []
    agents: list[AgentChange] = []
    estop: list[EmergencyStop | None] = []

    def __bool__(self) -> bool:
        return bool(self.events or self.items or self.agents or self.estop)


class Mark(NamedTuple):
    """A moment in a journal."""

    lengths: tuple[int, int, int, int, int, int]
    heads: tuple[int, int, int, int, str]


def item_of(row: Row) -> WorkItem:
    """A row of ``ITEM_COLUMNS, num``."""
    return WorkItem(row[0], row[1], row[2], row[3], STATES[row[4]], *row[5:-1])


class Journal:
    """See the module. ``now_ms`` is the time of the whole transaction."""

    def __init__(self, connection: sqlite3.Connection, chance: random.Random) -> None:
        self.sql = connection
        self.chance = chance
        self.now_ms = 0
        self.changes = Changes()
        self._events_written = 0
        self._undo: list[Callable[[], object]] = []

        def one(text: str) -> Any:
            return connection.execute(text).fetchone()[0]

        self.last_item: int = one("SELECT coalesce(max(num), 0) FROM item")
        self.last_fence: int = one("SELECT coalesce(max(id), 0) FROM attempt")
        self.last_event: int = one("SELECT coalesce(max(seq), 0) FROM event")
        head = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        self.audit_seq: int = head[0] if head else 0
        self.audit_hash: str = head[1] if head else GENESIS
        self.lanes: set[tuple[str, str]] = set(connection.execute(statements.ALL_LANES))
        self.draining: set[str] = {
            row[0] for row in connection.execute("SELECT id FROM agent WHERE draining = 1")
        }
        stop = connection.execute(statements.GET_ESTOP).fetchone()
        self.estop: EmergencyStop | None = EmergencyStop(*stop) if stop else None

    # --- rows ------------------------------------------------------------------------------------

    def row(self, text: str, *params: Any) -> Row | None:
        """The only row of a statement, or ``None``."""
        row: Row | None = self.sql.execute(text, params).fetchone()
        return row

    def moved(
        self,
        topic: str,
        before: WorkState | None,
        row: Row,
        body: dict[str, Any] | None = None,
        severity: Severity = Severity.INFO,
    ) -> WorkItem:
        """Note a transition and its event."""
        item = item_of(row)
        self.changes.moves.append(Move(before, item.state))
        self.changes.items.append(item)
        self.event(topic, item.id, body, severity)
        return item

    def touched(self, row: Row) -> WorkItem:
        """Note a change that is no transition."""
        item = item_of(row)
        self.changes.items.append(item)
        return item

    def event(
        self, topic: str, subject: str, body: dict[str, Any] | None = None, severity: Severity = Severity.INFO
    ) -> None:
        """Something happened; written when the operation ends."""
        self.last_event += 1
        text = _encode(body).decode() if body else ""
        self.changes.events.append(Event(self.last_event, self.now_ms, topic, subject, severity, text))

    def write_events(self) -> None:
        """Insert the events noted since the last call."""
        fresh = self.changes.events[self._events_written :]
        rows = [(e.seq, e.at, e.topic, e.subject, e.severity.value, e.body) for e in fresh]
        if len(rows) == 1:
            self.sql.execute(statements.ADD_EVENT, rows[0])
        elif rows:
            self.sql.executemany(statements.ADD_EVENT, rows)
        self._events_written += len(fresh)

    def on_rewind(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` if what was just changed in memory is rolled back."""
        self._undo.append(undo)

    # --- audit -----------------------------------------------------------------------------------

    def audit(
        self,
        by: Caller,
        operation: str,
        target: str,
        args: dict[str, Any] | None = None,
        before: str = "",
        after: str = "",
    ) -> None:
        """Record a store operation that succeeds if, and only if, this transaction commits."""
        if by.audit:
            self.append_audit(
                AuditDraft(
                    self.now_ms * 1000,
                    by.actor,
                    by.door,
                    by.command or operation,
                    target,
                    canonical(args) if args else "{}",
                    before,
                    after,
                    "verified",
                    "",
                    by.request_id,
                )
            )

    def append_audit(self, draft: AuditDraft) -> AuditRecord:
        """Link a record to the chain's head."""
        r = link(self.audit_seq + 1, self.audit_hash, draft)
        self.sql.execute(
            statements.ADD_AUDIT,
            (
                r.seq,
                r.at_us,
                r.actor,
                r.door,
                r.command,
                r.target,
                r.args,
                r.before,
                r.after,
                r.outcome,
                r.message,
                r.request_id,
                r.prev,
                r.hash,
            ),
        )
        self.audit_seq, self.audit_hash = r.seq, r.hash
        return r

    # --- transactions ----------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Where the journal is now."""
        c = self.changes
        return Mark(
            (len(c.events), len(c.moves), len(c.items), len(c.agents), len(c.estop), len(self._undo)),
            (self.last_item, self.last_fence, self.last_event, self.audit_seq, self.audit_hash),
        )

    def rewind(self, mark: Mark) -> None:
        """Forget everything after ``mark``."""
        c = self.changes
        lists: tuple[list[Any], ...] = (c.events, c.moves, c.items, c.agents, c.estop)
        for entries, length in zip(lists, mark.lengths, strict=False):
            del entries[length:]
        while len(self._undo) > mark.lengths[-1]:
            self._undo.pop()()
        self._events_written = min(self._events_written, len(c.events))
        self.last_item, self.last_fence, self.last_event, self.audit_seq, self.audit_hash = mark.heads

    def take(self) -> Changes:
        """The changes since the last call; for after a commit."""
        changes = self.changes
        self.changes = Changes()
        self._events_written = 0
        self._undo.clear()
        return changes


def refuse_state(item: WorkItem, wanted: str, next_step: str) -> Conflict:
    """The error for an operation that the item's state forbids."""
    return Conflict(f"cannot {wanted} {item.id}: it is {item.state.value}; {next_step}")
