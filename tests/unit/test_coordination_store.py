"""The store's front: agents, emergency stop, events, audit, group commit, requests."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.audit import AuditDraft
from backends.clock import ManualClock
from backends.coordination import (
    Beat,
    Caller,
    Closed,
    Commit,
    Conflict,
    Frozen,
    Invalid,
    LeaseLost,
    NewWork,
    NotFound,
    Store,
)
from backends.coordination.statements import AGENT_COLUMNS, ITEM_COLUMNS
from backends.model import Activity, Registration, View, WorkItem, WorkState

BY = Caller("uid:1000 ann", "cli")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "store.db", clock, random.Random(1))
    yield store
    await store.close()


async def reopened(store: Store, clock: ManualClock) -> Store:
    await store.close()
    return await Store.open(store.path, clock)


def work(**more: Any) -> NewWork:
    return NewWork(**{"kind": "build", "title": "build it", **more})


# --- adding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        {"priority": 10},
        {"priority": -1},
        {"title": "  "},
        {"kind": ""},
        {"kind": "two words"},
        {"queue": "x\x1b[31m"},
        {"id": "a b"},
        {"id": "x" * 201},
        {"payload": "{"},
        {"payload": '"' + "x" * 70_000 + '"'},
        {"payload": '"\ud800"'},
        {"max_attempts": 0},
        {"lease_ms": 0},
    ],
)
async def test_bad_work_is_refused_and_nothing_is_added(store: Store, bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await store.add([work(), work(**bad)], BY)
    assert sum(store.counts().values()) == 0


async def test_a_missing_parent_refuses_the_whole_call(store: Store) -> None:
    with pytest.raises(NotFound, match="w9"):
        await store.add([work(kind="new-kind"), work(depends_on=("w9",))], BY)
    assert sum(store.counts().values()) == 0
    assert (await store.add([work(kind="new-kind")], BY))[0].id == "w1"
    assert len(await store.claim("ann", BY, kinds=["new-kind"])) == 1


async def test_titles_are_cleaned(store: Store) -> None:
    [item] = await store.add([work(title="evil\x1b]52;c;xx\x07\nsecond")], BY)
    assert "\x1b" not in item.title
    assert "\n" not in item.title


async def test_names_given_and_made_never_clash(store: Store) -> None:
    items = await store.add([work(id="w2"), work(), work()], BY)
    assert len({item.id for item in items}) == 3
    with pytest.raises(Conflict, match="exists already"):
        await store.add([work(id="w2")], BY)


async def test_a_family_added_at_once_runs_in_order(store: Store) -> None:
    await store.add([work(id="a"), work(id="b", depends_on=("a",)), work(id="c", depends_on=("a", "b"))], BY)
    done = []
    while leases := await store.claim("ann", BY, limit=9):
        assert len(leases) == 1
        done.append(leases[0].item.id)
        await store.complete(leases[0].item.id, leases[0].fence, None, BY)
    assert done == ["a", "b", "c"]
    assert [p.id for p in await store.parents("c")] == ["a", "b"]


async def test_a_wide_family_is_freed_at_once(store: Store) -> None:
    await store.add([work(id="root")], BY)
    await store.add([work(id=f"c{n}", depends_on=("root",)) for n in range(500)], BY)
    assert (await store.item("root")).unblocks == 500
    [lease] = await store.claim("ann", BY)
    await store.complete("root", lease.fence, None, BY)
    assert store.counts()[WorkState.READY] == 500
    assert (await store.item("root")).unblocks == 0


# --- leases -----------------------------------------------------------------------------------------------


async def test_a_stale_fence_can_do_nothing(store: Store, clock: ManualClock) -> None:
    await store.add([work(lease_ms=1000)], BY)
    [old] = await store.claim("ann", BY)
    clock.advance(1001)
    [new] = await store.claim("bob", BY)
    assert new.fence > old.fence
    for attempt in (
        store.extend("w1", old.fence),
        store.progress("w1", old.fence, 5, None, BY),
        store.complete("w1", old.fence, None, BY),
        store.fail("w1", old.fence, "late", BY),
        store.release("w1", old.fence, BY),
    ):
        with pytest.raises(LeaseLost) as caught:
            await attempt
        assert caught.value.current_fence == new.fence
    assert (await store.item("w1")).holder == "bob"


async def test_late_but_not_reclaimed_is_in_time(store: Store, clock: ManualClock) -> None:
    await store.add([work(lease_ms=1000)], BY)
    [lease] = await store.claim("ann", BY)
    clock.advance(5000)
    assert (await store.complete("w1", lease.fence, None, BY)).state is WorkState.SUCCEEDED


async def test_a_lease_ends_on_its_last_millisecond(store: Store, clock: ManualClock) -> None:
    await store.add([work(lease_ms=1000)], BY)
    await store.claim("ann", BY)
    clock.advance(999)
    assert await store.claim("bob", BY) == []
    clock.advance(1)
    assert len(await store.claim("bob", BY)) == 1


async def test_aged_work_is_served_before_new_urgent_work(store: Store, clock: ManualClock) -> None:
    await store.add([work(id="old", priority=5)], BY)
    clock.advance(4 * 60_000 + 1)
    await store.add([work(id="urgent", priority=9)], BY)
    assert (await store.claim("ann", BY))[0].item.id == "old"


async def test_a_cancelled_holder_hears_of_it(store: Store) -> None:
    await store.register(Registration("ann", "here"), BY)
    await store.add([work()], BY)
    [lease] = await store.claim("ann", BY)
    await store.cancel("w1", BY)
    assert (await store.extend("w1", lease.fence)).cancel_requested_at is not None
    assert (await store.heartbeat([Beat("ann")]))["ann"].cancel_requested == ("w1",)
    assert (await store.release("w1", lease.fence, BY)).state is WorkState.CANCELLED
    assert (await store.heartbeat([Beat("ann")]))["ann"].cancel_requested == ()


async def test_neither_fence_nor_holder_is_refused(store: Store) -> None:
    await store.add([work()], BY)
    await store.claim("ann", BY)
    with pytest.raises(Invalid, match="fence or the holder"):
        await store.complete("w1", None, None, BY)


async def test_one_bad_completion_leaves_the_others(store: Store) -> None:
    await store.add([work() for _ in range(3)], BY)
    leases = await store.claim("ann", BY, limit=3)
    done = [(lease.item.id, lease.fence, '{"ok":1}') for lease in leases]
    done[1] = (done[1][0], 999, "{}")
    replies = await store.complete_many([*done, ("w77", 1, None)], BY)
    assert [type(reply) for reply in replies] == [WorkItem, LeaseLost, WorkItem, NotFound]
    assert store.counts()[WorkState.SUCCEEDED] == 2


async def test_dead_letters_are_grouped_by_cause(store: Store) -> None:
    await store.add([work() for _ in range(5)], BY)
    for lease in await store.claim("ann", BY, limit=5):
        error = "disk full\nat line 7" if lease.fence % 2 else "no route"
        await store.fail(lease.item.id, lease.fence, error, BY, permanent=True)
    groups = await store.dead_groups()
    assert [(g.reason, g.error, g.count) for g in groups] == [
        ("permanent", "disk full", 3),
        ("permanent", "no route", 2),
    ]
    assert groups[0].sample_ids == ("w1", "w5")


# --- requests ---------------------------------------------------------------------------------------------


async def test_a_repeated_request_gets_the_first_reply(store: Store, clock: ManualClock) -> None:
    def asked(request_id: str) -> Caller:
        return Caller("uid:1000 ann", "socket", request_id)

    first = await store.add([work()], asked("r1"))
    assert await store.add([work()], asked("r1")) == first
    claimed = await store.claim("ann", asked("r2"))
    assert await store.claim("ann", asked("r2")) == claimed
    done = await store.complete("w1", claimed[0].fence, None, asked("r3"))
    assert await store.complete("w1", claimed[0].fence, None, asked("r3")) == done
    assert sum(store.counts().values()) == 1
    with pytest.raises(Conflict, match="request id r1"):
        await store.claim("ann", asked("r1"))
    other = Caller("uid:2000 bob", "socket", "r1")
    assert (await store.add([work()], other))[0].id == "w2"
    clock.advance(3_600_001)
    assert (await store.add([work()], asked("r1")))[0].id == "w3"


async def test_an_empty_claim_is_not_kept(store: Store) -> None:
    by = Caller("uid:1000 ann", "socket", "r1")
    assert await store.claim("ann", by) == []
    await store.add([work()], BY)
    assert len(await store.claim("ann", by)) == 1


# --- agents -----------------------------------------------------------------------------------------------


async def test_registering_again_is_a_new_incarnation(store: Store, clock: ManualClock) -> None:
    new = Registration("a1", "here", team="ops", capabilities=("gpu",), pid=7)
    assert (await store.register(new, BY)).incarnation == 1
    await store.set_draining("a1", True, BY)
    again = await store.register(new, BY)
    assert (again.incarnation, again.draining) == (2, True)
    reopened_store = await reopened(store, clock)
    assert reopened_store.registrations() == [again]
    with pytest.raises(Conflict, match="draining"):
        await reopened_store.claim("a1", BY)
    await reopened_store.close()


async def test_heartbeats_survive_a_clean_end(store: Store, clock: ManualClock) -> None:
    await store.register(Registration("a1", "here"), BY)
    clock.advance(10)
    await store.heartbeat([Beat("a1", Activity.BLOCKED, "approval", "may I?\x1b[2J")])
    agent = store.registration("a1")
    assert agent is not None
    assert (agent.heartbeat_at, agent.activity, agent.cause) == (clock.now_ms(), Activity.BLOCKED, "approval")
    assert "\x1b" not in (agent.note or "")
    again = await reopened(store, clock)
    assert again.registration("a1") == agent
    await again.close()


async def test_heartbeats_are_flushed_every_few_seconds(store: Store, clock: ManualClock) -> None:
    await store.register(Registration("a1", "here"), BY)
    await asyncio.sleep(0)
    clock.advance(1000)
    await store.heartbeat([Beat("a1", Activity.IDLE)])
    clock.advance(5000)
    for _ in range(3):
        await asyncio.sleep(0)
    await store.append_audit(AuditDraft(1, "a", "b", "after the flush"))
    with sqlite3.connect(store.path) as other:
        assert other.execute("SELECT activity FROM agent").fetchall() == [("idle",)]


async def test_an_unknown_agent_must_register(store: Store) -> None:
    await store.register(Registration("a1", "here"), BY)
    before = store.registration("a1")
    with pytest.raises(NotFound, match="ghost"):
        await store.heartbeat([Beat("a1", Activity.IDLE), Beat("ghost")])
    assert store.registration("a1") == before
    await store.deregister("a1", BY)
    with pytest.raises(NotFound):
        await store.heartbeat([Beat("a1")])
    with pytest.raises(NotFound):
        await store.deregister("a1", BY)
    assert store.registrations() == []


async def test_an_answer_is_given_once(store: Store, clock: ManualClock) -> None:
    await store.register(Registration("a1", "here"), BY)
    with pytest.raises(Invalid):
        await store.set_answer("a1", "maybe", BY)
    await store.set_answer("a1", "approved", BY)
    assert (await store.heartbeat([Beat("a1")]))["a1"].answer == "approved"
    assert (await store.heartbeat([Beat("a1")]))["a1"].answer is None
    with sqlite3.connect(store.path) as other:
        assert other.execute("SELECT answer FROM agent").fetchall() == [(None,)]


async def test_a_new_name_in_the_same_breath_may_claim_and_drain(store: Store) -> None:
    await store.add([work()], BY)
    joined, drained, claimed = await asyncio.gather(
        store.register(Registration("a1", "here"), BY),
        store.set_draining("a1", True, BY),
        store.claim("a1", BY),
        return_exceptions=True,
    )
    assert isinstance(joined, Registration)
    assert drained is None
    assert isinstance(claimed, Conflict)  # sees what stands before it in the same commit


# --- emergency stop ---------------------------------------------------------------------------------------


async def test_emergency_stop(store: Store, clock: ManualClock) -> None:
    await store.add([work(lease_ms=1000), work()], BY)
    [lease] = await store.claim("ann", BY)
    stop = await store.set_estop("fire", '["a1"]', BY)
    with pytest.raises(Conflict, match="in force"):
        await store.set_estop("again", "[]", BY)
    store = await reopened(store, clock)
    assert store.estop() == stop
    with pytest.raises(Frozen, match="fire"):
        await store.claim("bob", BY)
    clock.advance(60_000)
    await store.sweep()
    assert (await store.item("w1")).fence == lease.fence  # a stopped holder keeps its work
    assert await store.clear_estop(BY) == stop
    assert await store.clear_estop(BY) is None
    renewed = await store.item("w1")
    assert renewed.lease_until == clock.now_ms() + 1000
    assert (await store.claim("bob", BY))[0].item.id == "w2"
    await store.close()


# --- commits, events, audit -------------------------------------------------------------------------------


async def test_watchers_hear_of_each_commit_before_its_caller(store: Store) -> None:
    heard: list[Commit] = []
    stop = store.on_commit(heard.append)
    await store.add([work(), work()], BY)
    assert [e.topic for e in heard[-1].events] == ["work.added", "work.added"]
    assert set(heard[-1].items) == {"w1", "w2"}
    [lease] = await store.claim("ann", BY)
    assert heard[-1].items["w1"].holder == "ann"
    await store.extend("w1", lease.fence)
    assert (heard[-1].events, set(heard[-1].items)) == ((), {"w1"})
    await store.register(Registration("a1", "here"), BY)
    assert heard[-1].agents == ("a1",)
    await store.heartbeat([Beat("a1")])
    assert heard[-1].agents == ("a1",)
    count = len(heard)
    stop()
    await store.add([work()], BY)
    assert len(heard) == count


async def test_events_are_kept_in_order(store: Store, clock: ManualClock) -> None:
    await store.add([work() for _ in range(3)], BY)
    [lease] = await store.claim("ann", BY)
    await store.complete(lease.item.id, lease.fence, None, BY)
    events = await store.events_since(0)
    assert [e.seq for e in events] == [1, 2, 3, 4, 5]
    assert [e.topic for e in events[3:]] == ["work.claimed", "work.succeeded"]
    assert await store.events_since(3, 1) == events[3:4]
    again = await reopened(store, clock)
    await again.add([work()], BY)
    assert (await again.events_since(5))[0].seq == 6
    await again.close()


async def test_a_refused_operation_in_a_group_leaves_no_trace(store: Store) -> None:
    await store.add([work(id="a"), work(id="b")], BY)
    before = len(await store.events_since(0)), len(await store.audit())
    claims = [store.claim("ann", BY, item_id="a"), store.claim("bob", BY, item_id="a")]
    adds = [store.add([work(id="new"), work(id="b")], BY), store.add([work(id="c")], BY)]
    first, second, clash, added = await asyncio.gather(*claims, *adds, return_exceptions=True)
    assert isinstance(first, list)
    assert isinstance(second, Conflict)
    assert isinstance(clash, Conflict)
    assert isinstance(added, list)
    with pytest.raises(NotFound):
        await store.item("new")
    assert (len(await store.events_since(0)), len(await store.audit())) == (before[0] + 2, before[1] + 2)
    assert store.counts()[WorkState.READY] == 2
    assert (await store.verify_audit()).bad_seq is None
    window = await store.window(View("work"))
    assert {row.id for row in window.rows} == {"a", "b", "c"}


async def test_many_callers_at_once_never_share_an_item(store: Store) -> None:
    await store.add([work() for _ in range(200)], BY)

    async def drain(name: str) -> list[str]:
        mine = []
        while leases := await store.claim(name, BY, limit=3):
            done = [(lease.item.id, lease.fence, None) for lease in leases]
            assert all(isinstance(item, WorkItem) for item in await store.complete_many(done, BY))
            mine += [lease.item.id for lease in leases]
        return mine

    everything = [
        item for mine in await asyncio.gather(*(drain(f"a{n}") for n in range(16))) for item in mine
    ]
    assert sorted(everything) == sorted(f"w{n}" for n in range(1, 201))
    assert (await store.verify_audit()).bad_seq is None


async def test_every_change_is_on_record(store: Store) -> None:
    by = Caller("uid:1000 ann", "tui", command="cancel")
    await store.add([work()], BY)
    await store.cancel("w1", by)
    await store.retry("w1", Caller("uid:1000 ann", "tui", audit=False))
    await store.append_audit(AuditDraft(5, "uid:1000 ann", "cli", "kill", "process:7", outcome="unknown"))
    records = await store.audit()
    assert [(r.command, r.target, r.before, r.after, r.outcome) for r in records] == [
        ("kill", "process:7", "", "", "unknown"),
        ("cancel", "w1", "ready", "cancelled", "verified"),
        ("add", "w1", "", "ready", "verified"),
    ]
    assert [r.command for r in await store.audit(10, "command:kill")] == ["kill"]
    assert [r.seq for r in await store.audit(1)] == [3]


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "x.db", ManualClock())
    await store.close()
    await store.close()
    with pytest.raises(Closed):
        await store.claim("ann", BY)
    with pytest.raises(Closed):
        await store.item("w1")


def test_rows_and_nouns_have_the_same_fields() -> None:
    assert tuple(ITEM_COLUMNS.replace(",", " ").split()) == WorkItem.__struct_fields__
    assert tuple(AGENT_COLUMNS.replace(",", " ").split()) == Registration.__struct_fields__
