"""When a GPU is sick, and when it is only full or hot."""

from __future__ import annotations

from dataclasses import dataclass

from backends.model import Gpu, Severity
from backends.units import duration_words, size_words

#: An XID this old is history.
XID_RECENT_MS = 60 * 60_000
#: Servers reserve most of a GPU on purpose: only this is full.
VRAM_FULL_PCT = 97.0
#: Less than this belongs to the driver's own bookkeeping.
UNACCOUNTED_BYTES = 512 << 20

_WELL = frozenset({"ok", "", "asleep", "resting", "simulated"})
_DOWN = frozenset({"lost", "hung", "reset required", "GPU lost"})
_PASSING = frozenset({"stale"})
_THERMAL = frozenset({"hardware thermal limit", "software thermal limit", "hardware slowdown", "power brake"})
#: XIDs that NVIDIA's device plugin takes for faults of the application, not of the GPU.
_APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is wrong with a GPU. ``is_sick``: the GPU itself, not what runs on it."""

    kind: str  # gpu-down, gpu-recovery, gpu-xid, gpu-memory-fault, gpu-hot, vram-full, vram-hidden
    severity: Severity
    says: str
    source: str
    is_sick: bool = True


def ailments(gpu: Gpu, now: int) -> tuple[Ailment, ...]:
    """Everything that is wrong with ``gpu`` at ``now`` (ms UTC); unknown values are not judged."""
    found = [
        _status(gpu),
        _advice(gpu),
        _xid(gpu, now),
        _memory_fault(gpu),
        _heat(gpu),
        _full(gpu),
        _hidden(gpu),
    ]
    return tuple(ailment for ailment in found if ailment is not None)


def _status(gpu: Gpu) -> Ailment | None:
    if gpu.status in _WELL:
        return None
    severity = Severity.CRITICAL if gpu.status in _DOWN else Severity.WARNING
    if gpu.status in _PASSING:
        severity = Severity.INFO
    says = f"{gpu.status}: {gpu.status_reason}" if gpu.status_reason else gpu.status
    return Ailment("gpu-down", severity, says, "driver", is_sick=severity is not Severity.INFO)


def _advice(gpu: Gpu) -> Ailment | None:
    if gpu.recovery_action in (None, "", "none"):
        return None
    return Ailment("gpu-recovery", Severity.CRITICAL, f"the driver advises: {gpu.recovery_action}", "driver")


def _xid(gpu: Gpu, now: int) -> Ailment | None:
    if gpu.xid_code is None or (gpu.xid_at is not None and now - gpu.xid_at > XID_RECENT_MS):
        return None
    is_application = gpu.xid_code in _APPLICATION_XIDS
    severity = Severity.WARNING if is_application else Severity.CRITICAL
    says = f"XID {gpu.xid_code}" + (f" ({gpu.xid_text})" if gpu.xid_text else "")
    if gpu.xid_at is not None:
        says += f" {duration_words(max(0, now - gpu.xid_at))} ago"
    return Ailment("gpu-xid", severity, says, "xid", is_sick=not is_application)


def _memory_fault(gpu: Gpu) -> Ailment | None:
    if gpu.remapped_failure:
        says = "a failed memory row could not be replaced: this GPU should leave service"
        return Ailment("gpu-memory-fault", Severity.CRITICAL, says, "row remapper")
    if gpu.remapped_pending:
        says = "a memory row waits to be replaced: the GPU needs a reset"
        return Ailment("gpu-memory-fault", Severity.WARNING, says, "row remapper")
    if gpu.ecc_uncorrected:
        says = f"{gpu.ecc_uncorrected} uncorrectable memory errors since the driver was loaded"
        return Ailment("gpu-memory-fault", Severity.WARNING, says, "ecc")
    return None


def _heat(gpu: Gpu) -> Ailment | None:
    hot = [reason for reason in gpu.throttle or () if reason in _THERMAL]
    if not hot:
        return None
    says = f"slowed down: {', '.join(hot)}"
    if gpu.temperature_c is not None:
        says += f" at {gpu.temperature_c} °C"
    return Ailment("gpu-hot", Severity.WARNING, says, "clocks", is_sick=False)


def _full(gpu: Gpu) -> Ailment | None:
    used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
    if used is None or not total or gpu.memory_is_unified or 100 * used / total < VRAM_FULL_PCT:
        return None
    says = f"VRAM {100 * used / total:.0f}% used, {size_words(max(0, total - used))} left"
    return Ailment("vram-full", Severity.WARNING, says, "memory", is_sick=False)


def _hidden(gpu: Gpu) -> Ailment | None:
    if gpu.unaccounted_bytes is None or gpu.unaccounted_bytes <= UNACCOUNTED_BYTES:
        return None
    says = f"{size_words(gpu.unaccounted_bytes)} of VRAM belong to no process that can be seen"
    return Ailment("vram-hidden", Severity.WARNING, says, "memory", is_sick=False)
