"""What the holder of a lease may do: extend, report progress, complete, fail, release. Every write matches
the fence.

Late but not yet reclaimed is still in time: the row decides, not the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.coordination import statements
from backends.coordination.errors import Invalid, LeaseLost, NotFound, StoreError
from backends.coordination.journal import Journal, Row, item_of
from backends.coordination.nouns import Caller
from backends.coordination.requests import remember, replayed
from backends.coordination.states import SHELF, after_failure, backoff_ms, waiting_rank, waiting_state
from backends.model import Severity, WorkItem, WorkState
from backends.text import clean


def extend(journal: Journal, item_id: str, fence: int | None, holder: str | None = None) -> WorkItem:
    """A sign of life: the lease starts anew. ``cancel_requested_at`` of the reply asks to let go."""
    fence = live_fence(journal, item_id, fence, holder)
    row = journal.row(statements.EXTEND, journal.now_ms, journal.now_ms, item_id, fence)
    if row is None:
        raise lost(journal, item_id)
    return journal.touched(row)


def progress(
    journal: Journal,
    item_id: str,
    fence: int | None,
    pct: float | None,
    note: str | None,
    by: Caller,
    holder: str | None = None,
) -> WorkItem:
    """How far the work is; counts as a sign of life. ``None`` leaves a value as it was."""
    fence = live_fence(journal, item_id, fence, holder)
    now = journal.now_ms
    row = journal.row(statements.PROGRESS, now, now, now, pct, note, item_id, fence)
    if row is None:
        raise lost(journal, item_id)
    args = {"fence": fence, "pct": "" if pct is None else f"{pct:g}", "note": note or ""}
    journal.audit(by, "progress", item_id, args, "leased", "leased")
    return journal.touched(row)


def complete(
    journal: Journal,
    item_id: str,
    fence: int | None,
    result: str | None,
    by: Caller,
    holder: str | None = None,
) -> WorkItem:
    """The work is done. Repeated with the same fence it returns what the first call did."""
    first = replayed(journal, by, "complete", WorkItem)
    if first is not None:
        return first
    fence = live_fence(journal, item_id, fence, holder)
    item, fresh = _complete(journal, item_id, fence, result)
    if fresh:
        journal.audit(by, "complete", item_id, {"fence": fence}, "leased", "succeeded")
    remember(journal, by, "complete", item)
    return item


def complete_many(
    journal: Journal, done: Sequence[tuple[str, int, str | None]], by: Caller
) -> list[WorkItem | StoreError]:
    """Complete each of ``(item id, fence, result)``; a lost lease is an error in its place, the others
    stand.
    """
    outcomes: list[WorkItem | StoreError] = []
    completed: list[str] = []
    for item_id, fence, result in done:
        try:
            item, fresh = _complete(journal, item_id, fence, result)
        except (LeaseLost, NotFound) as error:  # raised before anything is written
            outcomes.append(error)
        else:
            outcomes.append(item)
            if fresh:
                completed.append(item_id)
    if completed:
        args = {"count": len(completed)}
        journal.audit(by, "complete", " ".join(completed), args, "leased", "succeeded")
    return outcomes


def fail(
    journal: Journal,
    item_id: str,
    fence: int | None,
    error: str,
    by: Caller,
    permanent: bool = False,
    holder: str | None = None,
) -> WorkItem:
    """The attempt failed: tried again after a pause, or dead when ``permanent`` or all attempts are used
    up.
    """
    item = held(journal, item_id, live_fence(journal, item_id, fence, holder))
    state = after_failure(item.attempt, item.max_attempts, permanent, item.cancel_requested_at is not None)
    topic, reason, severity = {
        WorkState.CANCELLED: ("work.cancelled", "cancelled", Severity.INFO),
        WorkState.DEAD: ("work.dead", "permanent" if permanent else "failed", Severity.WARNING),
        WorkState.SCHEDULED: ("work.failed", "failed", Severity.INFO),
    }[state]
    run_at = None
    if state is WorkState.SCHEDULED:
        run_at = journal.now_ms + backoff_ms(item.attempt, journal.chance)
    outcome = "cancelled" if state is WorkState.CANCELLED else "failed"
    after = let_go(journal, item, state, topic, outcome, reason, error, severity, run_at=run_at)
    first_line = clean(error.split("\n", 1)[0])
    args = {"fence": item.fence, "error": first_line, "permanent": permanent}
    journal.audit(by, "fail", item_id, args, "leased", after.state.value)
    return after


def release(
    journal: Journal, item_id: str, fence: int | None, by: Caller, holder: str | None = None
) -> WorkItem:
    """Give the item back unharmed: ready again, the attempt is not counted. Cancelled if that was asked
    for.
    """
    item = held(journal, item_id, live_fence(journal, item_id, fence, holder))
    after = give_back(journal, item, "released")
    journal.audit(by, "release", item_id, {"fence": item.fence}, "leased", after.state.value)
    return after


def requeue_holder(journal: Journal, holder: str, by: Caller) -> list[WorkItem]:
    """Take everything ``holder`` holds back into the queue; its old fences are worth nothing from now on."""
    rows = journal.sql.execute(statements.HELD_BY, (holder,)).fetchall()
    items = [give_back(journal, item_of(row), "requeued") for row in rows]
    ids = " ".join(item.id for item in items)
    journal.audit(by, "requeue", holder, {"items": ids}, f"{len(items)} leased", "0 leased")
    return items


def give_back(journal: Journal, item: WorkItem, reason: str) -> WorkItem:
    """A leased item returns to the queue through no fault of its own."""
    if item.cancel_requested_at is not None:
        return let_go(journal, item, WorkState.CANCELLED, "work.cancelled", "cancelled", "cancelled")
    return let_go(
        journal, item, WorkState.READY, "work.released", "released", reason, attempt=item.attempt - 1
    )


def let_go(
    journal: Journal,
    item: WorkItem,
    state: WorkState,
    topic: str,
    outcome: str,
    reason: str,
    error: str | None = None,
    severity: Severity = Severity.INFO,
    run_at: int | None = None,
    attempt: int | None = None,
) -> WorkItem:
    """End a lease without success: the one way out of ``leased`` beside :func:`complete`."""
    now = journal.now_ms
    waits = state in (WorkState.READY, WorkState.SCHEDULED)
    if state is WorkState.SCHEDULED and waiting_state(0, run_at, now) is WorkState.READY:
        state, run_at = WorkState.READY, None  # the pause drawn was nothing
    row = journal.row(
        statements.LET_GO,
        state.value,
        SHELF[state],
        waiting_rank(state, item.priority, run_at, now) if waits else -now,
        item.attempt if attempt is None else attempt,
        run_at,
        None if waits else now,
        reason,
        error,
        item.id,
        item.fence,
    )
    assert row is not None  # the caller read it in this transaction
    journal.sql.execute(statements.END_ATTEMPT, (now, outcome, error, item.fence))
    body: dict[str, Any] = {"holder": item.holder, "fence": item.fence, "reason": reason}
    return journal.moved(topic, WorkState.LEASED, row, body, severity)


def held(journal: Journal, item_id: str, fence: int) -> WorkItem:
    """The item, if ``fence`` is its live one."""
    row = journal.row(statements.ITEM_BY_ID, item_id)
    if row is None or row[4] != "leased" or row[8] != fence:
        raise lost(journal, item_id)
    return item_of(row)


def live_fence(journal: Journal, item_id: str, fence: int | None, holder: str | None) -> int:
    """The fence a write must match: the one given, or that of ``holder``'s lease while in force."""
    if fence is not None:
        return fence
    if holder is None:
        raise Invalid(f"name the fence or the holder of {clean(item_id, 60)}")
    row = journal.row(statements.ITEM_BY_ID, item_id)
    if row is None or row[4] != "leased" or row[7] != holder:
        raise lost(journal, item_id)
    found: int = row[8]
    return found


