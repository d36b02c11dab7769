"""Pick one from a list by typing part of it: the palette, the themes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from backends.text import clean
from widgets.columns import Cell, Now, fit
from widgets.lines import LineView, PageLine

MAX_LINES = 18


class Choice(NamedTuple):
    """One thing to pick."""

    name: str
    help: str = ""
    keys: str = ""
    obstacle: str = ""  # why it would do nothing now


def matching(choices: Sequence[Choice], typed: str) -> list[Choice]:
    """Choices that hold every word of ``typed``: names that start with it first, then names, then help."""
    words = typed.casefold().split()
    ranked = []
    for position, choice in enumerate(choices):
        name, text = choice.name.casefold(), f"{choice.name} {choice.help}".casefold()
        if all(word in text for word in words):
            in_name = all(word in name for word in words)
            starts = bool(words) and name.startswith(words[0])
            ranked.append((not (in_name and starts), not in_name, position, choice))
    return [choice for *_, choice in sorted(ranked, key=lambda entry: entry[:3])]


class PickScreen(ModalScreen[str]):
    """Returns the name of what was picked; escape returns ""."""

    CSS = """
    PickScreen { align: center middle; background: $background 60%; }
    PickScreen > Vertical {
        width: 90; max-width: 96%; height: auto; max-height: 90%;
        border: round $border; background: $panel; padding: 0 1;
    }
    PickScreen.-ascii > Vertical { border: ascii $border; }
    PickScreen Input, PickScreen Input:focus { border: none; padding: 0; background: $panel; height: 1; }
    PickScreen LineView { height: 1; background: $panel; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("down,tab", "step(1)", "Down", show=False, priority=True),
        Binding("up,shift+tab", "step(-1)", "Up", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        *,
        ascii_only: bool,
        chosen: str = "",
        on_highlight: Callable[[str], object] = lambda name: None,
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = tuple(choices)
        self._shown = list(choices)
        self._on_highlight = on_highlight
        self._index = next((i for i, choice in enumerate(choices) if choice.name == chosen), 0)
        self._list = LineView(self._draw, ascii_only=ascii_only)
        self._list.can_focus = False
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        field = Input(placeholder="type to narrow down", compact=True, select_on_focus=False)
        field.cursor_blink = False
        with Vertical() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("enter picks, esc leaves")
            yield field
            yield self._list

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._shown = matching(self._choices, event.value)
        self._index = 0
        self._fit()

    def on_input_submitted(self) -> None:
        if self._shown:
            self.dismiss(self._shown[self._index].name)

    def action_leave(self) -> None:
        self.dismiss("")

    def action_step(self, step: int) -> None:
        if self._shown:
            self._index = (self._index + step) % len(self._shown)
            self._on_highlight(self._shown[self._index].name)
            self._list.redraw()
            self._list.reveal(self._index)

    def _fit(self) -> None:
        room = max(1, self.app.size.height * 90 // 100 - 5)
        self._list.styles.height = max(1, min(len(self._shown), MAX_LINES, room))
        self._list.redraw()
        self._list.reveal(self._index)

    def _draw(self, width: int, now: Now) -> list[PageLine]:
        names = min(24, max((len(choice.name) for choice in self._choices), default=0))
        keys = max((len(choice.keys) for choice in self._choices), default=0)
        lines: list[PageLine] = []
        for index, choice in enumerate(self._shown):
            chosen = index == self._index
            style = "accent" if chosen else "dim" if choice.obstacle else ""
            lead = ("> " if now.ascii else "▸ ") if chosen else "  "
            help_ = choice.obstacle or choice.help
            lines.append(
                (
                    Cell(lead + fit(choice.name, names, ascii_only=now.ascii), style),
                    Cell(f"  {choice.keys:<{keys}}" if keys else "", "accent"),
                    Cell(f"  {clean(help_, 200)}" if help_ else "", "dim"),
                )
            )
        return lines or [(Cell("nothing matches", "dim"),)]
