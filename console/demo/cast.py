"""Who is in the demo's fleet. Data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["planner", "worker", "hoarder", "waiter", "crasher", "asker"]


@dataclass(frozen=True, slots=True)
class Member:
    """One agent of the fleet: a process of its own."""

    name: str
    role: Role
    types: tuple[str, ...]  # of work it claims
    team: str
    layer: str
    pace_s: float  # between two steps of its work
    settings: str = "{}"  # its settings file at first; not always sound
    repaired: str = "{}"  # what an operator's restart writes there


CAST = (
    Member("planner", "planner", (), "planning", "plan", 2.0),
    Member("builder-1", "worker", ("build", "import"), "delivery", "execute", 0.6),
    Member("builder-2", "worker", ("build", "report"), "delivery", "execute", 0.8),
    Member("tester", "worker", ("test",), "delivery", "verify", 0.7),
    Member("trainer", "worker", ("train",), "research", "execute", 3.0),
    Member(
        "indexer",
        "hoarder",
        ("index",),
        "search",
        "execute",
        2.0,
        settings='{"cache_growth_mb_per_s": 2, "cache_limit_mb": 400}',
        repaired='{"cache_growth_mb_per_s": 0}',
    ),
    Member(
        "crawler",
        "waiter",
        ("crawl",),
        "search",
        "execute",
        1.0,
        settings='{"wait_for": "crawler.lock"}',
    ),
    Member(
        "notifier",
        "crasher",
        ("notify",),
        "operations",
        "deliver",
        1.0,
        settings='{"recipients": ["on-call", "release-cr',
        repaired='{"recipients": ["on-call", "release-crew"]}',
    ),
    Member("cleaner", "asker", ("clean",), "operations", "maintain", 0.8),
)


def member(name: str) -> Member:
    """The member of that name. Raises ``KeyError``."""
    return {one.name: one for one in CAST}[name]
