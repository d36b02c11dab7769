"""Claiming work, and what makes work claimable again: leases that ran out, items whose time has come.

A claim looks for both first, in its own transaction, so recovery needs no sweeper to be alive.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import nsmallest

from backends.coordination import statements
from backends.coordination.adding import checked_id, checked_lease
from backends.coordination.errors import Conflict, Frozen, Invalid, NotFound
from backends.coordination.holding import let_go
from backends.coordination.journal import Journal, Row, item_of, refuse_state
from backends.coordination.nouns import Caller, Swept
from backends.coordination.requests import remember, replayed
from backends.coordination.states import SHELF, TERMINAL, after_expiry, waiting_rank
from backends.model import Lease, Severity, WorkItem, WorkState
from backends.text import clean

MAX_CLAIM = 256
_DUE_BATCH = 256
EXPIRED = "no sign of life before the lease ran out"

_NEXT_STEP = {
    WorkState.BLOCKED: "it waits for the items it depends on",
    WorkState.SCHEDULED: "its time has not come",
    WorkState.LEASED: "wait, or requeue its holder's work",
}


def claim(
    journal: Journal,
    holder: str,
    by: Caller,
    limit: int = 1,
    kinds: Collection[str] = (),
    queues: Collection[str] = (),
    item_id: str | None = None,
    lease_ms: int | None = None,
) -> list[Lease]:
    """Lease the ``limit`` most urgent ready items, or the one named. Nothing ready is an empty list."""
    first = replayed(journal, by, "claim", list[Lease])
    if first is not None:
        return first
    if journal.estop is not None:
        raise Frozen(
            f"no claims: emergency stop by {journal.estop.actor} ({journal.estop.reason}); thaw first"
        )
    if holder in journal.draining:
        raise Conflict(f"{holder} is draining: finish what it holds; `drain-agent {holder} --undo` ends that")
    move_due(journal)
    if item_id is not None:
        picked = [_named(journal, item_id)]
    elif kinds or queues:
        picked = _pick_from_lanes(journal, limit, kinds, queues)
    else:
        picked = journal.sql.execute(statements.PICK, (limit,)).fetchall()
    leases = [
        _lease(journal, num, number, generation, holder, lease_ms) for num, number, generation in picked
    ]
    if leases:
        target = " ".join(lease.item.id for lease in leases)
        args = {"fence": leases[0].fence, "holder": holder, "limit": limit}
        journal.audit(by, "claim", target, args, "ready", "leased")
        remember(journal, by, "claim", leases)
    return leases


def checked_claim(holder: str, limit: int, lease_ms: int | None) -> None:
    """Raise :class:`Invalid` for a claim that no store could grant."""
    checked_id(holder, "holder")
    checked_lease(lease_ms)
    if not 1 <= limit <= MAX_CLAIM:
        raise Invalid(f"a claim takes 1 to {MAX_CLAIM} items, not {limit}")


def move_due(journal: Journal) -> Swept:
    """Promote scheduled items whose time has come and take back leases that ran out; a few hundred at most.

    Under an emergency stop nothing is taken back: stopped holders cannot give signs of life.
    """
    if journal.estop is not None:
        return Swept()
    now = journal.now_ms
    due = journal.sql.execute(statements.DUE, (now, now, _DUE_BATCH)).fetchall()
    promoted = 0
    for (num,) in due:
        row = journal.row(statements.ITEM_BY_NUM, num)
        assert row is not None
        item = item_of(row)
        if item.state is WorkState.LEASED:
            _expire(journal, item)
        else:
            _promote(journal, item, num)
            promoted += 1
    return Swept(promoted, len(due) - promoted)


def sweep(journal: Journal) -> Swept:
    """:func:`move_due`, and forget replies and events nobody will ask for any more."""
    journal.sql.execute(statements.DROP_REQUESTS, (journal.now_ms,))
    journal.sql.execute(statements.DROP_EVENTS, (journal.last_event - statements.EVENTS_KEPT,))
    return move_due(journal)


def _expire(journal: Journal, item: WorkItem) -> None:
    cancelled = item.cancel_requested_at is not None
    state = after_expiry(item.attempt, item.max_attempts, cancelled)
    topic = {WorkState.READY: "work.expired", WorkState.DEAD: "work.dead"}.get(state, "work.cancelled")
    let_go(
        journal,
        item,
        state,
        topic,
        outcome="cancelled" if cancelled else "expired",
        reason="cancelled" if cancelled else "lease-expired",
        error=EXPIRED,
        severity=Severity.INFO if cancelled else Severity.WARNING,
    )


def _promote(journal: Journal, item: WorkItem, num: int) -> None:
    rank = waiting_rank(WorkState.READY, item.priority, None, journal.now_ms)
    row = journal.row(statements.MOVE, "ready", SHELF[WorkState.READY], rank, None, None, item.reason, num)
    assert row is not None
    journal.moved("work.ready", WorkState.SCHEDULED, row)


def _named(journal: Journal, item_id: str) -> Row:
    row = journal.row(statements.ITEM_BY_ID, item_id)
    if row is None:
        raise NotFound(f"no work item {clean(item_id, 60)}; list-work shows what there is")
    item = item_of(row)
    if item.state is not WorkState.READY:
        if item.state in TERMINAL:
            raise refuse_state(item, "claim", "retry it first")
        raise refuse_state(item, "claim", _NEXT_STEP[item.state])
    return row[-1], item.attempt + 1, item.generation


def _pick_from_lanes(
    journal: Journal, limit: int, kinds: Collection[str], queues: Collection[str]
) -> list[Row]:
    """The most urgent of several queues and kinds: the head of each lane's index, merged."""
    heads: list[Row] = []
    for queue, kind in journal.lanes:
        if (not queues or queue in queues) and (not kinds or kind in kinds):
            heads += journal.sql.execute(statements.PICK_FROM_LANE, (queue, kind, limit))
    return [row[:3] for row in nsmallest(limit, heads, key=lambda row: (row[3], row[0]))]


def _lease(
    journal: Journal, num: int, number: int, generation: int, holder: str, lease_ms: int | None
) -> Lease:
    now = journal.now_ms
    journal.last_fence += 1
    fence = journal.last_fence
    journal.sql.execute(statements.ADD_ATTEMPT, (fence, num, number, generation, holder, now))
    row = journal.row(statements.LEASE, now, number, fence, holder, lease_ms, now, lease_ms, now, now, num)
    assert row is not None  # picked in this transaction
    item = journal.moved("work.claimed", WorkState.READY, row, {"holder": holder, "fence": fence})
    return Lease(item, fence, row[12])
