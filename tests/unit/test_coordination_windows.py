"""Windows on the work table: SQL and the in-memory filter agree, and a million items cost nothing extra."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.clock import ManualClock
from backends.coordination import Caller, Invalid, NewWork, Store, statements, windows
from backends.coordination.files import open_database, open_reader
from backends.coordination.filtering import compile_text
from backends.coordination.reading import OLDEST_READY
from backends.fields import FIELDS
from backends.filter import FilterError, matcher, parse_filter
from backends.model import View, WorkItem, WorkState

BY = Caller("uid:1000 ann", "cli")
NOW = 1_700_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Forty items in every state."""
    clock = ManualClock(NOW)
    store = await Store.open(tmp_path / "store.db", clock, random.Random(1))
    for n in range(40):
        clock.advance(1000)
        run_at = clock.now_ms() + 3_600_000 if n % 8 == 7 else None
        parents = (f"w{n}",) if n % 9 == 8 else ()
        new = NewWork(
            kind=("build", "Test", "lint")[n % 3], title=f"do 100%_{n} Straße", priority=n % 10,
            queue=("p", "q")[n % 2], run_at=run_at, depends_on=parents, max_attempts=1 + n % 2,
        )  # fmt: skip
        await store.add([new], BY)
    for n, lease in enumerate(await store.claim("ann", BY, limit=12)):
        clock.advance(1000)
        if n % 4 == 0:
            await store.complete(lease.item.id, lease.fence, None, BY)
        elif n % 4 == 1:
            await store.fail(lease.item.id, lease.fence, "disk full\nat line 7", BY)
        elif n % 4 == 2:
            await store.progress(lease.item.id, lease.fence, n * 5, "half\\way", BY)
    await store.claim("Bob", BY, limit=2)
    await store.cancel("w40", BY)
    yield store
    await store.close()


async def everything(store: Store, **view: Any) -> list[WorkItem]:
    return list((await store.window(View("work", count=1000, **view))).rows)


def test_the_example_has_every_state(store: Store) -> None:
    assert all(store.counts().values())


async def test_most_urgent_first(store: Store) -> None:
    rows = await everything(store)
    order = ["dead", "leased", "ready", "blocked", "scheduled", "cancelled", "succeeded"]
    places = [order.index(row.state) for row in rows]
    assert places == sorted(places)
    ready = [row for row in rows if row.state is WorkState.READY]
    claimed = [lease.item.id for lease in await store.claim("eve", BY, limit=100)]
    assert [row.id for row in ready] == claimed


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["", *FIELDS["work"]])
async def test_every_page_of_every_order_is_a_slice_of_the_whole(
    store: Store, sort: str, descending: bool
) -> None:
    whole = await everything(store, sort=sort, descending=descending)
    assert len(whole) == len({row.id for row in whole}) == 40
    for start in (0, 3, 19, 21, 33, 39, 100):
        window = await store.window(View("work", sort=sort, descending=descending, start=start, count=7))
        assert window.start == min(start, 33)
        assert list(window.rows) == whole[window.start : window.start + 7]
        assert (window.total, window.table_total) == (40, 40)
        assert sum(window.counts.values()) == 40
    for index in (0, 20, 39):
        view = View(
            "work", sort=sort, descending=descending, count=5, follow=whole[index].id, follow_offset=2
        )
        window = await store.window(view)
        assert window.followed == index
        assert whole[index] in window.rows
    if sort and sort != "state":
        values = [FIELDS["work"][sort].get(row) for row in whole]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=descending)
        assert values[: len(known)] == known  # unknown is last, either way


async def test_a_followed_row_that_is_gone_is_not_followed(store: Store) -> None:
    for view in (View("work", follow="w99", start=2), View("work", follow="w99", filter="build")):
        window = await store.window(view)
        assert window.followed is None
    hidden = await store.window(View("work", follow="w1", filter="w2"))
    assert hidden.followed is None


FILTERS = [
    "build", "!build", "BUILD", "straße", "!straße", "100%", "100%_1", "\\", "half\\way", "state:dead",
    "state=ready", "state!=ready", "!state=ready", "!state!=ready", "holder:bob", "holder=ann", "holder!=ann",
    "!holder!=ann", "!holder:ann", "priority>5", "!priority>5", "priority=3", "priority!=3", "pct>=10",
    "!pct>=10", "pct!=10", "!pct!=10", "age>30s", "age<=30s", "lease<1m", "!lease<1m", "attempts>0 type:test",
    'error:"line 7"', "finished<20s", "unblocks>0", "reason:failed !state:dead", "run>10m", "title:STRASSE",
    "error!=x", "queue:p test",
]  # fmt: skip


@pytest.mark.parametrize("text", FILTERS)
async def test_sql_and_memory_agree_on_filters(store: Store, text: str) -> None:
    now = store._clock.now_ms()
    matches = matcher("work", parse_filter("work", text), now)
    expected = [row for row in await everything(store) if matches(row)]
    window = await store.window(View("work", filter=text, count=1000))
    assert list(window.rows) == expected
    assert window.total == len(expected)
    assert window.counts == {s.value: n for s in WorkState if (n := sum(r.state is s for r in expected))}
    assert window.table_total == 40


async def test_nonsense_is_refused(store: Store) -> None:
    with pytest.raises(FilterError):
        await store.window(View("work", filter="colour:red"))
    with pytest.raises(Invalid, match="colour"):
        await store.window(View("work", sort="colour"))
    with pytest.raises(Invalid):
        await store.window(View("gpus"))


