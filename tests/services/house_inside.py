"""A watch's inside without its process: a real store, and only those processes that a test shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backends.agents import DeclaredAgent
from backends.clock import Clock, SystemClock
from backends.fleet import ProcessTable
from backends.picture import Reading
from console.commands import REGISTRY
from console.config.paths import StatePaths
from console.config.settings import Agents, Config, Console, Drift, Gpu
from console.watch.dispatch import Dispatcher, Requester
from console.watch.house import House
from console.wire import Invoke, Reply

OPERATOR = Requester("uid:1 tester", "cli")


class Inside:
    """A house and the dispatcher on it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.dispatcher = Dispatcher(REGISTRY, house)

    async def do(self, command: str, *targets: str, **more: Any) -> Reply:
        """Invoke a command. ``args`` by name; ``dry_run``, ``confirmed``, ``plan_ids`` as on the wire."""
        wire = {
            name: more.pop(name)
            for name in ("dry_run", "confirmed", "plan_ids", "request_id")
            if name in more
        }
        return await self.dispatcher.invoke(Invoke(1, command, targets, more, **wire), OPERATOR)

    async def data(self, command: str, *targets: str, **more: Any) -> Any:
        """The data of a command that must succeed."""
        reply = await self.do(command, *targets, **more)
        assert reply.failure is None, reply.failure
        assert reply.outcomes[0].exit_code == 0, reply.outcomes[0]
        return reply.outcomes[0].data

    async def code(self, command: str, *targets: str, **more: Any) -> int:
        """The exit code a command ends with."""
        reply = await self.do(command, *targets, **more)
        if reply.failure is not None:
            return reply.failure.code
        return max(outcome.exit_code for outcome in reply.outcomes)

    async def records(self) -> list[tuple[str, str, str]]:
        """The audit trail, oldest first: command, target, outcome."""
        found = await self.house.store.audit(10_000)
        return [(record.command, record.target, record.outcome) for record in reversed(found)]

    async def show(self, *pids: int) -> None:
        """Let the house read the process table, and see these processes only."""
        reader = ProcessTable(self.house.clock, self.house.host)
        reading = await reader.read()
        rows = [row for row in reading.tables["processes"] if row.ref.pid in pids]
        self.house._senses._take(Reading(reading.state, {"processes": rows}))
        await reader.close()


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    declared: tuple[DeclaredAgent, ...] = (),
    read_only: bool = False,
    clock: Clock | None = None,
) -> AsyncIterator[Inside]:
    """Open a house in ``folder``; nothing in it runs by itself."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    config = Config(
        console=Console(read_only=read_only),
        agents=Agents(recognise=False, declared=declared),
        drift=Drift(roots=()),
        gpu=Gpu(enabled=False),
    )
    house = await House.open(config, StatePaths(folder, folder / "watch.sock"), clock or SystemClock())
    try:
        yield Inside(house)
    finally:
        await house.close()
