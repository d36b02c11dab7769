"""Who holds VRAM: the driver's process lists, and names from /proc where they can be trusted."""

from __future__ import annotations

import os
import pwd
from typing import Any

from backends.gpu.probe.device import Device

#: Inode of the first pid namespace (PROC_PID_INIT_INO in the kernel's proc_ns.h).
_FIRST_PID_NAMESPACE = "pid:[4026531836]"

_COMMAND_BYTES = 400
_NAMES_LIVE_S = 10.0

Row = dict[str, Any]


class ProcessNames:
    """User and command of a pid *as the driver counts pids*: on the host, outside every namespace.

    Inside a pid namespace the same number is somebody else or nobody, so nothing is looked up at all.
    """

    def __init__(self, root: str = "/") -> None:
        self._proc = os.path.join(root, "proc")
        self.trusted = self._in_first_namespace()
        self._names: dict[int, tuple[float, str | None, str | None]] = {}
        self._users: dict[int, str] = {}

    def _in_first_namespace(self) -> bool:
        try:
            return os.readlink(f"{self._proc}/self/ns/pid") == _FIRST_PID_NAMESPACE
        except OSError:
            return False

    def of(self, pid: int, now_s: float) -> tuple[str | None, str | None]:
        """(user, command); ``None`` for what is not known."""
        if not self.trusted:
            return None, None
        known = self._names.get(pid)
        if known is None or now_s - known[0] > _NAMES_LIVE_S:
            known = (now_s, self._user(pid), self._command(pid))
            self._names[pid] = known
        return known[1], known[2]

    def keep_only(self, pids: set[int]) -> None:
        """Forget the processes that ended, before their pids can come back as others."""
        for pid in self._names.keys() - pids:
            del self._names[pid]

    def _command(self, pid: int) -> str | None:
        try:
            with open(f"{self._proc}/{pid}/cmdline", "rb") as file:
                raw = file.read(_COMMAND_BYTES)
            if not raw:
                with open(f"{self._proc}/{pid}/comm", "rb") as file:
                    raw = file.read(64)
        except OSError:
            return None
        return raw.rstrip(b"\0\n").replace(b"\0", b" ").decode("utf-8", "replace") or None

    def _user(self, pid: int) -> str | None:
        try:
            with open(f"{self._proc}/{pid}/status", "rb") as file:
                uid = next((int(line.split()[1]) for line in file if line.startswith(b"Uid:")), None)
        except (OSError, ValueError, IndexError):
            return None
        if uid is None:
            return None
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]


def running(device: Device) -> list[tuple[int, int | None, str]] | None:
    """(pid, VRAM in bytes, kind) of every process on the GPU; ``None`` when the driver does not say.

    A process in both lists is one process; one in several MIG instances has the sum of them.
    """
    found: dict[int, tuple[int | None, str]] = {}
    answered = False
    for kind in ("Compute", "Graphics"):
        rows = device.ask(f"nvmlDeviceGet{kind}RunningProcesses_v3")
        if rows is None and device.last_error:
            rows = device.ask(f"nvmlDeviceGet{kind}RunningProcesses_v2")
        if rows is None:
            continue
        answered = True
        for pid, vram in _sums(rows).items():
            if pid in found:
                before = found[pid][0]
                vram = None if before is None or vram is None else max(before, vram)
                found[pid] = (vram, found[pid][1])
            else:
                found[pid] = (vram, kind.lower())
    return [(pid, vram, kind) for pid, (vram, kind) in found.items()] if answered else None


def _sums(rows: Any) -> dict[int, int | None]:
    total: dict[int, int | None] = {}
    for row in rows:
        pid, vram = int(row.pid), row.usedGpuMemory
        if pid in total:
            before = total[pid]
            total[pid] = None if before is None or vram is None else before + int(vram)
        else:
            total[pid] = None if vram is None else int(vram)
    return total


class ProcessUtilisation:
    """SM share per pid since the last time it was asked (the driver keeps a window of samples)."""

    def __init__(self) -> None:
        self._last_seen_us = 0

    def read(self, device: Device) -> dict[int, int] | None:
        """Percent by pid; ``None`` when the driver does not say; a pid that is absent was not sampled."""
        samples = device.ask("nvmlDeviceGetProcessUtilization", self._last_seen_us)
        if samples is None:
            return None
        newest: dict[int, tuple[int, int]] = {}
        for sample in samples:
            at, pid = int(sample.timeStamp), int(sample.pid)
            if at > newest.get(pid, (0, 0))[0]:
                newest[pid] = (at, int(sample.smUtil))
            self._last_seen_us = max(self._last_seen_us, at)
        return {pid: sm for pid, (_, sm) in newest.items()}
