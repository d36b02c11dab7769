"""A host as lines: what the GPU pane shows where there is no GPU. Pure drawing functions."""

from __future__ import annotations

from backends.model import Host, Pressure
from widgets.columns import Cell, Now
from widgets.gauge import level
from widgets.glyphs import REACHES
from widgets.gpu_page import charts, labelled, meter
from widgets.lines import PageLine
from widgets.quantities import UNKNOWN, age, number, percent, rate, share, size


def host_lines(host: Host, width: int, now: Now) -> list[PageLine]:
    """Everything known of one host."""
    bar = max(8, min(32, width - 50))
    memory = share(host.memory_used_bytes, host.memory_total_bytes)
    lines = [
        _title(host, now),
        (
            *meter("CPU", host.cpu_pct, bar, now),
            Cell(f"  load {_load(host)}  {number(host.cores)} cores", "dim"),
        ),
        (
            *meter("memory", memory, bar, now),
            Cell(f"  {size(host.memory_used_bytes)} / {size(host.memory_total_bytes)}"),
        ),
        _swap(host, bar, now),
        _pressure(host.pressure),
    ]
    for disk in host.disks:
        used = share(disk.used_bytes, disk.total_bytes)
        figures = f"  {size(disk.used_bytes)} / {size(disk.total_bytes)}  "
        lines.append((*meter("disk", used, bar, now), Cell(figures), Cell(disk.mount, "dim")))
    lines.append(_traffic(host, now))
    lines.extend(charts((("CPU", host.cpu_history), ("memory", host.memory_history)), width, now))
    return lines


def _title(host: Host, now: Now) -> PageLine:
    mark = REACHES[host.reach]
    up = "" if host.boot_at is None else f"  up {age(host.boot_at, now.ms)}"
    processes = "" if host.processes is None else f"  {host.processes} processes"
    return (
        Cell(f" {mark.show(now.ascii)} ", mark.style),
        Cell(host.id, "strong"),
        Cell(f"  {host.system or UNKNOWN}{up}{processes}", "dim"),
    )


def _load(host: Host) -> str:
    return UNKNOWN if host.load_1m is None else f"{host.load_1m:.1f}"


def _swap(host: Host, bar: int, now: Now) -> PageLine:
    if host.swap_total_bytes == 0:
        return labelled("swap", Cell("none", "dim"))
    used = share(host.swap_used_bytes, host.swap_total_bytes)
    figures = f"  {size(host.swap_used_bytes)} / {size(host.swap_total_bytes)}"
    return (*meter("swap", used, bar, now, warn=50, crit=90), Cell(figures))


def _pressure(pressure: Pressure | None) -> PageLine:
    if pressure is None:
        return labelled("pressure", Cell("not told by this kernel", "dim"))
    cells: list[Cell] = []
    for name, value in (
        ("CPU", pressure.cpu_some_pct),
        ("memory", pressure.memory_some_pct),
        ("disk", pressure.io_some_pct),
    ):
        cells.extend((Cell(f"{name} ", "dim"), Cell(percent(value), level(value, 10, 40)), Cell("  ")))
    return labelled("pressure", *cells)


def _traffic(host: Host, now: Now) -> PageLine:
    inward, outward = ("in", "out") if now.ascii else ("↓", "↑")
    return labelled(
        "network",
        Cell(f"{inward} {rate(host.net_rx_bytes_s)}  {outward} {rate(host.net_tx_bytes_s)}"),
        Cell("   disk ", "dim"),
        Cell(f"read {rate(host.disk_read_bytes_s)}  write {rate(host.disk_write_bytes_s)}"),
    )
