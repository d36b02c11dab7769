"""The table with pushed data: cursor and marks belong to rows, and only what changed is repainted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region

from backends.model import Window
from backends.text import clean
from widgets.table import Cell, Column, LiveTable, Now

Messages = LiveTable.WindowWanted | LiveTable.CursorMoved | LiveTable.Opened | LiveTable.MarksChanged


class Row(NamedTuple):
    id: str
    text: str = ""
    number: int = 0


def _draw_text(row: Row, now: Now) -> Cell:
    if row.text == "raise":
        raise KeyError("no such field")
    return Cell(row.text or row.id)


COLUMNS = (
    Column("name", "NAME", 10, _draw_text, grow=True, priority=0),
    Column("number", "COUNT", 6, lambda row, now: Cell(str(row.number)), align="right", priority=1),
    Column("age", "AGE", 6, lambda row, now: Cell(str(now.ms // 10_000)), priority=2),
)


class TableApp(App[None]):
    """A table and everything it said."""

    def __init__(self, *, ascii_only: bool = False, columns: Sequence[Column] = COLUMNS) -> None:
        super().__init__()
        self.table = LiveTable(columns, empty="nothing matches !foo — esc clears", ascii_only=ascii_only)
        self.said: list[Messages] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def on_live_table_window_wanted(self, event: LiveTable.WindowWanted) -> None:
        self.said.append(event)

    def on_live_table_cursor_moved(self, event: LiveTable.CursorMoved) -> None:
        self.said.append(event)

    def on_live_table_opened(self, event: LiveTable.Opened) -> None:
        self.said.append(event)

    def on_live_table_marks_changed(self, event: LiveTable.MarksChanged) -> None:
        self.said.append(event)

    def lines(self) -> list[str]:
        return [strip.text for strip in self.screen._compositor.render_strips()]

    @property
    def wanted(self) -> list[tuple[int, int, str | None, int]]:
        return [
            (said.start, said.count, said.follow, said.follow_offset)
            for said in self.said
            if isinstance(said, LiveTable.WindowWanted)
        ]


def rows(ids: Iterable[object]) -> tuple[Row, ...]:
    return tuple(Row(str(row_id)) for row_id in ids)


def window(
    shown: Sequence[Row], start: int = 0, total: int | None = None, followed: int | None = None
) -> Window:
    return Window("agents", start, tuple(shown), len(shown) if total is None else total, followed=followed)


def recorded(table: LiveTable, monkeypatch: pytest.MonkeyPatch) -> list[Region | str]:
    """Every region the table asks to have repainted; a repaint of everything is recorded as "all"."""
    seen: list[Region | str] = []
    refresh = table.refresh

    def record(*regions: Region, **more: bool) -> LiveTable:
        seen.extend(regions or ("all",))
        return refresh(*regions, **more)

    monkeypatch.setattr(table, "refresh", record)
    return seen


SIZE = (40, 12)  # 11 rows below the header


async def test_the_cursor_and_the_marks_follow_their_rows_into_a_new_order() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows("abcdef")))
        await pilot.press("j", "j")
        app.table.toggle_mark()  # marks c, steps to d
        await pilot.pause()
        app.table.show(window(rows("fdceab")))
        await pilot.pause()
        assert app.table.cursor_id == "d"
        assert app.table.cursor_index == 1
        assert app.table.marks == {"c"}
        lines = app.lines()
        assert lines[2].startswith("▌d")
        assert lines[3].startswith("●c")


async def test_a_mark_survives_its_row_leaving_the_window() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows("abc")))
        app.table.toggle_mark()
        app.table.show(window(rows("xyz")))
        await pilot.pause()
        app.table.show(window(rows("abc")))
        assert app.table.marks == {"a"}
        app.table.keep_marks(["b"])
        assert app.table.marks == frozenset()


async def test_marks_of_everything_shown_and_none() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows("abc"), total=1000))
        assert not app.table.mark_all()
        app.table.show(window(rows("abc")))
        assert app.table.mark_all()
        await pilot.pause()
        marks = [said.marks for said in app.said if isinstance(said, LiveTable.MarksChanged)]
        assert marks[-1] == {"a", "b", "c"}
        app.table.clear_marks()
        assert app.table.marks == frozenset()


async def test_one_changed_cell_repaints_that_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        shown = list(rows("abcdef"))
        app.table.show(window(shown))
        await pilot.pause()
        seen = recorded(app.table, monkeypatch)
        app.table.show(window(shown))
        assert seen == []
        shown[3] = shown[3]._replace(number=7)
        app.table.show(window(shown))
        (region,) = seen
        assert isinstance(region, Region)
        assert (region.y, region.width, region.height) == (4, 6, 1)


async def test_a_changed_row_out_of_view_repaints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        shown = list(rows(range(33)))
        app.table.show(window(shown, total=1000))
        await pilot.pause()
        seen = recorded(app.table, monkeypatch)
        shown[20] = shown[20]._replace(number=7)
        app.table.show(window(shown, total=1001))
        assert seen == []


async def test_the_clock_repaints_only_ages_that_read_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows("abc")))
        app.table.set_now(20_000)
        await pilot.pause()
        seen = recorded(app.table, monkeypatch)
        app.table.set_now(29_999)
        assert seen == []
        app.table.set_now(30_000)
        assert [region.width for region in seen if isinstance(region, Region)] == [6, 6, 6]


async def test_a_move_within_the_window_repaints_two_lines_and_asks_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=1000))
        await pilot.pause()
        app.said.clear()
        seen = recorded(app.table, monkeypatch)
        await pilot.press("j")
        assert [(region.y, region.height) for region in seen if isinstance(region, Region)] == [
            (1, 1),
            (2, 1),
        ]
        assert app.wanted == []
        assert [said.row_id for said in app.said if isinstance(said, LiveTable.CursorMoved)] == ["1"]


async def test_a_jump_shows_placeholders_and_asks_for_the_rows() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=100_000))
        await pilot.press("G")
        assert app.table.cursor_index == 99_999
        assert app.table.cursor_row is None
        lines = app.lines()
        assert all("·" in line for line in lines[1:])
        start, count, follow, _ = app.wanted[-1]
        assert follow is None
        assert start <= 99_989
        assert start + count >= 100_000
        app.table.show(window(rows(range(start, 100_000)), start, 100_000))
        await pilot.pause()
        assert app.table.cursor_id == "99999"
        assert app.lines()[-1].startswith("▌99999")


async def test_enter_opens_the_row_and_does_nothing_while_it_has_not_arrived() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=100_000))
        await pilot.press("enter", "G", "enter")
        assert [said.row_id for said in app.said if isinstance(said, LiveTable.Opened)] == ["0"]


async def test_away_from_the_top_the_view_stays_around_the_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=1000))
        for _ in range(15):
            await pilot.press("j")
        app.table.settle()
        await pilot.pause()
        line = [line.startswith("▌15") for line in app.lines()].index(True)
        start, count, follow, offset = app.wanted[-1]
        assert (follow, start + offset) == ("15", 15)
        moved = rows([f"new{index}" for index in range(200)] + list(range(800)))
        shift = 215 - offset
        app.table.show(window(moved[shift : shift + count], shift, 1000, followed=215))
        await pilot.pause()
        assert app.table.cursor_index == 215
        assert app.lines()[line].startswith("▌15")


async def test_at_the_top_new_rows_come_into_view_above_the_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=1000))
        await pilot.press("g")
        app.table.show(window(rows(["urgent", *range(32)]), total=1001))
        await pilot.pause()
        lines = app.lines()
        assert lines[1].startswith(" urgent")
        assert lines[2].startswith("▌0")


async def test_a_cursor_nobody_has_moved_rests_at_the_top() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=1000))
        assert app.table.cursor_age_s > 1.0
        app.table.show(window(rows(["urgent", *range(32)]), total=1001))
        await pilot.pause()
        assert app.lines()[1].startswith("▌urgent")
        assert app.table.cursor_age_s < 1.0  # this row came by itself
        app.table.hold()
        app.table.show(window(rows(["worse", "urgent", *range(31)]), total=1002))
        assert app.table.cursor_id == "urgent"
        app.table.rest()
        assert app.table.cursor_id == "worse"


async def test_a_cursor_row_pushed_out_of_the_window_is_asked_for() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=1000))
        await pilot.press("g")
        app.table.show(window(rows(f"n{index}" for index in range(33)), total=1033))
        await pilot.pause()
        assert app.wanted[-1][2] == "0"
        app.table.show(window(rows(["0", *range(1, 20)]), 33, 1033, followed=33))
        await pilot.pause()
        assert app.table.cursor_index == 33
        assert app.table.cursor_id == "0"


@pytest.mark.parametrize("total", [1000, 1_000_000])
async def test_a_key_press_draws_the_same_number_of_cells_whatever_the_total(total: int) -> None:
    drawn = 0

    def draw(row: Row, now: Now) -> Cell:
        nonlocal drawn
        drawn += 1
        return Cell(row.id)

    app = TableApp(columns=[Column("name", "NAME", 10, draw)])
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=total))
        await pilot.pause()
        drawn = 0
        for _ in range(10):
            await pilot.press("j")
        assert drawn == 0
        await pilot.press("j")  # scrolls by one: one row comes into view
        assert drawn == 1


async def test_an_empty_table_says_why() -> None:
    app = TableApp()
    async with app.run_test(size=(60, 12)) as pilot:
        assert any("waiting for the first reading" in line for line in app.lines())
        app.table.show(window(()))
        await pilot.pause()
        assert any("nothing matches !foo — esc clears" in line for line in app.lines())
        await pilot.press("j", "enter", "space", "G")
        assert app.table.cursor_row is None


async def test_the_header_shows_the_order_and_numbers_stand_to_the_right() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window([Row("a", number=7), Row("b", number=12)]))
        app.table.set_sort("number", True)
        await pilot.pause()
        header, first, second = app.lines()[:3]
        assert "COUNT▼" in header
        end = header.index("COUNT▼") + 6
        assert first[:end].endswith(" 7")
        assert second[:end].endswith("12")


async def test_columns_that_do_not_fit_are_announced_and_can_be_reached() -> None:
    app = TableApp()
    async with app.run_test(size=(20, 6)) as pilot:
        app.table.show(window(rows("a")))
        await pilot.pause()
        assert app.lines()[0].rstrip().endswith("›")
        assert "AGE" not in app.lines()[0]
        await pilot.press("right")
        assert "AGE" in app.lines()[0]
        assert app.lines()[0].startswith("‹")
        await pilot.press("left")
        assert "COUNT" in app.lines()[0]


async def test_wide_characters_keep_the_columns_in_line() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window([Row("a", "日本語" * 9, 1), Row("b", "🙂" * 30, 2), Row("c", "plain", 3)]))
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {40}
        assert "…" in strips[1].text


@pytest.mark.parametrize(
    "text", ["[/x]", "[@click=app.bell]x[/]", "a\x1b]52;c;x\x07", "\x9b31m", "\u202eevil"]
)
async def test_hostile_text_is_drawn_as_it_is(text: str) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window([Row("a", text)]))
        await pilot.pause()
        strip = app.screen._compositor.render_strips()[1]
        assert clean(text) in strip.text
        assert strip.text.isprintable()
        assert all(not segment.style or not segment.style.meta for segment in strip)


async def test_a_bug_in_a_drawing_function_stays_in_its_row(caplog: pytest.LogCaptureFixture) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        with caplog.at_level(logging.ERROR):
            app.table.show(window([Row("a"), Row("b", "raise"), Row("c")]))
            app.table.set_now(50_000)
            await pilot.pause()
        lines = app.lines()
        assert lines[1].startswith("▌a")
        assert lines[2].startswith(" !")
        assert lines[3].startswith(" c")
        assert [record.getMessage() for record in caplog.records if "drawing" in record.getMessage()] != []
        assert len(caplog.records) == 1
        await pilot.press("j")
        assert app.table.cursor_id == "b"


async def test_ascii_mode_draws_ascii_only() -> None:
    app = TableApp(ascii_only=True)
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window([Row("a", "日本…"), *rows(range(40))], total=1000))
        app.table.set_sort("name", False)
        app.table.toggle_mark()
        await pilot.press("G")
        assert all(line.isascii() for line in app.lines())


async def test_a_click_moves_the_cursor_and_a_click_on_a_title_asks_for_an_order() -> None:
    asked: list[str] = []

    class Clicked(TableApp):
        def on_live_table_sort_wanted(self, event: LiveTable.SortWanted) -> None:
            asked.append(event.column)

    app = Clicked()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows("abc")))
        await pilot.click(LiveTable, offset=(3, 3))
        assert app.table.cursor_id == "c"
        await pilot.click(LiveTable, offset=(3, 0))
        assert asked == ["name"]


async def test_the_wheel_scrolls_without_moving_the_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows(range(33)), total=1000))
        await pilot.pause()
        app.table.scroll_to(y=5, animate=False)
        await pilot.pause()
        assert app.table.cursor_index == 0
        assert app.lines()[1].startswith(" 5")
        app.table.show(window(rows(range(33)), total=1000))
        await pilot.pause()
        assert app.lines()[1].startswith(" 5")


async def test_stale_rows_are_greyed_and_live_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TableApp()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(window(rows("abc")))
        await pilot.pause()

        def look() -> list[object]:
            return [segment.style for segment in app.screen._compositor.render_strips()[2]]

        live = look()
        app.table.set_stale(True)
        await pilot.pause()
        assert look() != live
        app.table.set_stale(False)
        await pilot.pause()
        assert look() == live


def test_every_binding_has_an_id_so_that_it_can_be_remapped() -> None:
    assert all(isinstance(binding, Binding) and binding.id for binding in LiveTable.BINDINGS)
