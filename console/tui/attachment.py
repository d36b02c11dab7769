"""What the watch says of itself: attached or lost, totals for the header, ages for the panes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backends.model import Host, SourceState, Summary, Window
from console.tui.floor import PANES
from console.tui.heading import badges, counters, tabs
from console.tui.screen_size import MIN_COLUMNS, MIN_LINES
from console.wire import Welcome

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp

log = logging.getLogger(__name__)

#: The pane that shows what a source reads.
SOURCE_PANES = {"processes": "agents", "gpu": "gpu", "drift": "drift"}


class Attachment:
    """The console's side of one watch, through all its lives."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app
        self.welcome: Welcome | None = None
        self.summary = Summary()
        self._host: Host | None = None
        self._lost_reason = ""
        self._lost_at: int | None = None

    @property
    def read_only(self) -> bool:
        """Nothing that changes things may run."""
        watch_is = self.welcome is not None and self.welcome.read_only
        return self._app.config.console.read_only or watch_is

    def attached(self, welcome: Welcome) -> None:
        """The watch is there, for the first time or again."""
        if self._lost_at is not None:
            log.info("attached again, to watch %d", welcome.pid)
        self.welcome = welcome
        self._lost_reason, self._lost_at = "", None
        for name in PANES:
            self._app.floor.panes.named(name).set_stale(None)
        self.redraw()

    def lost(self, reason: str) -> None:
        """The watch cannot be reached; what is shown stays, greyed, with its age."""
        if reason != self._lost_reason:
            self._lost_reason = reason
            log.warning("no watch: %s", reason)
        if self._lost_at is None:
            self._lost_at = self._app.clock.now_ms()
            if self.welcome is not None:
                for name in PANES:
                    self._app.floor.panes.named(name).set_stale(self._lost_at)
        self.redraw()

    @property
    def _notice(self) -> str:
        """What must be known before anything else, in one line."""
        if self._app.is_tiny:
            columns, lines = self._app.room
            return f"{columns}x{lines} cells; {MIN_COLUMNS}x{MIN_LINES} are needed"
        if self._lost_at is None:
            return ""
        starts = "another is started" if self._app.has_own_watch else "`watchfloor start` starts one"
        return f"no watch: {self._lost_reason} (trying again; {starts})"

    def tick(self) -> None:
        """A second has passed."""
        if self._lost_at is not None:
            self.redraw()

    def totals(self, summary: Summary) -> None:
        """New totals."""
        self.summary = summary
        self.redraw()
        self._show_host()
        for state in summary.sources:
            pane = SOURCE_PANES.get(state.source)
            if pane is not None:
                self._app.floor.panes.named(pane).set_observed(state.observed_at)

    def show_host(self, window: Window) -> None:
        """The machine itself: what the GPU pane shows where there is no GPU."""
        self._host = window.rows[0] if window.rows else None
        self._show_host()

    def _show_host(self) -> None:
        state = next((state for state in self.summary.sources if state.source == "gpu"), None)
        self._app.floor.panes.gpu.show_host(self._host, _why_no_gpu(state))

    def redraw(self) -> None:
        """Say it all in the header."""
        self._app.notice.say(self._notice)
        lost = ""
        if self._lost_at is not None:
            seconds = (self._app.clock.now_ms() - self._lost_at) // 1000
            lost = f"WATCH LOST {seconds} s" if self.welcome is not None else "NO WATCH"
        self._app.header.set_counters(counters(self.summary))
        self._app.header.set_badges(
            badges(
                self.summary,
                lost=lost,
                read_only=self.read_only,
                demo=self.welcome is not None and self.welcome.demo,
                frozen=self._app.is_frozen,
            )
        )
        self._app.tabs.set_tabs(tabs(self.summary, self._app.key_of), self._app.floor.focused_name)


def _why_no_gpu(state: SourceState | None) -> str:
    if state is None:
        return ""
    return state.reason or ("no GPU was found on this machine" if state.ok else state.status)
