"""Finding a declared agent among the processes: by command line, by pid file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from backends.agents.pattern import matches
from backends.agents.rules import ONLOOKERS, WRAPPERS, read_program
from backends.agents.trees import ancestors, topmost
from backends.model import Process
from backends.units import duration_words

#: Start times come from clock ticks and the boot time, which may be off by this much.
START_SLACK_MS = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe says. ``pids``: the processes it found."""

    ok: bool | None
    says: str
    pids: tuple[int, ...] = ()
    abandoned: bool = False  # a pid file whose process is gone


class CommandProbe:
    """Searches command lines for a pattern; each command line is searched once in a process's life."""

    def __init__(self, pattern: re.Pattern[str], ignore: frozenset[int] = frozenset()) -> None:
        self._pattern = pattern
        self._ignore = ignore
        self._known: dict[str, tuple[str, bool]] = {}

    def find(self, processes: Mapping[int, Process]) -> Found:
        """The topmost processes that match; a shell that only wraps a matching one is passed over."""
        known: dict[str, tuple[str, bool]] = {}
        matching: set[int] = set()
        for pid, process in processes.items():
            before = self._known.get(process.id)
            if before is None or before[0] != process.command:
                before = (process.command, self._fits(process))
            known[process.id] = before
            if before[1] and pid not in self._ignore and process.state != "Z":
                matching.add(pid)
        self._known = known
        above = {parent for pid in matching for parent in ancestors(processes, pid)}
        matching -= {pid for pid in matching & above if read_program(processes[pid]).name in WRAPPERS}
        pids = tuple(topmost(processes, matching))
        if not pids:
            return Found(False, f"no process matches {self._pattern.pattern!r}")
        plural = "process" if len(pids) == 1 else "processes"
        return Found(True, f"{plural} {', '.join(map(str, pids[:5]))} match {self._pattern.pattern!r}", pids)

    def _fits(self, process: Process) -> bool:
        return matches(self._pattern, process.command) and read_program(process).name not in ONLOOKERS


def check_pid_file(path: str, processes: Mapping[int, Process]) -> Found:
    """The process a pid file names, unless that pid now belongs to a process younger than the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Found(False, f"there is no pid file {path}")
    except OSError as error:
        return Found(None, f"cannot read {path}: {error.strerror}; check its permissions")
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Found(None, f"{path} is not a regular file")
        words = os.read(descriptor, 64).split()
    except OSError as error:
        return Found(None, f"cannot read {path}: {error.strerror}")
    finally:
        os.close(descriptor)
    if not words or not words[0].isdigit() or len(words[0]) > 10:
        return Found(None, f"{path} does not hold a process id")
    pid = int(words[0])
    process = processes.get(pid)
    if process is None or process.state == "Z":
        return Found(False, f"{path} names process {pid}, which does not run", abandoned=True)
    written_at = status.st_mtime_ns // 1_000_000
    if process.started_at > written_at + START_SLACK_MS:
        younger = duration_words(process.started_at - written_at)
        says = f"{path} names process {pid}, but that one started {younger} after the file was written"
        return Found(False, says, abandoned=True)
    return Found(True, f"{path} names process {pid}", (pid,))
