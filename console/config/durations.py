"""Durations as people write them in configuration: ``500ms``, ``2s``, ``15m``, ``1h30m``, ``7d``."""

from __future__ import annotations

import re

_UNIT_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")


class Duration(int):
    """Milliseconds. A type of its own, so that a bare number in TOML is refused rather than guessed at."""

    __slots__ = ()


def parse_duration(text: str) -> Duration:
    """Milliseconds in ``text``. Raises ``ValueError`` that says what a duration looks like."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write a number and a unit: 500ms, 2s, 15m, 1h30m, 7d")
    return Duration(round(sum(float(number) * _UNIT_MS[unit] for number, unit in _PART.findall(text))))


def format_duration(ms: int) -> str:
    """The shortest form that :func:`parse_duration` reads back to the same value."""
    if ms == 0:
        return "0s"
    parts = []
    for unit, size in _UNIT_MS.items():
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
