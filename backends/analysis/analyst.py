"""The local analyst: names what is wrong now, from rules alone, with no model and no network."""

from __future__ import annotations

from backends.analysis.rules import agents, drift, machines, work
from backends.analysis.rules.inputs import Inputs
from backends.model import Finding, Severity

#: The families of rules, in the order in which :func:`checked` lists them.
FAMILIES = (agents, work, machines, drift)

#: Findings of one severity stand in this order; what is not listed comes after.
ORDER = (
    "gpu-down", "gpu-recovery", "gpu-memory-fault",
    "blocked-agent", "crash-loop", "expired-lease", "crashed-agent", "dead-holder", "hung-agent", "leak",
    "silent-agent", "estop", "host-memory", "host-disk", "host-memory-pressure", "dead-letters",
    "starving-queue", "suspended-agent", "gpu-xid", "vram-full", "vram-hidden", "gpu-hot", "source-failing",
    "troubled-agents", "drift-conflict", "drift-diverged", "drift-forgotten",
)  # fmt: skip

_SEVERITY_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_CATEGORY_RANK = {category: rank for rank, category in enumerate(ORDER)}


def analyse(inputs: Inputs, now: int) -> list[Finding]:
    """Everything that is wrong at ``now`` (ms UTC), most urgent first; empty when nothing is.

    Pure and deterministic: the same inputs give the same list. Work is bounded: single agents are looked at
    only when they want attention, and at most a few hundred of them.
    """
    found = {finding.id: finding for family in FAMILIES for finding in family.check(inputs, now)}
    return sorted(found.values(), key=_urgency)


def checked() -> tuple[str, ...]:
    """What :func:`analyse` looks at, in words: what "nothing is wrong" is about."""
    return tuple(what for family in FAMILIES for what in family.CHECKED)


def _urgency(finding: Finding) -> tuple[int, int, int, str]:
    rank = _CATEGORY_RANK.get(finding.category, len(ORDER))
    return _SEVERITY_RANK[finding.severity], rank, finding.since_at or finding.observed_at, finding.id