async def test_a_filtered_window_follows_changes(store: Store) -> None:
    view = View("work", filter="state:ready", count=100)
    before = (await store.window(view)).total
    await store.claim("eve", BY)
    assert (await store.window(view)).total == before - 1


@given(needle=st.text(max_size=4).filter(lambda text: not {*text} & {*'"\0'}), negated=st.booleans())
def test_any_word_is_searched_literally(needle: str, negated: bool) -> None:
    if not needle.strip():
        return
    text = ("!" if negated else "") + f'title:"{needle}"'
    try:
        terms = parse_filter("work", text)
        needle.encode()
    except (FilterError, UnicodeEncodeError):
        return
    titles = ["a%b_c\\d", "ABC", "", needle, needle.swapcase(), "x" + needle + "y", "ǅ ß İ"]
    rows = [WorkItem(str(n), "q", "k", title, WorkState.READY, 5, NOW) for n, title in enumerate(titles)]
    sql = sqlite3.connect(":memory:")
    sql.create_function("fold", 1, lambda value: None if value is None else str(value).casefold())
    sql.execute("CREATE TABLE item (id, title)")
    sql.executemany("INSERT INTO item VALUES (?, ?)", [(row.id, row.title) for row in rows])
    condition, params = compile_text("work", text, NOW)
    found = {row[0] for row in sql.execute(f"SELECT id FROM item WHERE {condition}", params)}
    matches = matcher("work", terms, NOW)
    for row in rows:
        if str(terms[0].value).isascii() and not row.title.isascii():
            continue  # folding of non-ASCII data into an ASCII needle is left to memory
        assert (row.id in found) == matches(row)


# --- query plans -------------------------------------------------------------------------------------------

HOT = {
    name: getattr(statements, name)
    for name in (
        "PICK", "PICK_FROM_LANE", "LEASE", "EXTEND", "PROGRESS", "COMPLETE", "LET_GO", "MOVE", "RETRY",
        "ITEM_BY_ID", "ITEM_BY_NUM", "ITEM_BY_UNIQUE_KEY", "END_ATTEMPT", "ATTEMPT_OUTCOME", "FREED_CHILDREN",
        "COUNT_DOWN_CHILDREN", "SATISFY_EDGES", "UNSATISFIED_PARENTS", "COUNT_WAITING", "DROP_EVENTS",
        "DROP_REQUESTS", "FIND_REQUEST", "DUE",
    )
}  # fmt: skip
HOT["OLDEST_READY"] = OLDEST_READY


@pytest.fixture
def plain(tmp_path: Path) -> sqlite3.Connection:
    return open_database(tmp_path / "plan.db")


def plan(sql: sqlite3.Connection, query: str) -> list[str]:
    steps = sql.execute(f"EXPLAIN QUERY PLAN {query}", (None,) * query.count("?"))
    return [step[3] for step in steps]


@pytest.mark.parametrize("name", HOT)
def test_hot_statements_search_an_index(plain: sqlite3.Connection, name: str) -> None:
    for step in plan(plain, HOT[name]):
        assert not step.startswith("SCAN item"), step
        assert not step.startswith(("SCAN attempt", "SCAN edge", "SCAN event", "SCAN request")), step
        assert "TEMP B-TREE" not in step, step


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("columns", sorted(set(windows._INDEXED.values())))
def test_pages_walk_an_index_alone(
    plain: sqlite3.Connection, columns: tuple[str, ...], descending: bool
) -> None:
    [step] = plan(plain, windows.page_query(columns, descending))
    assert step.startswith("SCAN item")
    assert "COVERING INDEX" in step or columns == ("num",)
    [step] = plan(plain, windows.position_query(columns, descending))
    assert step.startswith("SEARCH item")


def test_a_large_queue_opens_and_shows_its_top_at_once(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, not in seconds: ten times the items, the same work."""

    def steps(items: int) -> int:
        path = tmp_path / f"{items}.db"
        sql = open_database(path)
        sql.execute("BEGIN")
        columns = "id, num, rank, queue, kind, title, state, shelf, priority, created_at, attempt"
        more = "max_attempts, generation, lease_ms, pending_dependencies, own_lease_ms"
        sql.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" INSERT INTO item ({columns}, {more})"
            " SELECT 'w' || i, i, i, 'q', 'k', 't', 'ready', 2, 5, 0, 0, 5, 1, 1, 0, 1 FROM n",
            (items,),
        )
        sql.execute("COMMIT")
        reader = open_reader(path)
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        reader.set_progress_handler(step, 10)
        window = windows.indexed_window(reader, View("work", count=50), {WorkState.READY: items}, 0)
        bottom = windows.indexed_window(
            reader, View("work", count=50, start=items - 50), {WorkState.READY: items}, 0
        )
        assert [row.id for row in window.rows] == [f"w{n}" for n in range(1, 51)]
        assert bottom.rows[-1].id == f"w{items}"
        reader.execute(statements.PICK, (32,)).fetchall()
        return count

    assert steps(20_000) == steps(2_000)


def test_the_schema_is_strict_about_states(plain: sqlite3.Connection) -> None:
    columns = "num, id, queue, kind, title, priority, created_at, attempt, max_attempts, generation, lease_ms"
    values = "1, 'x', 'q', 'k', 't', 5, 0, 0, 5, 1, 1"
    for state, shelf in (("leased", 1), ("ready", 3), ("blocked", 3), ("asleep", 0)):
        with pytest.raises(sqlite3.IntegrityError):
            plain.execute(
                f"INSERT INTO item ({columns}, pending_dependencies, own_lease_ms, rank, state, shelf)"
                f" VALUES ({values}, 0, 1, 0, ?, ?)",
                (state, shelf),
            )
