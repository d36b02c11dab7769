"""Fitting text and columns into terminal cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from backends.text import UNSAFE
from widgets.columns import Align, Cell, Column, fit, place
from widgets.table_lines import Line, Look, changed_spans, header_title, thumb_lines

ALIGNS: tuple[Align, ...] = ("left", "right")


def column(name: str, width: int, *, floor: int = 0, grow: bool = False, priority: int = 1) -> Column:
    return Column(name, name, width, lambda row, now: Cell(""), floor, grow=grow, priority=priority)


@given(st.text(max_size=80), st.integers(1, 40), st.sampled_from(ALIGNS), st.booleans())
def test_fitted_text_is_exactly_as_wide_as_asked_and_safe(
    text: str, width: int, align: Align, ascii_only: bool
) -> None:
    fitted = fit(text, width, align, ascii_only)
    assert cell_len(fitted) == width
    assert UNSAFE.search(fitted) is None
    assert "\n" not in fitted
    assert "\t" not in fitted
    if ascii_only:
        assert fitted.isascii()


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("agent", 8, "agent   "),
        ("agent-one", 6, "agent…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),  # a wide character is never cut in half
        ("a b", 3, "a b"),
        ("ab cd", 4, "ab… "),  # no space before the ellipsis
        ("[/x]", 6, "[/x]  "),
        ("\x1b]52;c;x\x07", 12, "␛]52;c;x␇   "),
    ],
)
def test_fit(text: str, width: int, fitted: str) -> None:
    assert fit(text, width) == fitted


def test_a_flood_of_combining_characters_is_cut() -> None:
    assert len(fit("a" + "\u0301" * 10_000, 10)) < 200


def test_numbers_stand_to_the_right() -> None:
    assert fit("7", 3, "right") == "  7"


def test_the_least_important_columns_go_first_and_the_rest_keeps_its_order() -> None:
    columns = [column("a", 10, priority=0), column("b", 10, priority=2), column("c", 10, priority=1)]
    assert [p.column.name for p in place(columns, 32)] == ["a", "b", "c"]
    assert [p.column.name for p in place(columns, 31)] == ["a", "c"]
    assert [p.column.name for p in place(columns, 20)] == ["a"]


def test_columns_shrink_to_their_floor_before_one_is_dropped() -> None:
    columns = [column("a", 20, floor=10, priority=0), column("b", 10)]
    assert [(p.x, p.width) for p in place(columns, 22)] == [(0, 11), (12, 10)]


def test_growing_columns_share_what_is_left() -> None:
    columns = [column("a", 10, grow=True), column("b", 5), column("c", 10, grow=True)]
    placed = place(columns, 47)
    assert [p.width for p in placed] == [20, 5, 20]
    assert placed[-1].x + placed[-1].width == 47


def test_skipping_brings_columns_from_beyond_the_edge_into_view() -> None:
    columns = [column("id", 10, priority=0), column("b", 10), column("c", 10), column("d", 10)]
    assert [p.column.name for p in place(columns, 21)] == ["id", "b"]
    assert [p.column.name for p in place(columns, 21, skip=2)] == ["id", "d"]


def test_placed_columns_never_overlap_nor_leave_the_table() -> None:
    columns = [
        column(str(index), 4 + index, floor=3, grow=index % 3 == 0, priority=index % 4) for index in range(12)
    ]
    for width in range(30, 200):
        edge = 0
        for placed in place(columns, width):
            assert placed.x >= edge
            edge = placed.x + placed.width
            assert edge <= width


def test_the_thumb_is_at_the_ends_exactly_at_the_ends() -> None:
    assert list(thumb_lines(0, 10, 10)) == []
    assert thumb_lines(0, 10, 1_000_000)[0] == 0
    assert thumb_lines(1_000_000 - 10, 10, 1_000_000)[-1] == 9


def test_a_sort_arrow_never_hides_the_title_wholly() -> None:
    assert header_title("CPU", 5, "right", "▼", False) == " CPU▼"
    assert header_title("CPU", 3, "right", "▼", False) == "C…▼"


def test_only_the_span_of_changed_cells_is_named() -> None:
    placed = place([column("a", 5), column("b", 5), column("c", 5), column("d", 5)], 23)
    bar = Cell(" ")
    old = Line(Look.PLAIN, Cell(" "), (Cell("a"), Cell("b"), Cell("c"), Cell("d")), bar)
    assert list(changed_spans(old, old, placed, 25)) == []
    one = old._replace(cells=(Cell("a"), Cell("x"), Cell("c"), Cell("d")))
    assert list(changed_spans(old, one, placed, 25)) == [(7, 5)]
    neighbours = old._replace(cells=(Cell("x"), Cell("x"), Cell("c"), Cell("x")))
    assert list(changed_spans(old, neighbours, placed, 25)) == [(1, 11), (19, 5)]
    coloured = old._replace(cells=(Cell("a", "crit"), Cell("b"), Cell("c"), Cell("d")))
    assert list(changed_spans(old, coloured, placed, 25)) == [(1, 5)]
    assert list(changed_spans(old, old._replace(look=Look.CURSOR), placed, 25)) == [(0, 25)]
    assert list(changed_spans(old, old._replace(bar=Cell("#")), placed, 25)) == [(24, 1)]
