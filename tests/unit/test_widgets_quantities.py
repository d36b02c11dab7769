"""Quantities, bars, histories and glyphs: short, honest, and told apart without colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from backends.model import Activity, Agent, Reach
from widgets import glyphs
from widgets.gauge import bar, level, thin_bar
from widgets.history import history
from widgets.quantities import age, count, left, percent, plural, rate, share, size, span
from widgets.wrapping import wrap

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "—"), (-5000, "now"), (0, "now"), (9999, "now"), (10_000, "10s"),
        (19_999, "10s"), (59_999, "50s"),
        (MINUTE, "1m"), (HOUR - 1, "59m"), (HOUR, "1h"), (47 * HOUR, "47h"),
        (2 * DAY, "2d"), (400 * DAY, "400d"),
    ],
)  # fmt: skip
def test_span(ms: int | None, text: str) -> None:
    assert span(ms) == text


def test_a_heartbeat_every_second_does_not_change_the_text() -> None:
    assert len({age(0, now) for now in range(0, 10_000, 1000)}) == 1


def test_time_left_says_when_it_is_over_and_never_rounds_down_to_it() -> None:
    assert [left(until, 0) for until in (None, -1, 0, 1, 9_500, 31_000, 90_000, 3 * HOUR)] == [
        "—", "over", "over", "1s", "10s", "35s", "2m", "3h",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (0, "0"), (999, "999"), (1000, "1.0K"), (1536, "1.5K"), (10 << 20, "10M"),
     (1023 << 20, "1.0G"), (80 << 30, "80G"), (1 << 50, "1.0P")],
)  # fmt: skip
def test_size(value: int | None, text: str) -> None:
    assert size(value) == text


@given(st.integers(0, 1 << 69))
def test_a_size_never_needs_more_than_four_cells(value: int) -> None:
    assert len(size(value)) <= 4


def test_unknown_is_never_a_figure() -> None:
    for unknown in (size(None), rate(None), percent(None), count(None), age(None, 0), left(None, 0)):
        assert unknown == "—"
    assert share(None, 10) is None
    assert share(1, None) is None
    assert share(1, 0) is None
    assert bar(None, 4) == ("", "????")


def test_a_trace_is_not_nothing() -> None:
    assert [percent(value) for value in (0, 0.2, 0.6, 37.4, 340.0)] == ["0%", "<1%", "1%", "37%", "340%"]
    assert plural(1, "agent") == "1 agent"
    assert plural(3, "agent") == "3 agents"
    assert [count(value) for value in (0, 9999, 120_455, 1_200_000)] == ["0", "9,999", "120k", "1.2M"]


@given(st.floats(0, 100), st.integers(1, 40), st.booleans())
def test_bars_fill_their_width_and_are_full_only_at_the_end(
    value: float, width: int, ascii_only: bool
) -> None:
    filled, track = bar(value, width, ascii_only)
    assert cell_len(filled + track) == width
    assert cell_len(thin_bar(value, width, ascii_only)) == width
    if not ascii_only:
        assert (filled == "█" * width) == (value == 100)
        assert bool(filled) == (value > 0)


def test_level() -> None:
    assert [level(value, 80, 95) for value in (None, 79, 80, 95)] == ["", "", "warn", "crit"]


def test_history_tells_a_gap_from_zero() -> None:
    (gap,) = history((None, None), 1)
    (zero,) = history((0.0, 0.0), 1)
    (full,) = history((100.0, 100.0), 1)
    assert (gap, zero, full) == (" ", "⣀", "⣿")
    assert history((0.0, None, 50.0, 100.0), 2) == ("⡀⣼",)
    assert history((100.0,), 3, ascii_only=True) == ("  =",)


def test_history_shows_the_newest_values_on_the_right_in_as_many_lines_as_asked() -> None:
    top, bottom = history([0.0] * 50 + [100.0, 100.0], 4, 2)
    assert bottom == "⣀⣀⣀⣿"
    assert top == "   ⣿"


def test_every_state_has_its_own_glyph_in_both_alphabets() -> None:
    for table in (glyphs.ACTIVITIES, glyphs.REACHES, glyphs.WORK_STATES, glyphs.SEVERITIES):
        marks = list(table.values())
        assert len({mark.glyph for mark in marks}) == len(marks)
        assert len({mark.ascii for mark in marks}) == len(marks)
        assert all(cell_len(mark.glyph) == 1 and mark.ascii.isascii() for mark in marks)


def test_a_host_that_is_away_outranks_what_its_agent_was_last_seen_doing() -> None:
    agent = Agent(id="a", name="a", host="h", reach=Reach.UNREACHABLE, activity=Activity.WORKING)
    assert glyphs.agent_mark(agent)[1] == "unreachable"
    stale = Agent(id="a", name="a", host="h", reach=Reach.STALE, activity=Activity.WORKING)
    assert glyphs.agent_mark(stale)[1] == "working?"
    unknown = Agent(id="a", name="a", host="h", reach=Reach.LIVE)
    assert glyphs.agent_mark(unknown)[1] == "?"


@given(st.text(alphabet="ab 日\n", max_size=60), st.integers(2, 12), st.sampled_from(["", "  "]))
def test_wrapping_keeps_every_character_and_no_line_is_too_wide(text: str, width: int, indent: str) -> None:
    lines = wrap(text, width, indent)
    assert all(cell_len(line) <= width for line in lines)
    kept = "".join("".join(lines).split())
    assert kept == "".join(text.split())
