"""The watch's senses: readers on their cadence, and what follows from what they say.

Readings go into the Picture; processes, GPUs, probes, registrations and leases also go to the roster, whose
rows are the agents of the Picture. Findings are derived from all of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from msgspec.structs import replace

from backends.agents import DeclaredReader, ProbeReport, Roster, Session, SessionReader
from backends.analysis import Inputs, analyse
from backends.clock import Clock
from backends.coordination import Commit, DeadGroup, Store, StoreError
from backends.drift import DriftReader
from backends.fleet import LocalHost, ProcessTable
from backends.gpu import GpuReader, SimulatedGpus
from backends.health import score
from backends.model import Gpu, GpuProcess, Health, Process, WorkState
from backends.picture import Picture, Reader, Reading
from backends.poller import Poller
from console.config.settings import Config

log = logging.getLogger(__name__)

#: Agents are derived at most this often while something changes, and at least every AGENTS_QUIET_S.
AGENTS_BUSY_S = 0.1
AGENTS_QUIET_S = 1.0
FINDINGS_S = 1.0
SWEEP_S = 1.0
#: Rows of agents derived in one go before other work gets its turn.
BATCH = 2_000

TABLES = ("agents", "gpus", "hosts", "processes", "worktrees", "copies", "findings")


class Senses:
    """Everything that keeps the Picture true."""

    def __init__(
        self,
        config: Config,
        picture: Picture,
        roster: Roster,
        store: Store,
        clock: Clock,
        is_watched: Callable[[], bool],
        simulated_gpus: SimulatedGpus | None = None,
    ) -> None:
        self._config = config
        self._picture = picture
        self._roster = roster
        self._store = store
        self._clock = clock
        self._is_watched = is_watched
        self._agents_changed = asyncio.Event()
        self._host = roster.host
        self._dead_groups: list[DeadGroup] = []
        self.health = Health(100)
        roster.set_limits(config.agents.limits())
        roster.set_declared(config.agents.declared)
        roster.set_patterns(config.agents.discover, config.agents.recognise)
        for registration in store.registrations():
            roster.update_registration(registration, clock.now_ms())
        leases = store.leases_by_holder()
        roster.set_leases(leases)
        self._holder_of = {item.id: holder for holder, items in leases.items() for item in items}
        store.on_commit(self._committed)
        own = frozenset((os.getpid(),))
        declared = DeclaredReader(
            self._host, config.agents.declared, self._processes, self._probed, clock, own
        )
        self._gpu = simulated_gpus or GpuReader(self._host, clock, library=config.gpu.library or None)
        intervals = config.watch.intervals
        self.pollers = [
            self._poller(LocalHost(clock, self._host), intervals.host_ms),
            self._poller(ProcessTable(clock, self._host), intervals.processes_ms),
            self._poller(
                DriftReader(
                    self._host,
                    config.drift.roots,
                    clock,
                    ignore=config.drift.ignore,
                    depth=config.drift.max_depth,
                ),
                intervals.drift_ms,
            ),
        ]
        if config.agents.recognise:
            sessions = SessionReader(self._host, clock, self._sessions)
            self.pollers.append(self._poller(sessions, intervals.agents_ms))
        if config.agents.declared:
            self.pollers.append(self._poller(declared, intervals.agents_ms))
        if config.gpu.enabled:
            self.pollers.append(self._poller(self._gpu, intervals.gpu_ms))

    def work(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Everything that must run while the watch does."""
        for poller in self.pollers:
            yield f"poll {poller.reader.source}", poller.run()
        yield "agents", self._keep_agents()
        yield "findings", self._keep_findings()
        yield "sweep", self._sweep()

    def watching_changed(self) -> None:
        """A console came or went: the driver is asked at another pace, and nobody waits for a slow turn."""
        self._gpu.set_pace(self._interval_s(self._config.watch.intervals.gpu_ms), processes=True)
        if self._is_watched():
            self.refresh()

    def refresh(self) -> None:
        """Read every source now."""
        for poller in self.pollers:
            poller.read_now()

    def mark_stopped(self, agent_id: str, by: str) -> None:
        """An operator ends this agent; its end is no crash."""
        self._roster.mark_stopped(agent_id, by, self._clock.now_ms())

    def mark_started(self, agent_id: str) -> None:
        """An operator started this agent; its restarts are counted anew."""
        self._roster.mark_started(agent_id)

    def derive_now(self) -> None:
        """Bring the agents of the Picture up to date before something rests on them."""
        self._roster.tick(self._clock.now_ms(), BATCH).apply(self._picture["agents"])

    # --- readings ------------------------------------------------------------------------------------

    def _poller(self, reader: Reader, interval_ms: int) -> Poller:
        return Poller(reader, lambda: self._interval_s(interval_ms), self._take, self._clock)

    def _interval_s(self, interval_ms: int) -> float:
        """Slower while no console is looking."""
        return interval_ms / 1000 * (1 if self._is_watched() else self._config.watch.idle_factor)

    def _processes(self) -> list[Process]:
        return list(self._picture["processes"].rows.values())

    def _take(self, reading: Reading) -> None:
        source = reading.state.source
        if reading.state.ok and source == "processes":
            rows = reading.tables["processes"]
            self._roster.set_processes(rows, reading.state.observed_at or self._clock.now_ms())
            owners = self._roster.owners
            reading = Reading(reading.state, {"processes": [_owned(row, owners) for row in rows]})
            self._agents_changed.set()
        elif source == "gpu" and "gpus" in reading.tables:
            gpus = [self._with_agents(gpu) for gpu in reading.tables["gpus"]]
            self._roster.set_gpus(gpus)
            reading = Reading(reading.state, {"gpus": gpus})
            self._agents_changed.set()
        self._picture.apply(reading)

    def _probed(self, reports: list[ProbeReport]) -> None:
        self._roster.set_probes(reports)
        self._agents_changed.set()

    def _sessions(self, sessions: list[Session]) -> None:
        self._roster.set_sessions(sessions)
        self._agents_changed.set()

    def _with_agents(self, gpu: Gpu) -> Gpu:
        if not gpu.processes:
            return gpu
        owners = self._roster.owners
        return replace(gpu, processes=tuple(_holder(process, owners) for process in gpu.processes))

    def _committed(self, commit: Commit) -> None:
        now = self._clock.now_ms()
        for agent_id in commit.agents:
            registration = self._store.registration(agent_id)
            if registration is None:
                self._roster.remove_registration(agent_id)
            else:
                self._roster.update_registration(registration, now)
        for holder in self._holders_of(commit):
            self._roster.update_leases(holder, self._store.leases_of(holder))
        if commit.agents or commit.items:
            self._agents_changed.set()

    def _holders_of(self, commit: Commit) -> set[str]:
        """Agents that hold, or held until now, an item the commit changed."""
        holders = set()
        for item in commit.items.values():
            before = self._holder_of.pop(item.id, None)
            if before is not None:
                holders.add(before)
            if item.state is WorkState.LEASED and item.holder is not None:
                holders.add(item.holder)
                self._holder_of[item.id] = item.holder
        return holders

    # --- what follows --------------------------------------------------------------------------------

    async def _keep_agents(self) -> None:
        table = self._picture["agents"]
        while True:
            try:
                async with asyncio.timeout(AGENTS_QUIET_S):
                    await self._agents_changed.wait()
            except TimeoutError:
                pass
            self._agents_changed.clear()
            try:
                self._roster.tick(self._clock.now_ms(), BATCH).apply(table)
            except Exception:
                log.exception("the agents could not be derived; the last ones stay")
            await self._clock.sleep(AGENTS_BUSY_S)

    async def _keep_findings(self) -> None:
        while True:
            began = self._clock.monotonic_ms()
            try:
                self._dead_groups = await self._store.dead_groups()
                began = self._clock.monotonic_ms()
                self.judge()
            except Exception:  # a bug in one rule, or a disk that cannot be read, must not end the watch
                log.exception("the findings could not be derived; the last ones stay")
            pause = FINDINGS_S if self._is_watched() else FINDINGS_S * 5
            # with very many agents a look costs more; it may take a twentieth of the time
            await self._clock.sleep(max(pause, (self._clock.monotonic_ms() - began) / 1000 * 20))

    def judge(self) -> None:
        """Say what is wrong now, and how much health is left."""
        now = self._clock.now_ms()
        counts = self._store.counts()
        leases = self._store.leases_by_holder()
        estop = self._store.estop()
        inputs = Inputs(
            picture=self._picture,
            work_counts={str(state): number for state, number in counts.items()},
            dead=self._dead_groups,
            leases=leases,
            rss_trends=self._roster.rss_trends(),
            estop=estop.reason if estop is not None else None,
            limits=self._roster.limits,
        )
        self._picture["findings"].replace("analyst", analyse(inputs, now))
        expired = sum((item.lease_until or now) < now for items in leases.values() for item in items)
        self.health = score(self._picture, now, dead_letters=counts[WorkState.DEAD], expired_leases=expired)

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            try:
                await self._store.sweep()
            except StoreError as error:  # a full disk: claims reclaim as well, and the next turn comes
                log.error("leases were not swept: %s", error)


def _owned(process: Process, owners: Any) -> Process:
    owner = owners.get(process.ref.pid)
    return process if owner is None else replace(process, agent=owner)


def _holder(process: GpuProcess, owners: Any) -> GpuProcess:
    owner = owners.get(process.pid)
    return process if owner is None else replace(process, agent=owner)
