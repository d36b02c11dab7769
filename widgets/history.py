"""Histories: a series of values as a braille area chart of one or more lines, gaps left as gaps.

A braille cell is two steps wide and four dots high (Unicode 2800-28FF); a table of all 5 x 5 cells is made
once.
"""

from __future__ import annotations

from collections.abc import Sequence

# Dots of the left and right column from the bottom up, see the Unicode code chart for Braille Patterns.
_LEFT_DOTS = (0x40, 0x04, 0x02, 0x01)
_RIGHT_DOTS = (0x80, 0x20, 0x10, 0x08)
_BRAILLE = tuple(
    tuple(chr(0x2800 + sum(_LEFT_DOTS[:left]) + sum(_RIGHT_DOTS[:right])) for right in range(5))
    for left in range(5)
)
_ASCII = " .:-="  # by height, as the fuller of the two steps
_BLANK = _BRAILLE[0][0]


def history(
    values: Sequence[float | None],
    width: int,
    height: int = 1,
    *,
    top: float = 100.0,
    ascii_only: bool = False,
) -> tuple[str, ...]:
    """The newest values, right-aligned, as ``height`` lines of ``width`` cells, the top line first.

    ``top`` is the value that fills the height. ``None`` is a gap; 0 is the lowest dot, so that "nothing"
    and "not known" look different.
    """
    steps = [_dots(value, top, 4 * height) for value in values[-2 * width :]]
    steps = [0] * (2 * width - len(steps)) + steps
    lines = []
    for line in range(height - 1, -1, -1):
        cells = []
        for index in range(0, 2 * width, 2):
            left = max(0, min(4, steps[index] - 4 * line))
            right = max(0, min(4, steps[index + 1] - 4 * line))
            cells.append(_ASCII[max(left, right)] if ascii_only else _BRAILLE[left][right])
        lines.append("".join(cells).replace(_BLANK, " "))
    return tuple(lines)


def _dots(value: float | None, top: float, dots: int) -> int:
    """How many dots a value is high: none for a gap, at least one for a value."""
    if value is None or top <= 0:
        return 0
    return max(1, min(dots, round(value / top * dots)))
