"""What the rules look at."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from backends.agents import ATTENTION, Limits
from backends.model import Activity, Agent, Reach, WorkItem
from backends.picture import Picture

#: (ms UTC, bytes), oldest first.
Trend = Sequence[tuple[int, int]]

#: Rules look at no more agents in trouble than this; the rest is counted.
TROUBLED_LIMIT = 200


class DeadLetters(Protocol):
    """Dead work items with one cause, as the store groups them."""

    @property
    def reason(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def oldest_at(self) -> int: ...
    @property
    def sample_ids(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Inputs:
    """One moment of the floor. Everything beyond the Picture is optional: what is absent is not judged."""

    picture: Picture
    work_counts: Mapping[str, int] = field(default_factory=dict)  # items by state
    dead: Sequence[DeadLetters] = ()
    leases: Mapping[str, Sequence[WorkItem]] = field(default_factory=dict)  # leased items by holder
    rss_trends: Mapping[str, Trend] = field(default_factory=dict)  # by agent
    estop: str | None = None  # why an emergency stop is in force; None: it is not
    limits: Limits = field(default_factory=Limits)

    def rows(self, table: str) -> Iterable[Any]:
        """All rows of one table; none when the Picture has no such table."""
        found = self.picture.tables.get(table)
        return found.rows.values() if found is not None else ()

    def agent(self, id_: str | None) -> Agent | None:
        """One agent's row."""
        found = self.picture.tables.get("agents")
        row = found.rows.get(id_) if found is not None and id_ is not None else None
        return row if isinstance(row, Agent) else None

    @cached_property
    def troubled(self) -> list[Agent]:
        """Agents that want attention, most urgent first, at most :data:`TROUBLED_LIMIT`."""
        return heapq.nsmallest(
            TROUBLED_LIMIT, self._troubled, key=lambda agent: (-agent.urgency, agent.since_at or 0, agent.id)
        )

    @cached_property
    def troubled_count(self) -> int:
        """How many agents want attention in all."""
        return len(self._troubled)

    @cached_property
    def _troubled(self) -> list[Agent]:
        return [agent for agent in self.rows("agents") if agent.urgency >= ATTENTION]

    @cached_property
    def takes_work(self) -> bool:
        """True when at least one registered agent is there to claim work."""
        return any(
            "registered" in agent.sources
            and agent.reach is Reach.LIVE
            and agent.activity in (Activity.IDLE, Activity.WORKING, Activity.STARTING)
            for agent in self.rows("agents")
        )


def moment(agent: Agent, now: int) -> int:
    """When the agent got into its state, as far as known."""
    return agent.since_at or agent.observed_at or now
