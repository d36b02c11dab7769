"""The demo's supervisor: starts the cast, restarts what crashes, and tidies up when the console has gone.

``python -m console.demo.supervisor HOME SOCKET PAUSE_S`` with a pipe as standard input. It ends when that
pipe does, which is when the console closed it or died.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from console.demo.cast import CAST, Member
from console.demo.ending import end_demo
from console.demo.home import Home

TICK_S = 0.25
#: The pause before a restart grows by this factor with every crash ...
BACKOFF = 1.3
#: ... up to this.
LONGEST_PAUSE_S = 10.0


def worker_argv(name: str, home: Home, socket: Path) -> list[str]:
    """The command that runs one member."""
    return [
        sys.executable, "-m", "console.demo.worker", name,
        "--home", os.fspath(home.root), "--socket", os.fspath(socket),
    ]  # fmt: skip


def worker_environment() -> dict[str, str]:
    """What a worker needs besides our own environment: where this package is."""
    import console

    return {"PYTHONPATH": os.fspath(Path(console.__file__).parent.parent)}


class Supervised:
    """One member's process, as far as the supervisor started it."""

    def __init__(self, member: Member, home: Home, socket: Path, pause_s: float) -> None:
        self._member = member
        self._home = home
        self._argv = worker_argv(member.name, home, socket)
        self._pause_s = pause_s
        self._restart_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = self._start()

    def tick(self, now: float) -> None:
        """Restart it when it crashed and its pause is over.

        One that ended on a signal or in order was ended by somebody, and one that runs without us was
        started by somebody: then it is theirs.
        """
        if self._process is None:
            if self._restart_at is not None and now >= self._restart_at:
                self._restart_at = None
                if not self._home.is_taken(self._member.name):
                    self._process = self._start()
            return
        code = self._process.poll()
        if code is None:
            return
        self._process = None
        if code > 0:
            self._restart_at = now + self._pause_s
            self._pause_s = min(self._pause_s * BACKOFF, LONGEST_PAUSE_S)

    def _start(self) -> subprocess.Popen[bytes]:
        log = os.open(
            self._home.log(self._member.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home.root,
                env={**os.environ, **worker_environment()},
                start_new_session=True,
            )
        finally:
            os.close(log)


def main(argv: list[str]) -> int:
    """Run until standard input ends; then end everything of the demo."""
    home, socket, pause_s = Home(Path(argv[0])), Path(argv[1]), float(argv[2])
    fleet: list[Supervised] = []
    try:
        while not _told_to_end(TICK_S):
            if fleet:
                for one in fleet:
                    one.tick(time.monotonic())
            elif socket.exists():
                fleet = [Supervised(member, home, socket, pause_s) for member in CAST]
    finally:
        end_demo(home)
    return 0


def _told_to_end(wait_s: float) -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
