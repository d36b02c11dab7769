"""Rows as plain text columns, for the CLI."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from console.commands.columns import aligned

#: Columns of each table: heading and the field of the row that it shows.
COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "agents": (
        ("AGENT", "id"), ("REACH", "reach"), ("ACTIVITY", "activity"), ("CAUSE", "cause"), ("KIND", "kind"),
        ("TEAM", "team"), ("WORK", "work_id"), ("PCT", "work_pct"), ("HEARD", "heartbeat_at"),
        ("CPU", "cpu_pct"), ("RSS", "rss_bytes"), ("VRAM", "vram_bytes"),
    ),
    "work": (
        ("ITEM", "id"), ("STATE", "state"), ("PRI", "priority"), ("TYPE", "kind"), ("HOLDER", "holder"),
        ("PCT", "progress_pct"), ("ATTEMPTS", "attempt"), ("AGE", "created_at"), ("TITLE", "title"),
        ("ERROR", "last_error"),
    ),
    "gpus": (
        ("GPU", "index"), ("NAME", "name"), ("STATUS", "status"), ("USED", "memory_used_bytes"),
        ("TOTAL", "memory_total_bytes"), ("UTIL", "utilisation_pct"), ("POWER", "power_w"),
        ("TEMP", "temperature_c"),
    ),
    "processes": (
        ("PID", "pid"), ("USER", "user"), ("CPU", "cpu_pct"), ("RSS", "rss_bytes"), ("STATE", "state"),
        ("AGENT", "agent"), ("COMMAND", "command"),
    ),
    "worktrees": (
        ("NAME", "name"), ("BRANCH", "branch"), ("AHEAD", "ahead"), ("BEHIND", "behind"), ("DIRTY", "dirty"),
        ("UNTRACKED", "untracked"), ("STASH", "stashes"), ("COMMITTED", "committed_at"), ("PATH", "id"),
    ),
    "copies": (("NAME", "name"), ("SIZE", "size_bytes"), ("REPOS", "repositories"), ("PATHS", "paths")),
    "findings": (("SEVERITY", "severity"), ("SUBJECT", "subject"), ("WHAT", "statement")),
    "audit": (
        ("SEQ", "seq"), ("AT", "at_us"), ("ACTOR", "actor"), ("DOOR", "door"), ("COMMAND", "command"),
        ("TARGET", "target"), ("OUTCOME", "outcome"), ("MESSAGE", "message"),
    ),
}  # fmt: skip

MAX_CELL = 60


def table_text(table: str, rows: Sequence[Any]) -> str:
    """Aligned columns of the nouns of ``table``, under headings. Unknown is ``-``."""
    columns = COLUMNS[table]
    now_ms = time.time_ns() // 1_000_000
    lines = [[heading for heading, _ in columns]]
    lines += [[_cell(field, _value(row, field), now_ms) for _, field in columns] for row in rows]
    return aligned(lines)


def _value(row: Any, field: str) -> Any:
    return row.ref.pid if field == "pid" else getattr(row, field)


def _cell(field: str, value: Any, now_ms: int) -> str:
    if value is None or value == "":
        return "-"
    if field == "at_us":
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value / 1e6))
    if field.endswith("_at"):
        return _age(now_ms - int(value))
    if field.endswith("_bytes"):
        return _size(float(value))
    if isinstance(value, float):
        return f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    text = str(value)
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _age(ms: int) -> str:
    seconds = max(0, ms) // 1000
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _size(value: float) -> str:
    for unit in ("B", "K", "M", "G"):
        if value < 1024:
            return f"{value:.0f}{unit}" if unit == "B" else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}T"
