"""What an operator may do to an item: retry, cancel."""

from __future__ import annotations

import sqlite3

from backends.coordination import statements
from backends.coordination.adding import wait_for
from backends.coordination.errors import Conflict, NotFound
from backends.coordination.journal import Journal, Row, item_of, refuse_state
from backends.coordination.nouns import Caller
from backends.coordination.states import SHELF, TERMINAL, waiting_rank, waiting_state
from backends.model import WorkItem, WorkState
from backends.text import clean


def retry(journal: Journal, item_id: str, by: Caller) -> WorkItem:
    """Do a finished item again: same id, next generation, attempts from zero. Blocked if a parent is
    unfinished.
    """
    row = _existing(journal, item_id)
    item, num = item_of(row), row[-1]
    if item.state not in TERMINAL:
        raise refuse_state(item, "retry", "only dead, cancelled and succeeded items can be retried")
    journal.sql.execute(statements.CATCH_UP_EDGES, (num,))
    parents = _unsatisfied(journal, num)
    state = waiting_state(len(parents), None, journal.now_ms)
    rank = waiting_rank(state, item.priority, None, journal.now_ms)
    try:
        after = journal.row(statements.RETRY, state.value, SHELF[state], rank, len(parents), num)
    except sqlite3.IntegrityError:
        raise Conflict(
            f"cannot retry {item_id}: another unfinished item has its unique key '{item.unique_key}';"
            " wait for that one or cancel it"
        ) from None
    assert after is not None
    wait_for(journal, parents)
    journal.audit(by, "retry", item_id, {"generation": item.generation + 1}, item.state.value, state.value)
    return journal.moved("work.retried", item.state, after)


def cancel(journal: Journal, item_id: str, by: Caller) -> WorkItem:
    """End an unfinished item. A leased one: its holder hears of it with its next sign of life."""
    row = _existing(journal, item_id)
    item, num = item_of(row), row[-1]
    if item.state in TERMINAL:
        raise refuse_state(item, "cancel", "it is finished; nothing runs any more")
    if item.state is WorkState.LEASED:
        after = journal.row(statements.REQUEST_CANCEL, journal.now_ms, num)
        assert after is not None
        journal.event("work.cancel-requested", item_id, {"holder": item.holder, "fence": item.fence})
        result = journal.touched(after)
    else:
        now, shelf = journal.now_ms, SHELF[WorkState.CANCELLED]
        after = journal.row(statements.MOVE, "cancelled", shelf, -now, None, now, "cancelled", num)
        assert after is not None
        if item.state is WorkState.BLOCKED:
            wait_for(journal, _unsatisfied(journal, num), -1)
        result = journal.moved("work.cancelled", item.state, after)
    journal.audit(by, "cancel", item_id, None, item.state.value, result.state.value)
    return result


def _unsatisfied(journal: Journal, num: int) -> list[int]:
    return [parent for (parent,) in journal.sql.execute(statements.UNSATISFIED_PARENTS, (num,))]


def _existing(journal: Journal, item_id: str) -> Row:
    row = journal.row(statements.ITEM_BY_ID, item_id)
    if row is None:
        raise NotFound(f"no work item {clean(item_id, 60)}; list-work shows what there is")
    return row
