"""The agents of the Picture: all sources merged into one row each, re-derived only when something changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from backends.agents.declared import DeclaredAgent, DiscoverPattern
from backends.agents.derive import derive, explain, next_look
from backends.agents.discover import Discoverer
from backends.agents.facts import Discovery, Facts, ProbeReport, Session
from backends.agents.history import RSS_STEP_MS, History
from backends.agents.identity import Bindings, bind
from backends.agents.limits import Limits
from backends.agents.schedule import Schedule
from backends.agents.urgency import ATTENTION
from backends.model import Agent, Explanation, Gpu, Process, Registration, WorkItem
from backends.picture import Table

#: A process table older than this, and than three of its intervals, is stale: what was only seen in it is no
#: longer live.
PROCESSES_STALE_MS = 15_000
#: ``observed_at`` of a row that is otherwise the same moves in steps of this.
OBSERVED_STEP_MS = 10_000


@dataclass(slots=True)
class Changes:
    """What one :meth:`Roster.tick` changed."""

    put: list[Agent] = field(default_factory=list)
    discard: list[str] = field(default_factory=list)

    def apply(self, table: Table) -> None:
        """Bring ``table`` up to date."""
        table.discard(self.discard)
        table.put(self.put)


class _Local(NamedTuple):
    """What this machine's own readers know of one agent. Compared to see whether it changed."""

    declared: str | None = None  # name
    probe: ProbeReport | None = None
    discovery: Discovery | None = None
    session: Session | None = None
    roots: tuple[Process, ...] = ()
    tree: tuple[Process, ...] = ()
    vram_bytes: int | None = None


_NOTHING = _Local()


