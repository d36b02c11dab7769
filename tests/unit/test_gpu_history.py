"""Charts: five-second means, gaps where nothing was read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.gpu.deadlines import Deadlines
from backends.gpu.history import STEPS, History


def test_a_step_is_the_mean_of_what_was_read_in_it() -> None:
    history = History()
    for at, value in ((0, 10.0), (1000, 20.0), (4999, 30.0), (5000, 90.0)):
        history.add(at, value)
    assert history.values() == (20.0, 90.0)


def test_unread_steps_are_gaps_not_zeros() -> None:
    history = History()
    history.add(0, 10.0)
    history.add(5000, None)
    history.add(20_000, 50.0)
    assert history.values() == (10.0, None, None, None, 50.0)


def test_before_the_first_reading_there_is_no_history() -> None:
    assert History().values() == ()


@given(st.lists(st.tuples(st.integers(0, 10**7), st.none() | st.floats(0, 100)), max_size=60))
def test_history_never_outgrows_its_chart(readings: list[tuple[int, float | None]]) -> None:
    history = History()
    for at, value in sorted(readings, key=lambda r: r[0]):
        history.add(at, value)
    assert len(history.values()) <= STEPS
    assert all(value is None or 0 <= value <= 100 for value in history.values())


@given(st.floats(0.2, 60))
def test_old_data_is_called_old_after_a_missed_beat_and_before_the_end(interval_s: float) -> None:
    stale_ms, hung_ms = Deadlines.at(interval_s)
    assert interval_s * 1000 < stale_ms < hung_ms
    assert interval_s > 5 or hung_ms == 10_000
