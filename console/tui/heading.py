"""The header's counters and badges and the tabs of the panes, from the totals of the watch."""

from __future__ import annotations

from collections.abc import Callable

from backends.model import Severity, Summary, WorkState
from widgets.glyphs import ACTIVITIES, REACHES, SEVERITIES, WORK_STATES, Mark
from widgets.pane_tabs import Tab
from widgets.status_bar import Badge, Counter, CounterGroup

#: Work that has ended well is not news.
_QUIET_WORK = (WorkState.SUCCEEDED, WorkState.CANCELLED)


def _counter(word: str, value: int, table: str, filter_: str, mark: Mark) -> Counter:
    style = mark.style if mark.style in ("warn", "crit", "ok") else ""
    return Counter(word, value, table, filter_, mark.glyph, mark.ascii, style)


def counters(summary: Summary) -> list[CounterGroup]:
    """Hosts by reach, agents by activity, work by state, alerts by severity. Zeros are left to the bar."""
    hosts = [
        _counter(str(reach), summary.hosts.get(str(reach), 0), "hosts", f"reach={reach}", mark)
        for reach, mark in REACHES.items()
    ]
    agents = [
        _counter(
            str(activity), summary.agents.get(str(activity), 0), "agents", f'activity="{activity}"', mark
        )
        for activity, mark in ACTIVITIES.items()
    ]
    agents += [
        Counter(
            "unreachable",
            summary.agents.get("unreachable", 0),
            "agents",
            "reach=unreachable",
            "✖",
            "X",
            "crit",
        ),
        Counter(
            "unknown", summary.agents.get("unknown", 0), "agents", "activity=? !reach=unreachable", "?", "?"
        ),
    ]
    work = [
        _counter(str(state), summary.work.get(str(state), 0), "work", f"state={state}", mark)
        for state, mark in WORK_STATES.items()
        if state not in _QUIET_WORK
    ]
    alerts = [
        _counter(
            str(severity), summary.findings.get(str(severity), 0), "findings", f"severity={severity}", mark
        )
        for severity, mark in SEVERITIES.items()
        if severity is not Severity.INFO
    ]
    alerts.reverse()
    alerts.sort(key=lambda counter: counter.word != Severity.CRITICAL)
    return [
        CounterGroup("hosts", tuple(hosts)),
        CounterGroup("agents", tuple(agents)),
        CounterGroup("work", tuple(work)),
        CounterGroup("alerts", tuple(alerts)),
    ]


def badges(summary: Summary, *, lost: str, read_only: bool, demo: bool, frozen: bool) -> list[Badge]:
    """Words that must not be overlooked."""
    found = []
    if lost:
        found.append(Badge(lost, "crit"))
    if summary.estop:
        found.append(Badge(f"E-STOP: {summary.estop}", "crit"))
    if frozen:
        found.append(Badge("FROZEN"))
    if read_only:
        found.append(Badge("READ-ONLY"))
    if demo:
        found.append(Badge("DEMO", "accent"))
    if summary.health is not None and summary.health < 100:
        style = "crit" if summary.health < 50 else "warn" if summary.health < 80 else "dim"
        found.append(Badge(f"health {summary.health}", style))
    return found


def tabs(summary: Summary, key_of: Callable[[str], str]) -> list[Tab]:
    """One tab for each pane: its key, its name, and the figure that tells whether to go there."""
    dead = summary.work.get(WorkState.DEAD, 0)
    waiting = sum(number for state, number in summary.work.items() if state not in _QUIET_WORK)
    critical = summary.findings.get(Severity.CRITICAL, 0)
    wrong = critical + summary.findings.get(Severity.WARNING, 0)
    return [
        Tab("agents", key_of("pane-agents"), "Agents", sum(summary.agents.values())),
        Tab("queue", key_of("pane-queue"), "Work", waiting, "crit" if dead else ""),
        Tab("gpu", key_of("pane-gpu"), "GPUs"),
        Tab("drift", key_of("pane-drift"), "Drift"),
        Tab("analysis", key_of("pane-analysis"), "Analysis", wrong, "crit" if critical else "warn"),
    ]
