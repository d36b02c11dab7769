"""Where everything of one demo lies. Standard library only: workers import this."""

from __future__ import annotations

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

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.code, self.results, self.feeds):
            folder.mkdir()
        for file in (self.log("x"), self.settings("x"), self.lock("x")):
            file.parent.mkdir()
        self.state.mkdir(mode=0o700)
