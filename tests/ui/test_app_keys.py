"""The console's keys, pressed: each does what its help says, or says why it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from floor_scene import AGENTS, NOW, agent, set_scene
from still_watch import StillWatch, console, text_of, until, until_gone, until_shown
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from backends.clock import ManualClock
from backends.model import Activity
from console.tui.app import WatchfloorApp
from console.tui.screens.confirm import DEAF_MS, ConfirmScreen
from console.tui.screens.page import PageScreen


class Desk:
    """A console at work: the app, its watch and the keyboard."""

    def __init__(self, app: WatchfloorApp, watch: StillWatch, pilot: Pilot[None]) -> None:
        self.app, self.watch, self._pilot = app, watch, pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def type(self, text: str) -> None:
        names = {" ": "space", ":": "colon", "-": "minus", ">": "greater_than_sign", "/": "slash"}
        await self._pilot.press(*(names.get(character, character) for character in text))

    def burst(self, text: str) -> None:
        """All keys at once, as a slow line or a paste delivers them."""
        for character in text:
            key = "enter" if character == "\r" else _character_to_key(character)
            self.app.post_message(Key(key, character))

    async def shows(self, *words: str) -> None:
        await until_shown(self.app, *words)

    async def hides(self, *words: str) -> None:
        await until_gone(self.app, *words)

    @property
    def text(self) -> str:
        return text_of(self.app)


@asynccontextmanager
async def desk(
    root: Path, size: tuple[int, int] = (160, 45), *, gpus: bool = False, **options: Any
) -> AsyncIterator[Desk]:
    clock = ManualClock(NOW)
    async with StillWatch(root / "state", clock) as watch:
        set_scene(watch, gpus=gpus)
        app = console(watch.paths.socket, clock, **options)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until_shown(app, "builder-1")
            yield Desk(app, watch, pilot)


async def act(at: Desk, command: str, *targets: str, **args: Any) -> None:
    """Something another door asked for."""
    reply = await at.app.link.invoke(command, targets, args)
    assert reply.failure is None, reply.failure


async def test_the_most_urgent_agent_is_on_top_and_the_analysis_speaks(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.shows("notifier crashes as often", "forge-01", "payments", "deploy.sh", "no NVIDIA driver")
        assert at.app.floor.panes.agents.table.cursor_id == "notifier"


async def test_a_filter_shows_its_problem_and_its_counts_while_it_is_typed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("slash")
        await at.type("age>")
        await at.shows("complete")  # the bottom line tells the keys of the line
        assert at.app.filter_bar.is_open
        problem = str(at.app.filter_bar._says.render())
        assert problem.strip()
        await at.press("escape")
        await at.press("slash")
        await at.type("clean")
        await at.shows("1 of 5 agents", "/clean")
        await at.press("enter")
        await at.hides("builder-1  ")
        await at.press("escape")
        await at.shows("5 agents")


async def test_counters_of_the_header_are_filters_for_the_keyboard(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("h")
        assert at.app.header.has_focus
        await at.shows("choose a counter")
        await at.press("right", "enter")
        await at.shows("1 of 5 agents", 'activity="')
        await at.press("h", "escape")
        assert not at.app.header.has_focus


async def test_orders_are_cycled_turned_round_and_remembered(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    async with desk(tmp_path, settings_file=settings) as at:
        await at.press("s")
        await at.shows("by activity ▲")
        await at.press("r")
        await at.shows("by activity ▼")
    assert 'agents = "-activity"' in settings.read_text()


async def test_the_demo_remembers_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path, settings_file=None) as at:
        await at.press("s")
        await at.shows("by activity")
    assert not (tmp_path / "config.toml").exists()


@pytest.mark.parametrize("key", ["R", "K", "t"])
async def test_a_key_that_means_nothing_here_says_where_it_does(tmp_path: Path, key: str) -> None:
    elsewhere = {"R": "2", "K": "1", "t": "1"}[key]
    async with desk(tmp_path) as at:
        await at.press(elsewhere, key)
        await at.shows("acts on", "there is none here")


async def test_read_only_says_why_nothing_is_changed(tmp_path: Path) -> None:
    async with desk(tmp_path, read_only=True) as at:
        await at.shows("READ-ONLY")
        assert "R restart" not in at.text
        await at.press("R")
        await at.shows("this console is read-only")
        await at.press("question_mark")
        await at.shows("stop an agent, requeue its work and start it again: it changes things")


async def test_a_disruptive_command_asks_with_cancel_in_focus_and_deaf_at_first(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await act(at, "add-work", type="build", title="Paint it")
        await at.press("2")
        await at.shows("Paint it")
        await at.press("C")
        await until(lambda: isinstance(at.app.screen, ConfirmScreen))
        assert at.app.focused is not None
        assert at.app.focused.id == "cancel"
        await at.press("y")  # typed before it could be read
        assert isinstance(at.app.screen, ConfirmScreen)
        await at.press("enter")
        assert isinstance(at.app.screen, ConfirmScreen)
        at.watch.clock.advance(DEAF_MS)
        await at.press("C")  # the key that asked never agrees
        assert isinstance(at.app.screen, ConfirmScreen)
        await at.press("y")
        await at.shows("cancelled")


async def test_enter_on_the_question_leaves_everything_as_it_is(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await act(at, "add-work", type="build", title="Paint it")
        await at.press("2")
        await at.shows("Paint it")
        await at.press("C")
        await until(lambda: isinstance(at.app.screen, ConfirmScreen))
        at.watch.clock.advance(DEAF_MS)
        await at.press("enter")
        await at.shows("nothing was changed")
        assert at.watch.house.summary().work == {"ready": 1}


async def test_the_key_that_asks_does_not_answer_even_when_it_is_y(tmp_path: Path) -> None:
    async with desk(tmp_path, keys={"cancel": "y", "copy": "c"}) as at:
        await act(at, "add-work", type="build", title="Paint it")
        await at.press("2")
        await at.shows("Paint it")
        await at.press("y")
        await until(lambda: isinstance(at.app.screen, ConfirmScreen))
        at.watch.clock.advance(DEAF_MS)
        await at.press("y")
        assert isinstance(at.app.screen, ConfirmScreen)


async def test_many_marked_rows_are_confirmed_by_their_number(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        for number in range(3):
            await act(at, "add-work", type="build", title=f"Item {number}")
        await at.press("2")
        await at.shows("Item 2")
        await at.press("asterisk", "C")
        await until(lambda: isinstance(at.app.screen, ConfirmScreen))
        await at.shows("type the number of targets, 3,")
        at.watch.clock.advance(DEAF_MS)
        await at.type("2")
        await at.press("enter")
        assert isinstance(at.app.screen, ConfirmScreen)
        await at.press("backspace", "3", "enter")
        await at.shows("3 of 3 verified")
        assert not at.app.floor.panes.queue.table.marks


async def test_the_command_line_completes_ids_rows_options_and_keeps_its_history(tmp_path: Path) -> None:
    history = tmp_path / "history"
    async with desk(tmp_path, history_file=history) as at:
        await act(at, "add-work", type="build", title="Paint it")
        await at.press("2")
        await at.shows("Paint it")
        item = at.app.floor.panes.queue.table.cursor_id
        assert item is not None
        await at.press("colon")
        await at.type("canc")
        await at.shows("cancel an item")
        await at.press("tab")
        await at.type(" ")
        await at.shows(item)
        await at.press("tab")
        await at.type(" --dry")
        await at.shows("show what would happen")
        await at.press("tab", "enter")
        await until(lambda: isinstance(at.app.screen, PageScreen))
        await at.shows("would")
        await at.press("escape", "colon", "up")
        assert at.app.command_bar.value == f"cancel {item} --dry-run"
    assert history.read_text() == f"cancel {item} --dry-run\n"
    assert history.stat().st_mode & 0o777 == 0o600


async def test_screen_commands_take_the_rest_of_the_line(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("colon")
        await at.type("theme light")
        await at.press("enter")
        await until(lambda: at.app.theme == "light")
        await at.press("colon")
        await at.type("filter !idle clean")
        await at.press("enter")
        await at.shows("1 of 5 agents")
        await at.press("colon")
        await at.type("theme mauve")
        await at.press("enter")
        await at.shows("no theme 'mauve'")
        await at.press("colon")
        await at.type("frobnicate")
        await at.press("enter")
        await at.shows("unknown command 'frobnicate'")


async def test_the_palette_finds_runs_and_says_what_cannot_run(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("ctrl+p")
        await at.type("release")
        await at.shows("it acts on a work item; go to one first, key 2")
        await at.press("escape", "ctrl+p")
        await at.type("zoom")
        await at.press("enter")
        await until(lambda: at.app.floor.is_zoomed)


async def test_the_theme_picker_shows_each_and_brings_back_the_old_one(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("colon")
        await at.type("theme")
        await at.press("enter", "down")
        await until(lambda: at.app.theme == "light")
        await at.press("escape")
        await until(lambda: at.app.theme == "dark")


async def test_pages_open_and_close(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("enter")
        await at.shows("Agent notifier", "restarts")
        await at.press("escape")
        await at.press("question_mark")
        await at.shows("keys of the agents pane")
        await at.press("q")
        await at.press("p")
        await until(lambda: at.app.floor.is_zoomed)
        assert at.app.floor.focused_name == "analysis"
        await at.press("p")
        await until(lambda: not at.app.floor.is_zoomed)


async def test_a_row_is_copied_as_text_and_as_json(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        copied: list[str] = []
        at.app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await at.press("y", "Y")
        assert "notifier\trestarts" in copied[0]
        assert '"id": "notifier"' in copied[1]
        await at.press("space", "space", "y")
        assert len(copied[2].splitlines()) == 2


async def test_a_finding_runs_what_it_proposes_after_a_question(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("5")
        await at.shows(":stop-agent notifier")
        await at.press("w")
        await at.shows("notifier")  # planned by the watch: a question or a refusal, never a silent act
        await until(lambda: isinstance(at.app.screen, ConfirmScreen) or "stop-agent:" in at.text)
        await at.press("escape", "1", "w")
        await at.shows("no finding here")


async def test_a_question_is_answered_by_the_local_analyst_and_escape_puts_it_away(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("A")
        await at.type("what is wrong")
        await at.press("enter")
        await at.shows("? what is wrong")
        await until(lambda: not at.app.floor.panes.analysis.answer._is_open)
        assert at.app.floor.panes.analysis.answer.text
        await at.press("escape")
        await until(lambda: not at.app.floor.panes.analysis.has_answer)


async def test_freezing_holds_back_what_arrives(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.press("f")
        await at.shows("FROZEN")
        at.watch.put("agents", [*AGENTS, agent("newcomer", Activity.CRASHED, 95, "exit-1")])
        await until(lambda: at.app.lookers._by_table[at.app.floor.panes.agents.table].held_back is not None)
        assert "newcomer" not in at.text
        await at.press("f")
        await at.shows("newcomer")


async def test_small_terminals_say_which_panes_there_are(tmp_path: Path) -> None:
    async with desk(tmp_path, size=(80, 24)) as at:
        await at.shows("[1 Agents 5]", "2 Work", "3 GPUs", "4 Drift", "5 Analysis 2")
        await at.press("5")
        await at.shows("[5 Analysis 2]", "notifier crashes")
        await at.hides("[1 Agents")
        await at.press("1")
        await at.shows("[1 Agents")
        await at.press("z")
        await at.shows("one pane at a time fits here already")


async def test_tab_reaches_every_table(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        tables = {"agents-table", "work-table", "processes-table", "worktrees-table", "copies-table"}
        seen = []
        while not tables <= set(seen) or at.app.floor.focused_name != "analysis":
            assert at.app.focused is not None
            assert len(seen) < 10, seen
            seen.append(at.app.focused.id)
            await at.press("tab")
        await at.press("shift+tab")
        assert at.app.floor.focused_name == "drift"


async def test_a_row_that_has_just_come_under_the_cursor_is_not_acted_on(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.watch.put("agents", [*AGENTS, agent("newcomer", Activity.BLOCKED, 99, "approval")])
        await until(lambda: at.app.floor.panes.agents.table.cursor_id == "newcomer")
        await at.press("a")
        await at.shows("look again")


async def test_keys_of_a_hidden_table_act_on_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path, gpus=True) as at:
        await at.shows("NVIDIA H200")
        await at.press("3", "K")
        await at.shows("kill-process acts on a process; there is none here")


async def test_keys_in_one_burst_with_the_colon_go_to_the_command_line(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.burst("2:help")
        await until(lambda: at.app.command_bar.value == "help", lambda: at.text)
        assert at.app.command_bar.is_open
        assert len(at.app.screen_stack) == 1
        assert at.app.floor.focused_name == "queue"


async def test_a_pasted_command_runs_and_opens_nothing_else(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.burst(":pane-drift\r:approve cleaner")
        await until(lambda: at.app.command_bar.value == "approve cleaner", lambda: at.text)
        assert at.app.floor.focused_name == "drift"
        assert len(at.app.screen_stack) == 1


async def test_keys_in_one_burst_with_the_slash_are_the_filter(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.burst("/clean\rG")
        await at.shows("1 of 5 agents", "/clean")
        await until(lambda: not at.app.filter_bar.is_open)
        assert len(at.app.screen_stack) == 1
