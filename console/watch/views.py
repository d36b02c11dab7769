"""Views: what each console looks at, answered with windows of rows and totals.

One :class:`Views` serves one connection. It keeps an order per view of an in-memory table and asks the store
for windows of the work queue; at most ten times a second it sends what differs from what the console has.
The newest state wins: while a slow connection has not taken the last frames, nothing more is queued.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from backends.clock import Clock
from backends.coordination import StoreError
from backends.filter import FilterError
from backends.model import View, Window
from backends.picture import Picture
from console.watch.order import AGE_FILTER_PERIOD_MS, Order, depends_on_time
from console.wire import FromWatch, Shown, raw_rows

log = logging.getLogger(__name__)

#: Seconds between two pictures of one view.
FRAME_S = 0.1
#: A view whose answer is dear is asked for less often: it may use this share of the time.
DUTY = 0.1
#: ... but nobody waits longer for news.
LONGEST_REST_S = 2.0
#: A window is never larger.
MAX_WINDOW = 500

StoreWindow = Callable[[View], Awaitable[Window]]
Problem = Callable[[str], tuple[str, int | None]]


@dataclass
class Subscription:
    """One view of one connection, and what was last sent of it."""

    id: int
    view: View
    order: Order | None = None
    dirty: bool = True
    sent: dict[str, Any] = field(default_factory=dict)
    last: Shown | None = None
    not_before_s: float = 0.0
    timed: bool = False  # its filter depends on the time
    look_at_s: float = 0.0
    asking: asyncio.Task[None] | None = None

    def close(self) -> None:
        if self.order is not None:
            self.order.close()
        if self.asking is not None:
            self.asking.cancel()


class Views:
    """The views of one connection."""

    def __init__(
        self,
        picture: Picture,
        store_window: StoreWindow,
        problem: Problem,
        clock: Clock,
        send: Callable[[FromWatch], None],
        is_writable: Callable[[], bool],
    ) -> None:
        self._picture = picture
        self._store_window = store_window
        self._problem = problem
        self._clock = clock
        self._send = send
        self._is_writable = is_writable
        self._subscriptions: dict[int, Subscription] = {}
        self._unwatch: dict[int, Callable[[], None]] = {}
        self._wake = asyncio.Event()

    def subscribe(self, id_: int, view: View) -> None:
        """Show ``view`` under ``id_``; answered at once, then whenever it changes."""
        view = msgspec.structs.replace(view, count=max(1, min(view.count, MAX_WINDOW)))
        before = self._subscriptions.get(id_)
        if before is not None and _same_rows(before.view, view):
            before.view = view
            before.dirty = True
            before.not_before_s = 0.0
            self._show(before)
            return
        self.unsubscribe(id_)
        subscription = Subscription(id_, view)
        if view.table in self._picture.tables:
            try:
                subscription.order = Order(
                    self._picture[view.table], view.filter, view.sort, view.descending, self._clock
                )
            except (FilterError, KeyError) as error:
                self._refuse(subscription, str(error))
                return
            self._unwatch[id_] = self._picture[view.table].watch(lambda _: self._touch(subscription))
        if depends_on_time(view.table, view.filter):
            subscription.timed = True
            self._wake.set()
        self._subscriptions[id_] = subscription
        self._show(subscription)

    def unsubscribe(self, id_: int) -> None:
        """Stop showing it; an unknown id is ignored."""
        subscription = self._subscriptions.pop(id_, None)
        if subscription is not None:
            subscription.close()
        unwatch = self._unwatch.pop(id_, None)
        if unwatch is not None:
            unwatch()

    def touch_table(self, table: str) -> None:
        """The rows of a table that the Picture does not hold (work) or its source changed."""
        for subscription in self._subscriptions.values():
            if subscription.view.table == table:
                self._touch(subscription)

    def close(self) -> None:
        for id_ in tuple(self._subscriptions):
            self.unsubscribe(id_)

    async def run(self) -> None:
        """Send changes until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._next_look_s(loop.time())):
                    await self._wake.wait()
            self._wake.clear()
            for subscription in self._subscriptions.values():
                if subscription.timed and loop.time() >= subscription.look_at_s:
                    subscription.look_at_s = loop.time() + AGE_FILTER_PERIOD_MS / 1000
                    subscription.dirty = True
            if self._is_writable():
                for subscription in tuple(self._subscriptions.values()):
                    if subscription.dirty and loop.time() >= subscription.not_before_s:
                        self._show(subscription)
            if any(subscription.dirty for subscription in self._subscriptions.values()):
                self._wake.set()
            await asyncio.sleep(FRAME_S)

    def _next_look_s(self, now_s: float) -> float | None:
        """How long until a view must be looked at without being told: time alone moves rows into and out of
        a filter such as ``age>15m``.
        """
        timed = [
            subscription.look_at_s for subscription in self._subscriptions.values() if subscription.timed
        ]
        return max(0.0, min(timed) - now_s) if timed else None

    def _touch(self, subscription: Subscription) -> None:
        subscription.dirty = True
        self._wake.set()

    def _show(self, subscription: Subscription) -> None:
        if subscription.order is None:
            if subscription.asking is None:
                subscription.asking = asyncio.get_running_loop().create_task(self._ask_store(subscription))
            return
        subscription.dirty = False
        view = subscription.view
        window = subscription.order.window(view.start, view.count, view.follow, view.follow_offset)
        self._answer(subscription, view, window)

    async def _ask_store(self, subscription: Subscription) -> None:
        loop = asyncio.get_running_loop()
        try:
            view = None
            while subscription.view is not view:  # moved while it was asked for: the operator waits
                view = subscription.view
                subscription.dirty = False
                began = loop.time()
                window = await self._store_window(view)
                took = loop.time() - began
                rest = min(took * (1 / DUTY - 1), LONGEST_REST_S)
                subscription.not_before_s = loop.time() + rest
                self._answer(subscription, view, window)
        except (FilterError, StoreError) as error:
            self._refuse(subscription, str(error))
        except Exception as error:
            log.exception("view of %s failed", subscription.view.table)
            self._refuse(subscription, f"cannot read {subscription.view.table}: {error}")
        finally:
            subscription.asking = None
        if subscription.dirty:
            self._wake.set()

    def _answer(self, subscription: Subscription, view: View, window: Window) -> None:
        problem, observed_at = self._problem(window.table)
        rows = {row.id: row for row in window.rows}
        changed = [row for id_, row in rows.items() if subscription.sent.get(id_) != row]
        shown = Shown(
            id=subscription.id,
            table=window.table,
            start=window.start,
            order=tuple(rows),
            rows=raw_rows(changed),
            total=window.total,
            total_is_exact=window.total_is_exact,
            counts=window.counts,
            table_total=window.table_total,
            followed=window.followed,
            follow=view.follow,
            problem=window.problem or problem,
            observed_at=window.observed_at or observed_at,
        )
        subscription.sent = rows
        if changed or not _says_the_same(subscription.last, shown):
            self._send(shown)
        subscription.last = shown

    def _refuse(self, subscription: Subscription, why: str) -> None:
        subscription.sent, subscription.last = {}, None  # the console forgets its rows with this
        self._send(
            Shown(
                id=subscription.id,
                table=subscription.view.table,
                start=0,
                order=(),
                rows=raw_rows([]),
                total=0,
                problem=why,
            )
        )


def _same_rows(before: View, now: View) -> bool:
    """True when only the window moved."""
    return (before.table, before.filter, before.sort, before.descending) == (
        now.table,
        now.filter,
        now.sort,
        now.descending,
    )


def _says_the_same(before: Shown | None, now: Shown) -> bool:
    """True when a console that has ``before`` learns nothing from ``now``. The data's age alone is news
    only when it is older than panes care to show, so it travels with the next change."""
    return before is not None and (
        before.start == now.start
        and before.order == now.order
        and before.total == now.total
        and before.counts == now.counts
        and before.table_total == now.table_total
        and (before.follow, before.followed) == (now.follow, now.followed)
        and before.problem == now.problem
    )
