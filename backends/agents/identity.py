"""Which sources speak of the same agent. Pure.

A registration, a declaration and a discovery are one agent when they name the same process; a declaration
and a registration also when they have the same name. The registration's id wins, then the declared name:
work is leased to the one, and commands are typed with the other.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from backends.agents.facts import Discovery, ProbeReport
from backends.agents.trees import ancestors, owners
from backends.model import Process, Registration

#: A process that started this much after its registration is another one with a reused pid.
CLOCK_SLACK_MS = 2_000


@dataclass(slots=True)
class Bindings:
    """Who is who, and which processes belong to whom."""

    declared: dict[str, str] = field(default_factory=dict)  # declared name -> agent id
    discovered: dict[str, Discovery] = field(default_factory=dict)  # agent id -> discovery
    roots: dict[str, tuple[Process, ...]] = field(default_factory=dict)  # agent id -> its own processes
    owners: dict[int, str] = field(default_factory=dict)  # pid -> agent id
    trees: dict[str, tuple[Process, ...]] = field(default_factory=dict)  # agent id -> all its processes


def is_registered_process(registration: Registration, process: Process) -> bool:
    """True when ``process`` is the one that registered, and not a later one with the same pid."""
    if registration.pid_start_ticks is not None:
        return registration.pid_start_ticks == process.ref.start_ticks
    return process.started_at <= registration.registered_at + CLOCK_SLACK_MS


def bind(
    processes: Mapping[int, Process],
    registered: Mapping[int, Sequence[Registration]],
    registered_ids: Container[str],
    probes: Mapping[str, ProbeReport | None],
    discoveries: Sequence[Discovery],
    before: Mapping[str, str],
) -> Bindings:
    """Merge the sources.

    ``registered`` holds this host's registrations by pid, ``registered_ids`` the ids of all. ``probes`` has
    every declared name, with its last report. ``before`` is the last :attr:`Bindings.declared`: a declared
    agent stays merged with its registration while its process is away.
    """
    bound = Bindings()
    pids: dict[str, list[int]] = {}  # agent id -> its own pids
    holders: dict[int, str] = {}  # pid -> the agent whose own process it is
    shared: dict[str, int] = {}  # agent id -> pid, where two registrations name one process
    for pid in processes.keys() & registered.keys():
        for registration in sorted(registered[pid], key=lambda registration: registration.id):
            if is_registered_process(registration, processes[pid]):
                pids[registration.id] = [pid]
                if holders.setdefault(pid, registration.id) != registration.id:
                    shared[registration.id] = pid
    registered_holders = dict(holders)
    for name, report in probes.items():
        own = [pid for pid in (report.pids if report else ()) if pid in processes]
        agent = _declared_id(name, own, registered_ids, registered_holders, processes, before)
        bound.declared[name] = agent
        if own and agent not in pids:
            pids[agent] = own
            for pid in own:
                holders.setdefault(pid, agent)
    _bind_discoveries(bound, pids, holders, discoveries, processes)
    bound.owners = owners(processes, holders)
    trees: dict[str, list[Process]] = {}
    for pid, agent in bound.owners.items():
        trees.setdefault(agent, []).append(processes[pid])
    for agent, own in pids.items():
        bound.roots[agent] = tuple(processes[pid] for pid in own)
        members = trees.get(holders[shared[agent]] if agent in shared else agent, [])
        first = set(own)
        bound.trees[agent] = tuple(
            sorted(members, key=lambda process: (process.ref.pid not in first, process.ref.pid))
        )
    return bound


def _declared_id(
    name: str,
    own: Sequence[int],
    registered_ids: Container[str],
    registered_holders: Mapping[int, str],
    processes: Mapping[int, Process],
    before: Mapping[str, str],
) -> str:
    if name in registered_ids:
        return name
    same = {registered_holders[pid] for pid in own if pid in registered_holders}
    if not same and own:
        started_by = set(own)
        same = {
            agent
            for pid, agent in registered_holders.items()
            if started_by.intersection(ancestors(processes, pid))
        }
    if len(same) == 1:
        return same.pop()
    earlier = before.get(name, name)
    return earlier if not own and earlier in registered_ids else name


def _bind_discoveries(
    bound: Bindings,
    pids: dict[str, list[int]],
    holders: dict[int, str],
    discoveries: Sequence[Discovery],
    processes: Mapping[int, Process],
) -> None:
    """A discovery is the agent whose process it is; or the only one below a known agent's; or its own."""
    below: dict[str, list[Discovery]] = {}
    own: list[Discovery] = []
    known = dict(holders)
    for discovery in discoveries:
        same = next((known[pid] for pid in discovery.pids if pid in known), None)
        if same is not None:
            bound.discovered[same] = discovery
            continue
        above = next((known[pid] for pid in ancestors(processes, discovery.pids[0]) if pid in known), None)
        if above is not None:
            below.setdefault(above, []).append(discovery)
        else:
            own.append(discovery)
    for agent, found in below.items():
        if len(found) == 1 and agent not in bound.discovered:
            bound.discovered[agent] = found[0]
        else:
            own += found
    for discovery in own:
        if discovery.id in pids:  # a registered or declared agent chose this very name
            continue
        bound.discovered[discovery.id] = discovery
        pids[discovery.id] = list(discovery.pids)
        for pid in discovery.pids:
            holders.setdefault(pid, discovery.id)
