"""What the event loop keeps in memory of the store, so that reading it costs nothing: counts, leases,
agents, e-stop.

Changed only on the loop, from what the writer committed, and by heartbeats, which are written down later.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from backends.coordination import statements
from backends.coordination.errors import NotFound
from backends.coordination.journal import Changes, item_of
from backends.coordination.nouns import Beat, BeatReply, Commit, EmergencyStop
from backends.coordination.registrations import registration_of
from backends.coordination.states import SHELVES
from backends.model import Registration, WorkItem, WorkState
from backends.text import clean, clean_optional


class Mirror:
    """See the module."""

    def __init__(self, connection: sqlite3.Connection, estop: EmergencyStop | None) -> None:
        counts = {SHELVES[shelf]: n for shelf, n in connection.execute(statements.COUNT_BY_SHELF)}
        self.counts: Counter[WorkState] = Counter(counts)
        self.agents: dict[str, Registration] = {}
        self.estop = estop
        self._leased: dict[str, WorkItem] = {}
        self._by_holder: dict[str, dict[str, WorkItem]] = {}
        self._unsaved: set[str] = set()
        for row in connection.execute(statements.ALL_LEASED):
            self._put_item(item_of(row))
        for row in connection.execute(statements.ALL_AGENTS):
            agent = registration_of(row)
            self.agents[agent.id] = agent

    def apply(self, changes: Changes) -> Commit:
        """Follow one commit."""
        for before, after in changes.moves:
            if before is not None:
                self.counts[before] -= 1
            self.counts[after] += 1
        items = {item.id: item for item in changes.items}
        for item in items.values():
            self._put_item(item)
        for agent_id, registration, patch in changes.agents:
            if registration is not None:
                self.agents[agent_id] = registration
            elif patch is None:
                self.agents.pop(agent_id, None)
            elif agent_id in self.agents:
                self.agents[agent_id] = replace(self.agents[agent_id], **patch)
        if changes.estop:
            self.estop = changes.estop[-1]
        agents = dict.fromkeys(change.agent_id for change in changes.agents)
        return Commit(tuple(changes.events), items, tuple(agents))

    def _put_item(self, item: WorkItem) -> None:
        before = self._leased.pop(item.id, None)
        if before is not None and before.holder is not None:
            held = self._by_holder[before.holder]
            del held[item.id]
            if not held:
                del self._by_holder[before.holder]
        if item.state is WorkState.LEASED and item.holder is not None:
            self._leased[item.id] = item
            self._by_holder.setdefault(item.holder, {})[item.id] = item

    def leases_by_holder(self) -> dict[str, list[WorkItem]]:
        return {holder: list(items.values()) for holder, items in self._by_holder.items()}

    def leases_of(self, holder: str) -> list[WorkItem]:
        return list(self._by_holder.get(holder, {}).values())

    # --- heartbeats ------------------------------------------------------------------------------

    def beat(self, beats: Sequence[Beat], now_ms: int) -> dict[str, BeatReply]:
        """Note signs of life. Raises :class:`NotFound`, and notes nothing, when an agent is unknown."""
        unknown = [beat.agent_id for beat in beats if beat.agent_id not in self.agents]
        if unknown:
            names = " ".join(clean(agent_id, 60) for agent_id in unknown[:10])
            raise NotFound(f"not registered: {names}; register first")
        return {beat.agent_id: self._beat(beat, now_ms) for beat in beats}

    def _beat(self, beat: Beat, now_ms: int) -> BeatReply:
        agent = self.agents[beat.agent_id]
        self.agents[agent.id] = replace(
            agent,
            heartbeat_at=now_ms,
            activity=beat.activity,
            cause=clean_optional(beat.cause),
            note=clean_optional(beat.note),
            answer=None,
        )
        self._unsaved.add(agent.id)
        held: Mapping[str, WorkItem] = self._by_holder.get(agent.id, {})
        unwanted = tuple(item.id for item in held.values() if item.cancel_requested_at is not None)
        return BeatReply(agent.draining, self.estop is not None, agent.answer, unwanted)

    def take_unsaved(self) -> list[Registration]:
        """Agents whose heartbeat is not written down yet."""
        agents = [self.agents[agent_id] for agent_id in self._unsaved if agent_id in self.agents]
        self._unsaved.clear()
        return agents
