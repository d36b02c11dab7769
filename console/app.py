"""The console: panes that show views of the watch, and keys that run registered commands. Wiring only."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.filter import LineFilter

from backends.model import Finding, Host, SourceState, Summary, View, Window
from console.acting import Actor, Weight
from console.command_line import offers, understand
from console.commands import REGISTRY
from console.commands.registry import Command, CommandError, Place
from console.config import Config
from console.heading import badges, counters
from console.keymap import GLOBAL, Keymap
from console.link import Link
from console.looking import Lookers, filter_problem
from console.private_watch import PrivateWatch
from console.screen_commands import ScreenCommands
from console.screens.page import PageScreen, text_lines
from console.theme import THEMES
from console.wire import Welcome
from widgets.agents import AgentsPane
from widgets.analysis import AnalysisPane
from widgets.drift import DriftPane
from widgets.filter_bar import CommandBar, Completion, FilterBar, PromptBar
from widgets.gpu import GpuPane
from widgets.one_line import Hints
from widgets.output_filter import OutputFilter
from widgets.pane import Pane
from widgets.queue import QueuePane
from widgets.status_bar import CounterChosen, StatusBar
from widgets.table import LiveTable
from widgets.table_messages import Opened, SortWanted, WindowWanted

log = logging.getLogger(__name__)

#: Below this the panes are shown one at a time.
WIDE_COLUMNS, WIDE_LINES = 110, 34
#: Whose age a pane's data has.
SOURCE_PANES = {"processes": "agents", "gpu": "gpu", "drift": "drift"}
#: The table that holds the subject of a finding.
SUBJECT_TABLES = {"agent": "agents", "work": "work"}


class WatchfloorApp(App[None]):
    """The whole screen."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        driver_class: type[Driver] | None,
        config: Config,
        keymap: Keymap,
        socket: Path,
        *,
        own_watch: PrivateWatch | None = None,
        ascii_only: bool = False,
        settings_file: Path | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.config = config
        self.keymap = keymap
        self.ascii_only = ascii_only
        self.settings_file = settings_file
        self.problem = ""
        self.welcome: Welcome | None = None
        self.summary = Summary()
        self.is_frozen = False
        self.link = Link(socket, self._attached, self._lost, self._totals)
        self.lookers = Lookers(self.link)
        self._own_watch = own_watch
        self._actor = Actor(self)
        self._screen_commands = ScreenCommands(self)
        self._lost_reason = ""
        self._lost_at: int | None = None
        self._host: Host | None = None
        self.panes: dict[str, Pane] = {
            "agents": AgentsPane(ascii_only=ascii_only),
            "queue": QueuePane(ascii_only=ascii_only),
            "gpu": GpuPane(ascii_only=ascii_only),
            "drift": DriftPane(ascii_only=ascii_only),
            "analysis": AnalysisPane(ascii_only=ascii_only),
        }
        self.header = StatusBar(ascii_only=ascii_only)
        self.hints = Hints(ascii_only=ascii_only, id="hints")
        self.filter_bar = FilterBar(
            complete=self._complete_filter, check=self._check_filter, ascii_only=ascii_only
        )
        self.command_bar = CommandBar(
            complete=self._complete_command,
            history=lambda: self._screen_commands.history,
            ascii_only=ascii_only,
        )
        for theme in THEMES:
            self.register_theme(theme)
        for key in sorted({binding.key for binding in keymap.bindings}):
            self.bind(key, f"press('{key}')", show=False)

    # --- composition -----------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.header
        with Horizontal(id="floor"):
            with Vertical(id="left"):
                yield self.panes["agents"]
                yield self.panes["queue"]
                yield self.panes["drift"]
            with Vertical(id="right"):
                yield self.panes["analysis"]
                yield self.panes["gpu"]
        yield self.filter_bar
        yield self.command_bar
        yield self.hints

    def on_mount(self) -> None:
        self.theme = self._theme_name(self.config.console.theme)
        self._screen_commands.focus_pane(self.config.console.startup_pane)
        self._lay_out()
        self._tick()
        self.set_interval(1.0, self._tick)
        self.run_worker(self._live(), exit_on_error=False)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), OutputFilter()]

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        is_wide = self.size.width >= WIDE_COLUMNS and self.size.height >= WIDE_LINES
        self.screen_stack[0].set_class(not is_wide, "-narrow")

    async def _live(self) -> None:
        """Wait for a watch of our own, then listen to it for as long as the console lives."""
        if self._own_watch is not None:
            self.problem = await asyncio.to_thread(self._own_watch.wait_ready)
            if self.problem:
                self.exit(return_code=1)
                return
        self._subscribe()
        await self.link.run()

    def _subscribe(self) -> None:
        panes, sort = self.panes, self.config.console.sort
        agents, queue, gpu = panes["agents"], panes["queue"], panes["gpu"]
        drift, analysis = panes["drift"], panes["analysis"]
        assert isinstance(agents, AgentsPane)
        assert isinstance(queue, QueuePane)
        assert isinstance(gpu, GpuPane)
        assert isinstance(drift, DriftPane)
        assert isinstance(analysis, AnalysisPane)
        add = self.lookers.add
        add(agents, agents.table, agents.show, sort.get("agents", ""))
        add(queue, queue.table, queue.show, sort.get("work", ""))
        add(drift, drift.table, drift.show, sort.get("worktrees", ""))
        add(drift, drift.copies, drift.show_copies, sort.get("copies", ""), is_main=False)
        add(analysis, analysis.table, analysis.show, sort.get("findings", ""))
        add(gpu, gpu.table, gpu.show_processes, sort.get("processes", ""), is_main=False)
        self.link.subscribe(View("gpus", count=64), gpu.show)
        self.link.subscribe(View("hosts", count=1), self._show_host)

    # --- what the watch says -----------------------------------------------------------------------------

    def _attached(self, welcome: Welcome) -> None:
        self.welcome = welcome
        self._lost_reason, self._lost_at = "", None
        for pane in self.panes.values():
            pane.set_stale(None)
        self.redraw_header()

    def _lost(self, reason: str) -> None:
        if self._lost_at is None and self.welcome is not None:
            self._lost_at = self.now_ms()
            self._lost_reason = reason
            log.warning("lost the watch: %s", reason)
            for pane in self.panes.values():
                pane.set_stale(self._lost_at)
            self.redraw_header()
        if self._own_watch is not None:
            self._own_watch.revive()

    def _totals(self, summary: Summary) -> None:
        self.summary = summary
        self.redraw_header()
        self._show_host_of(summary)
        for state in summary.sources:
            pane = self.panes.get(SOURCE_PANES.get(state.source, ""))
            if pane is not None:
                pane.set_observed(state.observed_at)

    def _show_host(self, window: Window) -> None:
        self._host = window.rows[0] if window.rows else None
        self._show_host_of(self.summary)

    def _show_host_of(self, summary: Summary) -> None:
        gpu = self.panes["gpu"]
        assert isinstance(gpu, GpuPane)
        state = next((state for state in summary.sources if state.source == "gpu"), None)
        gpu.show_host(self._host, _why_no_gpu(state))

    def redraw_header(self) -> None:
        lost = ""
        if self._lost_at is not None:
            lost = f"WATCH LOST {(self.now_ms() - self._lost_at) // 1000} s: {self._lost_reason}"
        self.header.set_counters(counters(self.summary))
        self.header.set_badges(
            badges(
                self.summary,
                lost=lost,
                read_only=self.read_only,
                demo=self.welcome is not None and self.welcome.demo,
                frozen=self.is_frozen,
            )
        )

    @property
    def read_only(self) -> bool:
        """Nothing that changes things may run."""
        return self.config.console.read_only or (self.welcome is not None and self.welcome.read_only)

    def _tick(self) -> None:
        now = self.now_ms()
        if not self.is_frozen:
            for pane in self.panes.values():
                pane.set_now(now)
        self.header.set_now(now)
        if self._lost_at is not None:
            self.redraw_header()

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    # --- keys and lines to commands ------------------------------------------------------------------------

    def action_press(self, key: str) -> None:
        """A bound key: the command it means in the focused pane."""
        command_id = self.keymap.command_at(key, self.scope) or self.keymap.command_at(key, GLOBAL)
        if command_id is not None and len(self.screen_stack) == 1:
            self.run_by_name(command_id)

    def run_by_name(self, name: str) -> None:
        """Run a command on the marked rows, or on the one under the cursor."""
        command = REGISTRY.get(name)
        targets = self.chosen(command) if command.acts_on else ()
        if command.acts_on and not targets and not command.target_optional:
            self.say(f"{command.id} needs a row of {command.acts_on}; go to one first", "warning")
            return
        from console.commands.arguments import parameters

        if any(parameter.required for parameter in parameters(command)):
            self.command_bar.open(f"{command.id} ")
            return
        self.run_command(command, targets, {})

    def run_line(self, line: str) -> None:
        """Run what was typed after ``:``."""
        try:
            typed = understand(line, self.chosen)
        except CommandError as error:
            self.say(error.message, "warning")
            return
        self._screen_commands.remember(line)
        self.run_command(typed.command, typed.words.targets, typed.words.args)

    def run_command(self, command: Command, targets: tuple[str, ...], args: dict[str, Any]) -> None:
        """Run a command wherever it runs."""
        if command.mutates and self.read_only:
            self.say(f"{command.id} changes things and this console is read-only", "warning")
        elif command.place is Place.CONSOLE:
            self._screen_commands.run(command, args)
        elif command.place is Place.LOCAL:
            self.say(f"{command.id} runs in a shell: watchfloor {command.id}", "warning")
        elif command.id in ("explain", "logs") and targets:
            self._screen_commands.show_row_page(command.id, targets[0])
        else:
            self.run_worker(self._actor.act(command, targets, args), exit_on_error=False)

    @property
    def table(self) -> LiveTable | None:
        """The focused table, or the main one of the focused pane."""
        if isinstance(self.focused, LiveTable):
            return self.focused
        pane = self._screen_commands.focused_pane
        return next(iter(pane.query(LiveTable)), None) if pane is not None else None

    @property
    def scope(self) -> str:
        """The table whose rows the focused pane's keys act on: a finding stands for its subject."""
        table = self.table
        if table is None:
            return GLOBAL
        if isinstance(table.cursor_row, Finding):
            return SUBJECT_TABLES.get(table.cursor_row.subject_kind, table.view)
        return table.view

    def chosen(self, command: Command) -> tuple[str, ...]:
        """The rows ``command`` means: the marked ones, else the one under the cursor."""
        table = self.table
        if table is None or command.acts_on not in (self.scope, "any"):
            return ()
        if isinstance(table.cursor_row, Finding) and command.acts_on != "any":
            return (table.cursor_row.subject,)
        if table.marks and command.acts_on != "any":
            return tuple(sorted(table.marks))
        return (table.cursor_id,) if table.cursor_id is not None else ()

    def forget_marks(self) -> None:
        if self.table is not None:
            self.table.clear_marks()

    # --- saying ---------------------------------------------------------------------------------------------

    def say(self, message: str, weight: Weight = "information") -> None:
        """One line that goes away by itself."""
        self.notify(message, severity=weight, markup=False, timeout=8 if weight != "information" else 5)

    def show_text(self, title: str, text: str) -> None:
        """A page of plain text."""
        self.push_screen(PageScreen(title, text_lines(text), ascii_only=self.ascii_only))

    # --- messages --------------------------------------------------------------------------------------

    def on_live_table_window_wanted(self, event: WindowWanted) -> None:
        self.lookers.wanted(event)

    def on_live_table_opened(self, event: Opened) -> None:
        self._screen_commands.open_row(event.row)

    def on_live_table_sort_wanted(self, event: SortWanted) -> None:
        self._screen_commands.sort_by(event.table, event.column)

    def on_counter_chosen(self, event: CounterChosen) -> None:
        self._screen_commands.show_filtered(event.table, event.filter)

    def on_prompt_bar_changed(self, event: PromptBar.Changed) -> None:
        if event.bar is self.filter_bar and not event.problem and self.table is not None:
            self.lookers.filter(self.table, event.value)

    def on_prompt_bar_submitted(self, event: PromptBar.Submitted) -> None:
        self._screen_commands.refocus()
        if event.bar is self.command_bar and event.value.strip():
            self.run_line(event.value)

    def on_prompt_bar_cancelled(self, event: PromptBar.Cancelled) -> None:
        self._screen_commands.refocus()
        if event.bar is self.filter_bar and self.table is not None:
            self.lookers.filter(self.table, event.before)

    def on_descendant_focus(self) -> None:
        self._screen_commands.focus_changed()

    def _check_filter(self, text: str) -> str:
        return filter_problem(self.table.view, text) if self.table is not None else ""

    def _complete_filter(self, text: str, cursor: int) -> Sequence[Completion]:
        return self._screen_commands.complete_filter(text, cursor)

    def _complete_command(self, text: str, cursor: int) -> Sequence[Completion]:
        found = offers(text, cursor, self._screen_commands.row_ids)
        return [Completion(offer.text, offer.help, offer.start) for offer in found]

    def _theme_name(self, name: str) -> str:
        return name if name in {theme.name for theme in THEMES} else THEMES[0].name

    def json_of(self, row: Any) -> str:
        """A row as JSON."""
        return msgspec.json.format(msgspec.json.encode(row), indent=2).decode()


def _why_no_gpu(state: SourceState | None) -> str:
    if state is None:
        return ""
    return state.reason or ("no GPU was found on this machine" if state.ok else state.status)
