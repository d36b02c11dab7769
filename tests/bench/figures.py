"""What a benchmark returns: a figure beside the one that is required."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the table ``make bench`` prints."""

    what: str
    must: str
    measured: str
    holds: bool
    note: str = ""


def table(figures: list[Figure]) -> str:
    """The figures as aligned text."""
    rows = [("what", "must", "measured", "", "")]
    rows += [(f.what, f.must, f.measured, "ok" if f.holds else "MISSED", f.note) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(
            (*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4])
        ).rstrip()
        for row in rows
    )


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
