"""The reader of declared agents: runs their probes and puts the answers together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from backends.agents.declared import DeclaredAgent
from backends.agents.facts import Check, ProbeReport, Unit
from backends.agents.pattern import compile_pattern
from backends.agents.probe_network import check_health, check_port, listener
from backends.agents.probe_process import CommandProbe, Found, check_pid_file
from backends.agents.probe_unit import UnitsUnreadable, judge_unit, show_units
from backends.clock import Clock
from backends.model import Process, SourceState
from backends.picture import Reading
from backends.text import clean

#: How many agents are asked over the network at once.
CONCURRENCY = 16
UNIT_TIMEOUT_S = 5.0
_NETWORK = ("port", "health_url")

Findings = dict[str, Found]


class DeclaredReader:
    """Reader of all declared agents of this machine; hands what it finds to ``tell``.

    A probe that fails is believed when it failed twice in a row: one lost packet or a restart in progress is
    no outage. After a first failure the answer before it stands.
    """

    source = "declared"

    def __init__(
        self,
        host: str,
        agents: Sequence[DeclaredAgent],
        processes: Callable[[], Sequence[Process]],
        tell: Callable[[list[ProbeReport]], None],
        clock: Clock,
        ignore_pids: frozenset[int] = frozenset(),
    ) -> None:
        self.host = host
        self._agents = agents
        self._processes = processes
        self._tell = tell
        self._clock = clock
        self._commands = {
            agent.name: CommandProbe(compile_pattern(agent.match.command), ignore_pids)
            for agent in agents
            if agent.match.command is not None
        }
        self._failed: set[tuple[str, str]] = set()  # (agent, way) whose last answer was a failure
        self._stands: dict[tuple[str, str], bool | None] = {}  # what is believed of each
        self._listeners: dict[str, int | None] = {}  # None: the kernel does not show us which process
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def read(self) -> Reading:
        if not self._agents:
            return Reading(SourceState(self.host, self.source, ok=True, observed_at=self._clock.now_ms()))
        started = self._clock.monotonic_ms()
        (system, system_problem), (user, user_problem), network = await asyncio.gather(
            self._ask_systemd(user=False), self._ask_systemd(user=True), self._ask_network()
        )
        now = self._clock.now_ms()
        processes = {process.ref.pid: process for process in self._processes()}
        reports = []
        for agent in self._agents:
            units, problem = (user, user_problem) if agent.unit_user else (system, system_problem)
            unit = units.get(agent.match.unit or "")
            found = self._ask_processes(agent, processes, unit, problem)
            if "port" in network[agent.name] and network[agent.name]["port"].ok:
                network[agent.name]["port"] = self._with_listener(
                    agent, network[agent.name]["port"], processes
                )
            found |= network[agent.name]
            believed = {way: self._second_opinion(agent.name, way, answer) for way, answer in found.items()}
            reports.append(combine(agent.name, believed, unit, now))
        self._tell(reports)
        problem = system_problem or user_problem
        return Reading(
            SourceState(
                self.host,
                self.source,
                ok=not problem,
                status="ok" if not problem else "no systemd",
                reason=problem,
                observed_at=now,
                failing_since_at=now if problem else None,
                cost_ms=float(self._clock.monotonic_ms() - started),
            )
        )

    async def close(self) -> None:
        """Nothing is held open between two reads."""

    async def _ask_systemd(self, user: bool) -> tuple[Mapping[str, Unit], str]:
        names = [agent.match.unit for agent in self._agents if agent.match.unit and agent.unit_user is user]
        if not names:
            return {}, ""
        try:
            return await show_units(sorted(set(names)), user, self._clock, UNIT_TIMEOUT_S), ""
        except UnitsUnreadable as error:
            return {}, str(error)

    async def _ask_network(self) -> dict[str, Findings]:
        answers = await asyncio.gather(*(self._ask_one(agent) for agent in self._agents))
        return {agent.name: answer for agent, answer in zip(self._agents, answers, strict=True)}

    async def _ask_one(self, agent: DeclaredAgent) -> Findings:
        match, found = agent.match, Findings()
        if match.port is None and match.health_url is None:
            return found
        async with self._slots:
            if match.port is not None:
                found["port"] = await check_port(match.address, match.port, agent.probe_timeout_s)
            if match.health_url is not None:
                found["health_url"] = await check_health(match.health_url, agent.probe_timeout_s)
        return found

    def _ask_processes(
        self, agent: DeclaredAgent, processes: Mapping[int, Process], unit: Unit | None, problem: str
    ) -> Findings:
        match, found = agent.match, Findings()
        if match.command is not None:
            found["command"] = self._commands[agent.name].find(processes)
        if match.unit is not None:
            found["unit"] = judge_unit(unit) if unit else Found(None, problem or f"no word on {match.unit}")
        if match.pid_file is not None:
            found["pid_file"] = check_pid_file(match.pid_file, processes)
        return found

    def _with_listener(self, agent: DeclaredAgent, answer: Found, processes: Mapping[int, Process]) -> Found:
        """Add the process that listens, where the kernel shows it. Looked for when the port opens."""
        assert agent.match.port is not None
        pid = self._listeners.get(agent.name, 0)
        if agent.name not in self._listeners or (pid is not None and pid not in processes):
            pid = self._listeners[agent.name] = listener(agent.match.port, processes)
        return answer if pid is None else Found(True, f"{answer.says}; process {pid} listens", (pid,))

    def _second_opinion(self, name: str, way: str, found: Found) -> Found:
        key = (name, way)
        if found.ok is not False:
            self._failed.discard(key)
            self._stands[key] = found.ok
            return found
        if key in self._failed:
            self._stands[key] = False
            return found
        self._failed.add(key)
        says = f"{found.says}; asking a second time before believing it"
        return Found(self._stands.get(key), says, abandoned=found.abandoned)


def combine(name: str, found: Mapping[str, Found], unit: Unit | None, now: int) -> ProbeReport:
    """One report from the answers of all probes of one agent.

    It runs when every probe that looks for a process found one; where only the network was asked, an answer
    is the proof. Anything unknown makes the whole unknown, unless something else already says no.
    """
    exists = [answer.ok for way, answer in found.items() if way not in _NETWORK]
    answers = [answer.ok for way, answer in found.items() if way in _NETWORK]
    return ProbeReport(
        name=name,
        observed_at=now,
        running=_all(exists) if exists else _all(answers),
        responding=_all(answers) if answers else None,
        pids=next((answer.pids for answer in found.values() if answer.pids), ()),
        abandoned_pid_file=any(answer.abandoned for answer in found.values()),
        unit=unit,
        checks=tuple(Check(way, answer.ok, clean(answer.says, 300), now) for way, answer in found.items()),
    )


def _all(answers: Sequence[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True
