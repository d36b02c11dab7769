"""Time, injected. Nothing else on the ground asks the operating system what time it is."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the code may know about time."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary point; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Suspend the calling task."""
        ...


class SystemClock:
    """The real clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to. For tests."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ms = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ms(self) -> int:
        return self._monotonic_ms

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic_ms + int(seconds * 1000), done))
        await done

    def advance(self, ms: int) -> None:
        """Move both clocks forward and wake every sleeper that is due."""
        self._now_ms += ms
        self._monotonic_ms += ms
        due = [done for at, done in self._sleepers if at <= self._monotonic_ms]
        self._sleepers = [(at, done) for at, done in self._sleepers if at > self._monotonic_ms]
        for done in due:
            if not done.done():
                done.set_result(None)

    def jump_wall(self, ms: int) -> None:
        """Step the wall clock alone, as NTP or an operator would."""
        self._now_ms += ms
