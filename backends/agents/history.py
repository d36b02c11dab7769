"""What is remembered of one agent between two looks."""

from __future__ import annotations

from collections import deque

from backends.agents.facts import Unit
from backends.agents.opinions import unit_cause
from backends.model import ProcessRef

#: Memory is sampled this often, and so many samples are kept: five minutes.
RSS_STEP_MS = 5_000
RSS_SAMPLES = 60
#: More recent restarts or changes than this are not counted singly.
EVENTS_KEPT = 64


class History:
    """Restarts, changes into and out of trouble, and the memory trend of one agent."""

    __slots__ = ("changes", "last_exit", "restarts", "root", "rss", "starts", "unit_restarts", "was_running")

    def __init__(self) -> None:
        self.starts: deque[int] = deque(maxlen=EVENTS_KEPT)
        self.changes: deque[int] = deque(maxlen=EVENTS_KEPT)
        self.rss: deque[tuple[int, int]] = deque(maxlen=RSS_SAMPLES)
        self.restarts: int | None = None  # seen by this watch, where nobody else counts them
        self.root: ProcessRef | None = None
        self.unit_restarts: int | None = None
        self.last_exit: str | None = None
        self.was_running = False

    def forget_starts(self) -> None:
        """An operator starts it: what came before says nothing about how it fares now."""
        self.starts.clear()

    def note_incarnation(self, before: int, after: int, now: int) -> None:
        """It registered again."""
        self.starts.extend([now] * min(max(after - before, 0), EVENTS_KEPT))

    def note_root(self, root: ProcessRef | None, started_at: int, counts: bool) -> None:
        """Its main process, seen now. ``counts`` False: somebody better placed counts its restarts."""
        if root is None:
            return
        if self.root is not None and self.root != root:
            self.rss.clear()
            if counts:
                self.starts.append(started_at)
                self.restarts = (self.restarts or 0) + 1
        if counts and self.restarts is None:
            self.restarts = 0
        self.root = root
        self.was_running = True

    def note_unit(self, unit: Unit, now: int) -> None:
        """What systemd counted."""
        self.last_exit = unit_cause(unit) or self.last_exit
        self.was_running |= unit.active == "active"
        if unit.restarts is None:
            return
        if self.unit_restarts is not None and unit.restarts > self.unit_restarts:
            self.starts.extend([now] * min(unit.restarts - self.unit_restarts, EVENTS_KEPT))
        self.unit_restarts = unit.restarts

    def note_rss(self, now: int, rss_bytes: int | None) -> None:
        """One sample of the memory of its whole tree."""
        if rss_bytes is not None and (not self.rss or now - self.rss[-1][0] >= RSS_STEP_MS):
            self.rss.append((now, rss_bytes))
