"""kill -9 at random moments: nothing acknowledged is lost, nothing is done twice, the audit chain holds."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from backends.clock import SystemClock
from backends.coordination import Caller, LeaseLost, NewWork, Store
from backends.model import WorkState

ROOT = Path(__file__).parents[2]
ROUNDS = 10


async def hammer(path: Path) -> None:
    """Add, claim and complete from several callers for ever; say what was acknowledged, after it was."""
    store = await Store.open(path, SystemClock())

    def say(word: str, item_id: str, fence: int = 0) -> None:
        os.write(1, f"{word} {item_id} {fence}\n".encode())

    async def caller(number: int) -> None:
        by = Caller(f"uid:{number} caller", "test")
        for turn in itertools.count():
            payload = '"' + "x" * random.randrange(2000) + '"'
            for item in await store.add(
                [NewWork(kind="k", title="t", payload=payload) for _ in range(3)], by
            ):
                say("added", item.id)
            for lease in await store.claim(f"caller-{number}", by, limit=2, lease_ms=1 + turn % 50):
                say("claimed", lease.item.id, lease.fence)
                if turn % 7 == 3:
                    continue  # abandoned: its lease runs out
                try:
                    await store.complete(lease.item.id, lease.fence, f'"{lease.fence}"', by)
                except LeaseLost:
                    continue
                say("done", lease.item.id, lease.fence)

    await asyncio.gather(*(caller(number) for number in range(4)))


def killed_run(path: Path, chance: random.Random) -> list[tuple[str, str, int]]:
    """What a child said until it was killed, at a random moment after its first words."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    said = child.stdout.read(10)
    deadline = time.monotonic() + chance.uniform(0.02, 0.3)
    os.set_blocking(child.stdout.fileno(), False)
    while time.monotonic() < deadline:
        said += child.stdout.read() or b""
    child.send_signal(signal.SIGKILL)
    os.set_blocking(child.stdout.fileno(), True)
    said += child.stdout.read()
    assert child.wait() == -signal.SIGKILL
    words = [line.split() for line in said.decode().splitlines(keepends=True) if line.endswith("\n")]
    return [(word, item_id, int(fence)) for word, item_id, fence in words]


async def check(path: Path, said: list[tuple[str, str, int]]) -> None:
    """The store keeps every promise it made."""
    store = await Store.open(path, SystemClock())
    audit = await store.verify_audit()
    assert audit.bad_seq is None, audit.reason
    events = await store.events_since(0, 10**9)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    succeeded = Counter(event.subject for event in events if event.topic == "work.succeeded")
    assert max(succeeded.values(), default=0) <= 1
    assert sum(succeeded.values()) == store.counts()[WorkState.SUCCEEDED]
    with sqlite3.connect(path) as sql:
        state = dict(sql.execute("SELECT id, state FROM item"))
        winners = dict(
            sql.execute(
                "SELECT item.id, attempt.id FROM attempt JOIN item ON item.num = attempt.item"
                " WHERE outcome = 'succeeded'"
            )
        )
        claims = {row[0] for row in sql.execute("SELECT id FROM attempt")}
        assert sql.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert sql.execute("PRAGMA foreign_key_check").fetchall() == []
    sql.close()
    for word, item_id, fence in said:
        assert item_id in state, f"{word} {item_id} was acknowledged and is gone"
        if word == "claimed":
            assert fence in claims
        if word == "done":
            assert (state[item_id], winners[item_id]) == ("succeeded", fence)
    done = [item_id for word, item_id, _ in said if word == "done"]
    assert len(done) == len(set(done))
    fences = [fence for word, _, fence in said if word == "claimed"]
    assert len(fences) == len(set(fences))
    await store.close()


def test_killed_at_random_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(20)
    said: list[tuple[str, str, int]] = []
    for _ in range(ROUNDS):
        said += killed_run(path, chance)
        asyncio.run(check(path, said))
    words = Counter(word for word, _, _ in said)
    assert min(words["added"], words["claimed"], words["done"]) > 100


if __name__ == "__main__":
    asyncio.run(hammer(Path(sys.argv[1])))
