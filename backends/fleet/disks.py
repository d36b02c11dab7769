"""How full the disks are, read so that a dead network filesystem stops nothing but its own row."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial

from backends.fleet.abandon import start_abandonable
from backends.model import Disk
from backends.text import clean


def measure(mount: str) -> tuple[int, int]:
    """``(used, total)`` in bytes as df(1) counts: blocks reserved for root are not free to others."""
    figures = os.statvfs(mount)
    used = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    return used, used + figures.f_bavail * figures.f_frsize


class DiskUsage:
    """The disks' last known figures. Each mount is measured in a thread of its own, one at a time.

    A mount that never answered, refuses, or has no size has no row.
    """

    def __init__(self, measure: Callable[[str], tuple[int, int]] = measure) -> None:
        self._measure = measure
        self._running: dict[str, Future[tuple[int, int]]] = {}
        self._known: dict[str, tuple[int, int]] = {}

    async def look(self, mounts: Iterable[str], patience_s: float = 0.2) -> tuple[Disk, ...]:
        """Measure ``mounts``; for one that takes longer than ``patience_s`` show what was known before."""
        wanted = set(mounts)
        for mount in wanted - self._running.keys():
            self._running[mount] = start_abandonable(partial(self._measure, mount), f"statvfs {mount}")
        if self._running:
            waits = [asyncio.wrap_future(future) for future in self._running.values() if not future.done()]
            if waits:
                await asyncio.wait(waits, timeout=patience_s)
        for mount, future in list(self._running.items()):
            if future.done():
                del self._running[mount]
                if future.exception() is None:
                    self._known[mount] = future.result()
                else:
                    self._known.pop(mount, None)
        self._known = {mount: self._known[mount] for mount in sorted(wanted & self._known.keys())}
        return tuple(Disk(clean(mount), used, total) for mount, (used, total) in self._known.items() if total)
