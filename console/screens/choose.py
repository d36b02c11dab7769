"""Choose one of a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList


class ChooseScreen(ModalScreen[str]):
    """Returns the chosen word; escape returns none."""

    CSS = """
    ChooseScreen { align: center middle; background: $background 60%; }
    ChooseScreen > Vertical { width: 40; height: auto; border: round $border; background: $panel; }
    ChooseScreen.-ascii > Vertical { border: ascii $border; }
    ChooseScreen OptionList { border: none; height: auto; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Leave", show=False),
        Binding("j", "step(1)", "Down", show=False),
        Binding("k", "step(-1)", "Up", show=False),
    ]

    def __init__(self, title: str, words: Sequence[str], *, ascii_only: bool) -> None:
        super().__init__()
        self._title = title
        self._words = words
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield OptionList(*self._words, compact=True, markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._words[event.option_index])

    def action_leave(self) -> None:
        self.dismiss("")

    def action_step(self, step: int) -> None:
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
