"""Key press to paint with 100,000 agents and 1,000,000 work items while 1,000 rows a second change."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from backends.clock import SystemClock
from backends.coordination import Caller, NewWork, Store
from backends.model import Activity, Registration
from bench.figures import Figure, percentile
from bench.start_and_idle import WATCHFLOOR
from bench.terminal import Terminal
from console.client import Connection
from console.config.paths import StatePaths

AGENTS = 100_000
ITEMS = 1_000_000
CHANGES_S = 1_000
KEYS = 200
BY = Caller("uid:0 bench", "bench", audit=False)
CURSOR = "▌".encode()
PAGE_DOWN, PAGE_UP = "\x1b[6~", "\x1b[5~"
PAGE_BYTES = 500
#: The cursor stays where its bar must be drawn anew at each step.
ROUND = ("j", "j", "k", "j", "k", "k", PAGE_DOWN, PAGE_UP)


async def fill(database: Path) -> None:
    """A store with all agents and items in it."""
    store = await Store.open(database, SystemClock())
    try:
        for start in range(0, ITEMS, 1_000):
            works = [
                NewWork(kind=f"kind-{n % 7}", title=f"item number {n}", priority=n % 10)
                for n in range(start, start + 1_000)
            ]
            await store.add(works, BY)
        now = SystemClock().now_ms()
        for start in range(0, AGENTS, 500):
            registrations = (
                Registration(f"agent-{n:06}", f"host-{n % 300}", team=f"team-{n % 40}", ttl_ms=3_600_000,
                             registered_at=now)
                for n in range(start, start + 500)
            )  # fmt: skip
            await asyncio.gather(*(store.register(registration, BY) for registration in registrations))
    finally:
        await store.close()


def change_rows(socket: str, seconds: float) -> None:
    """Heartbeats that change 900 agents a second, and claims and progress that change 100 items."""
    moods = (Activity.WORKING, Activity.IDLE)
    turn = 0
    with Connection(Path(socket), "socket") as watch:
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            began = time.perf_counter()
            first = turn * 90 % AGENTS
            beats = [
                (f"agent-{n % AGENTS:06}", moods[turn % 2], None, None) for n in range(first, first + 90)
            ]
            watch.invoke("heartbeat-many", args={"beats": beats})
            reply = watch.invoke("claim", args={"agent": f"agent-{turn % 50:06}", "limit": 10})
            leases = reply.outcomes[0].data
            done = [(lease["item"]["id"], lease["fence"], None) for lease in leases]
            if done:
                watch.invoke("complete-many", args={"items": done})
            turn += 1
            time.sleep(max(0.0, 0.1 - (time.perf_counter() - began)))


def press(terminal: Terminal, key: str) -> float:
    """Milliseconds from a key to its paint: the cursor's bar on another line, or most of a page of rows."""
    while terminal.read(0.02, draw=False):
        pass
    is_page = key in (PAGE_DOWN, PAGE_UP)
    seen = bytearray()
    began = time.perf_counter()
    terminal.send(key)
    while len(seen) < PAGE_BYTES if is_page else CURSOR not in seen:
        seen += terminal.read(1.0, draw=False)
        if time.perf_counter() - began > 5:
            raise TimeoutError(f"no paint after {key!r}")
    return (time.perf_counter() - began) * 1000


def scale() -> list[Figure]:
    """The figures; takes some minutes, most of them to fill the store."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "state")
        state.mkdir(mode=0o700)
        paths = StatePaths(state, state / "watch.sock")
        asyncio.run(fill(paths.database))
        env = {**os.environ, "WATCHFLOOR_STATE": str(state), "HOME": folder, "XDG_CONFIG_HOME": folder}
        subprocess.run([WATCHFLOOR, "start"], env=env, check=True, capture_output=True)
        try:
            return _measure(paths, env)
        finally:
            subprocess.run([WATCHFLOOR, "stop", "--yes"], env=env, check=False, capture_output=True)


def _measure(paths: StatePaths, env: dict[str, str]) -> list[Figure]:
    watch = psutil.Process(int(paths.pid_file.read_text()))
    load = multiprocessing.get_context("spawn").Process(target=change_rows, args=(str(paths.socket), 120.0))
    with Terminal([WATCHFLOOR], 160, 45, env) as terminal:
        terminal.wait_for(lambda text: ("100,000" in text and "1,000,000" in text) or "1M" in text, 60)
        load.start()
        terminal.drain(5)
        before, began = sum(watch.cpu_times()[:2]), time.perf_counter()
        took = [press(terminal, key) for _ in range(KEYS // len(ROUND)) for key in ROUND]
        terminal.send("2")
        settle = time.perf_counter() + 0.5
        while time.perf_counter() < settle:
            terminal.read(0.1, draw=False)
        took += [press(terminal, key) for _ in range(KEYS // len(ROUND)) for key in ROUND]
        share = (sum(watch.cpu_times()[:2]) - before) / (time.perf_counter() - began) * 100
    load.terminate()
    load.join()
    p95, p99 = percentile(took, 0.95), percentile(took, 0.99)
    note = (
        f"{len(took)} keys, median {percentile(took, 0.5):.0f} ms; watch {watch.memory_info().rss >> 20} MiB"
    )
    return [
        Figure(
            "key to paint, 100k agents + 1M items, 1,000 rows/s: p95",
            "<= 30 ms",
            f"{p95:.0f} ms",
            p95 <= 30,
            note,
        ),
        Figure("the same: p99", "<= 50 ms", f"{p99:.0f} ms", p99 <= 50),
        Figure("the same: watch", "<= 50 % of a core", f"{share:.0f} %", share <= 50),
    ]


if __name__ == "__main__":
    from bench.figures import table

    print(table(scale()))
    sys.exit()
