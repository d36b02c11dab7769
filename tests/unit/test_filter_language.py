"""The filter language: what it says, what it refuses, and that SQL and memory agree on every row."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.coordination.filtering import compile_filter
from backends.fields import FIELDS, Kind
from backends.filter import (
    FilterError,
    Term,
    matcher,
    parse_duration_ms,
    parse_filter,
    parse_size,
    resolve_times,
)
from backends.model import Agent, Process, ProcessRef, Reach, WorkItem, WorkState

NOW = 1_700_000_000_000
MINUTE = 60_000


def item(**fields: Any) -> WorkItem:
    known: dict[str, Any] = {
        "id": "w1",
        "queue": "default",
        "kind": "build",
        "title": "Build the image",
        "state": WorkState.READY,
        "priority": 5,
        "created_at": NOW,
    }
    return WorkItem(**{**known, **fields})


def matches(text: str, row: Any, table: str = "work") -> bool:
    return matcher(table, parse_filter(table, text), NOW)(row)


# --- what it says ------------------------------------------------------------------------------------


def test_a_bare_word_is_searched_in_the_text_fields_without_regard_to_case() -> None:
    assert matches("IMAGE", item())
    assert matches('"the image"', item())
    assert not matches("payload", item(payload='{"payload": 1}'))  # not a searched field
    assert not matches("!image", item())


def test_all_terms_must_hold() -> None:
    assert matches("build state:ready priority>=5", item())
    assert not matches("build state:dead", item())


def test_colon_is_contains_and_equals_is_the_whole_text() -> None:
    assert matches("type:uil", item())
    assert not matches("type=uil", item())
    assert matches("type=BUILD", item())
    assert matches('title="build the image"', item())


@pytest.mark.parametrize(
    ("text", "age", "holds"),
    [
        ("age>15m", 16 * MINUTE, True),
        ("age>15m", 14 * MINUTE, False),
        ("age<15m", 14 * MINUTE, True),
        ("age>=15m", 15 * MINUTE, True),
        ("age<=15m", 15 * MINUTE, True),
        ("!age>15m", 16 * MINUTE, False),
        ("age>1h30m", 91 * MINUTE, True),
        ("age>90", 91_000, True),  # a bare number is seconds
    ],
)
def test_age_is_the_time_since(text: str, age: int, holds: bool) -> None:
    assert matches(text, item(created_at=NOW - age)) is holds


@pytest.mark.parametrize(
    ("text", "left", "holds"),
    [
        ("lease<1m", 30_000, True),
        ("lease<1m", 90_000, False),
        ("lease>1m", 90_000, True),
        ("lease<0s", -1, True),  # ran out
        ("lease<0s", 1, False),
    ],
)
def test_lease_is_the_time_left(text: str, left: int, holds: bool) -> None:
    assert matches(text, item(lease_until=NOW + left)) is holds


def test_sizes_are_powers_of_1024() -> None:
    process = Process(
        id="h:1:2",
        host="h",
        ref=ProcessRef(1, 2),
        parent_pid=0,
        name="x",
        command="x",
        user="u",
        state="S",
        started_at=NOW,
        cpu_pct=12.5,
        rss_bytes=8 << 30,
        observed_at=NOW,
    )
    assert matches("rss>=8G", process, "processes")
    assert not matches("rss>8GiB", process, "processes")
    assert matches("cpu=12.5%", process, "processes")
    assert matches("pid=1", process, "processes")
    assert parse_size("1.5k") == 1536


def test_a_row_whose_value_is_unknown_matches_no_comparison_and_is_found_with_a_question_mark() -> None:
    unheld = item()
    assert not matches("pct>0", unheld)
    assert not matches("pct<101", unheld)
    assert not matches("holder:a", unheld)
    assert matches("!holder:a", unheld)
    assert matches("holder!=a", unheld)
    assert matches("holder:?", unheld)
    assert not matches("!holder=?", unheld)
    assert not matches("holder:?", item(holder="a"))


def test_fields_joined_from_many_values_can_be_asked_for() -> None:
    agent = Agent("a", "a", "h", Reach.LIVE, sources=("registered", "declared"))
    assert matches("source:declared", agent, "agents")
    assert not matches("source:discovered", agent, "agents")


# --- what it refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("stat:dead", "stat"),
        ("state>dead", "state"),
        ("age>soon", "soon"),
        ("priority:high", "priority"),
        ("priority>nan", "nan"),
        ("priority>1e999", "1e999"),
        ("age>" + "9" * 400, "9999"),
        ("age>999999999999d", "999999999999d"),
        ("state:", "state:"),
        ('state:""', "state:"),
        ("!", "!"),
        ("nosuchfield=1", "nosuchfield"),
    ],
)
def test_every_refusal_names_the_term(text: str, named: str) -> None:
    with pytest.raises(FilterError) as error:
        parse_filter("work", text)
    assert named in str(error.value)


def test_the_nearest_field_is_offered() -> None:
    with pytest.raises(FilterError, match="did you mean 'state'"):
        parse_filter("work", "stat:dead")


def test_sizes_beyond_what_can_be_compared_are_refused() -> None:
    with pytest.raises(FilterError, match="too large"):
        parse_size("9" * 30 + "G")


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused_in_words(text: str) -> None:
    for table in FIELDS:
        try:
            terms = parse_filter(table, text)
        except FilterError:
            continue
        assert all(isinstance(term, Term) for term in terms)


@given(st.text(alphabet='!:=<>"\\ .abc019%?\x00é', max_size=25))
def test_hostile_text_near_the_grammar_never_breaks_it(text: str) -> None:
    try:
        resolve_times("work", parse_filter("work", text), NOW)
    except FilterError:
        return
    matches(text, item())


# --- round trips -------------------------------------------------------------------------------------

WORDS = st.text(alphabet="abcXYZ019-_./ ", min_size=1, max_size=12).filter(lambda word: word.strip() == word)


def written(term: Term) -> str:
    """A term as a person would write it."""
    sign = "!" if term.negated else ""
    if term.field is None:
        return f'{sign}"{term.value}"'
    kind = FIELDS["work"][term.field].kind
    op = ":" if term.op == "contains" else term.op
    if kind is Kind.TEXT:
        return f'{sign}{term.field}{op}"{term.value}"'
    if kind in (Kind.AGE, Kind.LEFT):
        return f"{sign}{term.field}{op}{term.value}ms"
    return f"{sign}{term.field}{op}{term.value!r}"


@st.composite
def terms(draw: st.DrawFn) -> Term:
    negated = draw(st.booleans())
    name = draw(st.sampled_from([None, *FIELDS["work"]]))
    if name is None:
        return Term(None, "contains", draw(WORDS).casefold(), negated)
    kind = FIELDS["work"][name].kind
    if kind is Kind.TEXT:
        op = draw(st.sampled_from(["contains", "=", "!="]))
        return Term(name, op, draw(WORDS).casefold(), negated)
    op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
    if kind in (Kind.AGE, Kind.LEFT):
        return Term(name, op, draw(st.integers(0, 10**9)), negated)
    return Term(name, op, float(draw(st.integers(0, 1000))), negated)


@given(st.lists(terms(), max_size=5))
def test_terms_written_down_read_back_as_they_were(wanted: list[Term]) -> None:
    assert parse_filter("work", " ".join(map(written, wanted))) == wanted


@given(st.integers(0, 10**12))
def test_durations_read_back(ms: int) -> None:
    assert parse_duration_ms(f"{ms}ms") == ms


# --- SQL agrees with memory --------------------------------------------------------------------------

SHORT = st.text(alphabet="aAbB_%\\1é ", min_size=1, max_size=4)
INSTANT = st.integers(NOW - 10, NOW + 10)


def rows() -> st.SearchStrategy[WorkItem]:
    return st.builds(
        WorkItem,
        id=SHORT,
        queue=SHORT,
        kind=SHORT,
        title=SHORT,
        state=st.sampled_from(WorkState),
        priority=st.integers(0, 9),
        created_at=INSTANT,
        holder=st.none() | SHORT,
        attempt=st.integers(0, 3),
        lease_until=st.none() | INSTANT,
        claimed_at=st.none() | INSTANT,
        progress_pct=st.none() | st.sampled_from([0.0, 1.0, 2.5]),
        progress_at=st.none() | INSTANT,
        run_at=st.none() | INSTANT,
        finished_at=st.none() | INSTANT,
        unblocks=st.integers(0, 3),
        reason=st.none() | SHORT,
        last_error=st.none() | SHORT,
    )


@st.composite
def near_terms(draw: st.DrawFn) -> Term:
    """Terms whose values meet those of the rows."""
    negated = draw(st.booleans())
    name = draw(st.sampled_from([None, *FIELDS["work"]]))
    if name is None:
        return Term(None, "contains", draw(SHORT).casefold(), negated)
    if draw(st.integers(0, 9)) == 0:
        return Term(name, "unknown", "?", negated)
    if FIELDS["work"][name].kind is Kind.TEXT:
        return Term(name, draw(st.sampled_from(["contains", "=", "!="])), draw(SHORT).casefold(), negated)
    op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
    if FIELDS["work"][name].kind is Kind.NUMBER:
        return Term(name, op, draw(st.sampled_from([0.0, 1.0, 2.5, 5.0])), negated)
    return Term(name, op, draw(st.integers(-10, 10)), negated)


@pytest.fixture(scope="module")
def table() -> sqlite3.Connection:
    sql = sqlite3.connect(":memory:")
    sql.create_function("fold", 1, lambda value: None if value is None else str(value).casefold())
    sql.execute(f"CREATE TABLE item ({', '.join(WorkItem.__struct_fields__)})")
    return sql


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows(), wanted=st.lists(near_terms(), min_size=1, max_size=3))
def test_sql_and_memory_agree_on_every_row(
    table: sqlite3.Connection, row: WorkItem, wanted: list[Term]
) -> None:
    values = [getattr(row, name) for name in WorkItem.__struct_fields__]
    values[4] = row.state.value
    table.execute("DELETE FROM item")
    table.execute(f"INSERT INTO item VALUES ({', '.join('?' * len(values))})", values)
    condition, params = compile_filter("work", resolve_times("work", wanted, NOW))
    in_sql = table.execute(f"SELECT count(*) FROM item WHERE {condition}", params).fetchone()[0] == 1
    assert matcher("work", wanted, NOW)(row) is in_sql, (msgspec.to_builtins(row), condition)
