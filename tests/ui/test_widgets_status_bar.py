"""The header and the key hints."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from backends.text import UNSAFE
from widgets.one_line import Hints
from widgets.status_bar import Badge, Counter, CounterChosen, CounterGroup, StatusBar

AGENTS = CounterGroup(
    "agents",
    (
        Counter("blocked", 1, "agents", "activity:blocked", "◆", "?", "warn"),
        Counter("crashed", 0, "agents", "activity:crashed", "✖", "X", "crit"),
        Counter("working", 12, "agents", "activity:working", "●", "+"),
    ),
)
ALERTS = CounterGroup("alerts", (Counter("", 0, "findings", "", "▲", "!", "crit"),))


class HeaderApp(App[None]):
    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.bar = StatusBar(ascii_only=ascii_only)
        self.hints = Hints(ascii_only=ascii_only)
        self.chosen: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        yield self.bar
        yield self.hints

    def on_counter_chosen(self, event: CounterChosen) -> None:
        self.chosen.append((event.table, event.filter))

    def lines(self) -> list[str]:
        return [strip.text for strip in self.screen._compositor.render_strips()]


async def fed(app: HeaderApp) -> None:
    app.bar.set_counters([AGENTS, ALERTS])
    app.bar.set_badges([Badge("READ-ONLY")])


async def test_counters_with_something_in_them_are_shown_and_zeros_are_quiet() -> None:
    app = HeaderApp()
    async with app.run_test(size=(100, 5)) as pilot:
        await fed(app)
        await pilot.pause()
        line = app.lines()[0]
        assert "1 blocked" in line
        assert "12 working" in line
        assert "crashed" not in line
        assert "alerts 0" in line
        assert "READ-ONLY" in line


async def test_a_counter_is_chosen_by_keys_or_by_a_click() -> None:
    app = HeaderApp()
    async with app.run_test(size=(100, 5)) as pilot:
        await fed(app)
        app.bar.focus()
        await pilot.press("right", "enter")
        assert app.chosen == [("agents", "activity:working")]
        x = app.lines()[0].index("blocked")
        await pilot.click(StatusBar, offset=(x, 0))
        assert app.chosen[-1] == ("agents", "activity:blocked")


async def test_selecting_a_counter_moves_nothing() -> None:
    app = HeaderApp()
    async with app.run_test(size=(100, 5)) as pilot:
        await fed(app)
        await pilot.pause()
        app.bar.focus()
        await pilot.pause()
        first = app.lines()[0]
        await pilot.press("right")
        second = app.lines()[0]
        assert first.index("blocked") == second.index("blocked")
        assert "◆" in first
        assert first != second


@pytest.mark.parametrize("width", [20, 40, 60, 80, 160])
async def test_what_does_not_fit_is_shortened_and_the_line_stays_whole(width: int) -> None:
    app = HeaderApp(ascii_only=True)
    async with app.run_test(size=(width, 5)) as pilot:
        app.bar.set_counters([AGENTS, ALERTS] * 3)
        app.bar.set_badges([Badge("READ-ONLY")])
        app.hints.set_hints([("enter", "open"), ("/", "filter"), ("space", "mark"), ("?", "help")])
        await pilot.pause()
        lines = app.lines()
        assert all(len(line) == width for line in lines)
        assert all(line.isascii() for line in lines)
        assert "READ-ONLY" in lines[0]


async def test_the_clock_repaints_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    app = HeaderApp()
    async with app.run_test(size=(100, 5)) as pilot:
        await fed(app)
        minute = 60_000 * 1000
        app.bar.set_now(minute)
        await pilot.pause()
        repaints = 0

        def count(*_: object, **__: object) -> StatusBar:
            nonlocal repaints
            repaints += 1
            return app.bar

        monkeypatch.setattr(app.bar, "refresh", count)
        for second in range(60):
            app.bar.set_now(minute + second * 1000)
        assert repaints == 0
        app.bar.set_now(minute + 60_000)
        assert repaints == 1


async def test_hostile_words_are_harmless() -> None:
    app = HeaderApp()
    poison = "\x1b]52;c;x\x07\u202e[@click=app.bell]b[/]"
    async with app.run_test(size=(160, 5)) as pilot:
        app.bar.set_counters([CounterGroup(poison, (Counter(poison, 1, "agents", ""),))])
        app.bar.set_badges([Badge(poison)])
        app.hints.set_hints([(poison, poison)])
        await pilot.pause()
        text = "".join(app.lines())
        assert UNSAFE.search(text) is None
        assert "[@click" in text
