"""A console's own watch: a child process that ends when its console does."""

from __future__ import annotations

import logging
import subprocess

from console.lifecycle import LifecycleError, WatchArguments, spawn, wait_ready

log = logging.getLogger(__name__)


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

    def revive(self) -> None:
        """Start it again when it has died."""
        if self._process.poll() is not None:
            log.warning("the private watch ended with status %s; starting another", self._process.returncode)
            self._process = spawn(self._arguments, private=True)

    def leave(self) -> None:
        """Let it end: its standard input ends."""
        if self._process.stdin is not None:
            self._process.stdin.close()
