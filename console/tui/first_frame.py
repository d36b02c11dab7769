"""The floor's frame, drawn before textual is loaded: what an operator sees a tenth of a second after enter.

It says nothing that is not known yet. Textual paints over it without clearing the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from console.tui.colours import Colours
from console.tui.screen_size import WIDE_COLUMNS, WIDE_LINES

#: Panes by column, with the share of the column each has; as in :mod:`console.tui.floor`.
_LEFT = (("agents", "1 Agents", 4), ("queue", "2 Work", 4), ("drift", "4 Drift", 3))
_RIGHT = (("analysis", "5 Analysis", 5), ("gpu", "3 GPUs", 6))
_LEFT_SHARE, _RIGHT_SHARE = 62, 38
_ANSI = {"ansi_default": 9, "ansi_bright_black": 60, "ansi_blue": 4, "ansi_cyan": 6}

#: To the second screen, without a cursor; and back, when textual never came to do it.
ENTER = "\x1b[?1049h\x1b[?25l"
LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"


class Frame(NamedTuple):
    """One pane's border, in cells from the top left."""

    name: str
    title: str
    x: int
    y: int
    width: int
    height: int


def frames(columns: int, lines: int, focused: str) -> list[Frame]:
    """Where the panes stand on a screen of that size."""
    if columns < WIDE_COLUMNS or lines < WIDE_LINES:
        title = next(title for name, title, _ in (*_LEFT, *_RIGHT) if name == focused)
        return [Frame(focused, title, 0, 2, columns, lines - 3)]
    _, split, _ = _shares(columns, [_LEFT_SHARE, _RIGHT_SHARE])
    found = []
    for x, width, panes in ((0, split, _LEFT), (split, columns - split, _RIGHT)):
        edges = _shares(lines - 2, [share for _, _, share in panes])
        for (name, title, _), (top, bottom) in zip(panes, pairwise(edges), strict=True):
            found.append(Frame(name, title, x, 1 + top, width, bottom - top))
    return found


def _shares(total: int, parts: list[int]) -> list[int]:
    """The edges of ``parts`` within ``total`` cells."""
    whole = sum(parts)
    return [0, *(total * reached // whole for reached in accumulate(parts))]


def first_frame(columns: int, lines: int, focused: str, colours: Colours, *, ascii_only: bool) -> str:
    """What to write to the terminal."""
    background = _colour(colours.background, 40)
    sent = [ENTER, f"\x1b[{background}m\x1b[2J\x1b[H", f"\x1b[1;{_colour(colours.strong, 30)}m watchfloor"]
    for frame in frames(columns, lines, focused):
        is_focused = frame.name == focused
        line = _colour(colours.border_focus if is_focused else colours.border, 30)
        title = f"{'1;' if is_focused else ''}{_colour(colours.plain, 30)}"
        for y, text in _border(frame, line, title, ascii_only):
            sent.append(f"\x1b[{y + 1};{frame.x + 1}H\x1b[0;{background};{line}m{text}")
    return "".join(sent)


def _border(frame: Frame, line: str, title: str, ascii_only: bool) -> Iterator[tuple[int, str]]:
    corners, across, down = ("++++", "-", "|") if ascii_only else ("╭╮╰╯", "─", "│")
    rest = across * (frame.width - 5 - len(frame.title))
    label = f"\x1b[{title}m {frame.title} \x1b[22;{line}m"
    yield frame.y, f"{corners[0]}{across}{label}{rest}{corners[1]}"
    sides = f"{down}\x1b[{frame.width - 2}C{down}"
    for y in range(frame.y + 1, frame.y + frame.height - 1):
        yield y, sides
    yield frame.y + frame.height - 1, f"{corners[2]}{across * (frame.width - 2)}{corners[3]}"


def _colour(name: str, base: int) -> str:
    """SGR parameters of a colour; ``base`` 30 is the text's, 40 the background's."""
    if name in _ANSI:
        return str(base + _ANSI[name])
    red, green, blue = (int(name[i : i + 2], 16) for i in (1, 3, 5))
    return f"{base + 8};2;{red};{green};{blue}"
