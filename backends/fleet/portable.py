"""Hosts and processes where there is no ``/proc``: the same figures by way of psutil."""

from __future__ import annotations

import psutil

from backends.fleet.host import Sample
from backends.fleet.procfs import CpuTicks, Memory, Traffic
from backends.model import Process, ProcessRef
from backends.text import clean

_STATES = {
    psutil.STATUS_RUNNING: "R",
    psutil.STATUS_SLEEPING: "S",
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
    psutil.STATUS_IDLE: "I",
}


def started_at_of(pid: int) -> int | None:
    """When the process started, milliseconds since the epoch."""
    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except (psutil.Error, ValueError):
        return None


def state_of(pid: int) -> str | None:
    try:
        return _STATES.get(psutil.Process(pid).status(), "?")
    except (psutil.Error, ValueError):
        return None


def parent_pid_of(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except (psutil.Error, ValueError):
        return None


class PsutilScan:
    """All processes, through psutil."""

    def __init__(self, host: str, boot: str) -> None:
        self._host = host
        self._boot = boot
        self._known: dict[int, psutil.Process] = {}

    async def rows(self, now_ms: int, monotonic_ms: int) -> list[Process]:
        """One row a process. psutil keeps the times between two calls, so the first CPU share is unknown."""
        found: dict[int, psutil.Process] = {}
        rows = []
        for process in psutil.process_iter():
            known = self._known.get(process.pid)
            first = known is None or known != process
            process = process if known is None or first else known
            try:
                rows.append(self._row(process, now_ms, first))
            except psutil.Error:
                continue
            found[process.pid] = process
        self._known = found
        return rows

    def _row(self, process: psutil.Process, now_ms: int, first: bool) -> Process:
        with process.oneshot():
            started_at = int(process.create_time() * 1000)
            cpu_pct: float | None
            rss: int | None
            try:
                cpu_pct = round(process.cpu_percent(), 1)
                rss = process.memory_info().rss
                threads: int | None = process.num_threads()
            except psutil.AccessDenied:
                cpu_pct = rss = threads = None
            try:
                command = " ".join(process.cmdline())
            except psutil.AccessDenied:
                command = ""
            name = clean(process.name(), limit=64)
            return Process(
                id=f"{self._host}:{process.pid}:{started_at}",
                host=self._host,
                ref=ProcessRef(process.pid, started_at, self._boot),
                parent_pid=process.ppid(),
                name=name,
                command=clean(command, limit=1000) or f"[{name}]",
                user=clean(process.username(), limit=64),
                state=_STATES.get(process.status(), "?"),
                started_at=started_at,
                cpu_pct=None if first else cpu_pct,
                rss_bytes=rss,
                observed_at=now_ms,
                threads=threads,
            )


class PsutilSource:
    """The machine's counters, through psutil."""

    def sample(self) -> Sample:
        times = psutil.cpu_times()
        total = int(sum(times) * 100)
        ram, swap, disk = psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_io_counters()
        net = [row for name, row in psutil.net_io_counters(pernic=True).items() if not name.startswith("lo")]
        return Sample(
            cpu=CpuTicks(total - int(times.idle * 100), total),
            boot_at=int(psutil.boot_time() * 1000),
            memory=Memory(ram.total - ram.available, ram.total, swap.used, swap.total),
            pressure=None,
            disk=None if disk is None else Traffic(disk.read_bytes, disk.write_bytes),
            net=Traffic(sum(row.bytes_recv for row in net), sum(row.bytes_sent for row in net))
            if net
            else None,
            load_1m=psutil.getloadavg()[0],
            processes=len(psutil.pids()),
        )

    def mounts(self) -> list[str]:
        """Mount points of physical devices, the shortest of each device."""
        chosen: dict[str, str] = {}
        for partition in psutil.disk_partitions(all=False):
            shortest = chosen.get(partition.device, partition.mountpoint)
            chosen[partition.device] = min(shortest, partition.mountpoint, key=len)
        return sorted(chosen.values())
