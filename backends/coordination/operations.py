"""The busiest operations, with their arguments checked, ready for the writer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from backends.coordination import claiming, holding
from backends.coordination.adding import checked_json
from backends.coordination.errors import StoreError
from backends.coordination.journal import Journal
from backends.coordination.nouns import Caller
from backends.model import Lease, WorkItem


def claim(
    holder: str,
    by: Caller,
    *,
    limit: int = 1,
    kinds: Collection[str] = (),
    queues: Collection[str] = (),
    item_id: str | None = None,
    lease_ms: int | None = None,
) -> Callable[[Journal], list[Lease]]:
    """As :meth:`Store.claim`. Raises ``Invalid``."""
    claiming.checked_claim(holder, limit, lease_ms)
    return lambda journal: claiming.claim(journal, holder, by, limit, kinds, queues, item_id, lease_ms)


def complete(
    item_id: str, fence: int | None, result: str | None, by: Caller, *, holder: str | None = None
) -> Callable[[Journal], WorkItem]:
    """As :meth:`Store.complete`. Raises ``Invalid``."""
    checked_json(result, "result")
    return lambda journal: holding.complete(journal, item_id, fence, result, by, holder)


def complete_many(
    done: Sequence[tuple[str, int, str | None]], by: Caller
) -> Callable[[Journal], list[WorkItem | StoreError]]:
    """As :meth:`Store.complete_many`. Raises ``Invalid``."""
    for _, _, result in done:
        checked_json(result, "result")
    return lambda journal: holding.complete_many(journal, done, by)
