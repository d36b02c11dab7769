"""A real watch in a state directory of its own, and real clients of it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.client import Connection, WatchUnreachable
from console.config.paths import socket_path

ROOT = Path(__file__).parents[2]
WATCHFLOOR = (sys.executable, "-m", "console")
READY_S = 20.0

#: A watch that looks at nothing but itself: agents that happen to run on this machine stay out of the tests.
QUIET = """\
[agents]
recognise = false
[gpu]
enabled = false
[drift]
roots = []
"""


def until(condition: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """Wait for a real condition, bounded. Returns what the condition did."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen within {seconds:g} s: {what}")
        time.sleep(0.005)
    return found


class Watch:
    """A watch process that can be ended, killed and started again on the same state."""

    def __init__(self, folder: Path, config: str = "", argv: tuple[str, ...] = ()) -> None:
        self.state = folder / "state"
        self.home = folder / "home"
        self.argv = argv
        self.config_file = self.home / "watchfloor" / "config.toml"
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(QUIET + config)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return socket_path(self.state, "", self.environ)

    @property
    def database(self) -> Path:
        return self.state / "watchfloor.db"

    @property
    def environ(self) -> dict[str, str]:
        """What a client's environment must say."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")}
        return {
            **kept,
            "WATCHFLOOR_STATE": str(self.state),
            "XDG_CONFIG_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
        }

    def start(self) -> str:
        """Start it; returns its first line, which is ``ready`` or why not."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "console.watch.process", "--state", str(self.state), *self.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environ,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_S)
        return self.process.stdout.readline().decode().strip() if readable else "silent"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal and wait. Returns the seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return time.monotonic() - began

    def connect(self, door: str = "socket", timeout_s: float = 30.0) -> Connection:
        """A client on the binary socket."""
        return Connection(self.socket, door, timeout_s)

    def cli(self, *words: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run ``watchfloor WORDS`` against it."""
        return subprocess.run(
            [*WATCHFLOOR, *words],
            env={**self.environ, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            input=stdin if stdin is not None else "",
        )

    def data(self, *words: str) -> Any:
        """The data of a command that must succeed."""
        done = self.cli(*words, "--json")
        assert done.returncode == 0, done.stderr
        body = json.loads(done.stdout)
        assert body["schema_version"] == 1
        return body["data"]

    def audit(self) -> list[tuple[str, str, str]]:
        """Every record, oldest first: command, target, outcome."""
        with self.connect() as client:
            reply = client.invoke("audit", args={"limit": 10_000})
        records = reply.outcomes[0].data
        return [(record["command"], record["target"], record["outcome"]) for record in reversed(records)]

    def reachable(self) -> bool:
        """True when a client gets in."""
        try:
            self.connect().close()
        except WatchUnreachable:
            return False
        return True


@contextmanager
def running(folder: Path, config: str = "", *argv: str) -> Iterator[Watch]:
    """A watch that runs while the block does."""
    watch = Watch(folder, config, argv)
    said = watch.start()
    try:
        assert said == "ready", said
        yield watch
    finally:
        if watch.process is not None and watch.process.poll() is None:
            watch.end(signal.SIGKILL)
