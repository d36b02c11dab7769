"""One reader of one source on a cadence.

A poller never overlaps itself, spreads its retries with jitter, never gives up, and turns every exception of
its reader into a failed :class:`~backends.picture.Reading` so that a bug in one source cannot stop another.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from backends.clock import Clock
from backends.model import SourceState
from backends.picture import Reader, Reading
from backends.text import clean

log = logging.getLogger(__name__)

BACKOFF_CAP_S = 60.0


def retry_delay_s(failures: int, interval_s: float, random_unit: float) -> float:
    """How long to wait after ``failures`` failed readings in a row: doubling, capped, +-25 % jitter."""
    if failures == 0:
        return interval_s
    delay = max(interval_s, min(BACKOFF_CAP_S, interval_s * 2.0 ** min(failures - 1, 16)))
    return delay * (0.75 + 0.5 * random_unit)


class Poller:
    """Reads ``reader`` every ``interval()`` seconds and hands each reading to ``take``."""

    def __init__(
        self,
        reader: Reader,
        interval: Callable[[], float],
        take: Callable[[Reading], None],
        clock: Clock,
    ) -> None:
        self.reader = reader
        self._interval = interval
        self._take = take
        self._clock = clock
        self._failures = 0
        self._now = asyncio.Event()

    def read_now(self) -> None:
        """Do not wait for the next turn."""
        self._now.set()

    async def run(self) -> None:
        """Poll until cancelled; then close the reader."""
        try:
            while True:
                await self._read_once()
                await self._wait(retry_delay_s(self._failures, self._interval(), random.random()))
        finally:
            await self.reader.close()

    async def _read_once(self) -> None:
        self._now.clear()
        try:
            reading = await self.reader.read()
            self._take(reading)
        except Exception as error:
            log.exception("reader %s failed", self.reader.source)
            now = self._clock.now_ms()
            reading = Reading(
                SourceState(
                    host=self.reader.host,
                    source=self.reader.source,
                    ok=False,
                    status="failed",
                    reason=clean(f"{type(error).__name__}: {error}; see the watch's log"),
                    failing_since_at=now,
                )
            )
            self._take(reading)
        self._failures = 0 if reading.state.ok else self._failures + 1

    async def _wait(self, seconds: float) -> None:
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        poke = asyncio.ensure_future(self._now.wait())
        try:
            await asyncio.wait((sleep, poke), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            poke.cancel()
