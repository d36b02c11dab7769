"""Which agent each process belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backends.model import Process


def owners(processes: Mapping[int, Process], roots: Mapping[int, str]) -> dict[int, str]:
    """Agent id by pid: a process belongs to its nearest ancestor (or itself) in ``roots``.

    ``processes`` and ``roots`` are keyed by pid. Processes that belong to nobody are left out; so is a cycle
    of parents, which a table that was read while processes came and went may hold.
    """
    decided: dict[int, str | None] = dict(roots)
    for start in processes:
        path: list[int] = []
        pid = start
        while pid not in decided:
            decided[pid] = None  # also ends a cycle
            path.append(pid)
            parent = processes.get(pid)
            if parent is None:
                break
            pid = parent.parent_pid
        owner = decided.get(pid)
        for passed in path:
            decided[passed] = owner
    return {pid: owner for pid, owner in decided.items() if owner is not None and pid in processes}


def topmost(processes: Mapping[int, Process], chosen: Iterable[int]) -> list[int]:
    """Those of ``chosen`` that have no ancestor in ``chosen``, in ascending order."""
    wanted = set(chosen)
    return sorted(pid for pid in wanted if not wanted.intersection(ancestors(processes, pid)))


def ancestors(processes: Mapping[int, Process], pid: int) -> list[int]:
    """The pids above ``pid``, nearest first; ends at a process that is not known, or a cycle."""
    found: list[int] = []
    seen = {pid}
    process = processes.get(pid)
    while process is not None and process.parent_pid not in seen:
        seen.add(process.parent_pid)
        found.append(process.parent_pid)
        process = processes.get(process.parent_pid)
    return found
