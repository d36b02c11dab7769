"""Which rows a command means, and why it cannot run now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.model import Finding
from console.commands.registry import Command, Place
from console.config.keymap import GLOBAL
from console.tui.floor import PANE_OF
from widgets.table import LiveTable

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp

#: The table that holds the subject of a finding.
SUBJECT_TABLES = {"agent": "agents", "work": "work"}
#: A row that came under the cursor by itself sooner than this was not seen there.
JUST_S = 0.4
#: What one row of a table is called.
ROW_NAMES = {
    "agents": "an agent",
    "work": "a work item",
    "processes": "a process",
    "gpus": "a GPU",
    "hosts": "a host",
    "worktrees": "a worktree",
    "copies": "a group of scripts",
    "findings": "a finding",
    "any": "a row",
}


class Targets:
    """Looks at what has the focus."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app

    @property
    def table(self) -> LiveTable | None:
        """The table whose rows keys act on; none while the header has the focus."""
        return None if self._app.header.has_focus else self._app.floor.table

    @property
    def scope(self) -> str:
        """The kind of row that keys act on: a finding stands for its subject."""
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

    def barrier(self, command: Command) -> str:
        """Why ``command`` cannot run on anything now; "" when it can. The watch may still refuse it."""
        if command.mutates and self._app.attachment.read_only:
            return "it changes things and this console is read-only"
        if command.place is Place.LOCAL:
            return f"it runs in a shell: watchfloor {command.id}"
        if command.place is Place.WATCH and not self._app.link.is_attached:
            return "the watch is away"
        return ""

    def obstacle(self, command: Command) -> str:
        """Why ``command`` cannot run on what has the focus; "" when it can."""
        if barrier := self.barrier(command):
            return barrier
        if command.acts_on and not command.target_optional and not self.chosen(command):
            row = ROW_NAMES[command.acts_on]
            pane = PANE_OF.get(command.acts_on)
            where = f", key {self._app.key_of(f'pane-{pane}')}" if pane else ""
            return f"it acts on {row}; go to one first{where}"
        return ""

    def surprise(self, command: Command) -> str:
        """Why an operator may not have meant the row under the cursor: it has only just come there."""
        table = self.table
        if not command.mutates or not command.acts_on or table is None or table.marks:
            return ""
        return "another row has just come under the cursor; look again" if table.cursor_age_s < JUST_S else ""

    def why_not_here(self, key: str) -> str:
        """What a key that means nothing here means elsewhere."""
        for binding in self._app.keymap.bindings:
            if binding.key == key and binding.scope in ROW_NAMES:
                return f"{binding.command} acts on {ROW_NAMES[binding.scope]}; there is none here"
        return ""
