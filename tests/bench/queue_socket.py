"""claim + complete through one open socket connection against a raw sqlite3 loop of the same SQL, in one run."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from bench.queue_floor import ITEMS, fill, run_floor, sync_latency_us

from console.client import Connection
from console.lifecycle import WatchArguments, spawn, wait_ready
from console.paths import StatePaths

ROUNDS = 5
SECONDS = 1.5
MUST = {1: 0.7, 32: 0.6}


def queue_socket() -> list[Figure]:
    """Both batch sizes: medians of alternating rounds, each on its own copy of one filled store."""
    with tempfile.TemporaryDirectory(prefix="queue-socket-") as name:
        folder = Path(name)
        fill(folder / "full.db", ITEMS)
        sync_us = sync_latency_us(folder)
        return [_compare(folder, batch, sync_us) for batch in MUST]


def _compare(folder: Path, batch: int, sync_us: float) -> Figure:
    floor, socket = [], []
    for _ in range(ROUNDS):
        floor.append(run_floor(_copy(folder, folder / f"floor-{batch}" / "watchfloor.db"), batch, SECONDS))
        socket.append(_run_socket(_copy(folder, folder / f"socket-{batch}" / "watchfloor.db"), batch))
    raw, ours = statistics.median(floor), statistics.median(socket)
    ratio = ours / raw
    return Figure(
        f"claim + complete through the socket, FULL, batch {batch}",
        f">= {MUST[batch]:g}x raw",
        f"{ratio:.2f}x",
        ratio >= MUST[batch],
        f"{ours:,.0f}/s against {raw:,.0f}/s; write + fdatasync {sync_us:.0f} us",
    )


def _copy(folder: Path, path: Path) -> Path:
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(mode=0o700)
    with sqlite3.connect(folder / "full.db") as full:
        full.execute("VACUUM INTO ?", (str(path),))
    path.chmod(0o600)
    return path


def _run_socket(database: Path, batch: int) -> float:
    """Items a second of one client that waits for each reply."""
    process = spawn(WatchArguments(database.parent), private=True)
    wait_ready(process)
    try:
        with Connection(StatePaths(database.parent, database.parent / "watch.sock").socket, "socket") as watch:
            time.sleep(1.0)  # the watch's first readings are no part of this
            done, began = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - began) < SECONDS:
                leases = watch.invoke("claim", args={"agent": "bench", "limit": batch}).outcomes[0].data
                if batch == 1:
                    lease = leases[0]
                    watch.invoke("complete", (lease["item"]["id"],), {"fence": lease["fence"]})
                else:
                    items = [(lease["item"]["id"], lease["fence"], None) for lease in leases]
                    watch.invoke("complete-many", args={"items": items})
                done += len(leases)
            return done / elapsed
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    from bench.figures import table

    print(table(queue_socket()))
