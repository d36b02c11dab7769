"""0-100 for the whole floor: 100 less every listed deduction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from backends.agents import ATTENTION
from backends.health.gpus import ailments
from backends.health.hosts import strains
from backends.model import (
    Activity,
    Agent,
    Deduction,
    Gpu,
    Health,
    Host,
    Reach,
    Severity,
    SourceState,
    Worktree,
)
from backends.picture import Picture

#: Statuses of a source that say "there is none here", which is nothing to lose points for.
ABSENT = frozenset({"no driver", "no GPUs"})


class Price(NamedTuple):
    """Points for each, and at most in all."""

    each: int
    at_most: int


AGENT_PRICES = {
    "crash-looping": Price(10, 30),
    "crashed": Price(6, 24),
    "stalled": Price(6, 24),
    "unreachable": Price(5, 20),
    "silent": Price(1, 5),
    "waiting for somebody": Price(1, 5),
}
DEAD_LETTER = Price(1, 10)
EXPIRED_LEASE = Price(2, 10)
HOST_WARNING, HOST_CRITICAL = Price(4, 12), Price(12, 36)
GPU_SICK = Price(15, 30)
SOURCE_FAILING = Price(3, 12)
CONFLICT = Price(2, 6)

_BY_ACTIVITY = {
    Activity.CRASH_LOOP: "crash-looping",
    Activity.CRASHED: "crashed",
    Activity.STALLED: "stalled",
    Activity.BLOCKED: "waiting for somebody",
}
_BY_REACH = {Reach.UNREACHABLE: "unreachable", Reach.STALE: "silent"}


def score(picture: Picture, now: int, *, dead_letters: int = 0, expired_leases: int = 0) -> Health:
    """The health of everything in ``picture`` at ``now`` (ms UTC), and why it is not 100.

    The queue's two counts come from the store, which knows all items; the Picture holds only those on view.
    """
    lost = [
        *_agents(_rows(picture, "agents")),
        *_charge("dead letters", DEAD_LETTER, dead_letters),
        *_charge("expired leases", EXPIRED_LEASE, expired_leases),
        *_hosts(_rows(picture, "hosts")),
        *_gpus(_rows(picture, "gpus"), now),
        *_sources(picture.sources.values()),
        *_worktrees(_rows(picture, "worktrees")),
    ]
    lost.sort(key=lambda deduction: -deduction.points)
    return Health(max(0, 100 - sum(deduction.points for deduction in lost)), tuple(lost), now)


def _agents(agents: Iterable[Agent]) -> Iterable[Deduction]:
    named: dict[str, list[str]] = {}
    for agent in agents:
        if agent.urgency < ATTENTION:
            continue
        trouble = _BY_ACTIVITY.get(agent.activity) if agent.activity else None
        trouble = trouble or _BY_REACH.get(agent.reach)
        if trouble:
            named.setdefault(trouble, []).append(agent.name)
    for trouble, price in AGENT_PRICES.items():
        names = named.get(trouble, [])
        yield from _charge(f"{'agent' if len(names) == 1 else 'agents'} {trouble}", price, len(names), names)


def _hosts(hosts: Iterable[Host]) -> Iterable[Deduction]:
    found = [(strain, host) for host in hosts for strain in strains(host)]
    for severity, price in ((Severity.CRITICAL, HOST_CRITICAL), (Severity.WARNING, HOST_WARNING)):
        words = [f"{host.id}: {strain.says}" for strain, host in found if strain.severity is severity]
        yield from _itemise(words, price)


def _gpus(gpus: Iterable[Gpu], now: int) -> Iterable[Deduction]:
    words = []
    for gpu in gpus:
        sick = [ailment.says for ailment in ailments(gpu, now) if ailment.is_sick]
        if sick:
            words.append(f"GPU {gpu.index} on {gpu.host}: {sick[0]}")
    return _itemise(words, GPU_SICK)


def _sources(sources: Iterable[SourceState]) -> Iterable[Deduction]:
    failing = [
        f"{state.source} of {state.host} cannot be read: {state.reason or state.status}"
        for state in sources
        if not state.ok and state.status not in ABSENT
    ]
    return _itemise(failing, SOURCE_FAILING)


def _worktrees(worktrees: Iterable[Worktree]) -> Iterable[Deduction]:
    names = [worktree.name for worktree in worktrees if worktree.conflicted]
    yield from _charge("working trees with conflicts", CONFLICT, len(names), names)


def _charge(what: str, price: Price, count: int, names: Sequence[str] = ()) -> Iterable[Deduction]:
    """One deduction for ``count`` things of a kind, naming the first three."""
    if count > 0:
        listed = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        reason = f"{count} {what}" + (f": {listed}" if listed else "")
        yield Deduction(min(price.each * count, price.at_most), reason)


def _itemise(words: Sequence[str], price: Price) -> Iterable[Deduction]:
    """One deduction each until the price's maximum is reached; the rest in one line without points."""
    left = price.at_most
    for position, reason in enumerate(words):
        if left <= 0:
            yield Deduction(0, f"and {len(words) - position} more of the kind, not counted")
            return
        points = min(price.each, left)
        left -= points
        yield Deduction(points, reason)


def _rows(picture: Picture, table: str) -> Iterable[Any]:
    found = picture.tables.get(table)
    return found.rows.values() if found is not None else ()
