"""The cursor belongs to a row, wherever the order puts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from backends.model import Window
from widgets.row_window import RowWindow


class Row(NamedTuple):
    id: str


def window(
    ids: Sequence[str],
    start: int = 0,
    total: int | None = None,
    followed: int | None = None,
    follow: str | None = None,
) -> Window:
    rows = tuple(Row(row_id) for row_id in ids)
    count = len(rows) if total is None else total
    return Window("agents", start, rows, count, followed=followed, follow=follow)


def held(ids: Sequence[str], cursor: int = 0, **more: int) -> RowWindow:
    state = RowWindow(lambda row: str(row.id))
    state.replace(window(ids, **more))
    state.move_to(cursor)
    return state


@given(st.permutations("abcdefgh"), st.permutations("abcdefgh"), st.integers(0, 7))
def test_the_cursor_stays_with_its_row_in_any_new_order(old: list[str], new: list[str], cursor: int) -> None:
    state = held(old, cursor)
    assert not state.replace(window(new))
    assert state.cursor_id == old[cursor]
    assert new[state.cursor] == old[cursor]


@given(st.permutations("abcdefgh"), st.integers(0, 7))
def test_when_its_row_is_gone_the_cursor_takes_the_one_in_its_place(ids: list[str], cursor: int) -> None:
    state = held(ids, cursor)
    left = [row_id for row_id in ids if row_id != ids[cursor]]
    assert state.replace(window(left))
    assert state.cursor_id == left[min(cursor, len(left) - 1)]


def test_a_row_outside_the_window_is_not_gone() -> None:
    state = held("abc", 1, total=1000)
    assert not state.replace(window("xyz", total=1000))
    assert state.cursor_id == "b"
    assert state.cursor_is_lost
    assert state.cursor_row is None


def test_the_answer_to_follow_moves_the_cursor_or_says_that_the_row_is_gone() -> None:
    state = held("abc", 1, total=1000)
    state.replace(window("pbq", start=500, total=1000, followed=501, follow="b"))
    assert (state.cursor, state.cursor_id) == (501, "b")
    assert state.replace(window("pqr", start=500, total=999, follow="b"))
    assert (state.cursor, state.cursor_id) == (501, "q")


def test_the_last_row_going_leaves_no_cursor() -> None:
    state = held("a")
    state.replace(window(""))
    assert state.cursor_id is None
    assert state.cursor == 0


def test_a_jump_beyond_the_window_waits_for_the_row() -> None:
    state = held("abc", total=1000)
    state.move_to(999)
    assert state.cursor_id is None
    assert state.replace(window("yz", start=998, total=1000))
    assert state.cursor_id == "z"


def test_a_window_made_before_the_row_was_asked_for_says_nothing_of_it() -> None:
    state = held("abc", 1, total=1000)
    state.replace(window("xyz", total=1000))
    assert state.cursor_is_lost
    assert not state.replace(window("uvw", total=1000, follow="a"))  # still about an earlier question
    assert state.cursor_id == "b"
    assert state.replace(window("uvw", total=1000, follow="b"))
    assert state.cursor_id == "v"
