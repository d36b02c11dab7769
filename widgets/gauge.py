"""Gauges: a share of something as a bar with eighth blocks, or with ``#`` where only ASCII can be shown."""

from __future__ import annotations

from functools import lru_cache

from widgets.columns import Cell

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL, _TRACK = "█", "░"


@lru_cache(maxsize=2048)
def _bar(eighths: int, width: int, ascii_only: bool) -> tuple[str, str]:
    """What is filled, and the rest."""
    if ascii_only:
        filled = (eighths + 4) // 8
        return "#" * filled, "." * (width - filled)
    full, part = divmod(eighths, 8)
    filled = full + (part > 0)
    return _FULL * full + (_EIGHTHS[part] if part else ""), _TRACK * (width - filled)


def bar(percent: float | None, width: int, ascii_only: bool = False) -> tuple[str, str]:
    """``percent`` (0-100) as a filled part and a track, together ``width`` cells.

    Anything above zero shows, and only 100 fills the bar. Unknown is a row of ``?``, not an empty bar.
    """
    if width <= 0:
        return "", ""
    if percent is None:
        return "", "?" * width
    total = width * 8
    eighths = round(max(0.0, min(100.0, percent)) / 100 * total)
    if percent > 0:
        eighths = max(1, eighths)
    if percent < 100:
        eighths = min(total - 1, eighths)
    return _bar(eighths, width, ascii_only)


def thin_bar(percent: float | None, width: int, ascii_only: bool = False) -> str:
    """``percent`` (0-100) as a heavy line on a light one in ``width`` cells: quiet enough for every row."""
    if percent is None or width <= 0:
        return " " * max(0, width)
    halves = round(max(0.0, min(100.0, percent)) / 100 * width * 2)
    if percent < 100:
        halves = min(width * 2 - 1, halves)
    if ascii_only:
        return ("#" * (halves // 2)).ljust(width, ".")
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(width, "─")


def gauge(
    percent: float | None, width: int, ascii_only: bool = False, *, warn: float = 80, crit: float = 95
) -> tuple[Cell, Cell]:
    """A bar whose colour says whether the share is high; ``warn`` and ``crit`` in percent."""
    filled, track = bar(percent, width, ascii_only)
    return Cell(filled, level(percent, warn, crit) or "gauge"), Cell(track, "track")


def level(value: float | None, warn: float, crit: float) -> str:
    """The meaning of a value that is bad when high: ``""``, ``"warn"`` or ``"crit"``; unknown is ``""``."""
    if value is None or value < warn:
        return ""
    return "crit" if value >= crit else "warn"
