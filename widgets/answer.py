"""An answer that arrives in pieces: painted at most 20 times a second, followed by a reader at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from backends.text import clean, clean_lines
from widgets.columns import Cell, Now
from widgets.lines import LineView, PageLine
from widgets.wrapping import wrap


class AnswerView(LineView):
    """A question and its answer. Text is shown as it is: never markup, never a link."""

    FRAME_S: ClassVar[float] = 0.05

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(self._draw_answer, ascii_only=ascii_only, id=id)
        self._question = ""
        self._text = ""
        self._note = ""
        self._is_open = False
        self._is_due = False
        self._wrapped: tuple[int, str, list[str]] = (0, "", [])

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._text

    def begin(self, question: str) -> None:
        """Start anew."""
        self._question, self._text, self._note = clean(question), "", ""
        self._is_open = True
        self._wrapped = (0, "", [])
        self.redraw()

    def append(self, text: str) -> None:
        """More text."""
        self._text += clean_lines(text)
        if not self._is_due:
            self._is_due = True
            self.set_timer(self.FRAME_S, self._flush)

    def end(self, note: str = "") -> None:
        """No more text comes; ``note`` says who answered, or why it stopped."""
        self._note, self._is_open = clean(note), False
        self._flush()

    def _flush(self) -> None:
        self._is_due = False
        follows = self.is_at_end
        self.redraw()
        if follows:
            self.action_scroll_ends(1)

    def _draw_answer(self, width: int, now: Now) -> Sequence[PageLine]:
        lines: list[PageLine] = [
            (Cell(" ? " if index == 0 else "   ", "accent"), Cell(line, "strong"))
            for index, line in enumerate(wrap(self._question, width - 4))
        ]
        lines += [(Cell("   "), Cell(line)) for line in self._wrapped_text(width - 4)]
        if self._is_open:
            lines.append((Cell("   "), Cell("... esc stops" if now.ascii else "… esc stops", "dim")))
        elif self._note:
            lines += [(Cell("   "), Cell(line, "dim")) for line in wrap(self._note, width - 4)]
        return lines

    def _wrapped_text(self, width: int) -> list[str]:
        """The answer in lines; complete paragraphs are wrapped once."""
        done, _, tail = self._text.rpartition("\n")
        if self._wrapped[:2] != (width, done):
            self._wrapped = (width, done, wrap(done, width) if done else [])
        return [*self._wrapped[2], *(wrap(tail, width) if tail else ())]
