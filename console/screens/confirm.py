"""Asks before a command runs: what exactly would happen, Cancel in focus, no type-ahead accepted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from backends.model import Danger, Plan
from backends.text import clean
from console.commands.registry import Command

#: Keys that arrive sooner were typed before the question could be read.
DEAF_S = 0.3
MAX_STEPS = 12


class ConfirmScreen(ModalScreen[bool]):
    """Returns whether the operator agreed. The key that opened it never confirms."""

    CSS = """
    ConfirmScreen { align: center middle; background: $background 60%; }
    ConfirmScreen > Vertical {
        width: 76; max-width: 95%; height: auto; max-height: 90%;
        border: round $warning; background: $panel; padding: 0 1;
    }
    ConfirmScreen.-destructive > Vertical { border: round $error; }
    ConfirmScreen.-ascii > Vertical { border: ascii $warning; }
    ConfirmScreen .confirm--steps { margin: 1 0; height: auto; }
    ConfirmScreen .confirm--ask { color: $text-muted; }
    ConfirmScreen Input { border: none; height: 1; padding: 0 1; background: $background; margin-top: 1; }
    ConfirmScreen Horizontal { height: 1; margin: 1 0 0 0; align-horizontal: right; }
    ConfirmScreen Button { min-width: 10; height: 1; border: none; margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Cancel", show=False),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, command: Command, plans: Sequence[Plan], word: str, *, ascii_only: bool) -> None:
        super().__init__()
        self._command = command
        self._plans = plans
        self._word = word
        self._opened_at = time.monotonic()
        self.set_class(command.danger is Danger.DESTRUCTIVE, "-destructive")
        self.set_class(ascii_only, "-ascii")

    @property
    def _needs_word(self) -> bool:
        return self._word != "y"

    def compose(self) -> ComposeResult:
        steps = [clean(step, 300) for plan in self._plans for step in plan.steps]
        if len(steps) > MAX_STEPS:
            steps = [*steps[: MAX_STEPS - 1], f"and {len(steps) - MAX_STEPS + 1} more steps"]
        targets = ", ".join(clean(plan.target, 60) for plan in self._plans[:4] if plan.target)
        if len(self._plans) > 4:
            targets += f" and {len(self._plans) - 4} more"
        with Vertical() as box:
            box.border_title = Content(f"{self._command.id} {targets}".strip())
            box.border_subtitle = Content(str(self._command.danger))
            yield Static(
                Content("\n".join(f"• {step}" for step in steps)), classes="confirm--steps", markup=False
            )
            ask = f"type {self._word} to run it" if self._needs_word else "y runs it, n or esc leaves"
            yield Static(Content(ask), classes="confirm--ask", markup=False)
            if self._needs_word:
                yield Input(id="word", compact=True)
            with Horizontal():
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Run", id="run", compact=True, disabled=self._needs_word)

    def on_mount(self) -> None:
        self._opened_at = time.monotonic()
        self.query_one("#word" if self._needs_word else "#cancel").focus()

    @property
    def _is_deaf(self) -> bool:
        return time.monotonic() - self._opened_at < DEAF_S

    def on_key(self, event: events.Key) -> None:
        if self._needs_word or event.key not in ("y", "n"):
            return
        event.stop()
        if event.key == "n":
            self.dismiss(False)
        elif not self._is_deaf:
            self.dismiss(True)

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#run", Button).disabled = event.value.strip() != self._word

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._word and not self._is_deaf:
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(False)
        elif not self._is_deaf:
            self.dismiss(True)

    def action_answer(self, agreed: bool) -> None:
        self.dismiss(agreed)
