"""A page over the panes: everything about a row, an explanation, help, a log that grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from backends.text import clean
from widgets.columns import Cell, Now
from widgets.lines import LineView, PageLine
from widgets.wrapping import wrap

Lines = Callable[[int, Now], Sequence[PageLine]]

#: Terminals ignore or cut a longer OSC 52.
MAX_COPY = 64 * 1024


class PageScreen(ModalScreen[None]):
    """Lines drawn by a function; the same key, escape or q closes it."""

    CSS = """
    PageScreen { align: center middle; background: $background 60%; }
    PageScreen > Vertical {
        width: 100; max-width: 96%; height: auto; max-height: 92%;
        border: round $border; background: $panel; padding: 0 1;
    }
    PageScreen.-tall > Vertical { width: 96%; height: 92%; }
    PageScreen.-ascii > Vertical { border: ascii $border; }
    PageScreen LineView { height: auto; max-height: 100%; background: $panel; }
    PageScreen.-tall LineView { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,e,l", "close", "Close", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(self, title: str, draw: Lines, *, ascii_only: bool, tall: bool = False) -> None:
        super().__init__()
        self._title = title
        self._draw = draw
        self._ascii_only = ascii_only
        self._tall = tall
        self.set_class(ascii_only, "-ascii")
        self.set_class(tall, "-tall")
        self.page = LineView(self._drawn, ascii_only=ascii_only)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(clean(self._title, 120))
            box.border_subtitle = Content("esc closes, y copies")
            yield self.page

    def on_mount(self) -> None:
        self.page.focus()
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def action_close(self) -> None:
        self.dismiss()

    def action_copy(self) -> None:
        text = "\n".join("".join(cell.text for cell in line) for line in self.page.lines)
        self.app.copy_to_clipboard(text[:MAX_COPY])
        self.app.notify(f"copied {len(text[:MAX_COPY])} characters", markup=False)

    def redraw(self) -> None:
        """What is shown changed."""
        self.page.redraw()
        self._fit()

    def _fit(self) -> None:
        if not self._tall:
            width = min(100, self.app.size.width * 96 // 100) - 5  # border, padding and the bar
            self.page.styles.height = max(1, len(self._draw(width, Now(0, self._ascii_only))))

    def _drawn(self, width: int, now: Now) -> Sequence[PageLine]:
        return self._draw(width, now)


class LogScreen(PageScreen):
    """A log as it grows. The end is followed only while the reader is there."""

    def __init__(self, title: str, *, ascii_only: bool) -> None:
        super().__init__(title, self._lines, ascii_only=ascii_only, tall=True)
        self._text: list[str] = []
        self._ended = ""

    def append(self, text: str, ended: str = "") -> None:
        """More of the log, or why there is no more."""
        at_end = self.page.is_at_end or not self._text
        self._text += text.split("\n") if text else []
        self._text = self._text[-5_000:]
        self._ended = ended
        self.redraw()
        if at_end:
            self.page.action_scroll_ends(1)

    def _lines(self, width: int, now: Now) -> list[PageLine]:
        lines: list[PageLine] = [(Cell(part),) for line in self._text for part in (wrap(line, width) or [""])]
        if self._ended:
            lines.append((Cell(self._ended, "warn"),))
        return lines or [(Cell("waiting for the first line", "dim"),)]


def text_lines(text: str) -> Lines:
    """Plain text as lines."""

    def draw(width: int, now: Now) -> list[PageLine]:
        return [(Cell(part),) for line in text.split("\n") for part in (wrap(line, width) or [""])]

    return draw
