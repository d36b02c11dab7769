"""The demo, as the console runs it: a real watch, real workers, every fault found and recovered from."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.fleet import process_ref, process_state
from backends.model import Activity, Agent, Process, ProcessRef, WorkItem, WorkState
from console.cli.lifecycle import WatchArguments, spawn, wait_ready
from console.client import Connection
from console.config.layers import load
from console.config.paths import state_paths
from console.demo.cast import CAST
from console.demo.door import Door, WatchGone
from console.demo.ending import workers_of
from console.demo.fleet import DemoFleet, Tempo
from console.demo.home import Home

QUICK = Tempo(stalled_warn_s=3, stalled_critical_s=6, ttl_s=6, crash_pause_s=0.3)
#: A leak takes six samples, five seconds apart, to be called one.
LIMIT_S = 45.0

#: Another console that starts a demo and never gets to close it.
CONSOLE = """
import os, signal, sys
from pathlib import Path
from console.demo.fleet import DemoFleet
from console.cli.lifecycle import WatchArguments, spawn, wait_ready
from console.config.paths import state_paths
fleet = DemoFleet.prepare(parent=Path(sys.argv[1]))
paths = state_paths(os.fspath(fleet.state), environ={}, create=True)
arguments = WatchArguments(paths.root, os.fspath(fleet.config_file), fleet.settings, demo=True)
watch = spawn(arguments, private=True)
wait_ready(watch)
fleet.start_when_ready(paths.socket)
print(fleet.root, flush=True)
signal.pause()
"""


class Floor:
    """A running demo, and what an operator can see and do."""

    def __init__(self, folder: Path) -> None:
        self.fleet = DemoFleet.prepare(QUICK, folder)
        loaded = self.fleet.configured(load(environ={}))
        paths = state_paths(os.fspath(self.fleet.state), loaded.config.watch.socket, create=True)
        arguments = WatchArguments(
            paths.root, os.fspath(self.fleet.config_file), self.fleet.settings, demo=True
        )
        self.watch = spawn(arguments, private=True)
        wait_ready(self.watch)
        self.fleet.start_when_ready(paths.socket)
        self.door = Connection(paths.socket, "cli")

    def ask(self, command: str, *targets: str, confirmed: str = "", **args: Any) -> Any:
        reply = self.door.invoke(command, targets, args, confirmed=confirmed)
        assert reply.failure is None, reply.failure
        assert reply.outcomes, f"{command} wants {reply.confirm!r}"
        (outcome,) = reply.outcomes
        assert outcome.exit_code == 0, outcome.message
        return outcome.data

    def rows(self, command: str, kind: Any, **args: Any) -> list[Any]:
        return [msgspec.convert(row, kind) for row in self.ask(command, limit=500, **args)["rows"]]

    def agent(self, name: str) -> Agent | None:
        return next((row for row in self.rows("list-agents", Agent) if row.id == name), None)

    def work(self) -> list[WorkItem]:
        return self.rows("list-work", WorkItem)

    def is_done_by(self, *types: str) -> bool:
        return set(types) <= {item.kind for item in self.work() if item.state is WorkState.SUCCEEDED}

    def refs(self) -> list[ProcessRef]:
        return workers_of(Home(self.fleet.root))


def until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> None:
    """Look again and again until ``condition`` holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    floor = Floor(tmp_path_factory.mktemp("demo"))
    yield floor
    floor.fleet.close()


def test_everybody_joins_and_real_work_is_finished(floor: Floor) -> None:
    until(
        lambda: (
            {(row.id, row.sources) for row in floor.rows("list-agents", Agent)}
            == {(member.name, ("registered", "declared")) for member in CAST}
        ),
        "all agents have joined, each as one row",
    )
    assert all(row.can_start for row in floor.rows("list-agents", Agent))
    until(lambda: floor.is_done_by("build", "test", "index"), "work of several types is done")
    build = next(item for item in floor.work() if item.kind == "build" and item.state is WorkState.SUCCEEDED)
    assert (floor.fleet.root / "results" / f"{build.id}.pack").stat().st_size > 100
    gpus = floor.ask("list-gpus")["rows"]
    assert gpus
    assert all(gpu["simulated"] for gpu in gpus)


def test_its_repositories_have_drifted(floor: Floor) -> None:
    until(lambda: len(floor.ask("list-worktrees")["rows"]) == 2, "both repositories are seen")
    site, tools = sorted(floor.ask("list-worktrees")["rows"], key=lambda row: str(row["id"]))
    assert (site["ahead"], site["behind"]) == (1, 0)
    assert (tools["ahead"], tools["behind"]) == (1, 1)
    assert site["dirty"] == 1
    assert site["untracked"] == 1
    names = {row["name"] for row in floor.ask("list-copies")["rows"]}
    assert "deploy.sh" in names


