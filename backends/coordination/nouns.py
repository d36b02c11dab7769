"""What callers hand to the store and what it hands back, beside the nouns of :mod:`backends.model`."""

from __future__ import annotations

from msgspec import Struct

from backends.model import Activity, Event, WorkItem


class Caller(Struct, frozen=True):
    """On whose behalf, and through which door.

    ``request_id``: set by a client that may repeat a call whose reply it lost; a repeated ``add``,
    ``claim`` or ``complete`` gets the first reply. ``command``: the registered command's id for the audit
    trail, the operation's own name when empty. ``audit=False``: write no record (the caller writes its
    own).
    """

    actor: str
    door: str
    request_id: str = ""
    audit: bool = True
    command: str = ""


class NewWork(Struct, frozen=True, kw_only=True):
    """A work item to add. ``payload`` is JSON text for the holder, at most 64 KiB; the store never reads
    it.
    """

    kind: str
    title: str
    priority: int = 5  # 0-9, higher sooner
    queue: str = "default"
    payload: str | None = None
    depends_on: tuple[str, ...] = ()  # ids that exist already, or stand earlier in the same call
    unique_key: str | None = None  # at most one unfinished item per queue has it
    run_at: int | None = None
    max_attempts: int | None = None
    lease_ms: int | None = None
    id: str | None = None  # None: the store names it


class Beat(Struct, frozen=True):
    """One agent's sign of life, with what it says of itself."""

    agent_id: str
    activity: Activity | None = None
    cause: str | None = None
    note: str | None = None


class BeatReply(Struct, frozen=True, omit_defaults=True):
    """What an agent must know: asked to drain, stopped by e-stop, the operator's answer (given once), work
    to drop.
    """

    draining: bool = False
    estop: bool = False
    answer: str | None = None
    cancel_requested: tuple[str, ...] = ()


class EmergencyStop(Struct, frozen=True):
    """In force: no claims. ``frozen`` is the JSON list of what was stopped, for the thaw."""

    reason: str
    frozen: str
    actor: str
    at: int


class Swept(Struct, frozen=True):
    """What a sweep moved: items whose time came, leases that ran out."""

    promoted: int = 0
    expired: int = 0


class DeadGroup(Struct, frozen=True):
    """Dead letters with one cause."""

    reason: str
    error: str  # first line
    count: int
    oldest_at: int
    sample_ids: tuple[str, ...]


class AuditState(Struct, frozen=True):
    """Result of checking the audit chain. ``bad_seq`` is the first bad record; ``None``: all are as
    written.
    """

    records: int
    checkpoints: int
    bad_seq: int | None = None
    reason: str = ""


class Commit(Struct, frozen=True):
    """What one commit changed, for whoever keeps a picture."""

    events: tuple[Event, ...]
    items: dict[str, WorkItem]  # changed items, as they are now
    agents: tuple[str, ...]  # ids of agents that joined, left or were changed
