"""The figures of the machine the watch runs on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import NamedTuple, Protocol

from backends.clock import Clock
from backends.fleet import procfs
from backends.fleet.disks import DiskUsage
from backends.fleet.history import History
from backends.fleet.identity import HAS_PROC, boot_id, host_name
from backends.fleet.procfs import CpuTicks, Memory, Traffic
from backends.model import Disk, Host, Pressure, Reach, SourceState
from backends.picture import Reading
from backends.text import clean

DISKS_EVERY_MS = 10_000


class Sample(NamedTuple):
    """One look at the counters; rates come from two of them."""

    cpu: CpuTicks
    boot_at: int
    memory: Memory
    pressure: Pressure | None
    disk: Traffic | None
    net: Traffic | None
    load_1m: float | None
    processes: int | None


class Source(Protocol):
    """Where the counters come from."""

    def sample(self) -> Sample: ...

    def mounts(self) -> list[str]: ...


class LocalHost:
    """Reader of this machine: one ``Host`` row.

    CPU share and rates are means since the read before, and unknown at the first. In a container whose
    memory is limited (``memory.max`` at the root of its own cgroup v2 tree), that limit and what counts
    against it are the memory shown; everything else is the machine's.
    """

    source = "host"

    def __init__(
        self,
        clock: Clock,
        host: str | None = None,
        counters: Source | None = None,
        disk_usage: DiskUsage | None = None,
    ) -> None:
        self.host = host or host_name()
        self._clock = clock
        self._counters = counters or (ProcSource() if HAS_PROC else _portable_source())
        self._disk_usage = disk_usage or DiskUsage()
        self._disks: tuple[Disk, ...] = ()
        self._disks_at: int | None = None
        self._before: tuple[int, Sample] | None = None
        self._cpu_history = History()
        self._memory_history = History()
        self._system = clean(f"{platform.system()} {platform.release()} {platform.machine()}", limit=80)

    async def read(self) -> Reading:
        stopwatch = time.perf_counter_ns()
        now, monotonic = self._clock.now_ms(), self._clock.monotonic_ms()
        try:
            sample = self._counters.sample()
        except (OSError, ValueError) as error:
            reason = clean(f"cannot read this machine's counters: {error}")
            return Reading(
                SourceState(self.host, self.source, False, "unreadable", reason, failing_since_at=now)
            )
        cost_ms = (time.perf_counter_ns() - stopwatch) / 1e6
        if self._disks_at is None or monotonic - self._disks_at >= DISKS_EVERY_MS:
            self._disks_at = monotonic
            self._disks = await self._disk_usage.look(self._counters.mounts())
        row = self._row(sample, now, monotonic)
        self._before = (monotonic, sample)
        state = SourceState(self.host, self.source, ok=True, observed_at=now, cost_ms=round(cost_ms, 2))
        return Reading(state, {"hosts": [row]})

    async def close(self) -> None:
        """Nothing is held open between two reads."""

    def _row(self, sample: Sample, now: int, monotonic: int) -> Host:
        cpu_pct = disk = net = None
        if self._before is not None and monotonic > self._before[0]:
            then, before = self._before
            cpu_pct = busy_pct(before.cpu, sample.cpu)
            disk = rate(before.disk, sample.disk, monotonic - then)
            net = rate(before.net, sample.net, monotonic - then)
        memory = sample.memory
        memory_pct = memory.used_bytes / memory.total_bytes * 100 if memory.total_bytes else None
        self._cpu_history.add(cpu_pct, monotonic)
        self._memory_history.add(memory_pct, monotonic)
        return Host(
            id=self.host,
            reach=Reach.LIVE,
            observed_at=now,
            boot_at=sample.boot_at,
            boot_id=boot_id(),
            system=self._system,
            cores=os.cpu_count(),
            cpu_pct=cpu_pct,
            load_1m=sample.load_1m,
            memory_used_bytes=memory.used_bytes,
            memory_total_bytes=memory.total_bytes,
            swap_used_bytes=memory.swap_used_bytes,
            swap_total_bytes=memory.swap_total_bytes,
            pressure=sample.pressure,
            disks=self._disks,
            disk_read_bytes_s=None if disk is None else disk.inward,
            disk_write_bytes_s=None if disk is None else disk.outward,
            net_rx_bytes_s=None if net is None else net.inward,
            net_tx_bytes_s=None if net is None else net.outward,
            processes=sample.processes,
            cpu_history=self._cpu_history.values(),
            memory_history=self._memory_history.values(),
        )


def busy_pct(before: CpuTicks, after: CpuTicks) -> float | None:
    """Share of all cores that was busy, 0-100. The kernel's iowait may run backwards: never below 0."""
    total = after.total - before.total
    if total <= 0:
        return None
    return round(min(100.0, max(0.0, (after.busy - before.busy) / total * 100)), 1)


def rate(before: Traffic | None, after: Traffic | None, elapsed_ms: int) -> Traffic | None:
    """Bytes a second; ``None`` when a counter went back (a device went away)."""
    if before is None or after is None or after.inward < before.inward or after.outward < before.outward:
        return None
    return Traffic(
        (after.inward - before.inward) * 1000 // elapsed_ms,
        (after.outward - before.outward) * 1000 // elapsed_ms,
    )


class ProcSource:
    """The counters, from Linux's ``/proc`` and ``/sys``."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._proc = root / "proc"
        self._sys = root / "sys"
        self._physical: dict[str, bool] = {}

    def sample(self) -> Sample:
        cpu, boot_at_s = procfs.parse_cpu((self._proc / "stat").read_bytes())
        load = _read(self._proc / "loadavg")
        diskstats, net_dev = _read(self._proc / "diskstats"), _read(self._proc / "net/dev")
        return Sample(
            cpu=cpu,
            boot_at=boot_at_s * 1000,
            memory=self._memory(),
            pressure=procfs.parse_pressure(
                *(_read(self._proc / "pressure" / name) for name in ("cpu", "memory", "io"))
            ),
            disk=None if diskstats is None else procfs.parse_diskstats(diskstats, self._is_disk),
            net=None if net_dev is None else procfs.parse_net_dev(net_dev, self._is_interface),
            load_1m=float(load.split()[0]) if load else None,
            processes=sum(name.isdecimal() for name in os.listdir(self._proc)),
        )

    def mounts(self) -> list[str]:
        return procfs.parse_mounts(_read(self._proc / "self/mountinfo") or b"")

    def _memory(self) -> Memory:
        memory = procfs.parse_meminfo((self._proc / "meminfo").read_bytes())
        cgroup = self._sys / "fs/cgroup"
        limit = _read(cgroup / "memory.max")  # the machine's own root cgroup has no such file
        if limit is None:
            return memory
        current, stat = _read(cgroup / "memory.current"), _read(cgroup / "memory.stat")
        own = procfs.parse_cgroup_memory(limit, current or b"0", stat or b"")
        if own is None or own[1] >= memory.total_bytes:
            return memory
        return memory._replace(used_bytes=own[0], total_bytes=own[1])

    def _is_disk(self, name: str) -> bool:
        return self._has_device(self._sys / "block" / name.replace("/", "!"))

    def _is_interface(self, name: str) -> bool:
        return self._has_device(self._sys / "class/net" / name)

    def _has_device(self, folder: Path) -> bool:
        key = str(folder)
        if key not in self._physical:
            self._physical[key] = (folder / "device").exists()
        return self._physical[key]


def _read(path: Path) -> bytes | None:
    """A file that may be absent or closed to us."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _portable_source() -> Source:
    from backends.fleet.portable import PsutilSource  # psutil takes 20 ms to import; Linux does without

    return PsutilSource()
