"""Asks before a command runs: what exactly would happen, Cancel in focus, no type-ahead accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from backends.model import Danger, Plan
from backends.text import clean
from console.commands.registry import Command

#: Keys that arrive sooner were typed before the question could be read.
DEAF_MS = 300
MAX_STEPS = 40


class ConfirmScreen(ModalScreen[bool]):
    """Returns whether the operator agreed. ``trigger``, the key that opened it, never confirms."""

    CSS = """
    ConfirmScreen { align: center middle; background: $background 60%; }
    ConfirmScreen > Vertical {
        width: 76; max-width: 95%; height: auto; max-height: 90%;
        border: round $warning; background: $panel; padding: 0 1;
    }
    ConfirmScreen.-destructive > Vertical { border: round $error; }
    ConfirmScreen.-ascii > Vertical { border: ascii $warning; }
    ConfirmScreen VerticalScroll { height: auto; max-height: 60vh; margin: 1 0; scrollbar-size-vertical: 1; }
    ConfirmScreen .confirm--steps { height: auto; }
    ConfirmScreen .confirm--ask { color: $text-muted; }
    ConfirmScreen Input { border: none; height: 1; padding: 0 1; background: $background; margin-top: 1; }
    ConfirmScreen Horizontal { height: 1; margin: 1 0 0 0; align-horizontal: right; }
    ConfirmScreen Button { min-width: 10; height: 1; border: none; margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Cancel", show=False),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(
        self,
        command: Command,
        plans: Sequence[Plan],
        word: str,
        *,
        trigger: str,
        ascii_only: bool,
        monotonic_ms: Callable[[], int],
    ) -> None:
        super().__init__()
        self._command = command
        self._plans = plans
        self._word = word
        self._trigger = trigger
        self._monotonic_ms = monotonic_ms
        self._opened_at = monotonic_ms()
        self._bullet = "-" if ascii_only else "•"
        self.set_class(command.danger is Danger.DESTRUCTIVE, "-destructive")
        self.set_class(ascii_only, "-ascii")

    @property
    def _needs_word(self) -> bool:
        return self._word != "y"

    @property
    def _how(self) -> str:
        if not self._needs_word:
            return "y runs it; n, esc or enter on Cancel leaves everything as it is"
        count = len(self._plans)
        what = f"the number of targets, {self._word}," if count > 1 else self._word
        return f"type {what} and press enter to run it; esc leaves everything as it is"

    def compose(self) -> ComposeResult:
        steps = [clean(step, 300) for plan in self._plans for step in plan.steps]
        if len(steps) > MAX_STEPS:
            steps = [*steps[: MAX_STEPS - 1], f"and {len(steps) - MAX_STEPS + 1} more steps"]
        targets = ", ".join(clean(plan.target, 60) for plan in self._plans[:4] if plan.target)
        if len(self._plans) > 4:
            targets += f" and {len(self._plans) - 4} more"
        with Vertical() as box:
            box.border_title = Content(clean(f"{self._command.id} {targets}".strip(), 120))
            box.border_subtitle = Content(str(self._command.danger))
            with VerticalScroll(can_focus=False):
                text = "\n".join(f"{self._bullet} {step}" for step in steps)
                yield Static(Content(text), classes="confirm--steps", markup=False)
            yield Static(Content(self._how), classes="confirm--ask", markup=False)
            if self._needs_word:
                field = Input(id="word", compact=True, select_on_focus=False)
                field.cursor_blink = False
                yield field
            with Horizontal():
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Run", id="run", compact=True, disabled=self._needs_word)

    def on_mount(self) -> None:
        self._opened_at = self._monotonic_ms()
        self.query_one("#word" if self._needs_word else "#cancel").focus()

    @property
    def _is_deaf(self) -> bool:
        """What arrives now was typed before the question could be read."""
        return self._monotonic_ms() - self._opened_at < DEAF_MS

    def on_key(self, event: events.Key) -> None:
        if self._needs_word or event.key not in ("y", "n"):
            return
        event.stop()
        if event.key == "n":
            self.dismiss(False)
        elif event.key != self._trigger:
            self._agree()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#run", Button).disabled = event.value.strip() != self._word

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._word:
            self._agree()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "run":
            self._agree()
        elif not self._is_deaf:
            self.dismiss(False)

    def action_answer(self, agreed: bool) -> None:
        self.dismiss(agreed)

    def _agree(self) -> None:
        if not self._is_deaf:
            self.dismiss(True)
