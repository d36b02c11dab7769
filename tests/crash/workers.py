"""Clients of a watch that is killed again and again, and the check of what they were promised.

Each client is a process of its own. It writes an operation down only after the watch acknowledged it, so the
log holds promises: none of them may be missing from the store in the end. A lost reply promises nothing.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.audit import Checkpoint, verify
from backends.model import AuditRecord
from console.client import Connection, WatchUnreachable
from console.wire import Reply, WireError

ROOT = Path(__file__).parents[2]
RETRY_S = 0.002


class Client:
    """One agent that adds, claims, reports and completes work for as long as it is told to."""

    def __init__(self, name: str, socket: Path, log: Path, stop: Path) -> None:
        self._name = name
        self._socket = socket
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._stop = stop
        self._watch: Connection | None = None
        self._chance = random.Random(name)
        self._requests = 0

    def run(self) -> None:
        """Work until the stop file is there."""
        while not self._stop.exists():
            try:
                self._round()
            except (WatchUnreachable, WireError, OSError):
                self._watch = None
                time.sleep(RETRY_S)

    def _round(self) -> None:
        added = self._ask("add-work", args={"type": "crash", "title": self._name}, again=True)
        self._promise("added", item=added["id"])
        for lease in self._ask("claim", args={"agent": self._name, "limit": 2}, again=True):
            item, fence = lease["item"]["id"], lease["fence"]
            self._promise("claimed", item=item, fence=fence)
            self._finish(item, fence)

    def _finish(self, item: str, fence: int) -> None:
        if self._chance.random() < 0.5:
            self._ask("progress", item, args={"percent": 50, "fence": fence})
            self._promise("progressed", item=item, fence=fence)
        end = self._chance.random()
        if end < 0.1:
            self._ask("fail", item, args={"error": "by chance", "fence": fence})
            self._promise("failed", item=item, fence=fence)
        elif end < 0.2:
            self._ask("release", item, args={"fence": fence})
            self._promise("released", item=item, fence=fence)
        else:
            self._ask("complete", item, args={"fence": fence, "result": json.dumps(fence)}, again=True)
            self._promise("completed", item=item, fence=fence)

    def _ask(self, command: str, *targets: str, args: dict[str, Any], again: bool = False) -> Any:
        """The data of the reply. With ``again`` a lost reply is asked for once more under the same id."""
        self._requests += 1
        request_id = f"{self._name}-{os.getpid()}-{self._requests}" if again else ""
        while True:
            try:
                reply = self._connected().invoke(command, targets, args, request_id=request_id)
                break
            except (WatchUnreachable, WireError, OSError):
                self._watch = None
                if not again or self._stop.exists():
                    raise
                time.sleep(RETRY_S)
        return _data(reply)

    def _connected(self) -> Connection:
        if self._watch is None:
            self._watch = Connection(self._socket, "crash", timeout_s=20.0)
        return self._watch

    def _promise(self, what: str, **facts: Any) -> None:
        os.write(self._log, json.dumps({"what": what, **facts}).encode() + b"\n")


def _data(reply: Reply) -> Any:
    if reply.failure is not None:
        raise WireError(reply.failure.message)  # a lease lost to a sweep is a fair answer: go on
    return reply.outcomes[0].data


def start_clients(
    count: int, socket: Path, folder: Path, environ: dict[str, str]
) -> list[subprocess.Popen[bytes]]:
    """Real processes; they end when ``folder/stop`` is there."""
    return [
        subprocess.Popen(
            [sys.executable, str(Path(__file__)), f"c{number}", str(socket), str(folder)],
            env={**environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )
        for number in range(count)
    ]


@dataclass
class Verdict:
    """What was promised, and what of it is not so."""

    promises: Counter[str]
    wrong: list[str]


def check(database: Path, folder: Path) -> Verdict:
    """Compare every promise with the store. The watch must have ended."""
    promised = [
        json.loads(line)
        for log in sorted(folder.glob("*.log"))
        for line in log.read_bytes().splitlines()
        if line.endswith(b"}")  # a client killed within a write promised nothing
    ]
    wrong: list[str] = []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as sql:
        verdict = sql.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            wrong.append(f"integrity_check: {verdict}")
        states = dict(sql.execute("SELECT id, state FROM item"))
        results = dict(sql.execute("SELECT id, result FROM item"))
        attempts = {row[0]: row[1:] for row in sql.execute("SELECT id, item, outcome FROM attempt")}
        numbers = dict(sql.execute("SELECT num, id FROM item"))
        names = AuditRecord.__struct_fields__
        columns = ", ".join(f'"{name}"' for name in names)
        records = [AuditRecord(*row) for row in sql.execute(f"SELECT {columns} FROM audit ORDER BY seq")]
    sql.close()
    broken = verify(records, _checkpoints(database))
    if broken is not None:
        wrong.append(f"audit chain: {broken.reason}")
    done: dict[str, set[int]] = {}
    ends = {"completed": "succeeded", "failed": "failed", "released": "released"}
    for promise in promised:
        item, fence = promise["item"], promise.get("fence")
        if item not in states:
            wrong.append(f"lost: {promise}")
        if fence is None:
            continue
        attempt = attempts.get(fence)
        if attempt is None or numbers.get(attempt[0], attempt[0]) != item:
            wrong.append(f"lost attempt: {promise}")
        elif promise["what"] in ends and attempt[1] != ends[promise["what"]]:
            wrong.append(f"lost end: {promise}, the store says {attempt[1]}")
        if promise["what"] == "completed":
            done.setdefault(item, set()).add(fence)
            if results[item] != json.dumps(fence) or states[item] != "succeeded":
                wrong.append(f"lost completion: {promise}, it is {states[item]} with {results[item]}")
    wrong += [
        f"done twice: {item} by fences {sorted(fences)}" for item, fences in done.items() if len(fences) > 1
    ]
    succeeded = Counter(attempt[0] for attempt in attempts.values() if attempt[1] == "succeeded")
    wrong += [f"succeeded twice: {item}" for item, times in succeeded.items() if times > 1]
    return Verdict(Counter(promise["what"] for promise in promised), wrong)


def _checkpoints(database: Path) -> list[Checkpoint]:
    from backends.coordination.checkpoints import checkpoint_path, read_checkpoints

    return read_checkpoints(checkpoint_path(database))[0]


if __name__ == "__main__":
    name, socket_path, folder_path = sys.argv[1:]
    folder = Path(folder_path)
    Client(name, Path(socket_path), folder / f"{name}.log", folder / "stop").run()
