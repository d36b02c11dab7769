"""When to look at a row again although nothing new was heard. What is not due costs nothing."""

from __future__ import annotations

import heapq


class Schedule:
    """One instant an id. Moving one later is free: the old heap entry is put off when it comes up."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._queued: dict[str, int] = {}  # the earliest heap entry of each id
        self._heap: list[tuple[int, str]] = []

    def look_at(self, id_: str, at: int | None) -> None:
        """Look at ``id_`` at ``at``; ``None``: not at all."""
        if at is None:
            self._due.pop(id_, None)
            return
        self._due[id_] = at
        queued = self._queued.get(id_)
        if queued is None or at < queued:
            self._queued[id_] = at
            heapq.heappush(self._heap, (at, id_))

    def pop_due(self, now: int) -> set[str]:
        """The ids whose instant has come; they are forgotten."""
        due: set[str] = set()
        while self._heap and self._heap[0][0] <= now:
            queued_at, id_ = heapq.heappop(self._heap)
            if self._queued.get(id_) != queued_at:
                continue  # an earlier entry replaced this one
            del self._queued[id_]
            at = self._due.get(id_)
            if at is None:
                continue
            if at <= now:
                del self._due[id_]
                due.add(id_)
            else:
                self._queued[id_] = at
                heapq.heappush(self._heap, (at, id_))
        return due