def lost(journal: Journal, item_id: str) -> StoreError:
    """Why a write with a fence matched no row."""
    row = journal.row(statements.ITEM_BY_ID, item_id)
    if row is None:
        return NotFound(f"no work item {clean(item_id, 60)}; list-work shows what there is")
    return LeaseLost(item_id, row[8], row[4])


def _complete(journal: Journal, item_id: str, fence: int, result: str | None) -> tuple[WorkItem, bool]:
    """The completed item, and whether this call did it."""
    now = journal.now_ms
    row = journal.row(statements.COMPLETE, -now, now, result, item_id, fence)
    if row is None:
        return _completed_before(journal, item_id, fence), False
    journal.sql.execute(statements.END_ATTEMPT, (now, "succeeded", None, fence))
    if row[23]:  # unblocks
        row = _free_children(journal, row)
    return journal.moved("work.succeeded", WorkState.LEASED, row, {"fence": fence}), True


def _completed_before(journal: Journal, item_id: str, fence: int) -> WorkItem:
    attempt = journal.row(statements.ATTEMPT_OUTCOME, fence, item_id)
    row = journal.row(statements.ITEM_BY_ID, item_id)
    if row is not None and attempt is not None:
        item = item_of(row)
        if item.state is WorkState.SUCCEEDED and attempt == ("succeeded", item.generation):
            return item
    raise lost(journal, item_id)


def _free_children(journal: Journal, parent: Row) -> Row:
    """The parent succeeded: its last waiting children become ready. Returns the parent's row, waited for by
    none.
    """
    num, now = parent[-1], journal.now_ms
    freed = journal.sql.execute(
        statements.FREED_CHILDREN, (num,)
    ).fetchall()  # before others come down to one
    for row in journal.sql.execute(statements.COUNT_DOWN_CHILDREN, (num,)).fetchall():
        journal.touched(row)
    for child, priority, run_at in freed:
        state = waiting_state(0, run_at, now)
        rank = waiting_rank(state, priority, run_at, now)
        row = journal.row(statements.FREE, state.value, SHELF[state], rank, child)
        assert row is not None
        journal.moved("work.ready", WorkState.BLOCKED, row)
    journal.sql.execute(statements.SATISFY_EDGES, (num,))
    cleared = journal.row(statements.CLEAR_UNBLOCKS, num)
    assert cleared is not None
    return cleared
