"""The order of a table's rows: whatever happened to the table, it is what a fresh sort would give."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backends.clock import ManualClock
from backends.filter import FilterError, matcher, parse_filter
from backends.model import Activity, Agent, Reach
from backends.picture import Table
from console.watch import order as order_module
from console.watch.order import Order, counted, sort_key

CLOCK = ManualClock()
FILTERS = ("", "team:a", "!team:a", "activity=working", "cpu>1", "heartbeat>5s", "urgency<2 !idle", "note:?")
SORTS = ("", "agent", "cpu", "heartbeat", "activity", "note", "restarts")

AGENTS = st.builds(
    Agent,
    id=st.sampled_from([f"agent-{number}" for number in range(12)]),
    name=st.text(alphabet="aAbß", min_size=1, max_size=3),
    host=st.just("h"),
    reach=st.sampled_from(Reach),
    activity=st.none() | st.sampled_from(Activity),
    urgency=st.integers(0, 3),
    team=st.sampled_from(["", "a", "b"]),
    cpu_pct=st.none() | st.sampled_from([0.0, 1.0, 2.0]),
    heartbeat_at=st.none() | st.integers(CLOCK.now_ms() - 10_000, CLOCK.now_ms()),
    restarts=st.none() | st.integers(0, 2),
    note=st.none() | st.sampled_from(["", "why?"]),
)


def fresh(table: Table, text: str, sort: str, descending: bool, now: int) -> list[Any]:
    match = matcher(table.name, parse_filter(table.name, text), now)
    return sorted(filter(match, table.rows.values()), key=sort_key(table.name, sort, descending))


class OrderFollowsTable(RuleBasedStateMachine):
    """Random changes of the table, and looks through windows in between."""

    @initialize(
        text=st.sampled_from(FILTERS),
        sort=st.sampled_from(SORTS),
        descending=st.booleans(),
        share=st.sampled_from([0, 8]),
    )
    def begin(self, text: str, sort: str, descending: bool, share: int) -> None:
        order_module.RESORT_SHARE = share  # 0: never a fresh sort, every change is a move
        self.clock = ManualClock()
        self.table = Table("agents")
        self.asked = (text, sort, descending)
        self.order = Order(self.table, text, sort, descending, self.clock)
        self.filtered_at = self.clock.now_ms()

    def teardown(self) -> None:
        order_module.RESORT_SHARE = 8

    @rule(rows=st.lists(AGENTS, max_size=4))
    def put(self, rows: list[Agent]) -> None:
        self.table.put(rows)

    @rule(ids=st.sets(st.integers(0, 11), max_size=3))
    def discard(self, ids: set[int]) -> None:
        self.table.discard(f"agent-{number}" for number in ids)

    @rule(rows=st.lists(AGENTS, max_size=12, unique_by=lambda agent: agent.id))
    def replace_all(self, rows: list[Agent]) -> None:
        self.table.discard(tuple(self.table.rows))
        self.table.put(rows)

    @rule(ms=st.integers(2_000, 20_000))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(
        start=st.integers(0, 14), count=st.integers(1, 5), wanted=st.integers(0, 11), offset=st.integers(0, 4)
    )
    def look(self, start: int, count: int, wanted: int, offset: int) -> None:
        followed = f"agent-{wanted}"
        window = self.order.window(start, count, followed, offset)
        expected = fresh(self.table, *self.asked, self.clock.now_ms())
        ids = [row.id for row in expected]
        if followed in ids:
            assert window.followed == ids.index(followed)
            start = window.followed - offset
        else:
            assert window.followed is None
        start = max(0, min(start, len(ids) - count))
        assert window.start == start
        assert [row.id for row in window.rows] == ids[start : start + count]
        assert list(window.rows) == expected[start : start + count]  # the rows of now, not of then

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        if not hasattr(self, "order"):
            return
        window = self.order.window(0, 100)
        word = counted("agents")
        assert word is not None
        assert window.counts == dict(Counter(map(word, window.rows)))
        assert window.total == len(window.rows) == len(self.order)
        assert window.table_total == len(self.table.rows)
        assert list(window.rows) == fresh(self.table, *self.asked, self.clock.now_ms())


OrderFollowsTable.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestOrderFollowsTable = OrderFollowsTable.TestCase


@given(st.lists(AGENTS, max_size=8), st.sampled_from([name for name in SORTS if name]))
def test_unknown_values_come_last_in_both_directions(rows: list[Agent], sort: str) -> None:
    from backends.fields import FIELDS

    get = FIELDS["agents"][sort].get
    for descending in (False, True):
        values = [get(row) for row in sorted(rows, key=sort_key("agents", sort, descending))]
        unknown = [value is None or value == "" for value in values]
        assert unknown == sorted(unknown)


def test_a_bad_field_and_a_bad_filter_are_refused_at_once() -> None:
    table = Table("agents")
    with pytest.raises(KeyError):
        Order(table, "", "nosuch", False, CLOCK)
    with pytest.raises(FilterError):
        Order(table, "nosuch:1", "", False, CLOCK)


def test_a_closed_order_follows_the_table_no_more() -> None:
    table = Table("agents")
    order = Order(table, "", "", False, CLOCK)
    order.close()
    table.put([Agent("a", "a", "h", Reach.LIVE)])
    assert len(order) == 0


def test_one_changed_row_of_many_costs_a_few_keys_not_a_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    natural = order_module.sort_key

    def counting(table: str, sort: str, descending: bool) -> Any:
        key = natural(table, sort, descending)

        def counted_key(row: Any) -> Any:
            nonlocal calls
            calls += 1
            return key(row)

        return counted_key

    monkeypatch.setattr(order_module, "sort_key", counting)
    table = Table("agents")
    table.put(Agent(f"a{number:06}", f"a{number:06}", "h", Reach.LIVE) for number in range(100_000))
    order = Order(table, "", "", False, CLOCK)
    assert calls == 100_000
    calls = 0
    table.put([Agent("a050000", "a050000", "h", Reach.LIVE, urgency=9)])
    window = order.window(0, 50)
    assert window.rows[0].id == "a050000"
    assert calls <= 2
    order.window(50_000, 50, "a050000", 3)
    assert calls <= 2  # a look without a change costs none
