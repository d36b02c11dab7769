"""The planner's role: it keeps a modest flow of work coming."""

from __future__ import annotations

import json
from typing import Any

from console.demo.agent import Agent

#: Work there is always some of, looked after every so many turns of the planner.
STANDING = {
    "train": "fit the ranking model",
    "index": "index the repositories",
    "crawl": "crawl the repositories",
    "clean": "clean up old results",
    "notify": "announce the release",
}
STANDING_TURNS = 5
#: A new change to build and test every so many turns; every so many changes a broken draft, and a feed.
CHANGE_TURNS = 2
BROKEN_CHANGES = 45
FEED_CHANGES = 6
REPOSITORIES = ("site", "tools")


def plan(agent: Agent, settings: dict[str, Any]) -> None:
    """Add work for ever."""
    agent.say("working", note="planning")
    _add(agent, "report", "nightly report", delay="2h", priority=2)
    turn = change = 0
    while True:
        if turn % STANDING_TURNS == 0:
            for kind, title in STANDING.items():
                # one open item of each: a second one with the same key is the first
                _add(agent, kind, title, unique=kind, max_attempts=100 if kind == "clean" else 0)
        if turn % CHANGE_TURNS == 0:
            change += 1
            _plan_change(agent, change)
        turn += 1
        agent.rest(agent.member.pace_s)


def _plan_change(agent: Agent, change: int) -> None:
    """What one change asks for: build, then test; now and then a report, a feed, or something broken."""
    repository = REPOSITORIES[change % 2]
    source = f"code/{repository}"
    built = _add(agent, "build", f"build {repository} #{change}", {"source": source}, priority=6)
    tested = _add(
        agent, "test", f"test {repository} #{change}", {"script": f"{source}/check.py"}, after=[built]
    )
    if change % BROKEN_CHANGES == 1:
        title = f"test the draft of {repository} #{change}"
        _add(agent, "test", title, {"script": "drafts/rollout.py"}, after=[built], max_attempts=2)
        _add(agent, "report", f"report on #{change}", after=[tested], unique="report")
    if change % FEED_CHANGES == 2:
        _add(agent, "import", f"import prices #{change}", {"feed": _feed(change)}, max_attempts=12)
    elif change % FEED_CHANGES == 3:
        # the last feed is delivered only now: the first attempts to import it have failed
        prices = [{"item": number, "price": number * change} for number in range(100)]
        (agent.home.feeds / _feed(change - 1)).write_text(json.dumps(prices))


def _feed(change: int) -> str:
    return f"prices-{change}.json"


def _add(agent: Agent, kind: str, title: str, payload: dict[str, str] | None = None, **more: Any) -> str:
    item = agent.door.call("add-work", type=kind, title=title, payload=json.dumps(payload or {}), **more)
    return str(item["id"])
