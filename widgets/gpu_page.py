"""A GPU as lines: pure drawing functions. Unknown values are said to be unknown, never drawn as 0."""

from __future__ import annotations

from collections.abc import Sequence

from backends.model import Gpu, GpuProcess
from widgets.columns import Cell, Now, fit
from widgets.gauge import gauge, level
from widgets.history import history
from widgets.lines import PageLine
from widgets.quantities import UNKNOWN, age, number, percent, share, size
from widgets.wrapping import wrap

_LABEL = 9  # width of the labels on the left
_GAP = Cell("  ")


def labelled(label: str, *cells: Cell) -> PageLine:
    """One line under a label."""
    return (Cell(f"   {label:<{_LABEL}}", "dim"), *cells)


def meter(
    label: str, value: float | None, width: int, now: Now, *, warn: float = 85, crit: float = 96
) -> PageLine:
    """A label, a gauge and its figure."""
    style = level(value, warn, crit) or ("dim" if value is None else "strong")
    return labelled(
        label,
        *gauge(value, width, now.ascii, warn=warn, crit=crit),
        Cell(f" {percent(value):>4}", style),
    )


def charts(
    series: Sequence[tuple[str, Sequence[float | None]]], width: int, now: Now, height: int = 2
) -> list[PageLine]:
    """Histories side by side, each with its label; nothing when no series has a value."""
    shown = [(label, values) for label, values in series if any(value is not None for value in values)]
    if not shown or width < 24:
        return []
    each = max(8, (width - 3 - _LABEL * len(shown)) // len(shown) - 2)
    drawn = [(label, history(values, min(each, 60), height, ascii_only=now.ascii)) for label, values in shown]
    lines = []
    for row in range(height):
        cells: list[Cell] = [Cell("   ")]
        for label, chart in drawn:
            cells.append(Cell(f"{label if row == height - 1 else '':<{_LABEL}}", "dim"))
            cells.append(Cell(chart[row], "gauge"))
            cells.append(_GAP)
        lines.append(tuple(cells))
    return lines


def gpu_lines(gpu: Gpu, width: int, now: Now) -> list[PageLine]:
    """Everything known of one GPU."""
    lines: list[PageLine] = [_title(gpu, now)]
    if gpu.status_reason:
        style = "" if gpu.status == "ok" else "warn"
        lines.extend((Cell("   "), Cell(text, style)) for text in wrap(gpu.status_reason, width - 4))
    if gpu.status == "ok" or gpu.memory_used_bytes is not None or gpu.utilisation_pct is not None:
        lines += [_memory(gpu, width, now), _busy(gpu, width, now), *_vitals(gpu)]
    else:
        lines.append(labelled("values", Cell("cannot be read", "dim")))
    lines.extend(_advice(gpu, now))
    lines.extend(charts((("busy", gpu.utilisation_history), ("memory", gpu.memory_history)), width, now))
    for instance in gpu.mig_instances:
        used = f"{size(instance.memory_used_bytes)} / {size(instance.memory_total_bytes)}"
        lines.append(labelled("slice", Cell(instance.name), _GAP, Cell(used, "dim")))
    lines.extend(_processes(gpu, width, now))
    return lines


def _title(gpu: Gpu, now: Now) -> PageLine:
    well = gpu.status == "ok"
    mark = Cell(
        ("+" if now.ascii else "●") if well else ("X" if now.ascii else "✖"), "ok" if well else "crit"
    )
    cells = [Cell(" "), mark, Cell(f" GPU {gpu.index} ", "strong"), Cell(gpu.name or UNKNOWN)]
    if not well:
        cells.append(Cell(f"  {gpu.status}", "crit"))
    if gpu.simulated:
        cells.append(Cell("  simulated", "accent"))
    details = [text for text in (gpu.performance_state, gpu.driver and f"driver {gpu.driver}") if text]
    if gpu.mig:
        details.append("MIG")
    if not well and gpu.observed_at is not None:
        details.append(f"values read {age(gpu.observed_at, now.ms)} ago")
    cells.append(Cell("  " + "  ".join(details), "dim"))
    return tuple(cells)


def _bar_width(width: int) -> int:
    return max(8, min(32, width - 50))


def _memory(gpu: Gpu, width: int, now: Now) -> PageLine:
    used = share(gpu.memory_used_bytes, gpu.memory_total_bytes)
    figures = f"  {size(gpu.memory_used_bytes)} / {size(gpu.memory_total_bytes)}"
    notes = " shared with the host" if gpu.memory_is_unified else ""
    if gpu.memory_reserved_bytes:
        notes += f"  driver {size(gpu.memory_reserved_bytes)}"
    return (*meter("memory", used, _bar_width(width), now), Cell(figures), Cell(notes, "dim"))


def _busy(gpu: Gpu, width: int, now: Now) -> PageLine:
    line = meter("busy", gpu.utilisation_pct, _bar_width(width), now, warn=101, crit=101)
    if gpu.memory_busy_pct is None:
        return line
    return (*line, Cell(f"  memory bus {percent(gpu.memory_busy_pct)}", "dim"))


def _vitals(gpu: Gpu) -> list[PageLine]:
    """Power, heat and clocks, without those of which nothing is known."""
    cells: list[Cell] = []
    if gpu.power_w is not None or gpu.power_limit_w is not None:
        cells.append(Cell(f"{number(gpu.power_w, 'W')} / {number(gpu.power_limit_w, 'W')}  "))
    if gpu.temperature_c is not None:
        cells.append(Cell(number(gpu.temperature_c, "°C"), level(gpu.temperature_c, 85, 92)))
    if gpu.memory_temperature_c is not None:
        cells.append(Cell(f"  memory {gpu.memory_temperature_c}°C", level(gpu.memory_temperature_c, 95, 105)))
    if gpu.sm_clock_mhz is not None or gpu.sm_clock_max_mhz is not None:
        cells.append(Cell(f"  {number(gpu.sm_clock_mhz)} / {number(gpu.sm_clock_max_mhz)} MHz"))
    if gpu.memory_clock_mhz is not None:
        cells.append(Cell(f"  memory {gpu.memory_clock_mhz} MHz", "dim"))
    if gpu.fan_pct is not None:
        cells.append(Cell(f"  fan {gpu.fan_pct}%", "dim"))
    return [labelled("power", *cells)] if cells else []


def _advice(gpu: Gpu, now: Now) -> list[PageLine]:
    """What slows it down, what is broken, and what the driver advises."""
    lines = []
    if gpu.throttle is None:
        if gpu.status == "ok":
            lines.append(labelled("slowed", Cell("not known", "dim")))
    elif gpu.throttle:
        lines.append(labelled("slowed", Cell(", ".join(gpu.throttle), "warn")))
    if gpu.xid_code is not None:
        when = "" if gpu.xid_at is None else f"  {age(gpu.xid_at, now.ms)} ago"
        lines.append(labelled("XID", Cell(f"{gpu.xid_code} {gpu.xid_text or ''}", "crit"), Cell(when, "dim")))
    if gpu.ecc_uncorrected:
        lines.append(labelled("ECC", Cell(f"{gpu.ecc_uncorrected} uncorrected errors", "crit")))
    if gpu.remapped_failure:
        lines.append(labelled("memory", Cell("row remapping failed: replace this GPU", "crit")))
    elif gpu.remapped_pending:
        lines.append(
            labelled("memory", Cell("rows wait to be remapped: reset this GPU when it is idle", "warn"))
        )
    if gpu.recovery_action not in (None, "", "none"):
        lines.append(labelled("advice", Cell(f"the driver asks: {gpu.recovery_action}", "crit")))
    return lines


def _processes(gpu: Gpu, width: int, now: Now) -> list[PageLine]:
    if gpu.processes is None:
        if gpu.status != "ok":
            return []
        return [labelled("used by", Cell("processes cannot be read", "dim"))]
    lines = [_process(process, width, gpu.simulated) for process in gpu.processes]
    if lines:
        lines.insert(0, _PROCESS_HEADING)
    if gpu.unaccounted_bytes:
        text = f"{size(gpu.unaccounted_bytes):>5}  held by no process that can be seen"
        lines.append(labelled("", Cell(text, "warn")))
    if not lines and gpu.status == "ok":
        lines.append(labelled("used by", Cell("nobody", "dim")))
    return lines


_PROCESS_HEADING = labelled("PID", Cell(f"{'VRAM':>5} {'BUSY':>5}  {'USED BY':<16} COMMAND", "dim"))


def _process(process: GpuProcess, width: int, simulated: bool) -> PageLine:
    who = process.agent or process.user or UNKNOWN
    command = process.command or ("" if simulated else "outside this container")
    return labelled(
        f"{process.pid}",
        Cell(f"{size(process.vram_bytes):>5} {percent(process.sm_pct):>5}  "),
        Cell(fit(who, 16), "" if process.agent else "dim"),
        Cell(" " + fit(command, max(10, width - _LABEL - 34)), "dim"),
    )
