"""Keys in the order they were typed: each is done with before the next goes to what then has the focus.

Textual gives a key to the focused widget's own queue and lets it bubble from there. Keys that arrive
together, over a slow line or pasted, would all go to what had the focus at first: what follows ``:`` would
be commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from textual.events import Event, Key
from textual.message_pump import MessagePump
from textual.widget import Widget

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp

Forward = Callable[[Event], Awaitable[None]]
Done = Callable[[], Awaitable[None]]


class TypeAhead:
    """Holds back what arrives while an earlier key is on its way."""

    def __init__(self, app: WatchfloorApp, forward: Forward) -> None:
        self._app = app
        self._forward = forward
        self._held: deque[Event] = deque()
        self._is_under_way = False

    async def take(self, event: Event) -> None:
        """A key or a pasted text from the terminal."""
        self._held.append(event)
        await self._go_on()

    async def _go_on(self) -> None:
        while self._held and not self._is_under_way:
            event = self._held.popleft()
            start = self._app.focused or self._app.screen
            # Only widgets of the first screen outlive the key they are given.
            self._is_under_way = isinstance(event, Key) and len(self._app.screen_stack) == 1
            await self._forward(event)
            if self._is_under_way:
                self._follow(start, partial(self._follow_messages, start))

    def _follow(self, node: MessagePump, done: Done) -> None:
        """Go behind what ``node`` handles now, up to the app as it bubbles; then what the app put off."""

        async def passed() -> None:
            if node is self._app or node._parent is None:
                self._app.call_later(done)
            else:
                self._follow(node._parent, done)

        node.call_later(passed)

    async def _follow_messages(self, start: Widget) -> None:
        """The key is handled; now what it made ``start`` and those around it say, such as a line entered."""
        self._follow(start, self._done)

    async def _done(self) -> None:
        self._is_under_way = False
        await self._go_on()
