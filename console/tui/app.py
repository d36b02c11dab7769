"""The console: panes that show views of the watch, and keys that run registered commands. Wiring only."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.console import RenderableType
from textual._compositor import ChopsUpdate
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.driver import Driver
from textual.events import Event, Key, Paste, Resize
from textual.filter import LineFilter
from textual.geometry import Size
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from backends.clock import Clock, SystemClock
from backends.model import View
from console.commands import REGISTRY
from console.commands.arguments import parameters
from console.commands.registry import Command, CommandError, Place
from console.config.keymap import Keymap
from console.config.settings import Config
from console.tui.acting import Actor, Weight
from console.tui.asking import Asking
from console.tui.attachment import Attachment
from console.tui.command_line import offers, understand
from console.tui.floor import Floor
from console.tui.hinting import OF_COUNTERS, OF_LINES, hints, readable_key
from console.tui.link import Link
from console.tui.looking import Lookers, filter_problem
from console.tui.pages import Pages
from console.tui.private_watch import PrivateWatch
from console.tui.remembering import Choices, History
from console.tui.row_commands import RowCommands
from console.tui.screen_commands import ScreenCommands
from console.tui.screen_size import MIN_COLUMNS, MIN_LINES, WIDE_COLUMNS, WIDE_LINES
from console.tui.targets import Targets
from console.tui.theme import THEMES
from console.tui.thin_line import SpanUpdate
from console.tui.type_ahead import TypeAhead
from widgets.filter_bar import CommandBar, Completion, FilterBar, PromptBar
from widgets.one_line import Hints, Notice
from widgets.output_filter import OutputFilter
from widgets.pane_tabs import PaneTabs
from widgets.status_bar import CounterChosen, StatusBar
from widgets.table_messages import CursorMoved, Opened, SortWanted, WindowWanted

log = logging.getLogger(__name__)

SAY_S: dict[Weight, float] = {"information": 5, "warning": 8, "error": 15}
#: What an operator must not miss because the link gave up: it is started again after a bug.
LINK = "link"


class FloorScreen(Screen[None], inherit_bindings=False):
    """The screen under all pages. Textual's own keys for it would hide those of the keymap."""


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
        history_file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.config = config
        self.keymap = keymap
        self.ascii_only = ascii_only
        self.clock = clock or SystemClock()
        self.problem = ""  # why the console could not start
        self.is_frozen = False
        self.last_key = ""
        self.is_tiny = False
        self.room = Size(0, 0)  # of the terminal; Textual's own lags behind while it is resized
        self._own_watch = own_watch
        self._choices = Choices(settings_file)
        self.history = History(history_file)
        self.header = StatusBar(ascii_only=ascii_only)
        self.notice = Notice(ascii_only=ascii_only)
        self.tabs = PaneTabs(ascii_only=ascii_only)
        self.floor = Floor(ascii_only=ascii_only)
        self.hints = Hints(ascii_only=ascii_only, id="hints")
        self.filter_bar = FilterBar(
            complete=lambda text, cursor: self.rows.complete_filter(text, cursor),
            check=self._check_filter,
            ascii_only=ascii_only,
        )
        self.command_bar = CommandBar(
            complete=self._complete_command, history=lambda: self.history.lines, ascii_only=ascii_only
        )
        self.attachment = Attachment(self)
        self.link = Link(socket, self.attachment.attached, self._lost, self.attachment.totals)
        self.lookers = Lookers(self.link)
        self.targets = Targets(self)
        self.rows = RowCommands(self)
        self.pages = Pages(self)
        self.asking = Asking(self)
        self._actor = Actor(self)
        self._screen_commands = ScreenCommands(self)
        self._type_ahead = TypeAhead(self, super().on_event)
        for theme in THEMES:
            self.register_theme(theme)
        for key in sorted({binding.key for binding in keymap.bindings}):
            self.bind(key, f"press('{key}')", show=False)

    # --- composition -----------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        return FloorScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.notice
        yield self.tabs
        yield self.floor
        yield self.filter_bar
        yield self.command_bar
        yield self.hints

    def on_mount(self) -> None:
        self.screen_stack[0].set_class(self.ascii_only, "-ascii")
        self.theme = self.config.console.theme
        self.call_after_refresh(self._say_what_is_checked)
        self.floor.focus_pane(self.config.console.startup_pane)
        self._lay_out(self.size)
        self._tick()
        self.set_interval(1.0, self._tick)
        self._leave_on_signals()
        self._subscribe()
        self.run_worker(self._live(), name=LINK, exit_on_error=False)

    def _say_what_is_checked(self) -> None:
        from backends.analysis import checked

        self.floor.panes.analysis.set_checked(checked())

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate):
            renderable = SpanUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
        super()._display(screen, renderable)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), OutputFilter()]

    def on_resize(self, event: Resize) -> None:
        self._lay_out(event.size)

    def _lay_out(self, size: Size) -> None:
        columns, lines = self.room = size
        self.floor.set_narrow(columns < WIDE_COLUMNS or lines < WIDE_LINES)
        is_tiny = columns < MIN_COLUMNS or lines < MIN_LINES
        self.screen_stack[0].set_class(is_tiny, "-tiny")
        if is_tiny or is_tiny != self.is_tiny:
            self.is_tiny = is_tiny
            self.attachment.redraw()
        self.show_tabs()

    def show_tabs(self) -> None:
        """Where one pane is shown at a time, say which others there are."""
        self.tabs.display = self.floor.is_single and not self.is_tiny

    def _leave_on_signals(self) -> None:
        """A lost terminal or a polite kill ends the console as ``q`` does: the terminal is left clean."""
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit, None, 128 + number)

    async def _live(self) -> None:
        """Wait for a watch of our own, then listen to it for as long as the console lives."""
        if self._own_watch is not None:
            self.problem = await asyncio.to_thread(self._own_watch.wait_ready)
            if self.problem:
                self.exit(return_code=1)
                return
        gc.freeze()  # modules and widgets stay: a collection in the middle of a key press is felt
        await self.link.run()

    def _subscribe(self) -> None:
        panes, sort, add = self.floor.panes, self.config.console.sort, self.lookers.add
        agents, queue, gpu, drift, analysis = panes
        add(agents, agents.table, agents.show, sort.get("agents", ""))
        add(queue, queue.table, queue.show, sort.get("work", ""))
        add(drift, drift.table, drift.show, sort.get("worktrees", ""))
        add(drift, drift.copies, drift.show_copies, sort.get("copies", ""), is_main=False)
        add(analysis, analysis.table, analysis.show, sort.get("findings", ""))
        add(gpu, gpu.table, gpu.show_processes, sort.get("processes", ""), is_main=False)
        self.link.subscribe(View("gpus", count=64), gpu.show)
        self.link.subscribe(View("hosts", count=1), self.attachment.show_host)

    @property
    def has_own_watch(self) -> bool:
        """The watch is this console's child."""
        return self._own_watch is not None

    def _lost(self, reason: str) -> None:
        if self._own_watch is not None:
            reason = self._own_watch.revive() or reason
        self.attachment.lost(reason)

    def _tick(self) -> None:
        now = self.clock.now_ms()
        if not self.is_frozen:
            for pane in self.floor.panes:
                pane.set_now(now)
        self.header.set_now(now)
        self.attachment.tick()

    # --- keys and lines to commands ------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        if isinstance(event, (Key, Paste)) and not event.is_forwarded:
            await self._type_ahead.take(event)
        else:
            await super().on_event(event)

    def action_press(self, key: str) -> None:
        """A bound key: the command it means in the focused pane."""
        if len(self.screen_stack) > 1:
            return
        self.last_key = key
        command_id = self.keymap.command_at(key, self.targets.scope)
        if command_id is not None:
            self.run_by_name(command_id)
        elif why := self.targets.why_not_here(key):
            self.say(why)

    def run_by_name(self, name: str) -> None:
        """Run a command on the marked rows, or on the one under the cursor."""
        command = REGISTRY.get(name)
        if why := self.targets.obstacle(command) or self.targets.surprise(command):
            self.say(f"{command.id}: {why}", "warning")
        elif any(parameter.required for parameter in parameters(command)):
            self.command_bar.open(f"{command.id} ")
        else:
            if command.acts_on and self.targets.table is not None:
                self.targets.table.hold()
            self.run_command(command, self.targets.chosen(command) if command.acts_on else (), {})

    def run_line(self, line: str) -> None:
        """Run what was typed after ``:``."""
        self.last_key = "enter"
        self.history.add(line)
        try:
            typed = understand(line, self.targets.chosen)
        except CommandError as error:
            self.say(error.message, "warning")
            return
        self.run_command(typed.command, typed.words.targets, typed.words.args, dry_run=typed.dry_run)

    def run_command(
        self, command: Command, targets: tuple[str, ...], args: dict[str, Any], *, dry_run: bool = False
    ) -> None:
        """Run a command wherever it runs."""
        if why := self.targets.barrier(command):
            self.say(f"{command.id}: {why}", "warning")
        elif command.place is Place.CONSOLE:
            self._screen_commands.run(command, args)
        elif command.id == "logs" and targets:
            self.pages.log(targets[0])
        elif command.id == "explain":
            self.run_worker(self.pages.explanation(targets[0]), exit_on_error=False)
        else:
            act = self._actor.act(command, targets, args, dry_run=dry_run)
            self.run_worker(act, name=command.id, exit_on_error=False)

    def keys_of(self, command_id: str) -> list[str]:
        """The keys of a command, as they are written."""
        return [readable_key(key) for key in self.keymap.keys_of(command_id)]

    def key_of(self, command_id: str) -> str:
        """The first of them; "" when it has none."""
        return next(iter(self.keys_of(command_id)), "")

    # --- saying and remembering ------------------------------------------------------------------------

    def say(self, message: str, weight: Weight = "information") -> None:
        """One line that goes away by itself."""
        self.notify(message, severity=weight, markup=False, timeout=SAY_S[weight])

    @property
    def theme_names(self) -> list[str]:
        return [theme.name for theme in THEMES]

    def set_theme(self, name: str, *, keep: bool = True) -> None:
        """Draw in another theme, and keep it for the next run."""
        self.theme = name
        if keep:
            self.keep_choice("console.theme", name)

    def keep_choice(self, key: str, value: str) -> None:
        """Remember a choice in the operator's own config.toml."""
        if problem := self._choices.keep(key, value):
            self.say(problem, "warning")

    # --- messages --------------------------------------------------------------------------------------

    def on_live_table_window_wanted(self, event: WindowWanted) -> None:
        self.lookers.wanted(event)

    def on_live_table_cursor_moved(self, event: CursorMoved) -> None:
        self._hint()

    def on_live_table_opened(self, event: Opened) -> None:
        self.pages.row(event.row)

    def on_live_table_sort_wanted(self, event: SortWanted) -> None:
        self.rows.sort_by(event.table, event.column)

    def on_counter_chosen(self, event: CounterChosen) -> None:
        self.rows.show_filtered(event.table, event.filter)

    def on_prompt_bar_changed(self, event: PromptBar.Changed) -> None:
        table = self.floor.table
        if event.bar is self.filter_bar and not event.problem and table is not None:
            self.lookers.filter(table, event.value)

    def on_prompt_bar_submitted(self, event: PromptBar.Submitted) -> None:
        self.floor.refocus()
        if event.bar is self.command_bar and event.value.strip():
            self.run_line(event.value)

    def on_prompt_bar_cancelled(self, event: PromptBar.Cancelled) -> None:
        table = self.floor.table
        self.floor.refocus()
        if event.bar is self.filter_bar and table is not None:
            self.lookers.filter(table, event.before)

    def on_descendant_focus(self) -> None:
        self.floor.focus_moved()
        self.tabs.show(self.floor.focused_name)
        self._hint()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is not WorkerState.ERROR:
            return
        error = event.worker.error
        log.error("%s failed", event.worker.name, exc_info=error)
        self.say(f"a bug: {type(error).__name__}: {error} (the log has the details)", "error")
        if event.worker.name == LINK:
            self.set_timer(1.0, lambda: self.run_worker(self._live(), name=LINK, exit_on_error=False))

    def action_help_quit(self) -> None:
        self.say(f"{self.key_of('quit')} leaves the console")

    def _hint(self) -> None:
        if not self.screen_stack:  # the last messages arrive while the console is being left
            return
        if self.header.has_focus:
            self.hints.set_hints(OF_COUNTERS)
            return
        if self.command_bar.is_open or self.filter_bar.is_open:
            self.hints.set_hints(OF_LINES)
            return
        table = self.targets.table
        on_findings = table is not None and table.view == "findings"
        self.hints.set_hints(
            hints(
                self.targets.scope,
                on_findings=on_findings,
                key_of=self.key_of,
                obstacle=self.targets.obstacle,
            )
        )

    def _check_filter(self, text: str) -> str:
        table = self.floor.table
        return filter_problem(table.view, text) if table is not None else ""

    def _complete_command(self, text: str, cursor: int) -> list[Completion]:
        found = offers(text, cursor, self.rows.row_ids, self._values_of, self.targets.barrier)
        return [Completion(offer.text, offer.help, offer.start) for offer in found]

    def _values_of(self, command: Command) -> Sequence[str]:
        if command.id == "theme":
            return self.theme_names
        return self.rows.sort_fields() if command.id in ("sort", "filter") else ()
