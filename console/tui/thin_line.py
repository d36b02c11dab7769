"""Fewer bytes for the same screen.

Textual 8.2.8 sends a changed span from the left edge of its widget and gives every segment a style and a
reset of its own: a changed cell at the right end of a table costs a whole row. Here a span is sent from where
it begins, neighbours of one style share it, and blanks take the style that is set when they would look the
same. Hyperlinks are not sent.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

_RESET = "\x1b[0m"


class SpanUpdate(ChopsUpdate):
    """The spans of a :class:`ChopsUpdate`, cut on both sides."""

    def render_segments(self, console: Console) -> str:
        colours = console._color_system or ColorSystem.TRUECOLOR
        sent = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= x2 or end <= x1:
                    continue
                left = max(x, x1)
                cut = strip.crop(left - x, min(end, x2) - x)
                sent.append(f"\x1b[{y + 1};{left + 1}H{encode(cut, colours)}")
        return "".join(sent)


def encode(segments: Iterable[Segment], colours: ColorSystem) -> str:
    """Text with the fewest changes of style; ends without any."""
    sent: list[str] = []
    current = Style.null()
    for text, style, _ in segments:
        wanted = style or Style.null()
        if not (text.isspace() and _blank_alike(current, wanted)) and wanted != current:
            codes = _codes(wanted, colours)
            sent.append(f"\x1b[0;{codes}m" if codes else _RESET)
            current = wanted
        sent.append(text)
    if _codes(current, colours):
        sent.append(_RESET)
    return "".join(sent)


def _codes(style: Style, colours: ColorSystem) -> str:
    """The parameters of SGR, as Textual works them out and keeps them."""
    return style._ansi if style._ansi is not None else Strip.render_ansi(style, colours)


def _blank_alike(one: Style, other: Style) -> bool:
    """Whether a blank looks the same in both: only the background shows, unless a line runs through it."""
    return one.bgcolor == other.bgcolor and not (_is_ruled(one) or _is_ruled(other))


def _is_ruled(style: Style) -> bool:
    return bool(style.underline or style.underline2 or style.overline or style.strike or style.reverse)
