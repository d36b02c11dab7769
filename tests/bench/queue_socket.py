"""claim + complete through one socket connection against a raw sqlite3 loop of the same SQL, in one run."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from bench.queue_floor import ITEMS, fill, run_floor, sync_latency_us
from console.cli.lifecycle import WatchArguments, spawn, wait_ready
from console.client import Connection
from console.config.paths import StatePaths
from console.wire import Invoke

ROUNDS = 5
SECONDS = 1.5
#: One agent that waits for each reply; several agents of one host that share its connection; a batch worker.
ONE, SHARED, BATCH = "batch 1, one request at a time", "batch 1, 8 requests at a time", "batch 32"
MUST = {ONE: 0.7, SHARED: 0.7, BATCH: 0.6}


def queue_socket() -> list[Figure]:
    """Both batch sizes: medians of alternating rounds, each on its own copy of one filled store."""
    with tempfile.TemporaryDirectory(prefix="queue-socket-") as name:
        folder = Path(name)
        fill(folder / "full.db", ITEMS)
        sync_us = sync_latency_us(folder)
        return [_compare(folder, shape, sync_us) for shape in MUST]


def _compare(folder: Path, shape: str, sync_us: float) -> Figure:
    floor, socket = [], []
    batch = 32 if shape == BATCH else 1
    for _ in range(ROUNDS):
        floor.append(run_floor(_copy(folder, folder / "floor" / "watchfloor.db"), batch, SECONDS))
        socket.append(_run_socket(_copy(folder, folder / "socket" / "watchfloor.db"), shape))
    raw, ours = statistics.median(floor), statistics.median(socket)
    ratio = ours / raw
    return Figure(
        f"claim + complete through the socket, FULL, {shape}",
        f">= {MUST[shape]:g}x raw",
        f"{ratio:.2f}x",
        ratio >= MUST[shape],
        f"{ours:,.0f}/s against {raw:,.0f}/s; write + fdatasync {sync_us:.0f} us",
    )


def _copy(folder: Path, path: Path) -> Path:
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(mode=0o700)
    with sqlite3.connect(folder / "full.db") as full:
        full.execute("VACUUM INTO ?", (str(path),))
    path.chmod(0o600)
    return path


def _run_socket(database: Path, shape: str) -> float:
    """Items a second of one client on one connection."""
    process = spawn(WatchArguments(database.parent), private=True)
    wait_ready(process)
    try:
        with Connection(
            StatePaths(database.parent, database.parent / "watch.sock").socket, "socket"
        ) as watch:
            time.sleep(1.0)  # the watch's first readings are no part of this
            done, began = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - began) < SECONDS:
                done += _batch(watch) if shape == BATCH else _singles(watch, 8 if shape == SHARED else 1)
            return done / elapsed
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def _singles(watch: Connection, at_a_time: int) -> int:
    """Claims of one item each, then their completions."""
    claims = [Invoke(0, "claim", args={"agent": f"bench-{n}"}) for n in range(at_a_time)]
    leases = [reply.outcomes[0].data[0] for reply in watch.invoke_all(claims)]
    watch.invoke_all(
        [Invoke(0, "complete", (lease["item"]["id"],), {"fence": lease["fence"]}) for lease in leases]
    )
    return at_a_time


def _batch(watch: Connection) -> int:
    leases = watch.invoke("claim", args={"agent": "bench", "limit": 32}).outcomes[0].data
    items = [(lease["item"]["id"], lease["fence"], None) for lease in leases]
    watch.invoke("complete-many", args={"items": items})
    return len(items)


if __name__ == "__main__":
    from bench.figures import table

    print(table(queue_socket()))
