"""Pollers: one reading at a time, jittered retries, no giving up, and no bug that spreads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.clock import ManualClock
from backends.model import SourceState
from backends.picture import Reading
from backends.poller import BACKOFF_CAP_S, Poller, retry_delay_s


class Source:
    """A reader of a test's own making."""

    host, source = "h", "test"

    def __init__(self, read: Callable[[int], Reading] | None = None) -> None:
        self.reads = 0
        self.closed = False
        self.at_a_time = 0
        self.most_at_a_time = 0
        self.hold: asyncio.Event | None = None
        self._read = read

    async def read(self) -> Reading:
        self.reads += 1
        self.at_a_time += 1
        self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        try:
            if self.hold is not None:
                await self.hold.wait()
            if self._read is not None:
                return self._read(self.reads)
        finally:
            self.at_a_time -= 1
        return Reading(SourceState(self.host, self.source, ok=True, observed_at=1))

    async def close(self) -> None:
        self.closed = True


async def turn() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_reads_at_once_and_then_on_its_cadence() -> None:
    source, clock, taken = Source(), ManualClock(), []
    task = asyncio.create_task(Poller(source, lambda: 2.0, taken.append, clock).run())
    await turn()
    assert source.reads == len(taken) == 1
    clock.advance(1_999)
    await turn()
    assert source.reads == 1
    clock.advance(1)
    await turn()
    assert source.reads == 2
    task.cancel()
    await asyncio.wait((task,))
    assert source.closed


async def test_it_never_overlaps_itself_and_a_poke_is_not_lost() -> None:
    source, clock = Source(), ManualClock()
    source.hold = asyncio.Event()
    poller = Poller(source, lambda: 1.0, lambda _: None, clock)
    task = asyncio.create_task(poller.run())
    await turn()
    for _ in range(5):
        poller.read_now()
        clock.advance(10_000)
        await turn()
    assert source.reads == 1
    source.hold.set()
    await turn()
    assert source.reads == 2  # asked for while it was reading: read again, once
    assert source.most_at_a_time == 1
    task.cancel()
    await asyncio.wait((task,))


async def test_an_exception_is_a_failed_reading_and_not_the_end() -> None:
    def read(number: int) -> Reading:
        if number < 4:
            raise OSError(f"broken\x1b[2J {number}")
        return Reading(SourceState("h", "test", ok=True, observed_at=1))

    source, clock = Source(read), ManualClock()
    taken: list[Reading] = []
    task = asyncio.create_task(Poller(source, lambda: 1.0, taken.append, clock).run())
    for _ in range(30):
        await turn()
        clock.advance(1_000)
    task.cancel()
    await asyncio.wait((task,))
    states = [reading.state for reading in taken]
    assert [state.ok for state in states[:5]] == [False, False, False, True, True]
    assert "broken" in states[0].reason
    assert "\x1b" not in states[0].reason
    assert states[0].status == "failed"


@pytest.mark.parametrize("failures", [0, 1, 2, 5, 10, 10_000])
def test_retries_double_up_to_a_cap(failures: int) -> None:
    delay = retry_delay_s(failures, 1.0, 0.5)
    assert delay == (1.0 if failures == 0 else min(BACKOFF_CAP_S, 2.0 ** min(failures - 1, 100)))


@given(st.integers(1, 1000), st.floats(0.1, 300), st.floats(0, 1))
def test_jitter_stays_in_its_bounds(failures: int, interval: float, chance: float) -> None:
    middle = retry_delay_s(failures, interval, 0.5)
    assert 0.75 * middle <= retry_delay_s(failures, interval, chance) <= 1.25 * middle
    assert middle <= max(interval, BACKOFF_CAP_S)
    assert middle >= interval