def test_the_hung_one_is_found_and_a_restart_cures_it(floor: Floor) -> None:
    def stalled() -> bool:
        agent = floor.agent("crawler")
        return agent is not None and (agent.activity, agent.cause) == (Activity.STALLED, "no-progress")

    until(stalled, "the crawler is stalled")
    until(lambda: "hung-agent:crawler" in problems(floor), "the analyst says so")
    agent = floor.agent("crawler")
    assert agent is not None
    floor.ask("restart-agent", "crawler", confirmed="y")
    until(lambda: floor.is_done_by("crawl"), "what it held is done after all")
    after = floor.agent("crawler")
    assert after is not None
    assert after.activity is not Activity.STALLED
    assert after.processes != agent.processes


def test_the_crash_loop_is_found_and_a_restart_cures_it(floor: Floor) -> None:
    until(lambda: is_in(floor, "notifier", Activity.CRASH_LOOP), "the notifier crash-loops")
    assert "JSONDecodeError" in floor.ask("logs", "notifier")
    floor.ask("restart-agent", "notifier", confirmed="y")
    until(lambda: floor.is_done_by("notify"), "the notice is sent")
    until(lambda: len(running(floor, "notifier")) == 1, "one process of it runs")


def test_the_asker_goes_on_when_told_to_and_not_before(floor: Floor) -> None:
    until(lambda: is_in(floor, "cleaner", Activity.BLOCKED), "the cleaner asks")
    agent = floor.agent("cleaner")
    assert agent is not None
    assert agent.cause == "approval"
    assert "may I delete" in (agent.note or "")
    assert not floor.is_done_by("clean")
    floor.ask("approve", "cleaner", confirmed="y")
    until(lambda: floor.is_done_by("clean"), "it has cleaned up")
    until(lambda: is_in(floor, "cleaner", Activity.BLOCKED), "it asks again")
    packs = list((floor.fleet.root / "results").glob("*.pack"))
    floor.ask("deny", "cleaner", confirmed="y")
    until(lambda: is_in(floor, "cleaner", Activity.IDLE), "it obeys")
    assert all(pack.exists() for pack in packs)


def test_failing_work_is_tried_again_and_ends_dead(floor: Floor) -> None:
    until(lambda: floor.ask("dead"), "something is dead")
    assert any("SyntaxError" in str(group) for group in floor.ask("dead"))
    until(
        lambda: any(
            item.kind == "import" and item.attempt > 1 and item.state is WorkState.SUCCEEDED
            for item in floor.work()
        ),
        "an import succeeds after failing",
    )


def test_the_leak_is_found_and_a_restart_gives_the_memory_back(floor: Floor) -> None:
    until(lambda: "leak:indexer" in problems(floor), "the indexer is said to leak")
    before = floor.agent("indexer")
    assert before is not None
    floor.ask("restart-agent", "indexer", confirmed="y")

    def is_small() -> bool:
        now = floor.agent("indexer")
        return now is not None and now.rss_bytes is not None and now.rss_bytes < (before.rss_bytes or 0) / 2

    until(is_small, "its memory is given back")


def test_closing_leaves_nothing(floor: Floor) -> None:
    refs = floor.refs()
    watch = process_ref(floor.watch.pid)
    assert watch is not None
    assert len(refs) >= len(CAST) - 1
    floor.fleet.close()
    assert [ref for ref in (*refs, watch) if process_state(ref) not in (None, "Z")] == []
    assert floor.refs() == []
    assert not floor.fleet.root.exists()


def test_the_users_looks_stay_and_the_users_places_are_left_alone(tmp_path: Path) -> None:
    mine = load(
        environ={},
        flags={
            "console.theme": "light",
            "console.read_only": True,
            "watch.socket": "/run/mine.sock",
            "drift.roots": ["/"],
        },
    )
    fleet = DemoFleet.prepare(parent=tmp_path)
    config = fleet.configured(mine).config
    assert config.console == mine.config.console
    assert config.watch.socket == ""
    assert config.watch.state_dir == os.fspath(fleet.state)
    assert config.drift.roots == (os.fspath(fleet.root / "code"),)
    assert not config.agents.recognise
    fleet.close()
    fleet.close()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_console_leaves_nothing(tmp_path: Path) -> None:
    console = subprocess.Popen(
        [sys.executable, "-c", CONSOLE, os.fspath(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert console.stdout is not None
    home = Home(Path(console.stdout.readline().strip()))
    until(lambda: len(workers_of(home)) >= len(CAST) - 1, "the workers run")
    refs = workers_of(home)
    console.kill()
    console.wait()
    console.stdout.close()
    until(lambda: not home.root.exists(), "the folder is gone")
    assert [ref for ref in refs if process_state(ref) not in (None, "Z")] == []


def test_a_worker_does_not_wait_for_ever_for_its_watch(tmp_path: Path) -> None:
    with pytest.raises(WatchGone, match="no watch answers"):
        Door(tmp_path / "no.sock", patience_s=0).call("heartbeat", "builder-1")


def problems(floor: Floor) -> set[str]:
    return {row["id"] for row in floor.ask("problems", limit=500)["rows"]}


def is_in(floor: Floor, name: str, activity: Activity) -> bool:
    agent = floor.agent(name)
    return agent is not None and agent.activity is activity


def running(floor: Floor, name: str) -> list[Process]:
    rows = floor.rows("list-processes", Process)
    return [row for row in rows if f"console.demo.worker {name} --home {floor.fleet.root}" in row.command]
