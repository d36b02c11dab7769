"""The rules of the queue, pure: which state follows which, in which order items stand, how long to wait.

The states and transitions::

    add ──> ready | scheduled | blocked          scheduled ──> ready        when run_at has come
    blocked ──> ready | scheduled                when the last parent succeeded
    ready ──> leased                             claim: a new attempt, a new fence
    leased ──> succeeded                         complete
    leased ──> scheduled | dead                  fail: back off, or give up
    leased ──> ready | dead                      the lease ran out
    leased ──> ready                             release: not the item's fault, the attempt is not counted
    leased ──> cancelled                         the holder let go, or its lease ran out, after a cancel
    blocked | scheduled | ready ──> cancelled    cancel
    dead | cancelled | succeeded ──> ready       retry: same id, next generation

A child of a dead or cancelled parent stays blocked until an operator retries the parent or cancels the child.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from backends.model import WorkState

TERMINAL = frozenset({WorkState.SUCCEEDED, WorkState.DEAD, WorkState.CANCELLED})
STATES: Mapping[str, WorkState] = {state.value: state for state in WorkState}

SHELVES = (
    WorkState.DEAD,
    WorkState.LEASED,
    WorkState.READY,
    WorkState.BLOCKED,
    WorkState.SCHEDULED,
    WorkState.CANCELLED,
    WorkState.SUCCEEDED,
)
"""Most urgent first: the queue's own order."""
SHELF: Mapping[WorkState, int] = {state: place for place, state in enumerate(SHELVES)}

AGING_MS = 60_000
"""A waiting item gains one priority level in this time."""

LEASE_MS = 60_000
MAX_ATTEMPTS = 5
BACKOFF_BASE_MS = 2_000
BACKOFF_CAP_MS = 600_000


def waiting_state(pending_dependencies: int, run_at: int | None, now_ms: int) -> WorkState:
    """Where an item that nobody works on stands."""
    if pending_dependencies > 0:
        return WorkState.BLOCKED
    if run_at is not None and run_at > now_ms:
        return WorkState.SCHEDULED
    return WorkState.READY


def waiting_rank(state: WorkState, priority: int, run_at: int | None, now_ms: int) -> int:
    """Order among the items of one waiting state; lower comes first.

    Effective priority is ``priority + waited / AGING_MS``. The difference between two items does not change
    with time, so ``ready_at - priority * AGING_MS`` orders them once and for all: nothing is ever
    re-ranked.
    """
    if state is WorkState.SCHEDULED and run_at is not None:
        return run_at
    return now_ms - priority * AGING_MS


def backoff_ms(attempt: int, chance: random.Random) -> int:
    """Wait before the next try after ``attempt`` failures (1 = first): exponential, capped, full jitter.

    Full jitter (uniform between 0 and the ceiling) spreads a burst of failures best; see "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = min(BACKOFF_CAP_MS, BACKOFF_BASE_MS << min(attempt - 1, 20))
    return chance.randrange(ceiling + 1)


def after_failure(attempt: int, max_attempts: int, permanent: bool, cancel_requested: bool) -> WorkState:
    """Where a leased item goes when its holder fails."""
    if cancel_requested:
        return WorkState.CANCELLED
    if permanent or attempt >= max_attempts:
        return WorkState.DEAD
    return WorkState.SCHEDULED


def after_expiry(attempt: int, max_attempts: int, cancel_requested: bool) -> WorkState:
    """Where a leased item goes when its lease runs out. Dead after the last attempt: it may kill its
    holders.
    """
    if cancel_requested:
        return WorkState.CANCELLED
    if attempt >= max_attempts:
        return WorkState.DEAD
    return WorkState.READY
