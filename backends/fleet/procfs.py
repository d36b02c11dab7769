"""Linux's ``/proc`` files as values. Pure: bytes in, structs out; the formats are those of proc(5).

A parser raises ``ValueError`` for what is not in its format; a value the kernel leaves out is ``None``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from backends.model import Pressure

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the device's own sector size


class ProcessStat(NamedTuple):
    """One line of ``/proc/<pid>/stat``."""

    pid: int
    name: bytes  # the kernel's comm: at most 15 bytes, any byte but NUL
    state: str
    parent_pid: int
    cpu_ticks: int  # user + system
    threads: int
    start_ticks: int  # since boot
    rss_bytes: int
    arguments_at: bytes  # where the argument list lies: moves at exec; b"0" when we may not know


def parse_stat(line: bytes) -> ProcessStat:
    """A process's stat line. Its name may hold spaces, newlines and parentheses: the *last* ``)`` ends it."""
    begin, end = line.find(b"("), line.rfind(b")")
    fields = line[end + 1 :].split()
    if begin < 1 or end < begin or len(fields) < 22:
        raise ValueError(f"not a process stat line: {line[:80]!r}")
    return ProcessStat(
        pid=int(line[:begin]),
        name=line[begin + 1 : end],
        state=fields[0].decode("ascii", "replace"),
        parent_pid=int(fields[1]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        rss_bytes=int(fields[21]) * PAGE_BYTES,
        arguments_at=fields[45] if len(fields) > 45 else b"0",
    )


def join_command(cmdline: bytes) -> bytes:
    """``/proc/<pid>/cmdline`` as one readable line: each argument ends in NUL."""
    return cmdline.rstrip(b"\0 ").replace(b"\0", b" ")


class CpuTicks(NamedTuple):
    busy: int
    total: int


def parse_cpu(stat: bytes) -> tuple[CpuTicks, int]:
    """The first line of ``/proc/stat`` and the boot time (``btime``, seconds since the epoch).

    Busy is everything but idle and iowait; guest time is already part of user time.
    """
    if not stat.startswith(b"cpu "):
        raise ValueError(f"not /proc/stat: {stat[:40]!r}")
    ticks = [int(field) for field in stat[: stat.find(b"\n")].split()[1:9]]
    total = sum(ticks)
    idle = sum(ticks[3:5])
    boot = re.search(rb"^btime (\d+)", stat, re.MULTILINE)
    if boot is None:
        raise ValueError("/proc/stat names no boot time")
    return CpuTicks(total - idle, total), int(boot[1])


class Memory(NamedTuple):
    used_bytes: int
    total_bytes: int
    swap_used_bytes: int | None
    swap_total_bytes: int | None


def parse_meminfo(meminfo: bytes) -> Memory:
    """Used is total minus ``MemAvailable`` (kernel 3.14+): what could not be given to a new program."""
    sizes = {
        key: int(value) * 1024 for key, value in re.findall(rb"^(\w+):\s+(\d+) kB", meminfo, re.MULTILINE)
    }
    if b"MemTotal" not in sizes or b"MemAvailable" not in sizes:
        raise ValueError("/proc/meminfo names no MemTotal and MemAvailable")
    total, swap = sizes[b"MemTotal"], sizes.get(b"SwapTotal")
    free_swap = sizes.get(b"SwapFree")
    return Memory(
        used_bytes=total - sizes[b"MemAvailable"],
        total_bytes=total,
        swap_used_bytes=None if swap is None or free_swap is None else swap - free_swap,
        swap_total_bytes=swap,
    )


def parse_cgroup_memory(limit: bytes, current: bytes, stat: bytes) -> tuple[int, int] | None:
    """``(used, limit)`` in bytes from a cgroup v2's ``memory.max``, ``.current`` and ``.stat``.

    ``None`` without a limit. Used leaves out the page cache that the kernel would drop first
    (``inactive_file``), as ``docker stats`` and the kubelet do.
    """
    if limit.strip() in (b"max", b""):
        return None
    droppable = re.search(rb"^inactive_file (\d+)", stat, re.MULTILINE)
    used = int(current) - (int(droppable[1]) if droppable else 0)
    return max(0, used), int(limit)


def parse_pressure(cpu: bytes | None, memory: bytes | None, io: bytes | None) -> Pressure | None:
    """The ``avg10`` figures of ``/proc/pressure/*``; ``None`` for a file that is absent or unreadable."""
    if cpu is None and memory is None and io is None:
        return None
    return Pressure(
        cpu_some_pct=_average(cpu, b"some"),
        memory_some_pct=_average(memory, b"some"),
        memory_full_pct=_average(memory, b"full"),
        io_some_pct=_average(io, b"some"),
        io_full_pct=_average(io, b"full"),
    )


def _average(pressure: bytes | None, kind: bytes) -> float | None:
    found = re.search(rb"^" + kind + rb" avg10=([\d.]+)", pressure or b"", re.MULTILINE)
    return float(found[1]) if found else None


class Traffic(NamedTuple):
    """Bytes since boot: read and written, or received and sent."""

    inward: int
    outward: int


def parse_diskstats(diskstats: bytes, is_physical: Callable[[str], bool]) -> Traffic:
    """Read and written bytes of all physical disks: partitions, dm, md and loop devices would count twice."""
    read = written = 0
    for line in diskstats.splitlines():
        fields = line.split()
        if len(fields) >= 10 and is_physical(os.fsdecode(fields[2])):
            read += int(fields[5])
            written += int(fields[9])
    return Traffic(read * SECTOR_BYTES, written * SECTOR_BYTES)


def parse_net_dev(net_dev: bytes, is_physical: Callable[[str], bool]) -> Traffic:
    """Received and sent bytes of the physical interfaces: bridges, tunnels and pairs would count twice.

    A container has no physical interface; there, everything but the loopback counts.
    """
    rows = []
    for line in net_dev.splitlines():
        name, colon, rest = line.rpartition(b":")
        counters = rest.split()
        if colon and len(counters) >= 9:
            rows.append((os.fsdecode(name.strip()), int(counters[0]), int(counters[8])))
    rows = [row for row in rows if is_physical(row[0])] or [row for row in rows if row[0] != "lo"]
    return Traffic(sum(row[1] for row in rows), sum(row[2] for row in rows))


#: Filesystems that hold no data of their own, or hold it in memory.
# fmt: off
PSEUDO_FILESYSTEMS = frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "hugetlbfs",
    "iso9660", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs",
    "squashfs", "sysfs", "tmpfs", "tracefs",
})
# fmt: on


def parse_mounts(mountinfo: bytes) -> list[str]:
    """Mount points of real filesystems, one a device (its shortest), from ``/proc/self/mountinfo``."""
    chosen: dict[bytes, str] = {}
    for line in mountinfo.splitlines():
        fields = line.split(b" ")
        if b"-" not in fields[6:]:
            continue
        separator = fields.index(b"-", 6)
        if len(fields) < separator + 3 or os.fsdecode(fields[separator + 1]) in PSEUDO_FILESYSTEMS:
            continue
        device, mount = fields[2], os.fsdecode(_unescape(fields[4]))
        if device not in chosen or len(mount) < len(chosen[device]):
            chosen[device] = mount
    return sorted(chosen.values())


def _unescape(path: bytes) -> bytes:
    """mountinfo writes space, tab, newline and backslash as three octal digits."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), path)
