"""A console's own watch: a child process that ends when its console does."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess

from console.cli.lifecycle import LifecycleError, WatchArguments, spawn, wait_ready

log = logging.getLogger(__name__)


#: A watch ends within a second.
LEAVE_S = 2.0


class PrivateWatch:
    """Started at once, so that it is ready by the time the console has drawn itself."""

    def __init__(self, arguments: WatchArguments) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] = spawn(arguments, private=True)

    def wait_ready(self) -> str:
        """Wait until it can be attached to; "" or why it did not start."""
        try:
            wait_ready(self._process)
        except LifecycleError as error:
            return str(error)
        return ""

    def revive(self) -> str:
        """Start it again when it has died; what the dead one said last, or ""."""
        status = self._process.poll()
        if status is None:
            return ""
        log.warning("the private watch ended with status %s; starting another", status)
        said = self._last_words()
        self._process = spawn(self._arguments, private=True)
        return said or f"it ended with status {status}"

    def _last_words(self) -> str:
        """Why it could not start, where it said so. It has ended: nothing here waits."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with self._process.stdout or io.BytesIO() as stdout:
            said = stdout.read().decode("utf-8", "replace").strip()
        return "" if said == "ready" else said

    def leave(self) -> None:
        """Let it end: its standard input ends. The next console must not find one that is about to go."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
