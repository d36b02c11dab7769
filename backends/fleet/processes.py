"""Every process of this machine, cheaply enough to be read once a second."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from backends.clock import Clock
from backends.fleet.abandon import start_abandonable
from backends.fleet.identity import HAS_PROC, boot_id, host_name
from backends.fleet.procfs import CLOCK_TICKS, ProcessStat, join_command, parse_cpu, parse_stat
from backends.model import Process, ProcessRef, SourceState
from backends.picture import Reading
from backends.text import clean

CHUNK = 256  # processes read between two turns of the event loop
COMMAND_LIMIT = 1000
REREAD_EVERY = 32  # reads after which a command line is looked at again: programs may rewrite their own


class Scan(Protocol):
    """One way to read all processes."""

    async def rows(self, now_ms: int, monotonic_ms: int) -> list[Process]: ...


class ProcessTable:
    """Reader of all processes of this machine.

    A row whose process did nothing since the last read is the same row again: its ``observed_at`` says when
    these values were first seen, the source's state says when they were last confirmed.
    """

    source = "processes"

    def __init__(self, clock: Clock, host: str | None = None, proc: str = "/proc") -> None:
        self.host = host or host_name()
        self._clock = clock
        self._scan: Scan = ProcScan(self.host, proc) if HAS_PROC else _portable_scan(self.host)

    async def read(self) -> Reading:
        stopwatch = time.perf_counter_ns()
        now = self._clock.now_ms()
        try:
            rows = await self._scan.rows(now, self._clock.monotonic_ms())
        except (OSError, ValueError) as error:
            reason = clean(f"cannot list processes: {error}")
            return Reading(
                SourceState(self.host, self.source, False, "unreadable", reason, failing_since_at=now)
            )
        cost_ms = round((time.perf_counter_ns() - stopwatch) / 1e6, 2)
        state = SourceState(self.host, self.source, ok=True, observed_at=now, cost_ms=cost_ms)
        return Reading(state, {"processes": rows})

    async def close(self) -> None:
        """Nothing is held open between two reads."""


class ProcScan:
    """All processes, from ``/proc/<pid>/stat``: one read a process; owner and command line are kept.

    The command line is read again when the process runs another program (its name or the place of its
    arguments changed), now and then, and never while the process is in state D: that read waits for a lock
    which a process stuck in a driver or on a dead filesystem holds.
    """

    def __init__(self, host: str, proc: str = "/proc") -> None:
        self._host = host
        self._proc = proc
        self._boot = boot_id()
        self._boot_at_ms: int | None = None
        self._users = UserNames()
        self._known: dict[str, _Known] = {}
        self._reads = 0

    async def rows(self, now_ms: int, monotonic_ms: int) -> list[Process]:
        if self._boot_at_ms is None:
            self._boot_at_ms = parse_cpu(_read(f"{self._proc}/stat"))[1] * 1000
        self._reads += 1
        known: dict[str, _Known] = {}
        pids = [name for name in os.listdir(self._proc) if name.isdecimal()]
        for number, pid in enumerate(pids, 1):
            process = self._read_one(pid, now_ms, monotonic_ms)
            if process is not None:
                known[pid] = process
            if number % CHUNK == 0:
                await asyncio.sleep(0)
        self._known = known
        return [process.row for process in known.values()]

    def _read_one(self, pid: str, now_ms: int, monotonic_ms: int) -> _Known | None:
        try:
            line = _read(f"{self._proc}/{pid}/stat")
        except OSError:  # it ended, or hidepid= hides it
            return None
        known = self._known.get(pid)
        reread = (int(pid) + self._reads) % REREAD_EVERY == 0
        if known is not None and line == known.line and not reread and known.is_settled:
            known.read_at_ms = monotonic_ms
            return known
        try:
            stat = parse_stat(line)
        except ValueError:
            return None
        if known is None or known.row.ref.start_ticks != stat.start_ticks:
            known = self._meet(pid, stat, now_ms)
            if known is None:
                return None
        elif reread or known.command is None or known.program != (stat.name, stat.arguments_at):
            known.command = self._command(pid, stat)
        known.take(line, stat, self._users.name(known.uid), now_ms, monotonic_ms)
        return known

    def _meet(self, pid: str, stat: ProcessStat, now_ms: int) -> _Known | None:
        """A process that was not there at the last read."""
        try:
            uid = os.stat(f"{self._proc}/{pid}").st_uid
        except OSError:
            return None
        assert self._boot_at_ms is not None
        name = clean(stat.name, limit=64)
        row = Process(
            id=f"{self._host}:{pid}:{stat.start_ticks}",
            host=self._host,
            ref=ProcessRef(stat.pid, stat.start_ticks, self._boot),
            parent_pid=stat.parent_pid,
            name=name,
            command=f"[{name}]",
            user=self._users.name(uid),
            state=stat.state,
            started_at=self._boot_at_ms + stat.start_ticks * 1000 // CLOCK_TICKS,
            cpu_pct=None,
            rss_bytes=stat.rss_bytes,
            observed_at=now_ms,
            threads=stat.threads,
        )
        return _Known(row, uid, self._command(pid, stat))

    def _command(self, pid: str, stat: ProcessStat) -> str | None:
        """The command line; ``""`` where there is none (kernel threads), ``None`` when it must wait."""
        if stat.state == "D":
            return None
        try:
            return clean(join_command(_read(f"{self._proc}/{pid}/cmdline")), COMMAND_LIMIT)
        except OSError:
            return ""


class _Known:
    """What is kept of one process between two reads."""

    __slots__ = ("command", "cpu_ticks", "line", "program", "read_at_ms", "row", "uid")

    def __init__(self, row: Process, uid: int, command: str | None) -> None:
        self.row = row
        self.uid = uid
        self.command = command
        self.line = b""
        self.program = (b"", b"")
        self.cpu_ticks = 0
        self.read_at_ms = 0

    @property
    def is_settled(self) -> bool:
        """Another identical stat line would change nothing: the CPU share is already 0."""
        return self.row.cpu_pct == 0.0 and self.command is not None

    def take(self, line: bytes, stat: ProcessStat, user: str, now_ms: int, monotonic_ms: int) -> None:
        """A new stat line. The row is exchanged only when something in it changed."""
        cpu_pct = self.row.cpu_pct
        if not self.line:
            self.cpu_ticks, self.read_at_ms = stat.cpu_ticks, monotonic_ms
        elif monotonic_ms > self.read_at_ms:
            seconds = (monotonic_ms - self.read_at_ms) / 1000
            cpu_pct = round((stat.cpu_ticks - self.cpu_ticks) / CLOCK_TICKS / seconds * 100, 1)
            self.cpu_ticks, self.read_at_ms = stat.cpu_ticks, monotonic_ms
        self.line, self.program = line, (stat.name, stat.arguments_at)
        name = clean(stat.name, limit=64)
        row = replace(
            self.row,
            parent_pid=stat.parent_pid,
            name=name,
            command=self.command or f"[{name}]",
            user=user,
            state=stat.state,
            cpu_pct=cpu_pct,
            rss_bytes=stat.rss_bytes,
            threads=stat.threads,
        )
        if row != self.row:
            self.row = replace(row, observed_at=now_ms)


class UserNames:
    """Names of user ids. A directory service may take long or hang: until it answers, the id is shown."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._local = _passwd_names()

    def name(self, uid: int) -> str:
        known = self._names.get(uid)
        if known is None:
            known = self._names[uid] = self._local.get(uid, str(uid))
            if uid not in self._local:
                start_abandonable(partial(self._ask, uid), f"name of uid {uid}")
        return known

    def _ask(self, uid: int) -> None:
        import pwd  # not on Windows

        with suppress(KeyError):
            self._names[uid] = clean(pwd.getpwuid(uid).pw_name, limit=64)


def _passwd_names() -> dict[int, str]:
    names: dict[int, str] = {}
    try:
        lines = _read("/etc/passwd", 1 << 20).splitlines()
    except OSError:
        return names
    for line in lines:
        fields = line.split(b":")
        if len(fields) >= 3 and fields[2].isdigit():
            names.setdefault(int(fields[2]), clean(fields[0], limit=64))
    return names


def _read(path: str, limit: int = 8192) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def _portable_scan(host: str) -> Scan:
    from backends.fleet.portable import PsutilScan  # psutil takes 20 ms to import; Linux does without

    return PsutilScan(host, boot_id())