class Roster:
    """Keeps what the sources said last; :meth:`tick` turns what changed into rows."""

    def __init__(self, host: str, limits: Limits | None = None, ignore_pids: Iterable[int] = ()) -> None:
        """``host``: this machine's id. ``ignore_pids`` are never discovered as agents (the watch's own)."""
        self.host = host
        self.limits = limits or Limits()
        self.rows: dict[str, Agent] = {}
        self._ignore = frozenset(ignore_pids)
        self._discoverer = Discoverer((), self._ignore)
        self._registrations: dict[str, Registration] = {}
        self._registered_here: dict[int, dict[str, Registration]] = {}  # by pid
        self._declared: dict[str, DeclaredAgent] = {}
        self._probes: dict[str, ProbeReport] = {}
        self._sessions: dict[int, Session] = {}
        self._processes: dict[int, Process] = {}
        self._processes_at: int | None = None
        self._processes_good_ms = PROCESSES_STALE_MS
        self._processes_stale = False
        self._vram: dict[int, int] = {}
        self._leases: dict[str, tuple[WorkItem, ...]] = {}
        self._bindings = Bindings()
        self._local: dict[str, _Local] = {}
        self._unconfirmed: set[str] = set()  # registered here with a pid that is not there: gone, or too new
        self._gone_at: dict[str, int] = {}
        self._stopped: dict[str, tuple[str, int]] = {}
        self._history: dict[str, History] = {}
        self._dirty: set[str] = set()
        self._rebind = False
        self._schedule = Schedule()
        self._next_sample_at = 0

    # --- what the sources say ----------------------------------------------------------------------

    def set_registrations(self, registrations: Mapping[str, Registration], now: int) -> None:
        """All registrations of the store."""
        for gone in self._registrations.keys() - registrations.keys():
            self.remove_registration(gone)
        for registration in registrations.values():
            self.update_registration(registration, now)

    def update_registration(self, registration: Registration, now: int) -> None:
        """One registration is new, or a heartbeat changed it."""
        id_ = registration.id
        before = self._registrations.get(id_)
        if before == registration:
            return
        self._registrations[id_] = registration
        self._dirty.add(id_)
        if before is not None and registration.incarnation > before.incarnation:
            self._history_of(id_).note_incarnation(before.incarnation, registration.incarnation, now)
            self._stopped.pop(id_, None)
        if before is None:
            self._rebind |= id_ in self._declared
        elif (before.pid, before.pid_start_ticks, before.host, before.incarnation) == (
            registration.pid,
            registration.pid_start_ticks,
            registration.host,
            registration.incarnation,
        ):
            if registration.pid in self._registered_here:
                self._registered_here[registration.pid][id_] = registration
            return
        else:
            self._forget_pid(before)
        if registration.pid is not None and registration.host == self.host:
            self._registered_here.setdefault(registration.pid, {})[id_] = registration
            self._unconfirmed.add(id_)
            self._rebind = True

    def remove_registration(self, id_: str) -> None:
        """The agent was taken off the list."""
        registration = self._registrations.pop(id_, None)
        if registration is not None:
            self._forget_pid(registration)
            self._dirty.add(id_)
            self._rebind |= id_ in self._local

    def set_declared(self, agents: Sequence[DeclaredAgent]) -> None:
        """What config.toml declares."""
        self._dirty.update(self._bindings.declared.values())
        self._declared = {agent.name: agent for agent in agents}
        self._probes = {name: report for name, report in self._probes.items() if name in self._declared}
        self._rebind = True

    def set_patterns(self, patterns: Sequence[DiscoverPattern], built_in: bool = True) -> None:
        """What config.toml adds to the rules of discovery; ``built_in`` False: there are no other rules."""
        self._discoverer = Discoverer(patterns, self._ignore, built_in)
        self._rebind = True

    def set_limits(self, limits: Limits) -> None:
        """Judge by other numbers from now on."""
        self.limits = limits
        self._dirty.update(self.rows)

    def set_probes(self, reports: Iterable[ProbeReport]) -> None:
        """What the probes of the declared agents said."""
        for report in reports:
            if report.name in self._declared:
                self._probes[report.name] = report
        self._rebind = True

    def set_sessions(self, sessions: Iterable[Session]) -> None:
        """Claude Code's session registry."""
        self._sessions = {session.pid: session for session in sessions}
        self._rebind = True

    def set_processes(self, processes: Iterable[Process], observed_at: int) -> None:
        """This machine's process table as read at ``observed_at``."""
        self._processes = {process.ref.pid: process for process in processes}
        if self._processes_at is not None:
            self._processes_good_ms = max(PROCESSES_STALE_MS, 3 * (observed_at - self._processes_at))
        self._processes_at = observed_at
        self._rebind = True

    def set_gpus(self, gpus: Iterable[Gpu]) -> None:
        """Whose processes hold how much VRAM on this machine."""
        vram: dict[int, int] = {}
        for gpu in gpus:
            for process in (gpu.processes or ()) if gpu.host == self.host else ():
                if process.vram_bytes is not None:
                    vram[process.pid] = vram.get(process.pid, 0) + process.vram_bytes
        self._rebind |= vram != self._vram
        self._vram = vram

    def set_leases(self, by_holder: Mapping[str, Sequence[WorkItem]]) -> None:
        """All leased work, by the agent that holds it."""
        for holder in self._leases.keys() - by_holder.keys():
            self.update_leases(holder, ())
        for holder, items in by_holder.items():
            self.update_leases(holder, items)

    def update_leases(self, holder: str, items: Sequence[WorkItem]) -> None:
        """What one agent holds now."""
        held = tuple(items)
        if held == self._leases.get(holder, ()):
            return
        self._dirty.add(holder)
        if held:
            self._leases[holder] = held
        else:
            del self._leases[holder]

    def mark_stopped(self, id_: str, by: str, now: int) -> None:
        """An operator stops this agent: its end is not a crash. Forgotten as soon as it runs again."""
        self._stopped[id_] = (by, now)
        self._dirty.add(id_)

    def mark_started(self, id_: str) -> None:
        """An operator started this agent: its restarts until now no longer count as a crash loop."""
        if id_ in self._history:
            self._history[id_].forget_starts()
            self._dirty.add(id_)

    # --- what follows from it ------------------------------------------------------------------------

    def tick(self, now: int, limit: int | None = None) -> Changes:
        """Re-derive what changed, or what time alone changed. At most ``limit`` rows; the rest next time."""
        if self._rebind:
            self._rebind = False
            self._bind(now)
        stale = self._processes_at is not None and now - self._processes_at > self._processes_good_ms
        if stale != self._processes_stale:
            self._processes_stale = stale
            self._dirty.update(self._local)
        self._sample_memory(now)
        self._dirty |= self._schedule.pop_due(now)
        if limit is None or len(self._dirty) <= limit:
            batch, self._dirty = self._dirty, set()
        else:
            batch = {self._dirty.pop() for _ in range(limit)}
        changes = Changes()
        for id_ in batch:
            self._refresh(id_, now, changes)
        return changes

    def explain(self, id_: str, now: int) -> Explanation | None:
        """Why the row says what it says; ``None`` for an agent nobody knows."""
        return explain(self._facts(id_), now) if self._is_known(id_) else None

    def rss_trend(self, id_: str) -> tuple[tuple[int, int], ...]:
        """Memory of the agent's whole tree over the last five minutes: (ms UTC, bytes), oldest first."""
        history = self._history.get(id_)
        return tuple(history.rss) if history is not None else ()

    def rss_trends(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """:meth:`rss_trend` of every agent whose processes are seen on this machine."""
        return {id_: self.rss_trend(id_) for id_, seen in self._local.items() if seen.tree}

    @property
    def owners(self) -> Mapping[int, str]:
        """Agent id by pid, for the processes of this machine."""
        return self._bindings.owners

    def declared(self, id_: str) -> DeclaredAgent | None:
        """How the agent was declared: its start command, its unit."""
        name = self._local.get(id_, _NOTHING).declared
        return self._declared.get(name) if name is not None else None

    # --- inside ----------------------------------------------------------------------------------------

    def _bind(self, now: int) -> None:
        """Find out again who is who on this machine, and mark the agents for which that changed."""
        registered = {
            pid: list(self._registered_here[pid].values())
            for pid in self._processes
            if pid in self._registered_here
        }
        self._bindings = bind(
            self._processes,
            registered,
            self._registrations,
            {name: self._probes.get(name) for name in self._declared},
            self._discoverer.find(self._processes),
            self._bindings.declared,
        )
        local = self._locals()
        for id_ in self._local.keys() | local.keys():
            if self._local.get(id_) != local.get(id_):
                self._dirty.add(id_)
        for id_ in self._local.keys() - local.keys():
            if not self._is_registered_here(id_):
                self._history.pop(id_, None)
        lost = {id_ for id_, seen in self._local.items() if seen.roots and id_ not in self._bindings.roots}
        self._unconfirmed |= {id_ for id_ in lost if self._is_registered_here(id_)}
        self._local = local
        for id_, seen in local.items():
            self._remember(id_, seen, now)
        self._confirm_gone()

    def _locals(self) -> dict[str, _Local]:
        found = self._bindings
        declared = {agent: name for name, agent in found.declared.items()}
        return {
            id_: _Local(
                declared.get(id_),
                self._probes.get(declared.get(id_, "")),
                found.discovered.get(id_),
                self._session_of(found.trees.get(id_, ())),
                found.roots.get(id_, ()),
                found.trees.get(id_, ()),
                self._vram_of(found.trees.get(id_, ())),
            )
            for id_ in found.roots.keys() | declared.keys() | found.discovered.keys()
        }

    def _remember(self, id_: str, seen: _Local, now: int) -> None:
        history = self._history_of(id_)
        unit = seen.probe.unit if seen.probe is not None else None
        if unit is not None:
            history.note_unit(unit, now)
        if seen.roots:
            self._unconfirmed.discard(id_)
            self._gone_at.pop(id_, None)
            counts = id_ not in self._registrations and unit is None and len(seen.roots) == 1
            history.note_root(seen.roots[0].ref, seen.roots[0].started_at, counts)
            if id_ in self._stopped and seen.roots[0].started_at > self._stopped[id_][1]:
                del self._stopped[id_]
        elif seen.probe is not None and seen.probe.running:
            history.was_running = True

    def _confirm_gone(self) -> None:
        """A registered pid that a later look at the process table did not find is gone."""
        if self._processes_at is None:
            return
        sees_everybody = 1 in self._processes  # hidepid= shows a user his own processes only
        for id_ in tuple(self._unconfirmed):
            registration = self._registrations.get(id_)
            if registration is None:
                self._unconfirmed.discard(id_)
                continue
            was_bound = id_ in self._history and self._history[id_].was_running
            if registration.registered_at < self._processes_at and (sees_everybody or was_bound):
                self._unconfirmed.discard(id_)
                self._gone_at[id_] = self._processes_at
                self._dirty.add(id_)

    def _refresh(self, id_: str, now: int, changes: Changes) -> None:
        before = self.rows.get(id_)
        if not self._is_known(id_):
            self._schedule.look_at(id_, None)
            for memory in (self._history, self._gone_at, self._stopped):
                memory.pop(id_, None)
            if before is not None:
                del self.rows[id_]
                changes.discard.append(id_)
            return
        facts = self._facts(id_)
        row = derive(facts, now)
        if before is not None and (before.urgency >= ATTENTION) != (row.urgency >= ATTENTION):
            self._history_of(id_).changes.append(now)
            facts = self._facts(id_)
            row = derive(facts, now)
        same_state = before is not None and (before.reach, before.activity, before.cause) == (
            row.reach,
            row.activity,
            row.cause,
        )
        row = replace(row, since_at=before.since_at if before is not None and same_state else now)
        self._schedule.look_at(id_, next_look(facts, now))
        if before is None or not _is_same(before, row):
            self.rows[id_] = row
            changes.put.append(row)

    def _facts(self, id_: str) -> Facts:
        registration = self._registrations.get(id_)
        local = self._local.get(id_, _NOTHING)
        history = self._history.get(id_)
        here = registration is None or registration.host == self.host
        stopped_by, stopped_at = self._stopped.get(id_, (None, 0))
        return Facts(
            id=id_,
            host=registration.host
            if registration is not None
            else self.host
            if local is not _NOTHING
            else "",
            limits=self.limits,
            registration=registration,
            declared=self._declared.get(local.declared) if local.declared is not None else None,
            probe=local.probe,
            discovery=local.discovery,
            session=local.session,
            roots=local.roots,
            tree=local.tree,
            processes_at=self._processes_at if here else None,
            processes_stale=self._processes_stale,
            gone_at=self._gone_at.get(id_),
            was_running=history is not None and history.was_running,
            stopped_by=stopped_by,
            stopped_at=stopped_at,
            leases=self._leases.get(id_, ()),
            vram_bytes=local.vram_bytes,
            starts=tuple(history.starts) if history is not None else (),
            restarts=_restarts(registration, local.probe, history),
            changes=tuple(history.changes) if history is not None else (),
            last_exit=history.last_exit if history is not None else None,
        )

    def _sample_memory(self, now: int) -> None:
        if now < self._next_sample_at:
            return
        self._next_sample_at = now + RSS_STEP_MS
        for id_, seen in self._local.items():
            sizes = [process.rss_bytes for process in seen.tree if process.rss_bytes is not None]
            if sizes:
                self._history_of(id_).note_rss(now, sum(sizes))

    def _is_known(self, id_: str) -> bool:
        return id_ in self._registrations or id_ in self._local or id_ in self._leases

    def _is_registered_here(self, id_: str) -> bool:
        registration = self._registrations.get(id_)
        return registration is not None and registration.pid is not None and registration.host == self.host

    def _history_of(self, id_: str) -> History:
        return self._history.setdefault(id_, History())

    def _forget_pid(self, registration: Registration) -> None:
        self._gone_at.pop(registration.id, None)
        self._unconfirmed.discard(registration.id)
        if registration.pid in self._registered_here:
            here = self._registered_here[registration.pid]
            if here.pop(registration.id, None) is not None:
                self._rebind = True
            if not here:
                del self._registered_here[registration.pid]

    def _session_of(self, tree: Sequence[Process]) -> Session | None:
        for process in tree:
            session = self._sessions.get(process.ref.pid)
            if session is not None and session.start_ticks in (None, process.ref.start_ticks):
                return session
        return None

    def _vram_of(self, tree: Sequence[Process]) -> int | None:
        held = [self._vram[process.ref.pid] for process in tree if process.ref.pid in self._vram]
        return sum(held) if held else None


def _is_same(before: Agent, row: Agent) -> bool:
    """Equal, apart from an ``observed_at`` that moved a little."""
    if before.observed_at is None or row.observed_at is None:
        return before == row
    moved = row.observed_at - before.observed_at
    return moved < OBSERVED_STEP_MS and before == replace(row, observed_at=before.observed_at)


def _restarts(
    registration: Registration | None, probe: ProbeReport | None, history: History | None
) -> int | None:
    if probe is not None and probe.unit is not None and probe.unit.restarts is not None:
        return probe.unit.restarts
    if registration is not None:
        return max(registration.incarnation - 1, 0)
    return history.restarts if history is not None else None
