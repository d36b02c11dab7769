"""How this machine's agents are started and stopped: their unit, or their declared start command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.agents import DeclaredAgent
from backends.clock import Clock
from backends.fleet import is_same_process, process_state
from backends.model import Agent, OutcomeStatus, ProcessRef
from backends.recovery import Act, Refused, StartFailed, exit_code_of, run_unit, start_command, terminate

Verb = Literal["start", "stop", "restart"]

#: A started agent must still run after this long to count as verified.
SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class UnitStarter:
    """systemd starts and stops it."""

    unit: str
    user: bool

    def describe(self, verb: Verb) -> str:
        scope = "--user " if self.user else ""
        return f"systemctl {scope}{verb} {shlex.quote(self.unit)}"


@dataclass(frozen=True, slots=True)
class CommandStarter:
    """Its declared argument list starts it."""

    argv: tuple[str, ...]
    cwd: str | None
    env: Mapping[str, str]
    log: Path

    def describe(self, verb: Verb) -> str:
        return shlex.join(self.argv)


class AgentControl:
    """Starts and stops declared agents, and ends the processes of any agent."""

    def __init__(self, declared: Mapping[str, DeclaredAgent], logs: Path, clock: Clock) -> None:
        self._declared = declared
        self._logs = logs
        self._clock = clock
        self._started: dict[str, ProcessRef] = {}

    def unit_of(self, agent_id: str) -> UnitStarter | None:
        """The systemd unit an agent is declared as."""
        declared = self._declared.get(agent_id)
        if declared is None or declared.match.unit is None:
            return None
        return UnitStarter(declared.match.unit, declared.unit_user)

    def starter_of(self, agent_id: str) -> UnitStarter | CommandStarter | None:
        """What starts it; ``None`` when nothing says how."""
        unit = self.unit_of(agent_id)
        if unit is not None:
            return unit
        declared = self._declared.get(agent_id)
        if declared is None or declared.start is None:
            return None
        return CommandStarter(tuple(declared.start), declared.cwd, declared.env, self.log_of(declared))

    def log_of(self, declared: DeclaredAgent) -> Path:
        """Where its output goes."""
        if declared.log is not None:
            return Path(declared.log).expanduser()
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in declared.name)
        return self._logs / "agents" / f"{safe}.log"

    async def stop(self, agent: Agent, grace_s: float) -> Act:
        """End all its processes, or its unit."""
        unit = self.unit_of(agent.id)
        if unit is not None:
            return await run_unit(unit.unit, "stop", unit.user, self._clock)
        messages = []
        for ref in agent.processes:
            try:
                act = await terminate(ref, self._clock, grace_s)
            except Refused as refused:
                if refused.why == "gone":
                    continue
                raise
            if act.status is not OutcomeStatus.VERIFIED:
                return act
            messages.append(f"{ref.pid} {act.message}")
        return Act(OutcomeStatus.VERIFIED, "; ".join(messages) or "it had ended already")

    async def start(self, agent_id: str) -> Act:
        """Start it by its unit or command."""
        starter = self.starter_of(agent_id)
        if starter is None:
            return Act(OutcomeStatus.FAILED, f"nothing says how to start {agent_id}")
        if isinstance(starter, UnitStarter):
            return await run_unit(starter.unit, "restart", starter.user, self._clock)
        try:
            ref = start_command(starter.argv, starter.env, starter.cwd, starter.log)
        except StartFailed as failed:
            return Act(OutcomeStatus.FAILED, str(failed))
        self._started[agent_id] = ref
        return Act(OutcomeStatus.VERIFIED, f"started as process {ref.pid}, output in {starter.log}")

    async def verify_started(self, agent_id: str, act: Act) -> Act:
        """Look again after a moment: a process that ended at once was not started."""
        ref = self._started.get(agent_id)
        if ref is None or act.status is not OutcomeStatus.VERIFIED:
            return act
        await self._clock.sleep(SETTLE_S)
        if is_same_process(ref) and process_state(ref) != "Z":
            return act
        code = exit_code_of(ref)
        how = "" if code is None else f" with status {code}"
        return Act(OutcomeStatus.FAILED, f"process {ref.pid} ended{how} within {SETTLE_S:g} s; see its log")
