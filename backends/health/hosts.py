"""When a host is short of something. Thresholds are on what lasts: the median of the last minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from backends.model import Host, Severity
from backends.units import size_words

#: Percent of memory, of a disk, of swap: from here it is a warning, from there critical.
MEMORY_PCT = (85.0, 95.0)
DISK_PCT = (90.0, 97.0)
SWAP_PCT = (80.0, 101.0)  # full swap alone is never critical
#: Percent of time in which some (or all) tasks waited, over 10 s.
MEMORY_SOME_PCT = (20.0, 60.0)
MEMORY_FULL_PCT = (5.0, 20.0)
IO_FULL_PCT = (40.0, 90.0)
CPU_SOME_PCT = (80.0, 101.0)  # a busy CPU is what the machine is for
#: Steps of 5 s that make the minute which is looked at.
_LAST_MINUTE = 12


@dataclass(frozen=True, slots=True)
class Strain:
    """One thing a host is short of."""

    kind: str  # "memory", "disk", "swap", "memory pressure", "io pressure", "cpu pressure"
    severity: Severity
    says: str
    subject: str = ""  # the mount, for a disk


def strains(host: Host) -> tuple[Strain, ...]:
    """Everything ``host`` is short of now; what is not known is not judged."""
    found = [_memory(host), _swap(host), *_disks(host), *_pressures(host)]
    return tuple(strain for strain in found if strain is not None)


def _memory(host: Host) -> Strain | None:
    used, total = host.memory_used_bytes, host.memory_total_bytes
    if used is None or not total:
        return None
    lasting = min(100 * used / total, _recent_median(host.memory_history, 100 * used / total))
    severity = _grade(lasting, MEMORY_PCT)
    says = f"memory {lasting:.0f}% used: {size_words(used)} of {size_words(total)}"
    return Strain("memory", severity, says) if severity else None


def _swap(host: Host) -> Strain | None:
    used, total = host.swap_used_bytes, host.swap_total_bytes
    if used is None or not total:
        return None
    severity = _grade(100 * used / total, SWAP_PCT)
    return Strain("swap", severity, f"swap {100 * used / total:.0f}% used") if severity else None


def _disks(host: Host) -> list[Strain]:
    found = []
    for disk in host.disks:
        percent = 100 * disk.used_bytes / disk.total_bytes if disk.total_bytes > 0 else 0.0
        severity = _grade(percent, DISK_PCT)
        if severity:
            left = size_words(max(0, disk.total_bytes - disk.used_bytes))
            found.append(
                Strain("disk", severity, f"{disk.mount} {percent:.0f}% full, {left} left", disk.mount)
            )
    return found


def _pressures(host: Host) -> list[Strain]:
    pressure = host.pressure
    if pressure is None:
        return []
    measures = (
        ("memory pressure", pressure.memory_full_pct, MEMORY_FULL_PCT, "all tasks waited for memory"),
        ("memory pressure", pressure.memory_some_pct, MEMORY_SOME_PCT, "tasks waited for memory"),
        ("io pressure", pressure.io_full_pct, IO_FULL_PCT, "all tasks waited for disk I/O"),
        ("cpu pressure", pressure.cpu_some_pct, CPU_SOME_PCT, "tasks waited for a CPU"),
    )
    found: dict[str, Strain] = {}
    for kind, percent, limits, what in measures:
        severity = _grade(percent, limits) if percent is not None else None
        if severity and kind not in found:
            found[kind] = Strain(kind, severity, f"{what} {percent:.0f}% of the last 10 s")
    return list(found.values())


def _grade(percent: float, limits: tuple[float, float]) -> Severity | None:
    warning, critical = limits
    if percent >= critical:
        return Severity.CRITICAL
    return Severity.WARNING if percent >= warning else None


def _recent_median(history: Sequence[float | None], now_pct: float) -> float:
    known = [percent for percent in history[-_LAST_MINUTE:] if percent is not None]
    return median(known) if known else now_pct
