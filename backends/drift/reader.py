"""The reader of drift: worktrees and identical scripts under the configured roots."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from backends.clock import Clock
from backends.drift.copies import Script, group
from backends.drift.discovery import IGNORED, Discovery, Found, discover
from backends.drift.git import Git
from backends.drift.paths import shown
from backends.drift.repository import RepositoryLook, Seen
from backends.fleet import start_abandonable
from backends.model import CopyGroup, SourceState, Worktree
from backends.picture import Reading
from backends.text import clean

REDISCOVER_MS = 60_000  # between two walks through the roots
WALK_LIMIT_S = 30.0


class DriftReader:
    """Reader of ``worktrees`` and ``copies``.

    Cost per read: one ``git status`` a worktree and one ``git worktree list`` a repository, two at a time;
    the roots are walked at most once a minute, and what did not change is not asked again
    (:class:`~backends.drift.repository.RepositoryLook`). A worktree that git cannot read keeps its row, with
    the reason in it; folders that could not be looked into are counted in the state's reason.
    """

    source = "drift"

    def __init__(
        self,
        host: str,
        roots: Sequence[str | Path],
        clock: Clock,
        ignore: Collection[str] = (),
        depth: int = 5,
        timeout_s: float = 10,
        git: str = "git",
    ) -> None:
        """``ignore`` adds folder names to those never entered; ``timeout_s`` bounds each git process."""
        self.host = host
        self._roots = [os.fsencode(Path(root).expanduser()) for root in roots]
        self._clock = clock
        self._ignored = IGNORED | {os.fsencode(name) for name in ignore}
        self._depth = depth
        self._git_program = git
        self._look = RepositoryLook(Git(clock, timeout_s, program=git), clock)
        self._walk: Future[Discovery] | None = None
        self._walked_at: int | None = None
        self._discovery: Discovery | None = None
        self._groups: tuple[frozenset[Script], list[CopyGroup]] = (frozenset(), [])

    async def read(self) -> Reading:
        stopwatch = time.perf_counter_ns()
        if not self._roots:
            return self._reading(stopwatch, [], [], "no folders are watched: name some in [drift] roots")
        discovery = await self._discover()
        if discovery is None:
            reason = f"looking through the roots takes longer than {WALK_LIMIT_S:g}s; it goes on"
            return self._failure("slow", reason)
        try:
            seen = await self._look_at_all(discovery.found)
        except OSError as error:
            reason = f"cannot run {self._git_program}: {error.strerror}; install git or correct PATH"
            return self._failure("no git", reason)
        rows = {row.id: row for one in seen for row in one.rows}
        scripts = frozenset(script for one in seen for script in one.scripts)
        if scripts != self._groups[0]:
            self._groups = (scripts, group(scripts, self._clock.now_ms()))
        self._look.forget({script.worktree for script in scripts})
        reason = _skips(discovery, sum(one.not_hashed for one in seen))
        return self._reading(stopwatch, list(rows.values()), self._groups[1], reason)

    async def close(self) -> None:
        """Nothing is held open between two reads; a walk that hangs ends with the program."""

    async def _look_at_all(self, found: Sequence[Found]) -> list[Seen]:
        repositories: dict[bytes, list[Found]] = defaultdict(list)
        for one in found:
            repositories[one.common_dir].append(one)
        looks = [asyncio.ensure_future(self._look.look(members)) for members in repositories.values()]
        try:
            return list(await asyncio.gather(*looks))
        finally:
            for look in looks:
                look.cancel()

    async def _discover(self) -> Discovery | None:
        """The last walk's findings, after a new walk when it is time; ``None`` before the first has ended."""
        now = self._clock.monotonic_ms()
        if self._walk is None and (self._walked_at is None or now - self._walked_at >= REDISCOVER_MS):
            walk = partial(discover, self._roots, self._depth, self._ignored)
            self._walk = start_abandonable(walk, "drift discovery")
        if self._walk is not None:
            walked = asyncio.wrap_future(self._walk)
            deadline = asyncio.ensure_future(self._clock.sleep(WALK_LIMIT_S))
            try:
                await asyncio.wait((walked, deadline), return_when=asyncio.FIRST_COMPLETED)
            finally:
                deadline.cancel()
            if walked.done():
                self._walk, self._walked_at, self._discovery = None, now, walked.result()
        return self._discovery

    def _reading(
        self, stopwatch: int, worktrees: list[Worktree], copies: list[CopyGroup], reason: str
    ) -> Reading:
        state = SourceState(
            self.host,
            self.source,
            ok=True,
            reason=reason,
            observed_at=self._clock.now_ms(),
            cost_ms=round((time.perf_counter_ns() - stopwatch) / 1e6, 2),
        )
        return Reading(state, {"worktrees": worktrees, "copies": copies})

    def _failure(self, status: str, reason: str) -> Reading:
        state = SourceState(
            self.host,
            self.source,
            ok=False,
            status=status,
            reason=clean(reason),
            failing_since_at=self._clock.now_ms(),
        )
        return Reading(state)


def _skips(discovery: Discovery, not_hashed: int) -> str:
    """What was not looked at, and why."""
    parts = [f"{count} skipped: {reason}" for reason, count in discovery.skipped.most_common()]
    if discovery.example is not None:
        parts[-1] += f" ({shown(discovery.example)})"
    if not_hashed:
        parts.append(f"{not_hashed} untracked files not compared: too many in one worktree")
    return clean("; ".join(parts))
