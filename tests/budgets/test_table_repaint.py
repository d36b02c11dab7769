"""What the table and the panes cost in bytes to the terminal, renders and drawn cells: counts, never time."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest
from textual.app import App, ComposeResult
from textual.containers import Vertical

from backends.model import Activity, Agent, Reach, Window
from console.tui.theme import DARK
from widgets.agents import AgentsPane
from widgets.columns import Cell, Column, Now
from widgets.table import LiveTable

NOW = 1_700_000_000_000
SIZE = (160, 45)
PAGE = 44


class MeteredApp(App[None]):
    """Counts the bytes of each frame that would go to the terminal."""

    def __init__(self, widget: LiveTable | AgentsPane) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.widget = widget
        self.frames: list[int] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.widget

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        if hasattr(renderable, "render_segments"):
            self.frames.append(len(renderable.render_segments(self.console).encode()))

    def spent(self) -> int:
        """Bytes since the last call."""
        total = sum(self.frames)
        self.frames.clear()
        return total


class Row(NamedTuple):
    id: str
    values: tuple[int, ...]


def table(columns: int = 12) -> LiveTable:
    def draw(index: int) -> Column:
        return Column(
            f"c{index}", f"C{index}", 8, lambda row, now: Cell(f"v{row.values[index]}"), priority=index
        )

    return LiveTable([draw(index) for index in range(columns)])


def rows(count: int, start: int = 0) -> list[Row]:
    return [Row(str(index), (index,) * 12) for index in range(start, start + count)]


def window(shown: list[Row], start: int = 0, total: int | None = None) -> Window:
    return Window("agents", start, tuple(shown), len(shown) if total is None else total)


async def test_one_changed_cell_costs_bytes_of_one_cell_not_of_one_line() -> None:
    app = MeteredApp(widget := table())
    async with app.run_test(size=SIZE) as pilot:
        shown = rows(3 * PAGE)
        widget.show(window(shown, total=100_000))
        await pilot.pause()
        full = app.spent()
        shown[5] = shown[5]._replace(values=(-1, *shown[5].values[1:]))
        widget.show(window(shown, total=100_000))
        await pilot.pause()
        one = app.spent()
        assert 0 < one < 150
        assert full > 40 * one


async def test_what_is_not_in_view_costs_no_bytes() -> None:
    app = MeteredApp(widget := table())
    async with app.run_test(size=SIZE) as pilot:
        shown = rows(3 * PAGE)
        widget.show(window(shown, total=100_000))
        await pilot.pause()
        app.spent()
        for tick in range(20):
            shown = shown[:PAGE] + [row._replace(values=(tick,) * 12) for row in shown[PAGE:]]
            widget.show(window(shown, total=100_000 + tick))
            await pilot.pause()
        assert app.spent() == 0


async def test_a_cursor_move_costs_two_lines() -> None:
    app = MeteredApp(widget := table())
    async with app.run_test(size=SIZE) as pilot:
        widget.focus()
        widget.show(window(rows(3 * PAGE), total=100_000))
        await pilot.pause()
        full = app.spent()
        await pilot.press("j")
        await pilot.pause()
        assert app.spent() < 2.5 * full / PAGE


@pytest.mark.parametrize("total", [10_000, 100_000, 1_000_000])
async def test_the_work_of_a_key_press_does_not_depend_on_the_total(total: int) -> None:
    drawn = 0

    def draw(row: Row, now: Now) -> Cell:
        nonlocal drawn
        drawn += 1
        return Cell(row.id)

    widget = LiveTable([Column("id", "ID", 10, draw), Column("again", "AGAIN", 10, draw)])
    app = MeteredApp(widget)
    async with app.run_test(size=SIZE) as pilot:
        widget.focus()
        start = total // 2
        widget.show(window(rows(3 * PAGE), 0, total))
        await pilot.pause()
        widget.move_to(start)
        widget.show(window(rows(3 * PAGE, start - PAGE - PAGE // 2), start - PAGE - PAGE // 2, total))
        await pilot.pause()
        drawn = 0
        for key in ("j", "k", "j", "j"):
            await pilot.press(key)
        assert drawn <= 2 * 4
        drawn = 0
        await pilot.press("pagedown")
        assert drawn <= 2 * PAGE


async def test_rows_that_change_place_are_not_drawn_again() -> None:
    drawn = 0

    def draw(row: Row, now: Now) -> Cell:
        nonlocal drawn
        drawn += 1
        return Cell(row.id)

    widget = LiveTable([Column("id", "ID", 10, draw)])
    app = MeteredApp(widget)
    async with app.run_test(size=SIZE) as pilot:
        shown = rows(PAGE)
        widget.show(window(shown))
        await pilot.pause()
        drawn = 0
        widget.show(window(list(reversed(shown))))
        await pilot.pause()
        assert drawn == 0


def agent(index: int) -> Agent:
    return Agent(
        id=f"agent-{index}",
        name=f"agent-{index}",
        host="forge-01",
        reach=Reach.LIVE,
        activity=Activity.WORKING,
        sources=("registered",),
        work_id="w",
        work_title="Build the images",
        work_pct=41.0,
        progress_at=NOW - 120_000 - index * 7_000,
        heartbeat_at=NOW,
        started_at=NOW - 3_600_000,
        cpu_pct=12.0,
        rss_bytes=1 << 30,
    )


async def test_an_idle_pane_of_agents_that_beat_every_second_stays_far_below_a_kilobyte_a_second() -> None:
    app = MeteredApp(pane := AgentsPane())
    async with app.run_test(size=SIZE) as pilot:
        agents = [agent(index) for index in range(40)]
        pane.set_now(NOW)
        pane.show(Window("agents", 0, tuple(agents), len(agents), table_total=len(agents), observed_at=NOW))
        await pilot.pause()
        app.spent()
        for second in range(1, 61):
            now = NOW + second * 1000
            beating = tuple(msgspec.structs.replace(each, heartbeat_at=now) for each in agents)
            pane.show(Window("agents", 0, beating, len(agents), table_total=len(agents), observed_at=now))
            pane.set_now(now)
            await pilot.pause()
        assert app.spent() / 60 < 300


async def test_a_new_total_repaints_no_row() -> None:
    app = MeteredApp(pane := AgentsPane())
    async with app.run_test(size=SIZE) as pilot:
        agents = tuple(agent(index) for index in range(3 * PAGE))
        pane.set_now(NOW)
        pane.show(Window("agents", 0, agents, 100_000, table_total=100_000))
        await pilot.pause()
        full = app.spent()
        pane.show(Window("agents", 0, agents, 100_001, table_total=100_001))
        await pilot.pause()
        assert app.spent() < full / 40  # the border line that says how many
