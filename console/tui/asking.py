"""Questions to the analyst, and the commands its findings propose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.model import Finding
from console.commands import REGISTRY
from console.commands.registry import CommandError
from console.wire import Answer, Lines

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp


class Asking:
    """At most one question at a time."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app
        self._stream: int | None = None

    def ask(self, question: str) -> None:
        """Ask; without a question, let one be typed."""
        if not question:
            self._app.command_bar.open("ask ")
            return
        if not self._app.link.is_attached:
            self._app.say("the watch is away; nobody can answer", "warning")
            return
        pane = self._app.floor.panes.analysis
        self.stop()
        self._app.floor.focus_pane("analysis")
        pane.begin_answer(question)
        pane.answer.focus()

        def take(message: Lines | Answer) -> None:
            if not isinstance(message, Answer):
                return
            if message.replace:
                pane.begin_answer(question)
            if message.text:
                pane.append_answer(message.text)
            if message.done:
                pane.end_answer(message.status)
                self._stream = None

        self._stream = self._app.link.ask(question, take)

    def stop(self) -> bool:
        """End the answer that is coming in; ``False`` when none is."""
        if self._stream is None:
            return False
        self._app.link.stop(self._stream)
        self._stream = None
        self._app.floor.panes.analysis.end_answer("stopped")
        return True

    def close(self) -> bool:
        """Put the answer away; ``False`` when none is shown."""
        pane = self._app.floor.panes.analysis
        if not pane.has_answer:
            return False
        pane.clear_answer()
        if self._app.floor.focused_name == "analysis":
            self._app.floor.refocus()
        return True

    def run_proposal(self) -> None:
        """Run what the finding under the cursor proposes: planned and confirmed as any command."""
        table = self._app.targets.table
        finding = table.cursor_row if table is not None else None
        if not isinstance(finding, Finding):
            key = self._app.key_of("pane-analysis")
            self._app.say(f"no finding here; the analysis pane ({key}) proposes commands")
            return
        if finding.proposal is None:
            self._app.say("this finding proposes nothing")
            return
        proposal = finding.proposal
        try:
            command = REGISTRY.get(proposal.command)
        except CommandError as error:
            self._app.say(error.message, "error")
            return
        targets = (proposal.target,) if proposal.target else ()
        self._app.run_command(command, targets, dict(proposal.args))
