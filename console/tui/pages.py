"""Pages laid over the panes: a row in full, an explanation, a log, help, a choice from a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from backends.model import Agent, Explanation, Finding, Process, WorkItem
from console.commands import REGISTRY
from console.commands.registry import Command
from widgets.columns import Now

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp
    from console.wire import Answer, Lines


class Pages:
    """Opens pages. Their modules are imported when the first one is opened."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app

    def row(self, row: Any) -> None:
        """Everything about a row."""
        from console.tui.screens.lines import row_lines

        title = f"{type(row).__name__} {getattr(row, 'name', '') or row.id}"
        self._push(title, lambda width, now: row_lines(row, width, self._timed(now)))

    def text(self, title: str, text: str) -> None:
        """Plain text."""
        from console.tui.screens.page import text_lines

        self._push(title, text_lines(text))

    async def explanation(self, target: str) -> None:
        """Why a row shows what it shows."""
        from console.tui.screens.lines import explanation_lines

        reply = await self._app.link.invoke("explain", (target,))
        if reply.failure is not None:
            self._app.say(reply.failure.message, "warning")
            return
        found = msgspec.convert(reply.outcomes[0].data, Explanation)
        self._push(found.subject, lambda width, now: explanation_lines(found, width, self._timed(now)))

    def log(self, target: str) -> None:
        """The log of an agent, or of the agent a row belongs to, as it grows."""
        from console.tui.screens.page import LogScreen
        from console.wire import Lines

        agent = self._logs_of(target)
        if not agent:
            self._app.say("nothing here writes a log; go to an agent, or to what one holds or owns")
            return
        screen = LogScreen(f"log of {agent}", ascii_only=self._app.ascii_only)
        streams: list[int] = []

        def take(message: Lines | Answer) -> None:
            if isinstance(message, Lines) and screen.is_mounted:
                screen.append(message.text, message.ended)

        def closed(_: None) -> None:
            for stream in streams:
                self._app.link.stop(stream)

        self._app.push_screen(screen, closed)
        self._app.call_after_refresh(lambda: streams.append(self._app.link.follow(agent, take)))

    def _logs_of(self, target: str) -> str:
        table = self._app.targets.table
        row = table.cursor_row if table is not None else None
        if row is None or row.id != target or isinstance(row, Agent):
            return target
        if isinstance(row, WorkItem):
            return row.holder or ""
        if isinstance(row, Process):
            return row.agent or ""
        if isinstance(row, Finding):
            return row.subject if row.subject_kind == "agent" else ""
        return ""

    def help(self) -> None:
        """The keys that work here."""
        from console.tui.screens.lines import help_lines

        app, scope, pane = self._app, self._app.targets.scope, self._app.floor.focused_name
        obstacles = {command.id: app.targets.obstacle(command) for command in REGISTRY if command.mutates}
        self._push(
            f"keys of the {pane} pane",
            lambda width, now: help_lines(list(REGISTRY), app.keymap, scope, pane, width, obstacles),
        )

    def palette(self) -> None:
        """Every command by name."""
        from console.tui.screens.pick import Choice, PickScreen

        def choice(command: Command) -> Choice:
            keys = " ".join(self._app.keys_of(command.id))
            return Choice(command.id, command.help, keys, self._app.targets.obstacle(command))

        choices = [choice(command) for command in REGISTRY if not command.hidden]
        screen = PickScreen("run a command", choices, ascii_only=self._app.ascii_only)
        self._app.push_screen(screen, lambda name: self._app.run_by_name(name) if name else None)

    def pick_theme(self, names: list[str], current: str, show: Callable[[str], None]) -> None:
        """Choose a theme; the one under the cursor is shown at once. Leaving brings ``current`` back."""
        from console.tui.screens.pick import Choice, PickScreen

        screen = PickScreen(
            "theme",
            [Choice(name) for name in names],
            ascii_only=self._app.ascii_only,
            chosen=current,
            on_highlight=show,
        )
        self._app.push_screen(screen, lambda name: self._app.set_theme(name or current, keep=bool(name)))

    def _push(self, title: str, draw: Callable[[int, Now], Any]) -> None:
        from console.tui.screens.page import PageScreen

        self._app.push_screen(PageScreen(title, draw, ascii_only=self._app.ascii_only))

    def _timed(self, now: Now) -> Now:
        return now._replace(ms=self._app.clock.now_ms())
