"""Answers are drawn at most twenty times a second, whatever the model sends; and the breaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from backends.analysis.claude_events import Done, Started, StreamEvent, TextDelta, Usage, paced
from backends.analysis.claude_failures import Breaker
from backends.clock import ManualClock

END = Done(Usage(), "end_turn")


class Source:
    """Events a test hands over one by one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[StreamEvent | Exception | None] = asyncio.Queue()
        self.closed = False

    async def events(self) -> AsyncIterator[StreamEvent]:
        try:
            while (event := await self.queue.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed = True


class Screen:
    """Collects what is drawn."""

    def __init__(self, source: Source, clock: ManualClock) -> None:
        self.drawn: list[StreamEvent] = []
        self.task = asyncio.create_task(self._draw(paced(source.events(), clock)))

    async def _draw(self, events: AsyncIterator[StreamEvent]) -> None:
        async for event in events:
            self.drawn.append(event)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_text_is_joined_to_twenty_pieces_a_second() -> None:
    clock, source = ManualClock(), Source()
    screen = Screen(source, clock)
    for number in range(1000):  # a thousand deltas in one second
        source.queue.put_nowait(TextDelta(f"{number} "))
        if number % 10 == 9:
            await settle()
            clock.advance(10)
    source.queue.put_nowait(END)
    source.queue.put_nowait(None)
    await settle()
    clock.advance(50)
    await screen.task
    texts = [event.text for event in screen.drawn if isinstance(event, TextDelta)]
    assert "".join(texts) == "".join(f"{number} " for number in range(1000))
    assert len(texts) <= 22
    assert screen.drawn[-1] == END


async def test_first_piece_comes_at_once_and_the_next_waits() -> None:
    clock, source = ManualClock(), Source()
    screen = Screen(source, clock)
    source.queue.put_nowait(Started("m"))
    source.queue.put_nowait(TextDelta("a"))
    await settle()
    assert screen.drawn == [Started("m"), TextDelta("a")]
    source.queue.put_nowait(TextDelta("b"))
    source.queue.put_nowait(TextDelta("c"))
    await settle()
    clock.advance(49)
    await settle()
    assert len(screen.drawn) == 2
    clock.advance(1)
    await settle()
    assert screen.drawn[2:] == [TextDelta("bc")]
    screen.task.cancel()


async def test_other_events_keep_their_place() -> None:
    clock, source = ManualClock(), Source()
    screen = Screen(source, clock)
    events: list[StreamEvent] = [TextDelta("a"), TextDelta("b"), Started("again"), TextDelta("c"), END]
    for event in (*events, None):
        source.queue.put_nowait(event)
    for _ in range(5):
        await settle()
        clock.advance(50)
    await screen.task
    assert screen.drawn == [TextDelta("ab"), Started("again"), TextDelta("c"), END]


async def test_an_error_of_the_source_comes_after_its_text() -> None:
    clock, source = ManualClock(), Source()
    screen = Screen(source, clock)
    source.queue.put_nowait(TextDelta("a"))
    source.queue.put_nowait(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        await screen.task
    assert screen.drawn == [TextDelta("a")]


@pytest.mark.parametrize("waiting", [True, False])
async def test_stopping_closes_the_source(waiting: bool) -> None:
    clock, source = ManualClock(), Source()
    screen = Screen(source, clock)
    source.queue.put_nowait(TextDelta("a"))
    await settle()
    if waiting:
        source.queue.put_nowait(TextDelta("b"))
        await settle()
    screen.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await screen.task
    await settle()
    assert source.closed


def test_breaker_counts_failures_in_a_row_only() -> None:
    breaker = Breaker(ManualClock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.admit() == 0


def test_breaker_admits_one_trial_after_its_pause() -> None:
    clock = ManualClock()
    breaker = Breaker(clock)
    for _ in range(3):
        assert breaker.admit() == 0
        breaker.failed()
    assert breaker.admit() == 60
    clock.advance(59_500)
    assert breaker.admit() == 1
    clock.advance(500)
    assert breaker.admit() == 0
    assert breaker.admit() == 1  # somebody is trying
    breaker.failed()
    assert breaker.admit() == 60
    clock.jump_wall(3_600_000)
    assert breaker.admit() == 60
    clock.advance(60_000)
    assert breaker.admit() == 0
    breaker.abandoned()
    assert breaker.admit() == 0
    breaker.succeeded()
    assert (breaker.admit(), breaker.admit()) == (0, 0)
