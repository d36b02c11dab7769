"""How the members of the fleet behave: most well, some not. Each of these runs until its process ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.demo.agent import Agent
from console.demo.cast import Role
from console.demo.jobs import JOBS, clean, notify, old_results
from console.demo.planner import plan

#: Between two looks for work.
IDLE_S = 2.0
#: What is being looked at or asked may take an operator a while.
LONG_LEASE = "1h"
#: How long before asking again, after a yes and after a no.
CONTENT_S, SULK_S = 10.0, 20.0
CRASH_AFTER_S = 1.0
MIB = 1 << 20

Settings = dict[str, Any]


def work(agent: Agent, settings: Settings) -> None:
    """Claim, do, report, again."""
    agent.say("idle")
    while True:
        item = agent.claim()
        if item is None:
            agent.rest(IDLE_S)
        else:
            agent.perform(item, JOBS[item["kind"]](agent.home, item))


def hoard(agent: Agent, settings: Settings) -> None:
    """Work, and forget to ever free anything, up to a limit."""
    growth, limit = settings.get("cache_growth_mb_per_s", 0), settings.get("cache_limit_mb", 0)
    cache: list[bytes] = []

    def keep_more(seconds: float) -> None:
        if sum(map(len, cache)) < limit * MIB:
            # written to, or the pages would not be resident
            cache.append(b"\1" * int(growth * seconds * MIB))

    if growth:
        agent.on_tick = keep_more
    work(agent, settings)


def wait(agent: Agent, settings: Settings) -> None:
    """Wait for a lock that an earlier run left behind: alive by its heartbeats, but nothing moves."""
    lock = settings.get("wait_for")
    if lock is None:
        work(agent, settings)
    while (item := agent.claim(LONG_LEASE)) is None:
        agent.rest(IDLE_S)
    agent.say("working", note=f"waiting for {lock}")
    agent.log(f"{item['id']}: waiting for {lock}, left by an earlier run")
    while (agent.home.root / str(lock)).exists():
        agent.rest(IDLE_S)
    agent.perform(item, JOBS[item["kind"]](agent.home, item))
    work(agent, settings)


def notice(agent: Agent, settings: Settings) -> None:
    """Tell recipients; needs to know them."""
    agent.say("idle")
    while True:
        item = agent.claim()
        if item is None:
            agent.rest(IDLE_S)
        else:
            agent.perform(item, notify(agent.home, item, settings["recipients"]))


def ask(agent: Agent, settings: Settings) -> None:
    """Delete old results, but never without being told to."""
    agent.say("idle")
    while True:
        item = agent.claim(LONG_LEASE)
        if item is None:
            agent.rest(IDLE_S)
            continue
        old = old_results(agent.home)
        if not old:
            agent.release(item)
            agent.rest(IDLE_S)
            continue
        size = sum(file.stat().st_size for file in old)
        agent.say("blocked", "approval", f"may I delete {len(old)} old results ({size} bytes)?")
        while (answer := agent.take_answer()) is None:
            agent.rest(IDLE_S / 2)
        agent.log(f"asked to delete {len(old)} results: {answer}")
        if answer == "approved":
            agent.perform(item, clean(old))
            agent.rest(CONTENT_S)
        else:
            agent.release(item)
            agent.say("idle", note="was told not to clean up")
            agent.rest(SULK_S)


ROLES: dict[Role, Callable[[Agent, Settings], None]] = {
    "planner": plan,
    "worker": work,
    "hoarder": hoard,
    "waiter": wait,
    "crasher": notice,
    "asker": ask,
}
