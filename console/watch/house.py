"""The house a watch keeps: Picture, store, senses and control, and what commands and doors may ask of it."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from backends.agents import Roster
from backends.audit import AuditDraft
from backends.clock import Clock
from backends.coordination import Store
from backends.fleet import host_name
from backends.gpu import SimulatedGpus
from backends.health import ABSENT
from backends.model import (
    Agent,
    Explanation,
    Health,
    OutcomeStatus,
    Process,
    ProcessRef,
    SourceState,
    Summary,
    View,
    Window,
)
from backends.picture import Picture
from backends.recovery import Act as Effect
from backends.redact import redact_args
from backends.text import clean
from backends.units import count_words
from console.commands.registry import Call, CommandError
from console.config.paths import StatePaths
from console.config.settings import Config
from console.exit_codes import ExitCode
from console.version import version
from console.watch.agent_control import AgentControl, CommandStarter, UnitStarter
from console.watch.answering import Answering
from console.watch.log_files import LogUnreadable, follow, tail
from console.watch.order import Order, agent_word
from console.watch.senses import TABLES, Senses
from console.watch.tally import TableTally
from console.watch.views import Views
from console.wire import PROTOCOL, Ask, Follow, FromWatch, Lines, Totals, Welcome

if TYPE_CHECKING:
    from console.watch.doors import Door

#: Totals go out at most this often.
SUMMARY_S = 0.25


class House:
    """One watch's inside. Made by :meth:`open`."""

    def __init__(self, config: Config, paths: StatePaths, clock: Clock, store: Store, demo: bool) -> None:
        self.config = config
        self.paths = paths
        self.clock = clock
        self.store = store
        self.host = host_name()
        self.read_only = config.console.read_only
        self.doors: set[Door] = set()
        self.started_at = clock.now_ms()
        self.picture = Picture(TABLES)
        self._demo = demo
        self._roster = Roster(self.host, ignore_pids=(os.getpid(),))
        self._control = AgentControl(
            {agent.name: agent for agent in config.agents.declared}, paths.logs, clock
        )
        self._senses = Senses(
            config,
            self.picture,
            self._roster,
            store,
            clock,
            self.is_watched,
            self._simulated_gpus() if demo else None,
        )
        self._answering = Answering(config.analysis, self.picture, clock)
        self._summary_changed = asyncio.Event()
        self._tallies = {
            "hosts": TableTally(self.picture["hosts"], lambda host: str(host.reach.value)),
            "agents": TableTally(self.picture["agents"], agent_word),
            "agents_reach": TableTally(self.picture["agents"], lambda agent: str(agent.reach.value)),
            "findings": TableTally(self.picture["findings"], lambda finding: str(finding.severity.value)),
        }
        store.on_commit(self._work_changed)
        for table in ("agents", "hosts", "findings"):
            self.picture[table].watch(lambda _: self._summary_changed.set())
        self.picture.watch_sources(self._source_changed)

    @classmethod
    async def open(cls, config: Config, paths: StatePaths, clock: Clock, *, demo: bool = False) -> House:
        """Open the store and everything on it. Raises what the store raises when it cannot be used."""
        store = await Store.open(paths.database, clock)
        return cls(config, paths, clock, store, demo)

    async def close(self) -> None:
        """Close the store; everything acknowledged is in it."""
        await self._answering.close()
        await self.store.close()

    def work(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What must run while the watch does."""
        return self._senses.work()

    # --- for doors -----------------------------------------------------------------------------------

    def welcome(self) -> Welcome:
        return Welcome(
            PROTOCOL, os.getpid(), self.host, version(), self.started_at, self.read_only, self._demo
        )

    def is_watched(self) -> bool:
        """True while a console is looking; sources are read less often when none is."""
        return any(door.is_console for door in self.doors)

    def doors_changed(self) -> None:
        """A console may have come or gone."""
        self._summary_changed.set()
        self._senses.watching_changed()

    def views(self, send: Callable[[FromWatch], None], is_writable: Callable[[], bool]) -> Views:
        """The views of one door."""
        return Views(self.picture, self.store.window, self._problem, self.clock, send, is_writable)

    def refresh(self) -> None:
        """Read every source now."""
        self._senses.refresh()

    async def send_summaries(self, id_: int, send: Callable[[FromWatch], Awaitable[None]]) -> None:
        """Send the totals whenever they change, until cancelled."""
        before: Summary | None = None
        while True:
            self._summary_changed.clear()
            summary = self.summary()
            if summary != before:
                await send(Totals(id_, summary))
                before = summary
            await self._summary_changed.wait()
            await asyncio.sleep(SUMMARY_S)

    async def follow_log(self, request: Follow, send: Callable[[FromWatch], Awaitable[None]]) -> None:
        """Stream a log until cancelled."""
        try:
            async for text in follow(self._log_path(request.agent), request.lines, self.clock):
                await send(Lines(request.id, text))
        except (CommandError, LogUnreadable) as error:
            await send(Lines(request.id, "", ended=str(error)))

    async def answer(self, request: Ask, send: Callable[[FromWatch], None]) -> None:
        """Stream an answer until it ends or is cancelled."""
        await self._answering.answer(request, send)

    # --- for commands: looking -----------------------------------------------------------------------

    async def window(self, view: View) -> Window:
        """One look through a view."""
        if view.table == "work":
            return await self.store.window(view)
        order = Order(self.picture[view.table], view.filter, view.sort, view.descending, self.clock)
        try:
            return order.window(view.start, view.count, view.follow, view.follow_offset)
        finally:
            order.close()

    def agent(self, agent_id: str) -> Agent:
        """The agent of that id or, when only one has it, of that name."""
        self._senses.derive_now()
        agents = self.picture["agents"].rows
        agent: Agent | None = agents.get(agent_id)
        if agent is None:
            named = [row for row in agents.values() if row.name == agent_id]
            agent = named[0] if len(named) == 1 else None
        if agent is None:
            raise CommandError(ExitCode.NOT_FOUND, f"no agent '{agent_id}'; see list-agents")
        return agent

    def process(self, ref: ProcessRef) -> Process | None:
        """The row of a process."""
        row: Process | None = self.picture["processes"].rows.get(f"{self.host}:{ref.pid}:{ref.start_ticks}")
        return row

    def summary(self) -> Summary:
        """Totals over all rows."""
        estop = self.store.estop()
        return Summary(
            hosts=self._tallies["hosts"].counts(),
            agents=self._tallies["agents"].counts(),
            agents_reach=self._tallies["agents_reach"].counts(),
            work={str(state): number for state, number in self.store.counts().items() if number},
            findings=self._tallies["findings"].counts(),
            health=self._senses.health.score,
            estop=f"{estop.reason} ({estop.actor})" if estop is not None else "",
            failing=tuple(state for state in self.picture.sources.values() if not state.ok),
            sources=tuple(self.picture.sources.values()),
            consoles=sum(door.is_console for door in self.doors),
        )

    def health(self) -> Health:
        """The score, with its deductions."""
        self._senses.judge()
        return self._senses.health

    def status(self) -> dict[str, Any]:
        """What ``status`` shows."""
        summary = self.summary()
        up_s = (self.clock.now_ms() - self.started_at) // 1000
        agents = sum(summary.agents.values())
        open_work = sum(summary.work.get(state, 0) for state in ("blocked", "scheduled", "ready", "leased"))
        return {
            "line": (
                f"watch {os.getpid()} on {self.host}, up {up_s} s: "
                f"{count_words(agents, 'agent')}, {count_words(open_work, 'open item')}, "
                f"{summary.work.get('dead', 0)} dead, health {summary.health}/100"
                + (f", EMERGENCY STOP: {summary.estop}" if summary.estop else "")
            ),
            "pid": os.getpid(),
            "host": self.host,
            "version": version(),
            "state_dir": str(self.paths.root),
            "read_only": self.read_only,
            "demo": self._demo,
            "started_at": self.started_at,
            "summary": summary,
        }

    def metrics(self) -> dict[str, float]:
        """Counters and figures by name, Prometheus style."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures: dict[str, float] = {
            "watchfloor_cpu_seconds_total": round(usage.ru_utime + usage.ru_stime, 3),
            "watchfloor_rss_max_bytes": usage.ru_maxrss * 1024,
            "watchfloor_uptime_seconds": (self.clock.now_ms() - self.started_at) / 1000,
            "watchfloor_connections": len(self.doors),
            "watchfloor_health": self.health().score,
        }
        summary = self.summary()
        for word, number in summary.agents.items():
            figures[f'watchfloor_agents{{activity="{word}"}}'] = number
        for word, number in summary.work.items():
            figures[f'watchfloor_work_items{{state="{word}"}}'] = number
        for state in summary.sources:
            if state.status in ABSENT:  # there is nothing to read, and nothing down
                continue
            labels = f'{{host="{state.host}",source="{state.source}"}}'
            figures[f"watchfloor_source_up{labels}"] = int(state.ok)
            if state.cost_ms is not None:
                figures[f"watchfloor_source_cost_ms{labels}"] = state.cost_ms
        return figures

    async def explain(self, target: str) -> Explanation:
        """Why the row of that id, in whichever table, shows what it shows."""
        from console.watch.explaining import explain_row

        return await explain_row(self, self._roster, target)

    async def log_tail(self, target: str, lines: int) -> str:
        """The last lines of an agent's log; of the watch's own without a target."""
        path = self._log_path(target) if target else self.paths.logs / "watch.jsonl"
        try:
            return tail(path, lines)[0]
        except LogUnreadable as error:
            raise CommandError(ExitCode.NOT_FOUND, str(error)) from None

    def _log_path(self, target: str) -> Path:
        agent = self.agent(target)
        if agent.log_path:
            return Path(agent.log_path)
        starter = self.starter_of(agent.id)
        if isinstance(starter, CommandStarter):
            return starter.log
        raise CommandError(
            ExitCode.NOT_FOUND,
            f"nothing says where {agent.id} logs; register it with --log, or declare `log`",
        )

    def doctor(self) -> list[dict[str, Any]]:
        """What the watch needs, and whether it is there."""
        from console.watch.checking import checks

        return checks(self)

    # --- for commands: acting ------------------------------------------------------------------------

    async def audit(self, call: Call, outcome: str, message: str, before: str, after: str) -> int:
        """Append one record to the audit chain. Returns its number."""
        args = msgspec.json.encode(redact_args(msgspec.to_builtins(call.params)), order="sorted").decode()
        record = await self.store.append_audit(
            AuditDraft(
                at_us=self.clock.now_ms() * 1000,
                actor=call.caller.actor,
                door=call.caller.door,
                command=call.caller.command,
                target=clean(call.target),
                args=args,
                before=clean(before),
                after=clean(after),
                outcome=outcome,
                message=clean(message),
                request_id=clean(call.caller.request_id, 100),
            )
        )
        return record.seq

    def expect_stop(self, agent_id: str, by: str) -> None:
        """An operator ends this agent; its end is no crash."""
        self._senses.mark_stopped(agent_id, by)

    def unit_of(self, agent_id: str) -> UnitStarter | None:
        return self._control.unit_of(agent_id)

    def starter_of(self, agent_id: str) -> UnitStarter | CommandStarter | None:
        return self._control.starter_of(agent_id)

    async def stop_processes(self, agent: Agent, grace_s: float) -> Effect:
        return await self._control.stop(agent, grace_s)

    async def start_agent(self, agent_id: str) -> Effect:
        effect = await self._control.start(agent_id)
        if effect.status is not OutcomeStatus.FAILED:
            self._senses.mark_started(agent_id)
        return effect

    async def verify_started(self, agent_id: str, status: OutcomeStatus, message: str) -> Effect:
        return await self._control.verify_started(agent_id, Effect(status, message))

    def freezable(self) -> tuple[ProcessRef, ...]:
        """Processes an emergency stop would freeze: every agent's, parents before children."""
        return tuple(dict.fromkeys(ref for agent in self.agents() for ref in agent.processes))

    def agents(self) -> list[Agent]:
        """All agents, as of now."""
        self._senses.derive_now()
        return list(self.picture["agents"].rows.values())

    def frozen(self) -> tuple[ProcessRef, ...] | None:
        """What the emergency stop in force froze; ``None`` when none is."""
        estop = self.store.estop()
        return None if estop is None else msgspec.json.decode(estop.frozen, type=tuple[ProcessRef, ...])

    # --- inside --------------------------------------------------------------------------------------

    def _problem(self, table: str) -> tuple[str, int | None]:
        """Why the rows of a table may be old, and when they were read last."""
        source = _SOURCE_OF.get(table)
        if source is None:
            return "", None
        state = self.picture.sources.get((self.host, source))
        if state is None:
            return "", None
        return ("" if state.ok else f"{state.status}: {state.reason}"), state.observed_at

    def _source_changed(self, state: SourceState) -> None:
        self._summary_changed.set()
        for table, source in _SOURCE_OF.items():
            if source == state.source:  # rows that did not change may be old news now, or new again
                for door in self.doors:
                    door.touch_table(table)

    def _work_changed(self, _: object) -> None:
        self._summary_changed.set()
        for door in self.doors:
            door.touch_table("work")

    def _simulated_gpus(self) -> SimulatedGpus:
        def workers() -> list[tuple[int, int, str | None]]:
            return [
                (ref.pid, agent.rss_bytes or 0, agent.id)
                for agent in self.picture["agents"].rows.values()
                for ref in agent.processes[:1]
            ]

        return SimulatedGpus(self.host, workers, self.clock)


#: Which source feeds a table.
_SOURCE_OF = {
    "gpus": "gpu",
    "hosts": "host",
    "processes": "processes",
    "agents": "processes",
    "worktrees": "drift",
    "copies": "drift",
}
