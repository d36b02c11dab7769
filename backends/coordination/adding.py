"""Adding work: validation, unique keys, dependencies."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from backends.coordination import statements
from backends.coordination.errors import Conflict, Invalid, NotFound
from backends.coordination.journal import Journal, Row, item_of
from backends.coordination.nouns import Caller, NewWork
from backends.coordination.requests import remember, replayed
from backends.coordination.states import LEASE_MS, MAX_ATTEMPTS, SHELF, waiting_rank, waiting_state
from backends.model import WorkItem, WorkState
from backends.text import clean

PAYLOAD_LIMIT = 65_536
MAX_LEASE_MS = 7 * 86_400_000
MAX_BATCH = 1_000
_ID_LIMIT = 200


def checked_id(text: str, what: str) -> str:
    """An id as it may stand in a table and on a command line, or :class:`Invalid`."""
    if not text or len(text) > _ID_LIMIT or " " in text or clean(text, _ID_LIMIT) != text:
        raise Invalid(f"{what} {clean(text, 60)!r} must be 1-{_ID_LIMIT} printable characters without spaces")
    return text


def checked_json(text: str | None, what: str) -> str | None:
    """JSON text within the limit, or :class:`Invalid`."""
    if text is None:
        return None
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > PAYLOAD_LIMIT:
        raise Invalid(
            f"{what} is {size} bytes, at most {PAYLOAD_LIMIT}; store it elsewhere and pass a reference"
        )
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Invalid(f"{what} is not JSON: {error}") from None
    return text


def checked_lease(lease_ms: int | None) -> int | None:
    """A lease length in ms, or :class:`Invalid`."""
    if lease_ms is not None and not 1 <= lease_ms <= MAX_LEASE_MS:
        raise Invalid(f"a lease of {lease_ms} ms is not between 1 ms and 7 days")
    return lease_ms


def checked_work(new: NewWork) -> NewWork:
    """``new`` with its texts cleaned, or :class:`Invalid`. Callers check before they queue."""
    if not 0 <= new.priority <= 9:
        raise Invalid(f"priority {new.priority} is not between 0 and 9 (9 is the most urgent)")
    if new.max_attempts is not None and not 1 <= new.max_attempts <= 1000:
        raise Invalid(f"max_attempts {new.max_attempts} is not between 1 and 1000")
    if not new.title.strip():
        raise Invalid("a work item needs a title")
    checked_id(new.kind, "type")
    checked_id(new.queue, "queue")
    checked_json(new.payload, "payload")
    checked_lease(new.lease_ms)
    if new.id is not None:
        checked_id(new.id, "work id")
    if new.unique_key is not None:
        checked_id(new.unique_key, "unique key")
    return replace(new, title=clean(new.title), depends_on=tuple(dict.fromkeys(new.depends_on)))


def add(journal: Journal, works: Sequence[NewWork], by: Caller) -> list[WorkItem]:
    """Add all of ``works`` (already checked), or none. An unfinished item with the same unique key is
    returned instead.
    """
    first = replayed(journal, by, "add", list[WorkItem])
    if first is not None:
        return first
    items = [_add_one(journal, new, by) for new in works]
    target = " ".join(item.id for item in items)
    journal.audit(
        by, "add", target, {"count": len(items)}, "", items[0].state.value if len(items) == 1 else ""
    )
    remember(journal, by, "add", items)
    return items


def _add_one(journal: Journal, new: NewWork, by: Caller) -> WorkItem:
    if new.unique_key is not None:
        twin = journal.row(statements.ITEM_BY_UNIQUE_KEY, new.queue, new.unique_key)
        if twin is not None:
            return item_of(twin)
    parents = [_parent(journal, parent, new) for parent in new.depends_on]
    waiting_for = [row[-1] for row in parents if row[4] != WorkState.SUCCEEDED]
    _open_lane(journal, new.queue, new.kind)
    num, item_id = _name(journal, new.id)
    now = journal.now_ms
    state = waiting_state(len(waiting_for), new.run_at, now)
    rank = waiting_rank(state, new.priority, new.run_at, now)
    lease_ms = new.lease_ms or LEASE_MS
    row: Row = (
        item_id, new.queue, new.kind, new.title, state.value, new.priority, now, None, None, 0,
        new.max_attempts or MAX_ATTEMPTS, 1, None, lease_ms, None, None, None, None, None, new.run_at, None,
        None, len(waiting_for), 0, new.unique_key, None, None, new.payload, None, by.actor, num,
    )  # fmt: skip
    journal.sql.execute(statements.ADD_ITEM, (*row, lease_ms, rank, SHELF[state]))
    for parent in parents:
        done = parent[4] == WorkState.SUCCEEDED
        journal.sql.execute(statements.ADD_EDGE, (num, parent[-1], int(done)))
    wait_for(journal, waiting_for)
    return journal.moved("work.added", None, row)


def wait_for(journal: Journal, parents: Sequence[int], change: int = 1) -> None:
    """One blocked item more (or less) waits for each of ``parents``."""
    for parent in parents:
        row = journal.row(statements.COUNT_WAITING, change, parent)
        assert row is not None  # foreign keys keep parents
        journal.touched(row)


def _parent(journal: Journal, parent_id: str, new: NewWork) -> Row:
    row = journal.row(statements.ITEM_BY_ID, parent_id)
    if row is None:
        raise NotFound(
            f"'{new.title}' depends on {clean(parent_id, 60)}, which does not exist; add that first"
        )
    return row


def _name(journal: Journal, wanted: str | None) -> tuple[int, str]:
    journal.last_item += 1
    if wanted is not None:
        twin = journal.row(statements.ITEM_BY_ID, wanted)
        if twin is not None:
            raise Conflict(f"work item {wanted} exists already ({twin[4]}); choose another id")
        return journal.last_item, wanted
    while journal.row(statements.ITEM_BY_ID, f"w{journal.last_item}") is not None:
        journal.last_item += 1
    return journal.last_item, f"w{journal.last_item}"


def _open_lane(journal: Journal, queue: str, kind: str) -> None:
    lane = (queue, kind)
    if lane not in journal.lanes:
        journal.sql.execute(statements.ADD_LANE, lane)
        journal.lanes.add(lane)
        journal.on_rewind(lambda: journal.lanes.discard(lane))
