"""What a streamed answer consists of, and its pace on screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import TypeAlias

from msgspec import Struct

from backends.clock import Clock


class Started(Struct, frozen=True, tag="started"):
    """The model took the question."""

    model: str
    request_id: str | None = None
    input_tokens: int | None = None  # as the service counted them


class Retrying(Struct, frozen=True, tag="retrying"):
    """Nothing was shown yet; another attempt follows."""

    attempt: int  # the one that failed, from 1
    wait_ms: int
    reason: str


class TextDelta(Struct, frozen=True, tag="text"):
    """More of the answer; safe to draw."""

    text: str


class Usage(Struct, frozen=True):
    """Tokens as the service counted them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


class Done(Struct, frozen=True, tag="done"):
    """The answer is complete. ``max_tokens`` as the reason: complete as far as it was allowed to be."""

    usage: Usage
    stop_reason: str
    total_ms: int = 0


class Failed(Struct, frozen=True, tag="failed"):
    """There is no answer, or only the part that was shown. ``line`` is for the operator."""

    kind: str  # see claude_failures
    line: str
    request_id: str | None = None
    shown: bool = False  # text was shown before it failed: the answer is partial


StreamEvent: TypeAlias = Started | Retrying | TextDelta | Done | Failed


async def paced(
    events: AsyncIterator[StreamEvent], clock: Clock, hz: int = 20
) -> AsyncGenerator[StreamEvent, None]:
    """``events`` with text joined so that at most ``hz`` pieces a second come out.

    The first piece comes at once; other events come in their place, never before the text they follow.
    Closing this closes ``events``.
    """
    interval_ms = 1000 // hz
    arrived: asyncio.Queue[StreamEvent | BaseException | None] = asyncio.Queue()

    async def pump() -> None:
        end: BaseException | None = None
        try:
            async for event in events:
                arrived.put_nowait(event)
        except Exception as error:  # it is raised again where the events are consumed
            end = error
        arrived.put_nowait(end)

    pumping = asyncio.create_task(pump(), name="paced answer")
    next_ms = clock.monotonic_ms()
    held: StreamEvent | BaseException | None = None
    is_held = False
    try:
        while True:
            event = held if is_held else await arrived.get()
            is_held = False
            if isinstance(event, BaseException):
                raise event
            if event is None:
                return
            if not isinstance(event, TextDelta):
                yield event
                continue
            if (wait_ms := next_ms - clock.monotonic_ms()) > 0:
                await clock.sleep(wait_ms / 1000)
            parts = [event.text]
            while not arrived.empty() and not is_held:
                held = arrived.get_nowait()
                if isinstance(held, TextDelta):
                    parts.append(held.text)
                else:
                    is_held = True
            next_ms = clock.monotonic_ms() + interval_ms
            yield TextDelta("".join(parts))
    finally:
        pumping.cancel()
        with suppress(asyncio.CancelledError):
            await pumping
        if isinstance(events, AsyncGenerator):
            await events.aclose()
