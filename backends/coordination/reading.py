"""Questions to the store, as functions over a reading connection."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from backends.audit import Broken, verify
from backends.coordination import statements
from backends.coordination.checkpoints import read_checkpoints
from backends.coordination.errors import NotFound
from backends.coordination.filtering import compile_text
from backends.coordination.journal import item_of
from backends.coordination.nouns import AuditState, DeadGroup
from backends.coordination.states import AGING_MS
from backends.model import Attempt, AuditRecord, Event, Severity, WorkItem
from backends.text import clean

_OLDEST_AMONG = 1_000

DEAD_GROUPS = """
SELECT coalesce(reason, ''), substr(last_error, 1, instr(last_error || char(10), char(10)) - 1) AS line,
    count(*), min(finished_at), min(num), max(num)
FROM item WHERE shelf = 0 GROUP BY 1, 2 ORDER BY 3 DESC, 4 LIMIT ?
"""
ATTEMPTS = """
SELECT attempt.id, item.id, number, attempt.generation, attempt.holder, attempt.claimed_at,
    ended_at, outcome, error
FROM attempt JOIN item ON item.num = attempt.item WHERE item.id = ? ORDER BY attempt.id
"""
OLDEST_READY = (
    f"SELECT min(at) FROM (SELECT rank + priority * {AGING_MS} AS at FROM item WHERE shelf = 2"
    f" ORDER BY rank, num LIMIT {_OLDEST_AMONG})"
)
PARENTS = f"""
SELECT {statements.ITEM_COLUMNS}, num FROM item
WHERE num IN (SELECT parent FROM edge WHERE child = (SELECT num FROM item WHERE id = ?)) ORDER BY num
"""
EVENTS_SINCE = "SELECT seq, at, topic, subject, severity, body FROM event WHERE seq > ? ORDER BY seq LIMIT ?"


def item(sql: sqlite3.Connection, item_id: str) -> WorkItem:
    """One item, or :class:`NotFound`."""
    row = sql.execute(statements.ITEM_BY_ID, (item_id,)).fetchone()
    if row is None:
        raise NotFound(f"no work item {clean(item_id, 60)}; list-work shows what there is")
    return item_of(row)


def attempts(sql: sqlite3.Connection, item_id: str) -> list[Attempt]:
    """Every claim of an item, first first."""
    item(sql, item_id)
    return [Attempt(*row) for row in sql.execute(ATTEMPTS, (item_id,))]


def parents(sql: sqlite3.Connection, item_id: str) -> list[WorkItem]:
    """What an item depends on, done or not."""
    item(sql, item_id)
    return [item_of(row) for row in sql.execute(PARENTS, (item_id,))]


def dead_groups(sql: sqlite3.Connection, limit: int) -> list[DeadGroup]:
    """Dead letters by reason and first line of their error, most frequent first."""
    groups = []
    for reason, line, count, oldest_at, first, last in sql.execute(DEAD_GROUPS, (limit,)).fetchall():
        samples = [
            sql.execute("SELECT id FROM item WHERE num = ?", (num,)).fetchone()[0] for num in {last, first}
        ]
        groups.append(DeadGroup(reason, line or "", count, oldest_at, tuple(sorted(samples))))
    return groups


def oldest_ready_at(sql: sqlite3.Connection) -> int | None:
    """Since when the longest-waiting ready item waits, among the thousand that are claimed next. ``None``:
    none.
    """
    found: int | None = sql.execute(OLDEST_READY).fetchone()[0]
    return found


def events_since(sql: sqlite3.Connection, seq: int, limit: int) -> list[Event]:
    """Events after ``seq``, in order."""
    return [
        Event(row[0], row[1], row[2], row[3], Severity(row[4]), row[5])
        for row in sql.execute(EVENTS_SINCE, (seq, limit))
    ]


def audit_records(sql: sqlite3.Connection, limit: int, filter_text: str, now_ms: int) -> list[AuditRecord]:
    """The newest ``limit`` records that match, newest first."""
    condition, params = compile_text("audit", filter_text, now_ms)
    where = f" WHERE {condition}" if condition else ""
    query = f"SELECT {statements.AUDIT_COLUMNS} FROM audit{where} ORDER BY seq DESC LIMIT ?"
    return [AuditRecord(*row) for row in sql.execute(query, (*params, limit))]


def verify_audit(sql: sqlite3.Connection, checkpoints: Path) -> AuditState:
    """Check the whole chain against its checkpoints."""
    marks, unreadable = read_checkpoints(checkpoints)  # before the snapshot: never ahead of it
    count: int = sql.execute("SELECT count(*) FROM audit").fetchone()[0]
    rows = sql.execute(f"SELECT {statements.AUDIT_COLUMNS} FROM audit ORDER BY seq")
    broken = verify((AuditRecord(*row) for row in rows), marks)
    if broken is None and unreadable is not None:
        broken = Broken(unreadable.seq, unreadable.reason)
    if broken is None:
        return AuditState(count, len(marks))
    return AuditState(count, len(marks), broken.seq, broken.reason)
