"""Durations and sizes in words, as sentences on screen and in the CLI use them."""

from __future__ import annotations


def duration_words(ms: float) -> str:
    """``850ms``, ``12s``, ``4m``, ``4m10s``, ``3h20m``, ``2d4h``: two units at most, rounded down."""
    if ms < 0:
        return f"-{duration_words(-ms)}"
    if ms < 1000:
        return f"{int(ms)}ms"
    seconds = int(ms // 1000)
    for unit, size, smaller, smaller_size in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{seconds // size}{unit}{rest}{smaller}" if rest else f"{seconds // size}{unit}"
    return f"{seconds}s"


def size_words(count: float) -> str:
    """Bytes in binary units with three figures: ``512 B``, ``1.50 KiB``, ``23.4 GiB``."""
    if count < 0:
        return f"-{size_words(-count)}"
    if count < 1024:
        return f"{int(count)} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 999.5 or unit == "TiB":
            break
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def count_words(number: int, noun: str, plural: str = "") -> str:
    """``1 item``, ``2 items``; ``plural`` where an s is not enough."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
