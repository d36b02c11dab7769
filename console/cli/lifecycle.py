"""Starting and ending a watch process from another process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from console.config.paths import StatePaths
from console.exit_codes import ExitCode

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0


class LifecycleError(Exception):
    """The watch could not be started or ended; the message says why and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class WatchArguments:
    """What a new watch is told on its command line."""

    state: Path
    config: str = ""
    settings: tuple[str, ...] = ()
    demo: bool = False

    def argv(self, private: bool) -> list[str]:
        argv = [sys.executable, "-m", "console.watch.process", "--state", os.fspath(self.state)]
        if self.config:
            argv += ["--config", self.config]
        for setting in self.settings:
            argv += ["--set", setting]
        if private:
            argv.append("--private")
        if self.demo:
            argv.append("--demo")
        return argv


def running_pid(paths: StatePaths) -> int | None:
    """The pid of the watch that holds this state directory. A file left by a dead one does not count."""
    try:
        fd = os.open(paths.pid_file, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(fd, 32).strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(fd)
    return None


def spawn(arguments: WatchArguments, private: bool) -> subprocess.Popen[bytes]:
    """Start a watch process. It writes one line, ``ready`` or why not, to its standard output.

    A private watch ends when its standard input does, which is when its console has gone. A lasting one has
    a session of its own and outlives the terminal.
    """
    return subprocess.Popen(
        arguments.argv(private),
        stdin=subprocess.PIPE if private else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )


def wait_ready(process: subprocess.Popen[bytes]) -> None:
    """Wait for the ``ready`` line. Raises :class:`LifecycleError` with the watch's own words."""
    import select

    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    line = process.stdout.readline().decode("utf-8", "replace").strip() if readable else ""
    if line == "ready":
        return
    if not readable:
        process.kill()
        raise LifecycleError(f"the watch was not ready after {START_TIMEOUT_S:.0f} s; see its log")
    code = process.wait()
    told = ExitCode(code) if code in set(ExitCode) and code != ExitCode.OK else ExitCode.FAILED
    raise LifecycleError(line or f"the watch ended at once with status {code}; see its log", told)


def stop(paths: StatePaths) -> int:
    """End the running watch with TERM and wait for it. Returns the pid it had."""
    pid = running_pid(paths)
    if pid is None:
        raise LifecycleError(f"no watch is running on {paths.root}", ExitCode.NOT_FOUND)
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return pid
    except PermissionError:
        raise LifecycleError(f"the watch (pid {pid}) belongs to another user", ExitCode.DENIED) from None
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while running_pid(paths) == pid:
        if time.monotonic() > deadline:
            raise LifecycleError(
                f"the watch (pid {pid}) did not end in {STOP_TIMEOUT_S:.0f} s; `kill -9 {pid}` is safe, "
                "nothing acknowledged is lost",
                ExitCode.UNVERIFIED,
            )
        time.sleep(0.02)
    return pid
