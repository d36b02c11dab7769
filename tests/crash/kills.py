"""Kill a watch at random under load, again and again, and hold it to what it acknowledged."""

from __future__ import annotations

import random
import time
from pathlib import Path

from crash.workers import Verdict, check, start_clients
from services.watch_process import Watch, until

CLIENTS = 4


def kill_again_and_again(folder: Path, kills: int, seed: int) -> Verdict:
    """Run the clients against a watch that is killed ``kills`` times. Returns what is not as promised."""
    chance = random.Random(seed)
    watch = Watch(folder)
    logs = folder / "promises"
    logs.mkdir()
    said = watch.start()
    assert said == "ready", said
    clients = start_clients(CLIENTS, watch.socket, logs, watch.environ)
    try:
        until(lambda: len(_at_work(logs)) == CLIENTS, "every client at work")
        for _ in range(kills):
            before = _size(logs)
            until(lambda seen=before: _size(logs) > seen, "work goes on", 30)
            time.sleep(chance.uniform(0.0, 0.15))  # the moment of the kill, anywhere in the load
            watch.kill()
            said = watch.start()
            assert said == "ready", said
        (logs / "stop").touch()
        for client in clients:
            assert client.wait(30) == 0
        assert watch.cli("audit", "--verify").returncode == 0
        watch.end()
    finally:
        (logs / "stop").touch()
        for client in clients:
            client.kill()
            client.wait()
        watch.kill()
    return check(watch.database, logs)


def _at_work(folder: Path) -> list[Path]:
    return [log for log in folder.glob("*.log") if log.stat().st_size]


def _size(folder: Path) -> int:
    return sum(log.stat().st_size for log in folder.glob("*.log"))
