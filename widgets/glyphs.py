"""The glyph and the meaning of every state, so that nothing rests on colour alone.

Each state has a Unicode glyph and an ASCII one for terminals without UTF-8, and glyphs of one table differ.
"""

from __future__ import annotations

from typing import NamedTuple

from backends.model import Activity, Agent, Reach, Severity, WorkState


class Mark(NamedTuple):
    """How one state is marked."""

    glyph: str
    ascii: str
    style: str

    def show(self, ascii_only: bool) -> str:
        return self.ascii if ascii_only else self.glyph


UNKNOWN = Mark("?", "?", "stale")

ACTIVITIES: dict[Activity, Mark] = {
    Activity.BLOCKED: Mark("◆", "?", "warn"),
    Activity.CRASH_LOOP: Mark("↻", "@", "crit"),
    Activity.CRASHED: Mark("✖", "X", "crit"),
    Activity.STALLED: Mark("◼", "!", "warn"),
    Activity.PAUSED: Mark("‖", "=", "dim"),
    Activity.DRAINING: Mark("▽", "v", "dim"),
    Activity.STARTING: Mark("◌", "~", "dim"),
    Activity.WORKING: Mark("●", "+", "ok"),
    Activity.IDLE: Mark("○", "-", "dim"),
    Activity.STOPPED: Mark("·", ".", "dim"),
}

REACHES: dict[Reach, Mark] = {
    Reach.LIVE: Mark("●", "+", "ok"),
    Reach.STALE: Mark("◐", "~", "stale"),
    Reach.UNREACHABLE: Mark("✖", "X", "crit"),
    Reach.NEVER_SEEN: Mark("?", "?", "stale"),
}

WORK_STATES: dict[WorkState, Mark] = {
    WorkState.DEAD: Mark("✖", "X", "crit"),
    WorkState.LEASED: Mark("●", "+", "ok"),
    WorkState.READY: Mark("○", "-", ""),
    WorkState.SCHEDULED: Mark("◷", "@", "dim"),
    WorkState.BLOCKED: Mark("◇", "#", "dim"),
    WorkState.SUCCEEDED: Mark("✓", "v", "dim"),
    WorkState.CANCELLED: Mark("⊘", "/", "dim"),
}

SEVERITIES: dict[Severity, Mark] = {
    Severity.CRITICAL: Mark("▲", "!", "crit"),
    Severity.WARNING: Mark("△", "*", "warn"),
    Severity.INFO: Mark("·", ".", "dim"),
}

URGENT = Mark("▲", "!", "crit")
WORRYING = Mark("△", "*", "warn")
CALM = Mark(" ", " ", "")


def urgency_mark(urgency: int) -> Mark:
    """From 70 on (blocked, crashed, lease lost) somebody is needed now, from 30 on soon."""
    return URGENT if urgency >= 70 else WORRYING if urgency >= 30 else CALM


def agent_mark(agent: Agent) -> tuple[Mark, str]:
    """The mark and the word for an agent's state. Reach outranks an activity that is no longer seen."""
    if agent.reach in (Reach.UNREACHABLE, Reach.NEVER_SEEN):
        return REACHES[agent.reach], str(agent.reach)
    if agent.activity is None:
        return UNKNOWN, "?"
    mark = ACTIVITIES[agent.activity]
    if agent.reach is Reach.STALE:
        return Mark(mark.glyph, mark.ascii, "stale"), f"{agent.activity}?"
    return mark, str(agent.activity)
