"""Views: only changed rows travel, at most ten pictures a second, and the newest state wins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backends.clock import ManualClock
from backends.coordination import StoreError
from backends.model import Agent, Reach, View, Window, WorkItem, WorkState
from backends.picture import Picture
from console.watch import views as views_module
from console.watch.views import MAX_WINDOW, Views
from console.wire import Shown, decode_rows


def agent(number: int, **fields: Any) -> Agent:
    return Agent(f"a{number:03}", f"a{number:03}", "h", Reach.LIVE, **fields)


def item(number: int) -> WorkItem:
    return WorkItem(f"w{number}", "default", "build", "t", WorkState.READY, 5, 0)


async def turn(times: int = 20) -> None:
    """Let every ready task run."""
    for _ in range(times):
        await asyncio.sleep(0)


class Console:
    """The other end: what it was sent, and whether it reads."""

    def __init__(self, store_window: Callable[[View], Awaitable[Window]] | None = None) -> None:
        self.picture = Picture(("agents", "findings"))
        self.clock = ManualClock()
        self.sent: list[Shown] = []
        self.reads = True
        self.problem: tuple[str, int | None] = ("", None)

        async def none(view: View) -> Window:
            raise AssertionError("the store was asked")

        self.views = Views(
            self.picture,
            store_window or none,
            lambda table: self.problem,
            self.clock,
            self._take,
            lambda: self.reads,
        )

    def _take(self, message: Any) -> None:
        self.sent.append(message)

    def ids(self, shown: Shown) -> list[str]:
        return [row.id for row in decode_rows(shown.table, shown.rows)]


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[None]:
    """Frames end when the test says so."""
    queue: asyncio.Queue[None] = asyncio.Queue()
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds == views_module.FRAME_S:
            await queue.get()
        else:
            await real(seconds)

    monkeypatch.setattr(views_module.asyncio, "sleep", sleep)
    return queue


async def test_a_view_is_answered_at_once_with_all_rows_of_its_window() -> None:
    console = Console()
    console.picture["agents"].put(agent(number) for number in range(10))
    console.views.subscribe(1, View("agents", sort="agent", start=2, count=3))
    (shown,) = console.sent
    assert shown.order == ("a002", "a003", "a004") == tuple(console.ids(shown))
    assert (shown.total, shown.table_total, shown.start) == (10, 10, 2)


async def test_only_changed_rows_travel(ticks: asyncio.Queue[None]) -> None:
    console = Console()
    console.picture["agents"].put(agent(number) for number in range(10))
    console.views.subscribe(1, View("agents", sort="agent", count=5))
    running = asyncio.create_task(console.views.run())
    await turn()
    console.picture["agents"].put([agent(3, note="hello"), agent(8, note="not in the window")])
    await turn()
    assert len(console.sent) == 2
    assert console.ids(console.sent[1]) == ["a003"]
    assert console.sent[1].order == ("a000", "a001", "a002", "a003", "a004")
    ticks.put_nowait(None)
    console.picture["agents"].put([agent(8, note="again not")])
    await turn()
    assert len(console.sent) == 2  # nothing in the window changed: nothing is sent
    running.cancel()


async def test_a_view_is_sent_once_a_frame_and_the_newest_state_wins(ticks: asyncio.Queue[None]) -> None:
    console = Console()
    console.views.subscribe(1, View("agents"))
    running = asyncio.create_task(console.views.run())
    for number in range(100):
        console.picture["agents"].put([agent(1, note=str(number))])
        await turn(2)
    assert len(console.sent) == 2  # the first answer, and one in the frame that has not ended
    ticks.put_nowait(None)
    await turn()
    assert len(console.sent) == 3
    (row,) = decode_rows("agents", console.sent[-1].rows)
    assert row.note == "99"
    running.cancel()


async def test_a_reader_that_does_not_read_gets_one_picture_when_it_does(ticks: asyncio.Queue[None]) -> None:
    console = Console()
    console.views.subscribe(1, View("agents"))
    running = asyncio.create_task(console.views.run())
    console.reads = False
    for number in range(50):
        console.picture["agents"].put([agent(1, note=str(number))])
        ticks.put_nowait(None)
        await turn()
    assert len(console.sent) == 1
    console.reads = True
    ticks.put_nowait(None)
    await turn()
    assert len(console.sent) == 2
    (row,) = decode_rows("agents", console.sent[-1].rows)
    assert row.note == "49"
    running.cancel()


async def test_a_followed_row_keeps_its_place_while_others_come() -> None:
    console = Console()
    console.picture["agents"].put(agent(number) for number in range(50, 60))
    view = View("agents", sort="agent", start=0, count=4, follow="a055", follow_offset=2)
    console.views.subscribe(1, view)
    assert console.sent[-1].order == ("a053", "a054", "a055", "a056")
    console.picture["agents"].put(agent(number) for number in range(20))
    console.views.subscribe(1, view)
    assert console.sent[-1].order == ("a053", "a054", "a055", "a056")
    assert console.sent[-1].followed == 25


async def test_moving_the_window_sends_only_rows_it_did_not_hold() -> None:
    console = Console()
    console.picture["agents"].put(agent(number) for number in range(10))
    console.views.subscribe(1, View("agents", sort="agent", count=4))
    console.views.subscribe(1, View("agents", sort="agent", start=2, count=4))
    assert console.ids(console.sent[1]) == ["a004", "a005"]


async def test_a_window_is_never_larger_than_its_limit() -> None:
    console = Console()
    console.picture["agents"].put(agent(number) for number in range(MAX_WINDOW + 10))
    console.views.subscribe(1, View("agents", count=10**9))
    assert len(console.sent[0].order) == MAX_WINDOW


async def test_a_bad_filter_is_answered_in_words_and_the_view_can_be_mended() -> None:
    console = Console()
    console.picture["agents"].put([agent(1)])
    console.views.subscribe(1, View("agents", filter="nosuch:1"))
    assert "nosuch" in console.sent[0].problem
    console.views.subscribe(1, View("agents", filter="a001"))
    assert console.sent[1].order == ("a001",)
    assert not console.sent[1].problem


async def test_an_unsubscribed_view_is_sent_no_more(ticks: asyncio.Queue[None]) -> None:
    console = Console()
    console.views.subscribe(1, View("agents"))
    running = asyncio.create_task(console.views.run())
    await turn()
    console.views.unsubscribe(1)
    console.views.unsubscribe(99)  # unknown: ignored
    console.picture["agents"].put([agent(1)])
    await turn()
    assert len(console.sent) == 1
    running.cancel()


async def test_a_source_that_fails_is_told_though_no_row_changed(ticks: asyncio.Queue[None]) -> None:
    console = Console()
    console.picture["agents"].put([agent(1)])
    console.views.subscribe(1, View("agents"))
    running = asyncio.create_task(console.views.run())
    await turn()
    console.problem = ("denied: no permission", 5)
    console.views.touch_table("agents")
    await turn()
    assert console.sent[-1].problem == "denied: no permission"
    assert console.ids(console.sent[-1]) == []
    assert console.sent[-1].order == ("a001",)  # the last good rows stay
    running.cancel()


async def test_an_error_of_the_store_goes_away_with_its_cause() -> None:
    answers: list[Window | Exception] = [
        Window("work", 0, (item(1),), 1),
        StoreError("the disk is away"),
        Window("work", 0, (item(1),), 1),
    ]

    async def store(view: View) -> Window:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    console = Console(store)
    for start in range(3):
        console.views.subscribe(1, View("work", start=start))
        await turn()
    assert [shown.problem for shown in console.sent] == ["", "the disk is away", ""]
    assert console.ids(console.sent[2]) == ["w1"]  # sent again: the console forgot it with the error


async def test_a_store_view_moved_while_it_is_asked_for_is_asked_for_again_at_once() -> None:
    asked: list[int] = []
    go = asyncio.Event()

    async def store(view: View) -> Window:
        asked.append(view.start)
        await go.wait()
        return Window("work", view.start, (item(view.start),), 100)

    console = Console(store)
    for start in range(5):
        console.views.subscribe(1, View("work", start=start, count=1))
        await turn()
    assert asked == [0]  # never two at a time
    go.set()
    await turn()
    assert asked == [0, 4]  # those in between nobody looks at any more
    assert console.sent[-1].start == 4


async def test_a_filter_on_ages_moves_with_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_module, "AGE_FILTER_PERIOD_MS", 0)
    console = Console()
    console.picture["agents"].put([agent(1, heartbeat_at=console.clock.now_ms())])
    console.views.subscribe(1, View("agents", filter="heartbeat>15s"))
    assert console.sent[0].order == ()
    running = asyncio.create_task(console.views.run())
    console.clock.advance(16_000)
    for _ in range(500):
        if console.sent[-1].order == ("a001",):
            break
        await asyncio.sleep(0.01)
    running.cancel()
    assert console.sent[-1].order == ("a001",)
