"""The line at the bottom: ``/`` filters the pane in focus, ``:`` runs a command. With completion and history.

Nothing is known here of filters or commands: what can be completed, what is wrong with the text and what was
typed before comes from callbacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from backends.text import clean
from widgets.columns import Cell, Now, fit
from widgets.lines import LineView, PageLine


class Completion(NamedTuple):
    """One way to go on: ``text`` replaces what stands between ``start`` and the cursor."""

    text: str
    help: str = ""
    start: int = 0


Complete = Callable[[str, int], Sequence[Completion]]  # (text, cursor) -> best first
Check = Callable[[str], str]  # what is wrong with the text, or "" when nothing is
History = Callable[[], Sequence[str]]  # oldest first

_POPUP_LINES = 8


class PromptInput(Input):
    """A line of input that leaves moving through completions and history to the bar around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "bar('complete', 1)", "Complete", show=False, id="prompt.complete"),
        Binding("shift+tab", "bar('complete', -1)", "Complete back", show=False, id="prompt.complete-back"),
        Binding("up", "bar('recall', -1)", "Earlier", show=False, id="prompt.earlier"),
        Binding("down", "bar('recall', 1)", "Later", show=False, id="prompt.later"),
        Binding("escape", "bar('cancel', 0)", "Leave", show=False, id="prompt.cancel"),
    ]

    def __init__(self, bar: PromptBar, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, highlighter=None, select_on_focus=False)
        self.cursor_blink = False
        self._bar = bar

    async def action_submit(self) -> None:
        self._bar.submit()

    def action_bar(self, what: str, step: int) -> None:
        if what == "complete":
            self._bar.complete(step)
        elif what == "recall":
            self._bar.recall(step)
        else:
            self._bar.cancel()


