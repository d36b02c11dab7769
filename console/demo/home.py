"""Where everything of one demo lies. Standard library only: workers import this."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The demo's folder; nothing of the demo is outside it."""

    root: Path

    @property
    def state(self) -> Path:
        """The watch's state directory."""
        return self.root / "state"

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def code(self) -> Path:
        """Git repositories."""
        return self.root / "code"

    @property
    def results(self) -> Path:
        """What the workers make."""
        return self.root / "results"

    @property
    def feeds(self) -> Path:
        """What is to be imported."""
        return self.root / "feeds"

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def settings(self, name: str) -> Path:
        return self.root / "settings" / f"{name}.json"

    def lock(self, name: str) -> Path:
        """Locked by the one process that runs as ``name``."""
        return self.root / "run" / f"{name}.lock"

    def take(self, name: str, patience_s: float = 0) -> bool:
        """Be the one process that runs as ``name``, for life; False when another stays it for so long."""
        lock = self._open_lock(name)
        until = time.monotonic() + patience_s
        while not _lock(lock):
            if time.monotonic() >= until:
                os.close(lock)
                return False
            time.sleep(0.05)
        return True

    def is_taken(self, name: str) -> bool:
        """True while a process runs as ``name``."""
        lock = self._open_lock(name)
        try:
            return not _lock(lock)
        finally:
            os.close(lock)

    def _open_lock(self, name: str) -> int:
        return os.open(self.lock(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.code, self.results, self.feeds):
            folder.mkdir()
        for file in (self.log("x"), self.settings("x"), self.lock("x")):
            file.parent.mkdir()
        self.state.mkdir(mode=0o700)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
