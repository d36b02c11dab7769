"""The agents pane: its columns and how an agent is drawn."""

from __future__ import annotations

from textual.app import ComposeResult

from backends.model import Activity, Agent, Reach, Window
from widgets.columns import Cell, Column, Now
from widgets.gauge import level, thin_bar
from widgets.glyphs import agent_mark, urgency_mark
from widgets.pane import Noun, Pane
from widgets.quantities import UNKNOWN, age, percent, size
from widgets.table import LiveTable

_SOURCES = {"registered": "reg", "declared": "decl", "discovered": "disc"}


def _urgency(agent: Agent, now: Now) -> Cell:
    mark = urgency_mark(agent.urgency)
    return Cell(mark.show(now.ascii), mark.style)


def _activity(agent: Agent, now: Now) -> Cell:
    mark, word = agent_mark(agent)
    return Cell(f"{mark.show(now.ascii)} {word}", mark.style)


def _cause(agent: Agent, now: Now) -> Cell:
    if agent.cause is None:
        return Cell("")
    mark, _ = agent_mark(agent)
    return Cell(agent.cause, mark.style if mark.style in ("warn", "crit") else "dim")


def _name(agent: Agent, now: Now) -> Cell:
    return Cell(agent.name, "strong" if urgency_mark(agent.urgency).style else "")


def _work(agent: Agent, now: Now) -> Cell:
    if agent.work_title is None and agent.work_id is None:
        return Cell(agent.note or "", "dim")
    return Cell(agent.work_title or agent.work_id or "")


def share_cell(value: float | None, now: Now, width: int = 4) -> Cell:
    """A share as a small bar and a figure."""
    if value is None:
        return Cell("")
    return Cell(f"{thin_bar(value, width, now.ascii)} {percent(value):>4}", "dim" if value >= 100 else "")


def _progress(agent: Agent, now: Now) -> Cell:
    stuck = agent.activity is Activity.STALLED
    style = "warn" if stuck else "dim" if agent.work_id is None else ""
    if agent.progress_at is None:
        return Cell("" if agent.work_id is None else UNKNOWN, "dim")
    return Cell(age(agent.progress_at, now.ms), style)


def _heartbeat(agent: Agent, now: Now) -> Cell:
    if agent.heartbeat_at is None:
        return Cell("" if "registered" not in agent.sources else UNKNOWN, "dim")
    return Cell(age(agent.heartbeat_at, now.ms), "dim" if agent.reach is Reach.LIVE else "warn")


def _restarts(agent: Agent, now: Now) -> Cell:
    if agent.restarts is None:
        return Cell(UNKNOWN, "dim")
    return Cell(str(agent.restarts), level(agent.restarts, 3, 10) if agent.restarts else "dim")


def _cpu(agent: Agent, now: Now) -> Cell:
    return Cell(percent(agent.cpu_pct), "" if agent.cpu_pct is not None and agent.cpu_pct >= 1 else "dim")


def _memory(size_bytes: int | None) -> Cell:
    return Cell(size(size_bytes), "dim" if size_bytes is None else "")


def _team(agent: Agent, now: Now) -> Cell:
    return Cell("/".join(part for part in (agent.team, agent.layer) if part), "dim")


COLUMNS: tuple[Column, ...] = (
    Column("urgency", "", 1, _urgency, priority=0),
    Column("activity", "STATE", 13, _activity, min_width=11, priority=0),
    Column("agent", "AGENT", 18, _name, min_width=12, grow=True, priority=0),
    Column("cause", "CAUSE", 13, _cause, min_width=11, priority=1),
    Column("host", "HOST", 12, lambda agent, now: Cell(agent.host, "dim"), min_width=8, priority=6),
    Column("team", "TEAM", 14, _team, min_width=8, priority=9),
    Column("work", "WORK", 26, _work, min_width=20, grow=True, priority=2),
    Column("pct", "DONE", 9, lambda agent, now: share_cell(agent.work_pct, now), priority=3),
    Column("progress", "MOVED", 5, _progress, align="right", priority=3),
    Column("heartbeat", "BEAT", 4, _heartbeat, align="right", priority=7),
    Column("cpu", "CPU", 5, _cpu, align="right", priority=4),
    Column("rss", "RSS", 4, lambda agent, now: _memory(agent.rss_bytes), align="right", priority=5),
    Column("vram", "VRAM", 4, lambda agent, now: _memory(agent.vram_bytes), align="right", priority=6),
    Column("restarts", "RST", 4, _restarts, align="right", priority=8),
    Column(
        "source",
        "SOURCE",
        13,
        lambda agent, now: Cell("+".join(_SOURCES.get(name, name) for name in agent.sources), "dim"),
        min_width=8,
        priority=10,
    ),
)


class AgentsPane(Pane):
    """Every agent, the most urgent on top."""

    def __init__(self, number: int = 1, *, ascii_only: bool = False, id: str | None = "agents") -> None:
        super().__init__(number, "Agents", Noun("agent", "agents"), ascii_only=ascii_only, id=id)
        self.table = LiveTable(
            COLUMNS,
            view="agents",
            id="agents-table",
            empty="no agents yet — add one: watchfloor register-agent NAME",
            ascii_only=ascii_only,
        )
        self._hosts: set[str] = (
            set()
        )  # seen so far: a column that comes and goes would be worse than one too many

    def compose_body(self) -> ComposeResult:
        yield self.table

    def show(self, window: Window) -> None:
        """Replace the rows."""
        self.summarise(window)
        self._hosts.update(agent.host for agent in window.rows)
        self.table.hide_columns(frozenset() if len(self._hosts) > 1 else frozenset({"host"}))
        self.table.show(window)
