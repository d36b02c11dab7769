"""Who is who on this machine: its name, its boot, and one process beyond doubt."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path

from backends.fleet.procfs import ProcessStat, parse_stat
from backends.model import ProcessRef
from backends.text import clean

HAS_PROC = Path("/proc/self/stat").exists()


def host_name() -> str:
    """This machine's name, cleaned: the ``host`` of everything that is read here."""
    return clean(socket.gethostname(), limit=64) or "localhost"


@cache
def boot_id() -> str:
    """An id that changes at every boot: the kernel's, or the boot time where there is none."""
    try:
        return clean(Path("/proc/sys/kernel/random/boot_id").read_bytes().strip(), limit=64)
    except OSError:
        import psutil  # only where the kernel has no boot id

        return f"booted-{int(psutil.boot_time())}"


def process_ref(pid: int) -> ProcessRef | None:
    """The process that has ``pid`` now; ``None`` when there is none. A zombie still counts as there."""
    ticks = _start_ticks(pid)
    return None if ticks is None else ProcessRef(pid, ticks, boot_id())


def process_state(ref: ProcessRef) -> str | None:
    """The process's state letter as in ps(1); ``None`` when it is gone or its pid has another owner."""
    if ref.boot_id and ref.boot_id != boot_id():
        return None
    if HAS_PROC:
        stat = _stat(ref.pid)
        return stat.state if stat is not None and stat.start_ticks == ref.start_ticks else None
    from backends.fleet.portable import state_of

    return state_of(ref.pid) if _start_ticks(ref.pid) == ref.start_ticks else None


def is_same_process(ref: ProcessRef) -> bool:
    """Whether ``ref`` still names a process: same pid, same start, same boot."""
    return process_state(ref) is not None


def parent_of(pid: int) -> int | None:
    """The pid of a process's parent; ``None`` when the process is gone."""
    if HAS_PROC:
        stat = _stat(pid)
        return None if stat is None else stat.parent_pid
    from backends.fleet.portable import parent_pid_of

    return parent_pid_of(pid)


def _start_ticks(pid: int) -> int | None:
    if HAS_PROC:
        stat = _stat(pid)
        return None if stat is None else stat.start_ticks
    from backends.fleet.portable import started_at_of

    return started_at_of(pid)


def _stat(pid: int) -> ProcessStat | None:
    try:
        return parse_stat(Path(f"/proc/{pid:d}/stat").read_bytes())
    except (OSError, ValueError):
        return None
