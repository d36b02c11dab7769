"""The Picture: sources replace their own rows, keep the last good ones, and say which ids changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.model import Agent, Reach, SourceState
from backends.picture import Picture, Reading, Table


def agent(id_: str, **fields: Any) -> Agent:
    return Agent(id_, id_, "h", Reach.LIVE, **fields)


def test_only_what_changed_is_told() -> None:
    table = Table("agents")
    told: list[set[str]] = []
    end = table.watch(told.append)
    table.replace("one", [agent("a"), agent("b")])
    table.replace("one", [agent("a"), agent("b", note="x")])
    table.replace("one", [agent("a"), agent("b", note="x")])  # equal rows are no change
    table.replace("one", [agent("a")])
    end()
    table.replace("one", [])
    assert told == [{"a", "b"}, {"b"}, {"b"}]


def test_a_source_replaces_its_own_rows_only() -> None:
    table = Table("agents")
    table.replace("one", [agent("a")])
    table.replace("two", [agent("b")])
    table.replace("one", [])
    assert set(table.rows) == {"b"}


def test_a_failed_reading_keeps_the_last_good_rows_and_says_since_when() -> None:
    picture = Picture(("agents",))
    good = SourceState("h", "processes", ok=True, observed_at=100)
    picture.apply(Reading(good, {"agents": [agent("a")]}))
    picture.apply(Reading(SourceState("h", "processes", ok=False, status="denied", failing_since_at=200)))
    picture.apply(Reading(SourceState("h", "processes", ok=False, status="denied", failing_since_at=300)))
    state = picture.sources["h", "processes"]
    assert set(picture["agents"].rows) == {"a"}
    assert (state.ok, state.observed_at, state.failing_since_at) == (False, 100, 200)
    picture.apply(Reading(SourceState("h", "processes", ok=True, observed_at=400), {"agents": []}))
    assert picture.sources["h", "processes"].failing_since_at is None
    assert not picture["agents"].rows


def test_sources_are_told_when_they_change() -> None:
    picture = Picture(("agents",))
    told: list[SourceState] = []
    picture.watch_sources(told.append)
    state = SourceState("h", "gpu", ok=True, observed_at=1)
    picture.apply(Reading(state))
    picture.apply(Reading(state))
    assert told == [state]


OWNERS = st.sampled_from(["one", "two"])


@given(st.lists(st.tuples(OWNERS, st.sets(st.integers(0, 5)), st.integers(0, 2)), max_size=12))
def test_the_table_is_the_union_of_what_its_sources_said_last(
    readings: list[tuple[str, set[int], int]],
) -> None:
    table = Table("agents")
    seen: dict[str, Agent] = {}

    def follow(ids: set[str]) -> None:
        for id_ in ids:
            if id_ in table.rows:
                seen[id_] = table.rows[id_]
            else:
                del seen[id_]

    table.watch(follow)
    last: dict[str, dict[str, Agent]] = {}
    for owner, numbers, note in readings:
        rows = {f"{owner}-{number}": agent(f"{owner}-{number}", note=str(note)) for number in numbers}
        table.replace(owner, rows.values())
        last[owner] = rows
    assert table.rows == {id_: row for rows in last.values() for id_, row in rows.items()} == seen
