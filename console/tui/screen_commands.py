"""The commands whose place is the console: one line each, from the id to what does it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from console.commands.registry import Command
from console.tui.floor import PANES, Floor
from console.wire import Refresh
from widgets.table import LiveTable

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp

Run = Callable[[dict[str, Any]], object]


class ScreenCommands:
    """Runs them."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app
        rows, pages, asking, floor = app.rows, app.pages, app.asking, app.floor
        self._actions: dict[str, Run] = {
            **{f"pane-{name}": partial(_focus_pane, floor, name) for name in PANES},
            "next-pane": lambda _: floor.step(1),
            "previous-pane": lambda _: floor.step(-1),
            "counters": lambda _: app.header.focus(),
            "command-line": lambda _: app.command_bar.open(""),
            "palette": lambda _: pages.palette(),
            "filter": lambda args: rows.filter(args.get("text")),
            "sort": lambda args: rows.sort(args.get("field")),
            "reverse": lambda _: rows.reverse(),
            "mark": lambda _: rows.mark(),
            "mark-all": lambda _: rows.mark_all(),
            "clear-marks": lambda _: rows.clear_marks(),
            "open": lambda _: rows.on_table(LiveTable.action_open),
            "copy": lambda _: rows.copy(as_json=False),
            "copy-json": lambda _: rows.copy(as_json=True),
            "problem-list": lambda _: self._problems(),
            "propose": lambda _: asking.run_proposal(),
            "zoom": lambda _: self._zoom(),
            "claude-stream": lambda args: asking.ask(" ".join(args.get("question", ()))),
            "theme": lambda args: self._theme(args.get("name", "")),
            "refresh": lambda _: self._refresh(),
            "freeze": lambda _: self._freeze(),
            "help": lambda _: pages.help(),
            "back": lambda _: self._back(),
            "quit": lambda _: app.exit(),
        }

    def run(self, command: Command, args: dict[str, Any]) -> None:
        """Run one of them."""
        self._actions[command.id](args)

    def _zoom(self) -> None:
        floor = self._app.floor
        if floor.is_narrow and not floor.is_zoomed:
            self._app.say("one pane at a time fits here already")
            return
        floor.zoom()
        self._app.show_tabs()

    def _problems(self) -> None:
        """The findings over the whole screen; again to go back."""
        floor = self._app.floor
        if floor.is_zoomed and floor.focused_name == "analysis":
            floor.zoom()
        else:
            floor.focus_pane("analysis")
            if not floor.is_single:
                floor.zoom()
        self._app.show_tabs()

    def _back(self) -> None:
        """Leave the nearest thing that can be left: an answer, the header, marks, a filter, the zoom."""
        app, floor = self._app, self._app.floor
        table = app.targets.table
        if app.asking.stop():
            return
        if app.header.has_focus:
            floor.refocus()
        elif floor.focused_name == "analysis" and app.asking.close():
            return
        elif table is not None and table.marks:
            table.clear_marks()
        elif table is not None and app.lookers.view_of(table).filter:
            app.lookers.filter(table, "")
        elif floor.is_zoomed:
            floor.zoom()
            app.show_tabs()
        elif app.is_frozen:
            self._freeze()

    def _refresh(self) -> None:
        if self._app.link.is_attached:
            self._app.link.send(Refresh())
            self._app.say("reading every source now")
        else:
            self._app.say("the watch is away; trying to reach it", "warning")

    def _freeze(self) -> None:
        app = self._app
        app.is_frozen = not app.is_frozen
        app.lookers.freeze(app.is_frozen)
        app.attachment.redraw()
        if app.is_frozen:
            app.say(f"frozen: nothing is repainted until {app.key_of('freeze')} again")

    def _theme(self, name: str) -> None:
        app = self._app
        names = app.theme_names
        if not name:
            app.pages.pick_theme(names, app.theme, lambda shown: app.set_theme(shown, keep=False))
        elif name in names:
            app.set_theme(name)
        else:
            app.say(f"no theme '{name}'; there are {', '.join(names)}", "warning")


def _focus_pane(floor: Floor, name: str, _: dict[str, Any]) -> None:
    floor.focus_pane(name)
