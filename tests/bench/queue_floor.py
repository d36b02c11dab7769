"""claim + complete: the store against a raw sqlite3 loop of the same SQL, in one run.

The floor is one thread that knows everything beforehand: same file, pragmas and statements (events and audit
chain included, hashed as the store does), no threads, no structs, no checks, no callers. Rounds of floor and
store alternate; medians are compared. Run: ``python -m tests.bench.queue_floor [seconds per round]``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from backends.clock import SystemClock
from backends.coordination import Caller, NewWork, Store, files, statements

ROUNDS = 5
ITEMS = 40_000
BY = Caller("uid:1000 bench", "socket")


class Floor:
    """The raw loop."""

    def __init__(self, path: Path) -> None:
        self.sql = files.open_database(path)
        self.fence = self.one("SELECT coalesce(max(id), 0) FROM attempt")
        self.event = self.one("SELECT coalesce(max(seq), 0) FROM event")
        self.seq = self.one("SELECT coalesce(max(seq), 0) FROM audit")
        head = self.sql.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        self.prev: str = head[0] if head else "0" * 64

    def one(self, text: str) -> int:
        value: int = self.sql.execute(text).fetchone()[0]
        return value

    def audit(self, now: int, command: str, target: str, args: str, before: str, after: str) -> None:
        self.seq += 1
        fields = {
            "actor": BY.actor, "after": after, "args": args, "at_us": now * 1000, "before": before,
            "command": command, "door": BY.door, "message": "", "outcome": "verified", "request_id": "",
            "seq": self.seq, "target": target,
        }  # fmt: skip
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        digest = sha256(b"audit.v1\0" + bytes.fromhex(self.prev) + len(body).to_bytes(4, "big") + body)
        row = (
            self.seq, now * 1000, BY.actor, BY.door, command, target, args, before, after, "verified", "", "",
            self.prev, digest.hexdigest(),
        )  # fmt: skip
        self.sql.execute(statements.ADD_AUDIT, row)
        self.prev = digest.hexdigest()

    def claim(self, limit: int) -> list[tuple[str, int]]:
        sql, now = self.sql, time.time_ns() // 1_000_000
        sql.execute(statements.BEGIN)
        sql.execute(statements.DUE, (now, now, 256)).fetchall()
        picked = sql.execute(statements.PICK, (limit,)).fetchall()
        first = self.fence + 1
        rows = []
        for num, number, generation in picked:
            self.fence += 1
            sql.execute(statements.ADD_ATTEMPT, (self.fence, num, number, generation, "bench", now))
            lease = (now, number, self.fence, "bench", None, now, None, now, now, num)
            rows.append(sql.execute(statements.LEASE, lease).fetchone())
        events = []
        for row in rows:
            self.event += 1
            body = f'{{"holder":"bench","fence":{row[8]}}}'
            events.append((self.event, now, "work.claimed", row[0], "info", body))
        sql.executemany(statements.ADD_EVENT, events)
        args = f'{{"fence":{first},"holder":"bench","limit":{limit}}}'
        self.audit(now, "claim", " ".join(row[0] for row in rows), args, "ready", "leased")
        sql.execute(statements.COMMIT)
        return [(row[0], row[8]) for row in rows]

    def complete(self, leases: list[tuple[str, int]]) -> None:
        sql, now = self.sql, time.time_ns() // 1_000_000
        sql.execute(statements.BEGIN)
        events = []
        for item_id, fence in leases:
            sql.execute(statements.COMPLETE, (-now, now, None, item_id, fence)).fetchone()
            sql.execute(statements.END_ATTEMPT, (now, "succeeded", None, fence))
            self.event += 1
            events.append((self.event, now, "work.succeeded", item_id, "info", f'{{"fence":{fence}}}'))
        sql.executemany(statements.ADD_EVENT, events)
        ids = " ".join(item_id for item_id, _ in leases)
        self.audit(now, "complete", ids, f'{{"count":{len(leases)}}}', "leased", "succeeded")
        sql.execute(statements.COMMIT)


def run_floor(path: Path, batch: int, seconds: float) -> float:
    """Items a second through claim and complete."""
    floor = Floor(path)
    done, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        leases = floor.claim(batch)
        floor.complete(leases)
        done += len(leases)
    floor.sql.close()
    return done / elapsed


def run_store(path: Path, batch: int, seconds: float) -> float:
    """The same through the store, one caller that waits for each reply."""

    async def run() -> float:
        store = await Store.open(path, SystemClock())
        done, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            leases = await store.claim("bench", BY, limit=batch)
            if batch == 1:
                await store.complete(leases[0].item.id, leases[0].fence, None, BY)
            else:
                await store.complete_many([(lease.item.id, lease.fence, None) for lease in leases], BY)
            done += len(leases)
        await store.close()
        return done / elapsed

    return asyncio.run(run())


def run_callers(path: Path, callers: int, seconds: float) -> float:
    """Many callers at once, one item each: what group commit is for."""

    async def run() -> float:
        store = await Store.open(path, SystemClock())
        done = 0
        ends = time.perf_counter() + seconds

        async def caller(name: str) -> None:
            nonlocal done
            while time.perf_counter() < ends:
                for lease in await store.claim(name, BY):
                    await store.complete(lease.item.id, lease.fence, None, BY)
                    done += 1

        await asyncio.gather(*(caller(f"c{n}") for n in range(callers)))
        await store.close()
        return done / seconds

    return asyncio.run(run())


def fill(path: Path, items: int) -> None:
    """Ready items with a payload of about 120 bytes."""

    async def run() -> None:
        store = await Store.open(path, SystemClock())
        payload = json.dumps({"args": "x" * 100})
        for start in range(0, items, 1000):
            await store.add(
                [
                    NewWork(kind="bench", title=f"item {n}", payload=payload, priority=n % 10)
                    for n in range(start, start + 1000)
                ],
                BY,
            )
        await store.close()

    asyncio.run(run())


def sync_latency_us(folder: Path) -> float:
    """Median of write + fdatasync of 4 KiB over the same place: what one commit costs the disk."""
    fd = os.open(folder / "sync", os.O_RDWR | os.O_CREAT)
    took = []
    for _ in range(300):
        began = time.perf_counter()
        os.pwrite(fd, b"x" * 4096, 0)
        os.fdatasync(fd)
        took.append(time.perf_counter() - began)
    os.close(fd)
    return statistics.median(took) * 1e6


def compare(folder: Path, batch: int, seconds: float) -> tuple[float, float]:
    """Medians of floor and store, in alternating rounds on their own copies of one file."""
    measured: dict[str, list[float]] = {"floor": [], "store": []}
    runs: dict[str, Callable[[Path, int, float], float]] = {"floor": run_floor, "store": run_store}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            path = folder / f"{name}-{batch}.db"
            for old in folder.glob(f"{path.name}*"):
                old.unlink()
            with sqlite3.connect(folder / "full.db") as full:
                full.execute("VACUUM INTO ?", (str(path),))
            measured[name].append(run(path, batch, seconds))
    return statistics.median(measured["floor"]), statistics.median(measured["store"])


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory(prefix="queue-floor-") as name:
        folder = Path(name)
        fill(folder / "full.db", ITEMS)
        print(f"sqlite {sqlite3.sqlite_version}, write+fdatasync 4 KiB: {sync_latency_us(folder):.0f} us")
        print(f"{'claim + complete, synchronous=FULL':38}{'floor/s':>10}{'store/s':>10}{'ratio':>8}")
        for batch in (1, 32):
            floor, store = compare(folder, batch, seconds)
            print(f"{f'one caller, batch {batch}':38}{floor:>10.0f}{store:>10.0f}{store / floor:>8.2f}")
        callers = run_callers(folder / "full.db", 16, seconds)
        print(f"{'16 callers, one item each':38}{'':>10}{callers:>10.0f}")


if __name__ == "__main__":
    main()
