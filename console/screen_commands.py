"""What the console's own commands do: panes, filters, orders, marks, pages, themes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from backends.fields import FIELDS
from backends.model import Explanation, Finding
from console.commands import REGISTRY
from console.commands.registry import Command, CommandError
from console.looking import next_sort
from console.screens.lines import explanation_lines, help_lines, row_lines
from console.screens.page import LogScreen, PageScreen
from console.wire import Answer, Lines, Refresh
from widgets.analysis import AnalysisPane
from widgets.columns import Now
from widgets.filter_bar import Completion
from widgets.lines import LineView
from widgets.pane import Pane
from widgets.table import LiveTable

if TYPE_CHECKING:
    from console.app import WatchfloorApp

log = logging.getLogger(__name__)

PANES = ("agents", "queue", "gpu", "drift", "analysis")
#: Which pane shows a table.
PANE_OF = {
    "agents": "agents",
    "work": "queue",
    "gpus": "gpu",
    "processes": "gpu",
    "hosts": "gpu",
    "worktrees": "drift",
    "copies": "drift",
    "findings": "analysis",
}
MAX_COPY = 64 * 1024
HISTORY = 200
#: Keys worth a place in the bottom line, by what they act on; "" is every pane.
HINTS = {
    "": ("help", "command-line", "filter", "explain", "open", "problem-list", "sort", "zoom", "quit"),
    "agents": ("restart-agent", "pause-agent", "requeue-agent", "approve", "logs"),
    "work": ("retry", "release", "cancel"),
    "processes": ("kill-process",),
    "findings": ("propose", "claude-stream"),
}


class ScreenCommands:
    """Runs the commands whose place is the console."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app
        self._focused_name = "agents"
        self._zoomed = False
        self._asking: int | None = None
        self.history: list[str] = []

    def run(self, command: Command, args: dict[str, Any]) -> None:
        """Run one of them."""
        if command.id.startswith("pane-"):
            self.focus_pane(command.id.removeprefix("pane-"))
            return
        actions: dict[str, Callable[[], None]] = {
            "next-pane": lambda: self._step_pane(1),
            "previous-pane": lambda: self._step_pane(-1),
            "command-line": lambda: self._app.command_bar.open(""),
            "palette": self._palette,
            "filter": lambda: self._filter(args.get("text")),
            "sort": lambda: self._sort(args.get("field")),
            "reverse": self._reverse,
            "mark": lambda: self._on_table(LiveTable.toggle_mark),
            "mark-all": self._mark_all,
            "clear-marks": lambda: self._on_table(LiveTable.clear_marks),
            "open": self._open,
            "copy": lambda: self._copy(as_json=False),
            "copy-json": lambda: self._copy(as_json=True),
            "problem-list": self._problems,
            "propose": self._propose,
            "zoom": self._zoom,
            "claude-stream": lambda: self._ask(" ".join(args.get("question", ()))),
            "theme": lambda: self._theme(args.get("name", "")),
            "refresh": lambda: self._app.link.send(Refresh()),
            "freeze": self._freeze,
            "help": self._help,
            "back": self._back,
            "quit": self._app.exit,
        }
        actions[command.id]()

    def remember(self, line: str) -> None:
        """Keep a line for the history of the ``:`` line."""
        if line in self.history:
            self.history.remove(line)
        self.history = [*self.history, line][-HISTORY:]

    # --- panes -------------------------------------------------------------------------------------------

    @property
    def focused_pane(self) -> Pane | None:
        return self._app.panes[self._focused_name]

    def focus_pane(self, name: str) -> None:
        """Give a pane the focus."""
        self._focused_name = name
        pane = self._app.panes[name]
        self._show_focused()
        focusable = [
            widget for widget in (*pane.query(LiveTable), *pane.query(LineView)) if _is_shown(widget)
        ]
        if focusable:
            focusable[0].focus()

    def focus_changed(self) -> None:
        """The focus moved by other means (a click, tab within a pane)."""
        focused = self._app.focused
        for name, pane in self._app.panes.items():
            if focused is not None and pane in focused.ancestors:
                self._focused_name = name
                self._show_focused()
        self._hint()

    def refocus(self) -> None:
        """Back from a bar to the pane."""
        self.focus_pane(self._focused_name)

    def _show_focused(self) -> None:
        """Where panes are shown one at a time, show this one."""
        for name, pane in self._app.panes.items():
            is_focused = name == self._focused_name
            pane.set_class(is_focused, "-shown")
            if is_focused and pane.parent is not None:
                for side in ("left", "right"):
                    column = self._app.query_one(f"#{side}")
                    column.set_class(column is pane.parent, "-shown")
        self._hint()

    def _step_pane(self, step: int) -> None:
        self.focus_pane(PANES[(PANES.index(self._focused_name) + step) % len(PANES)])

    def _zoom(self) -> None:
        self._zoomed = not self._zoomed
        self._app.screen_stack[0].set_class(self._zoomed, "-zoomed")

    def _problems(self) -> None:
        """The findings over the whole screen; again to go back."""
        if self._zoomed and self._focused_name == "analysis":
            self._zoom()
            return
        self.focus_pane("analysis")
        if not self._zoomed:
            self._zoom()

    def show_filtered(self, table_name: str, text: str) -> None:
        """Go to the pane of a table and show what a counter counted."""
        name = PANE_OF[table_name]
        self.focus_pane(name)
        if table_name == "hosts":
            return
        table = next(t for t in self._app.panes[name].query(LiveTable) if t.view == table_name)
        looker = self._app.lookers.of(table)
        same = looker is not None and looker.view.filter == text
        self._app.lookers.filter(table, "" if same else text)

    def _hint(self) -> None:
        ids = (*HINTS.get(self._app.scope, ()), *HINTS[""])
        hints = []
        for id_ in ids:
            keys = self._app.keymap.keys_of(id_)
            command = REGISTRY.get(id_)
            if keys and not (command.mutates and self._app.read_only):
                from console.screens.lines import readable_key

                hints.append((readable_key(keys[0]), _SHORT.get(id_, id_)))
        self._app.hints.set_hints(hints)

    # --- rows --------------------------------------------------------------------------------------------

    def _on_table(self, do: Callable[[LiveTable], object]) -> None:
        if self._app.table is not None:
            do(self._app.table)

    def _mark_all(self) -> None:
        table = self._app.table
        if table is not None and not table.mark_all():
            self._app.say(
                f"marked the {len(table.marks)} rows at hand of {table.total}; filter to narrow down"
            )

    def _filter(self, text: str | None) -> None:
        table = self._app.table
        if table is None:
            return
        looker = self._app.lookers.of(table)
        if text is not None:
            self._app.lookers.filter(table, text)
        else:
            self._app.filter_bar.open(looker.view.filter if looker is not None else "")

    def _sort(self, field: str | None) -> None:
        table = self._app.table
        if table is None:
            return
        if field is not None and field.removeprefix("-") not in ("", *FIELDS[table.view]):
            self._app.say(f"no field '{field}'; known: {' '.join(FIELDS[table.view])}", "warning")
            return
        looker = self._app.lookers.of(table)
        current = looker.view.sort if looker is not None else ""
        wanted = next_sort(table, current) if field is None else field
        self._set_sort(table, wanted.removeprefix("-"), wanted.startswith("-"))

    def _reverse(self) -> None:
        table = self._app.table
        looker = self._app.lookers.of(table) if table is not None else None
        if table is None or looker is None:
            return
        if not looker.view.sort:
            self._app.say("most urgent first has no reverse; sort by a column first")
            return
        self._set_sort(table, looker.view.sort, not looker.view.descending)

    def sort_by(self, table: LiveTable, column: str) -> None:
        """A column's title was clicked."""
        looker = self._app.lookers.of(table)
        if column in FIELDS[table.view] and looker is not None:
            turned = looker.view.sort == column and not looker.view.descending
            self._set_sort(table, column, turned)

    def _set_sort(self, table: LiveTable, field: str, descending: bool) -> None:
        self._app.lookers.sort(table, field, descending)
        self._save(f"console.sort.{table.view}", f"{'-' if descending else ''}{field}")

    def row_ids(self, table_name: str, prefix: str) -> Sequence[str]:
        """Ids of the rows at hand, for completion."""
        ids = [
            row.id
            for table in self._app.query(LiveTable)
            if table_name in ("any", table.view)
            for row in table.rows
        ]
        return [id_ for id_ in dict.fromkeys(ids) if id_.startswith(prefix)]

    def complete_filter(self, text: str, cursor: int) -> list[Completion]:
        """Field names of the table in focus."""
        table = self._app.table
        start = text.rfind(" ", 0, cursor) + 1
        word = text[start:cursor].removeprefix("!")
        if table is None or not word or not word.isalpha():
            return []
        begin = cursor - len(word)
        return [
            Completion(f"{name}:", str(field.kind.value), begin)
            for name, field in FIELDS[table.view].items()
            if name.startswith(word)
        ]

    # --- pages -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._on_table(LiveTable.action_open)

    def open_row(self, row: Any) -> None:
        """Everything about a row."""
        title = f"{type(row).__name__} {getattr(row, 'name', '') or row.id}"
        self._push(title, lambda width, now: row_lines(row, width, self._timed(now)))

    def show_row_page(self, command_id: str, target: str) -> None:
        """The explanation or the log of a row."""
        if command_id == "logs":
            self._log(target)
        else:
            self._app.run_worker(self._explain(target), exit_on_error=False)

    async def _explain(self, target: str) -> None:
        reply = await self._app.link.invoke("explain", (target,))
        if reply.failure is not None:
            self._app.say(reply.failure.message, "warning")
            return
        import msgspec

        explanation = msgspec.convert(reply.outcomes[0].data, Explanation)
        self._push(
            explanation.subject,
            lambda width, now: explanation_lines(explanation, width, self._timed(now)),
        )

    def _log(self, target: str) -> None:
        row = self._app.table.cursor_row if self._app.table is not None else None
        if isinstance(row, Finding):
            target = row.subject
        screen = LogScreen(f"log of {target}", ascii_only=self._app.ascii_only)

        def take(message: Lines | Answer) -> None:
            if isinstance(message, Lines) and screen.is_mounted:
                screen.append(message.text, message.ended)

        def opened() -> None:
            streams.append(self._app.link.follow(target, take))

        def closed(_: None) -> None:
            for stream in streams:
                self._app.link.stop(stream)

        streams: list[int] = []
        self._app.push_screen(screen, closed)
        self._app.call_after_refresh(opened)

    def _help(self) -> None:
        app, scope, pane = self._app, self._app.scope, self._focused_name
        self._push(
            f"keys of the {pane} pane",
            lambda width, now: help_lines(list(REGISTRY), app.keymap, scope, pane, width, now),
        )

    def _push(self, title: str, draw: Callable[[int, Now], Any]) -> None:
        self._app.push_screen(PageScreen(title, draw, ascii_only=self._app.ascii_only))

    def _timed(self, now: Now) -> Now:
        return now._replace(ms=self._app.now_ms())

    def _palette(self) -> None:
        from textual.command import CommandPalette

        from console.palette import CommandProvider

        self._app.push_screen(CommandPalette(providers=[CommandProvider], placeholder="find a command"))

    def _copy(self, *, as_json: bool) -> None:
        table = self._app.table
        if table is None or table.cursor_row is None:
            self._app.say("no row to copy")
            return
        row = table.cursor_row
        text = self._app.json_of(row) if as_json else table.text_of(row)
        self._app.copy_to_clipboard(text[:MAX_COPY])
        self._app.say(f"copied {len(text)} characters")

    # --- findings and questions --------------------------------------------------------------------------

    def _propose(self) -> None:
        table = self._app.table
        finding = table.cursor_row if table is not None else None
        if not isinstance(finding, Finding) or finding.proposal is None:
            self._app.say(
                "this finding proposes nothing" if isinstance(finding, Finding) else "no finding here"
            )
            return
        proposal = finding.proposal
        try:
            command = REGISTRY.get(proposal.command)
        except CommandError as error:
            self._app.say(error.message, "error")
            return
        targets = (proposal.target,) if proposal.target else ()
        self._app.run_command(command, targets, dict(proposal.args))

    def _ask(self, question: str) -> None:
        if not question:
            self._app.command_bar.open("claude-stream ")
            return
        pane = self._app.panes["analysis"]
        assert isinstance(pane, AnalysisPane)
        self._stop_asking()
        self.focus_pane("analysis")
        pane.begin_answer(question)

        def take(message: Lines | Answer) -> None:
            if not isinstance(message, Answer):
                return
            if message.replace:
                pane.begin_answer(question)
            if message.text:
                pane.append_answer(message.text)
            if message.done:
                pane.end_answer(message.status)
                self._asking = None

        self._asking = self._app.link.ask(question, take)

    def _stop_asking(self) -> bool:
        if self._asking is None:
            return False
        self._app.link.stop(self._asking)
        self._asking = None
        return True

    # --- the screen as a whole ---------------------------------------------------------------------------

    def _back(self) -> None:
        """The nearest thing that can be left: an answer, the zoom, marks, a filter."""
        analysis = self._app.panes["analysis"]
        assert isinstance(analysis, AnalysisPane)
        table = self._app.table
        looker = self._app.lookers.of(table) if table is not None else None
        if self._stop_asking():
            analysis.end_answer("stopped")
        elif analysis.has_answer and self._focused_name == "analysis":
            analysis.clear_answer()
            self.focus_pane("analysis")
        elif table is not None and table.marks:
            table.clear_marks()
        elif table is not None and looker is not None and looker.view.filter:
            self._app.lookers.filter(table, "")
        elif self._zoomed:
            self._zoom()

    def _freeze(self) -> None:
        self._app.is_frozen = not self._app.is_frozen
        self._app.lookers.freeze(self._app.is_frozen)
        self._app.redraw_header()

    def _theme(self, name: str) -> None:
        names = [theme for theme in self._app.available_themes if theme.startswith("watchfloor-")]
        short = [theme.removeprefix("watchfloor-") for theme in names]
        if name in short:
            self._set_theme(f"watchfloor-{name}")
        elif name:
            self._app.say(f"no theme '{name}'; there are {', '.join(short)}", "warning")
        else:
            from console.screens.choose import ChooseScreen

            self._app.push_screen(
                ChooseScreen("theme", short, ascii_only=self._app.ascii_only),
                lambda chosen: self._theme(chosen) if chosen else None,
            )

    def _set_theme(self, name: str) -> None:
        self._app.theme = name
        self._save("console.theme", name.removeprefix("watchfloor-"))

    def _save(self, key: str, value: str) -> None:
        """Remember a choice in the operator's own config.toml."""
        file = self._app.settings_file
        if file is None:
            return
        from console.config_decode import ConfigError
        from console.config_edit import set_value

        try:
            set_value(file, key, value)
        except (OSError, ConfigError) as error:
            log.warning("cannot remember %s: %s", key, error)


_SHORT = {
    "command-line": "command",
    "open": "details",
    "problem-list": "problems",
    "restart-agent": "restart",
    "pause-agent": "pause",
    "requeue-agent": "requeue",
    "kill-process": "kill",
    "propose": "do it",
    "claude-stream": "ask",
}


def _is_shown(widget: Widget) -> bool:
    return bool(widget.display) and widget.can_focus
