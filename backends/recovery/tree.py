"""Families of processes, out of one reading of the process table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from backends.model import Process, ProcessRef


def children_of(processes: Iterable[Process], ref: ProcessRef) -> list[Process]:
    """The direct children. A "child" older than its parent only has a reused pid for a parent."""
    return [
        process
        for process in processes
        if process.parent_pid == ref.pid and process.ref.start_ticks >= ref.start_ticks and process.ref != ref
    ]


def family_of(processes: Iterable[Process], ref: ProcessRef) -> list[Process]:
    """The process and everything under it, parents before children, older before younger.

    Empty when the table does not have the process.
    """
    by_parent: dict[int, list[Process]] = defaultdict(list)
    family: list[Process] = []
    for process in processes:
        by_parent[process.parent_pid].append(process)
        if process.ref == ref:
            family.append(process)
    seen = {ref}
    for member in family:  # grows while it is walked: breadth first
        for child in sorted(children_of(by_parent[member.ref.pid], member.ref), key=_age):
            if child.ref not in seen:
                seen.add(child.ref)
                family.append(child)
    return family


def _age(process: Process) -> tuple[int, int]:
    return process.ref.start_ticks, process.ref.pid
