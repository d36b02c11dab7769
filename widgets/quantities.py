"""Quantities as an operator reads them: short, with a unit, and coarse enough that idle screens stand still.

Unknown is ``—``, never 0. Every function is pure and returns plain text.
"""

from __future__ import annotations

import time

UNKNOWN = "—"

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_UNITS = ("", "K", "M", "G", "T", "P", "E")


def age(at: int | None, now: int) -> str:
    """How long ago ``at`` was, both in ms since the epoch: ``now``, ``20s``, ``4m``, ``3h``, ``12d``.

    Under ten seconds reads ``now``, then steps of ten seconds: a heartbeat must not repaint a cell each
    second.
    """
    return UNKNOWN if at is None else span(now - at)


def span(ms: int | None) -> str:
    """A duration in ms in one unit, rounded down; negative and very short ones read ``now``."""
    if ms is None:
        return UNKNOWN
    if ms < 10 * _SECOND:
        return "now"
    if ms < _MINUTE:
        return f"{ms // _SECOND // 10 * 10}s"
    if ms < _HOUR:
        return f"{ms // _MINUTE}m"
    if ms < 2 * _DAY:
        return f"{ms // _HOUR}h"
    return f"{ms // _DAY}d"


def left(until: int | None, now: int) -> str:
    """Time left until ``until`` (ms since the epoch), rounded up: ``over`` when it has passed.

    Seconds move in steps of five, and of one in the last ten.
    """
    if until is None:
        return UNKNOWN
    ms = until - now
    if ms <= 0:
        return "over"
    if ms <= _MINUTE:
        seconds = -(-ms // _SECOND)
        return f"{seconds if seconds <= 10 else -(-seconds // 5) * 5}s"
    if ms <= 2 * _HOUR:
        return f"{-(-ms // _MINUTE)}m"
    return f"{-(-ms // _HOUR)}h"


def size(size_bytes: int | float | None) -> str:
    """Bytes with a binary unit in at most four characters: ``0``, ``812K``, ``1.2G``, ``24G``."""
    if size_bytes is None:
        return UNKNOWN
    value, unit = float(size_bytes), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    if unit and value < 9.95:
        return f"{value:.1f}{_UNITS[unit]}"
    return f"{value:.0f}{_UNITS[unit]}"


def rate(bytes_per_second: int | None) -> str:
    """A transfer rate: ``1.2M/s``."""
    return UNKNOWN if bytes_per_second is None else f"{size(bytes_per_second)}/s"


def percent(value: float | None) -> str:
    """A share, or a load of more than one core: ``0%``, ``37%``, ``340%``. A trace reads ``<1%``."""
    if value is None:
        return UNKNOWN
    return "<1%" if 0 < value < 0.5 else f"{value:.0f}%"


def share(part: float | None, whole: float | None) -> float | None:
    """``part`` of ``whole`` in percent, 0-100; ``None`` when either is unknown or the whole is nothing."""
    if part is None or not whole:
        return None
    return max(0.0, min(100.0, 100.0 * part / whole))


def number(value: int | float | None, unit: str = "") -> str:
    """A figure with its unit: ``312W``, ``61°C``."""
    return UNKNOWN if value is None else f"{value:.0f}{unit}"


def count(value: int | None) -> str:
    """How many, in at most five characters: ``0``, ``9,999``, ``12k``, ``1.2M``."""
    if value is None:
        return UNKNOWN
    if value < 10_000:
        return f"{value:,}"
    if value < 999_500:
        return f"{value / 1000:.0f}k"
    return f"{value / 1_000_000:.1f}M" if value < 9_950_000 else f"{value / 1_000_000:.0f}M"


def clock(ms: int) -> str:
    """Local time of day of ``ms`` since the epoch: ``14:05``."""
    return time.strftime("%H:%M", time.localtime(ms / 1000))


def plural(number_of: int, noun: str, nouns: str = "") -> str:
    """``1 agent``, ``3 agents``."""
    return f"{count(number_of)} {noun if number_of == 1 else nouns or noun + 's'}"