class PromptBar(Vertical):
    """One line of input with its popup above. Hidden until :meth:`open`."""

    DEFAULT_CSS = """
    PromptBar { height: auto; display: none; }
    PromptBar.-open { display: block; }
    PromptBar > LineView { height: 1; display: none; background: $panel; }
    PromptBar.-popup > LineView { display: block; }
    PromptBar > Horizontal { height: 1; }
    PromptBar Static.prompt--sign { width: 3; color: $primary; text-style: bold; padding: 0 1; }
    PromptBar Static.prompt--says { width: auto; max-width: 50%; color: $warning; padding: 0 1; }
    PromptBar Input { width: 1fr; border: none; padding: 0; background: $background; }
    """

    class Changed(Message):
        """The text changed; ``problem`` says what is wrong with it."""

        def __init__(self, bar: PromptBar, value: str, problem: str) -> None:
            super().__init__()
            self.bar = bar
            self.value = value
            self.problem = problem

    class Submitted(Message):
        """Enter, with text that has no problem."""

        def __init__(self, bar: PromptBar, value: str) -> None:
            super().__init__()
            self.bar = bar
            self.value = value

    class Cancelled(Message):
        """Escape: the bar is closed, what it held before stands again."""

        def __init__(self, bar: PromptBar, before: str) -> None:
            super().__init__()
            self.bar = bar
            self.before = before

    def __init__(
        self,
        sign: str,
        *,
        placeholder: str = "",
        complete: Complete = lambda text, cursor: (),
        check: Check = lambda text: "",
        history: History = tuple,
        ascii_only: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._sign = sign
        self._complete = complete
        self._check = check
        self._history = history
        self._input = PromptInput(self, placeholder)
        self._says = Static("", classes="prompt--says", markup=False)
        self._popup = LineView(self._draw_popup, ascii_only=ascii_only)
        self._popup.can_focus = False
        self._before = ""
        self._typed = ""  # what recall and completion start from
        self._offers: tuple[Completion, ...] = ()
        self._chosen = -1
        self._recalled = 0  # steps back in history; 0 is what was typed
        self._setting = False

    def compose(self) -> ComposeResult:
        yield self._popup
        with Horizontal():
            yield Static(self._sign, classes="prompt--sign", markup=False)
            yield self._input
            yield self._says

    @property
    def is_open(self) -> bool:
        """The bar takes keys."""
        return self.has_class("-open")

    @property
    def value(self) -> str:
        """The text."""
        return self._input.value

    @property
    def completions(self) -> tuple[Completion, ...]:
        """What the popup offers."""
        return self._offers

    def open(self, value: str = "") -> None:
        """Show the bar with ``value`` in it and give it the focus; escape brings ``value`` back."""
        self._before = value
        self._recalled = 0
        self.set_class(True, "-open")
        self._put(value)
        self._input.focus()
        self._offer(value)

    def close(self) -> None:
        """Hide the bar."""
        self._offers = ()
        self._show_popup()
        self.set_class(False, "-open")

    def say(self, text: str) -> None:
        """Something short at the right end: why the text cannot be used, how many rows match."""
        self._says.update(Content(clean(text, 120)))

    def cancel(self) -> None:
        """Close the popup, or else the bar."""
        if self._offers and self._chosen >= 0:
            self._put(self._typed)
            self._offers, self._chosen = (), -1
            self._show_popup()
            return
        self.close()
        self.post_message(self.Cancelled(self, self._before))

    def submit(self) -> None:
        """Close the bar and tell what was typed, unless it has a problem."""
        if problem := self._check(self.value):
            self.say(problem)
            return
        self.close()
        self.post_message(self.Submitted(self, self.value))

    def complete(self, step: int) -> None:
        """Take the next offer; a single one is taken for good."""
        if not self._offers:
            self._offer(self.value)
        if not self._offers:
            return
        self._chosen = (self._chosen + step) % len(self._offers) if self._chosen >= 0 or step > 0 else -1
        offer = self._offers[self._chosen]
        cursor = len(self._typed)
        self._put(self._typed[: offer.start] + offer.text + self._typed[cursor:])
        if len(self._offers) == 1:
            self._offer(self.value)
        else:
            self._show_popup()

    def recall(self, step: int) -> None:
        """Walk through what was entered before; ``step`` -1 is earlier."""
        entries = [entry for entry in self._history() if entry]
        if self._recalled == 0:
            self._typed = self.value
        recalled = max(0, min(len(entries), self._recalled - step))
        if recalled != self._recalled:
            self._recalled = recalled
            self._put(entries[-recalled] if recalled else self._typed)
            self._offers = ()
            self._show_popup()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._setting:
            self._setting = False
        else:
            self._recalled = 0
            self._offer(event.value)
        problem = self._check(event.value)
        self.say(problem)
        self.post_message(self.Changed(self, event.value, problem))

    def _put(self, value: str) -> None:
        if value != self._input.value:
            self._setting = True
            self._input.value = value
        self._input.cursor_position = len(value)

    def _offer(self, value: str) -> None:
        self._typed = value
        self._offers = tuple(self._complete(value, len(value)))
        self._chosen = -1
        self._show_popup()

    def _show_popup(self) -> None:
        shown = min(_POPUP_LINES, len(self._offers))
        self.set_class(shown > 0, "-popup")
        if shown:
            self._popup.styles.height = shown
            self._popup.redraw()
            self._popup.reveal(max(0, self._chosen))

    def _draw_popup(self, width: int, now: Now) -> Sequence[PageLine]:
        words = min(28, max((len(offer.text) for offer in self._offers), default=0))
        lines = []
        for index, offer in enumerate(self._offers):
            chosen = index == self._chosen
            lead = "> " if chosen else "  "
            lines.append(
                (
                    Cell(
                        f" {lead}{fit(offer.text, words, ascii_only=now.ascii)}", "strong" if chosen else ""
                    ),
                    Cell(f"  {clean(offer.help, 120)}", "dim"),
                )
            )
        return lines


class FilterBar(PromptBar):
    """``/``: filters the pane in focus while it is typed."""

    def __init__(
        self,
        *,
        complete: Complete = lambda text, cursor: (),
        check: Check = lambda text: "",
        history: History = tuple,
        ascii_only: bool = False,
        id: str | None = "filter-bar",
    ) -> None:
        super().__init__(
            "/",
            placeholder="text, !text, column:value, age>15m",
            complete=complete,
            check=check,
            history=history,
            ascii_only=ascii_only,
            id=id,
        )


class CommandBar(PromptBar):
    """``:``: runs a command."""

    def __init__(
        self,
        *,
        complete: Complete = lambda text, cursor: (),
        check: Check = lambda text: "",
        history: History = tuple,
        ascii_only: bool = False,
        id: str | None = "command-bar",
    ) -> None:
        super().__init__(
            ":",
            placeholder="a command; tab completes, ? lists them",
            complete=complete,
            check=check,
            history=history,
            ascii_only=ascii_only,
            id=id,
        )
