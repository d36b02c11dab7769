"""Work that nobody does: dead letters, expired leases, dead holders, a queue without takers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from backends.analysis.rules.inputs import DeadLetters, Inputs, moment
from backends.model import Activity, Agent, Evidence, Finding, Proposal, Reach, Severity, WorkItem, WorkState
from backends.units import count_words, duration_words

CHECKED = (
    "dead letters by cause",
    "leases that ran out",
    "work held by agents that are gone",
    "ready work without an agent to take it",
    "emergency stop",
)

#: The store takes expired work back on its own; only what stays longer than this is worth a word.
EXPIRED_GRACE_MS = 5_000
#: So many dead letters with one cause are a systematic fault.
DEAD_MANY = 10
#: At most so many holders and groups are listed one by one.
LISTED = 20


def check(inputs: Inputs, now: int) -> Iterable[Finding]:
    """All findings about the queue."""
    if inputs.estop is not None:
        yield _estop(inputs.estop, now)
    yield from (_dead_letters(group, now) for group in inputs.dead[:LISTED])
    yield from _held(inputs, now)
    starving = _starving(inputs, now)
    if starving is not None:
        yield starving


def _estop(reason: str, now: int) -> Finding:
    return Finding(
        "estop:queue", Severity.WARNING, "estop", "watch", "queue",
        f"the emergency stop is in force: nothing can be claimed ({reason or 'no reason given'})",
        (Evidence("store", f"stopped: {reason or 'no reason given'}", now, won=True),),
        Proposal("thaw", reason="when the reason is gone"), None, now,
    )  # fmt: skip


def _dead_letters(group: DeadLetters, now: int) -> Finding:
    cause = group.error or group.reason or "unknown cause"
    digest = hashlib.sha256(f"{group.reason}\0{group.error}".encode("utf-8", "replace")).hexdigest()[:12]
    sample = group.sample_ids[0] if group.sample_ids else ""
    items = "item is" if group.count == 1 else "items are"
    names = ", ".join(group.sample_ids[:3])
    return Finding(
        f"dead-letters:{digest}",
        Severity.CRITICAL if group.count >= DEAD_MANY else Severity.WARNING,
        "dead-letters",
        "work",
        sample,
        f"{group.count} {items} dead: {cause} ({group.reason or 'no reason'})",
        (
            Evidence(
                "store",
                f"oldest {duration_words(max(0, now - group.oldest_at))} ago; {names}",
                group.oldest_at,
            ),
            Evidence("store", f"last error: {cause}", now, won=True),
        ),
        Proposal("retry", sample, reason="when its cause is mended; the item keeps its id")
        if sample
        else None,
        group.oldest_at,
        now,
    )


def _held(inputs: Inputs, now: int) -> Iterable[Finding]:
    """Work whose holder is gone, else work whose lease ran out; one finding a holder."""
    listed = 0
    for holder in sorted(inputs.leases):
        items = [item for item in inputs.leases[holder] if item.state is WorkState.LEASED]
        if not items:
            continue
        agent = inputs.agent(holder)
        if agent is not None and _is_gone(agent):
            finding = _dead_holder(agent, items, now)
        else:
            finding = _expired(holder, agent, items, now)
        if finding is not None:
            yield finding
            listed += 1
            if listed == LISTED:
                return


def _is_gone(agent: Agent) -> bool:
    return agent.activity in (Activity.CRASHED, Activity.STOPPED) or agent.reach is Reach.UNREACHABLE


def _dead_holder(agent: Agent, items: Sequence[WorkItem], now: int) -> Finding | None:
    """Only where the rules about agents do not propose the same already."""
    if agent.activity is not Activity.STOPPED and not (
        agent.activity is Activity.CRASHED and agent.can_start
    ):
        return None
    names = ", ".join(item.id for item in items[:3]) + (" ..." if len(items) > 3 else "")
    cause = agent.cause or "no cause known"
    return Finding(
        f"dead-holder:{agent.id}", Severity.WARNING, "dead-holder", "agent", agent.id,
        f"{agent.name} is {agent.activity} and still holds {count_words(len(items), 'item')}: {names}",
        (
            Evidence("agents", f"{agent.activity} ({cause})", moment(agent, now), won=True),
            Evidence("lease", _lease_words(items[0], now), items[0].claimed_at or now),
        ),
        Proposal("requeue-agent", agent.id, reason="gives the work back now instead of when the lease ends"),
        agent.since_at, now,
    )  # fmt: skip


def _expired(holder: str, agent: Agent | None, items: Sequence[WorkItem], now: int) -> Finding | None:
    late = [
        (item.lease_until, item)
        for item in items
        if item.lease_until is not None and item.lease_until + EXPIRED_GRACE_MS < now
    ]
    if not late:
        return None
    until, first = min(late, key=lambda pair: pair[0])
    if agent is not None:
        proposal = Proposal("requeue-agent", holder, reason="gives the work to somebody who renews its lease")
    else:
        proposal = Proposal("release", first.id, reason="its holder is not known here")
    ago = duration_words(now - until)
    return Finding(
        f"expired-lease:{holder}", Severity.WARNING, "expired-lease", "agent", holder,
        f"{holder} let {count_words(len(late), 'lease')} run out, the first {ago} ago",
        (Evidence("lease", _lease_words(first, now), until, won=True),), proposal, until, now,
    )  # fmt: skip


def _lease_words(item: WorkItem, now: int) -> str:
    if item.lease_until is None:
        return f"{item.id} is leased without an end"
    left = item.lease_until - now
    when = f"ends in {duration_words(left)}" if left >= 0 else f"ended {duration_words(-left)} ago"
    return f"the lease of {item.id} {when}"


def _starving(inputs: Inputs, now: int) -> Finding | None:
    ready = inputs.work_counts.get(WorkState.READY.value, 0)
    if not ready or inputs.estop is not None or inputs.takes_work:
        return None
    startable = next(
        (
            agent
            for agent in inputs.rows("agents")
            if agent.can_start and agent.activity in (Activity.STOPPED, Activity.CRASHED)
        ),
        None,
    )
    paused = next((agent for agent in inputs.rows("agents") if agent.activity is Activity.PAUSED), None)
    if startable is not None:
        proposal = Proposal("restart-agent", startable.id, reason="it can be started and could take the work")
    elif paused is not None:
        proposal = Proposal("resume-agent", paused.id, reason="it is only suspended")
    else:
        proposal = Proposal("doctor", reason="no agent is registered and alive; see how agents connect")
    items = "item is" if ready == 1 else "items are"
    return Finding(
        "starving-queue:queue", Severity.WARNING, "starving-queue", "work", "queue",
        f"{ready} {items} ready and no live agent takes work",
        (
            Evidence("store", f"{ready} ready", now, won=True),
            Evidence("agents", "no registered agent is live and idle, working or starting", now),
        ),
        proposal, None, now,
    )  # fmt: skip
