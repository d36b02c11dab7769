"""The work queue pane: its columns and how a work item is drawn."""

from __future__ import annotations

from textual.app import ComposeResult

from backends.model import Window, WorkItem, WorkState
from widgets.agents import share_cell
from widgets.columns import Cell, Column, Now
from widgets.glyphs import WORK_STATES, Mark
from widgets.pane import Noun, Pane
from widgets.quantities import UNKNOWN, age, count, left
from widgets.table import LiveTable

_FINISHED = (WorkState.SUCCEEDED, WorkState.CANCELLED)
_OVERDUE = Mark("●", "+", "crit")
_SHORT_OF_LEASE = 0.25  # of the lease's length


def state_of(item: WorkItem, now: int) -> tuple[Mark, str]:
    """The mark and the word for an item's state, with the labels that follow from its times."""
    mark, word = WORK_STATES[item.state], str(item.state)
    if item.state is WorkState.LEASED:
        if item.lease_until is not None and item.lease_until <= now:
            return _OVERDUE, "expired"
        if item.cancel_requested_at is not None:
            return mark, "cancelling"
    if item.state is WorkState.SCHEDULED and item.attempt > 0:
        return mark, "retrying"
    return mark, word


def _state(item: WorkItem, now: Now) -> Cell:
    mark, word = state_of(item, now.ms)
    return Cell(f"{mark.show(now.ascii)} {word}", mark.style)


def _title(item: WorkItem, now: Now) -> Cell:
    if item.state in _FINISHED:
        return Cell(item.title or item.id, "dim")
    return Cell(item.title or item.id, "strong" if item.state is WorkState.DEAD else "")


def _lease(item: WorkItem, now: Now) -> Cell:
    if item.state is WorkState.SCHEDULED and item.run_at is not None:
        return Cell(left(item.run_at, now.ms), "dim")
    if item.state is not WorkState.LEASED:
        return Cell("")
    if item.lease_until is None:
        return Cell(UNKNOWN, "dim")
    remaining = item.lease_until - now.ms
    short = item.lease_ms is not None and remaining < item.lease_ms * _SHORT_OF_LEASE
    return Cell(left(item.lease_until, now.ms), "crit" if remaining <= 0 else "warn" if short else "")


def _attempts(item: WorkItem, now: Now) -> Cell:
    last = item.attempt >= item.max_attempts and item.state is not WorkState.SUCCEEDED
    style = "dim" if item.attempt <= 1 else "warn" if last else ""
    return Cell(f"{item.attempt}/{item.max_attempts}", style)


def _why(item: WorkItem, now: Now) -> Cell:
    """Why it is in this state; what an earlier attempt died of is history once it has succeeded."""
    error = None if item.state is WorkState.SUCCEEDED else item.last_error
    return Cell(error or item.reason or "", "crit" if item.state is WorkState.DEAD else "dim")


def _unblocks(item: WorkItem, now: Now) -> Cell:
    return Cell(f"+{count(item.unblocks)}" if item.unblocks else "", "accent")


COLUMNS: tuple[Column, ...] = (
    Column("state", "STATE", 12, _state, min_width=11, priority=0),
    Column("priority", "P", 1, lambda item, now: Cell(str(item.priority), "dim"), priority=3),
    Column("title", "WORK", 24, _title, min_width=20, grow=True, priority=0),
    Column("type", "TYPE", 12, lambda item, now: Cell(item.kind, "dim"), min_width=7, priority=4),
    Column("holder", "HOLDER", 14, lambda item, now: Cell(item.holder or ""), min_width=9, priority=2),
    Column("pct", "DONE", 9, lambda item, now: share_cell(item.progress_pct, now), priority=3),
    Column("lease", "LEFT", 4, _lease, align="right", priority=1),
    Column("attempts", "TRY", 5, _attempts, align="right", priority=5),
    Column("age", "AGE", 4, lambda item, now: Cell(age(item.created_at, now.ms), "dim"), align="right"),
    Column("unblocks", "FREES", 5, _unblocks, align="right", priority=6),
    Column("reason", "WHY", 20, _why, min_width=10, grow=True, priority=7),
)


def counts_text(counts: dict[str, int], separator: str = " · ") -> str:
    """``2 dead · 3 leased · 12 ready``: the unfinished states that have items, in the order of concern."""
    return separator.join(
        f"{count(counts[state])} {state}"
        for state in WORK_STATES
        if state not in _FINISHED and counts.get(state)
    )


class QueuePane(Pane):
    """The work queue."""

    def __init__(self, number: int = 2, *, ascii_only: bool = False, id: str | None = "queue") -> None:
        super().__init__(number, "Work", Noun("item", "items"), ascii_only=ascii_only, id=id)
        self.table = LiveTable(
            COLUMNS,
            view="work",
            id="work-table",
            empty="no work yet — add some: watchfloor add-work TYPE TITLE",
            ascii_only=ascii_only,
        )

    def compose_body(self) -> ComposeResult:
        yield self.table

    def show(self, window: Window) -> None:
        """Replace the rows; the upper border counts the states of all items that match."""
        self.summarise(window)
        counts = counts_text(window.counts, " | " if self.ascii_only else " · ")
        self.set_heading(counts)
        self.table.show(window)
