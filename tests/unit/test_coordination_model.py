"""The queue against a reference model: every reply and the whole state, under a manual clock."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from backends.clock import ManualClock
from backends.coordination import (
    Caller,
    Conflict,
    Frozen,
    LeaseLost,
    NewWork,
    NotFound,
    Store,
    StoreError,
    Swept,
)
from backends.model import Attempt, Lease, Registration, View, WorkItem, WorkState

T = TypeVar("T")
BY = Caller("uid:0 tester", "test")
S = WorkState
DONE = (S.SUCCEEDED, S.DEAD, S.CANCELLED)
ORDER = [S.DEAD, S.LEASED, S.READY, S.BLOCKED, S.SCHEDULED, S.CANCELLED, S.SUCCEEDED]


class Model:
    """The queue in plain Python: one dictionary of items, nothing shared with the store's code."""

    def __init__(self) -> None:
        self.items: dict[str, WorkItem] = {}
        self.rank: dict[str, int] = {}
        self.own_lease: dict[str, int] = {}
        self.edges: dict[str, dict[str, bool]] = {}  # child -> parent -> satisfied
        self.attempts: list[Attempt] = []
        self.draining: set[str] = set()
        self.stopped = False

    def put(self, item: WorkItem, now: int, run_at: int | None = None) -> WorkItem:
        """Store ``item`` as it is now, ranked for its state."""
        ready = now - item.priority * 60_000
        self.rank[item.id] = {
            S.READY: ready,
            S.BLOCKED: ready,
            S.SCHEDULED: item.run_at or 0,
            S.LEASED: item.claimed_at or 0,
        }.get(item.state, -now)
        self.items[item.id] = item
        return item

    def in_order(self) -> list[WorkItem]:
        numbers = {item_id: n for n, item_id in enumerate(self.items)}
        return sorted(
            self.items.values(), key=lambda i: (ORDER.index(i.state), self.rank[i.id], numbers[i.id])
        )

    def add(self, new: NewWork, now: int) -> WorkItem:
        for item in self.items.values():
            same_key = new.unique_key and (item.unique_key, item.queue) == (new.unique_key, new.queue)
            if same_key and item.state not in DONE:
                return item
        if any(parent not in self.items for parent in new.depends_on):
            raise NotFound
        waits = [parent for parent in new.depends_on if self.items[parent].state != S.SUCCEEDED]
        item_id = f"w{len(self.items) + 1}"
        state = S.BLOCKED if waits else S.SCHEDULED if (new.run_at or 0) > now else S.READY
        item = WorkItem(
            item_id, new.queue, new.kind, new.title, state, new.priority, now,
            max_attempts=new.max_attempts or 5, lease_ms=new.lease_ms or 60_000, run_at=new.run_at,
            pending_dependencies=len(waits), unique_key=new.unique_key, created_by=BY.actor,
        )  # fmt: skip
        self.own_lease[item_id] = item.lease_ms or 0
        self.edges[item_id] = {parent: parent not in waits for parent in new.depends_on}
        self.put(item, now)
        self.count_waiting()
        return item

    def count_waiting(self) -> None:
        for item in self.items.values():
            waiting = sum(
                1
                for child, parents in self.edges.items()
                if self.items[child].state == S.BLOCKED and parents.get(item.id) is False
            )
            self.items[item.id] = replace(self.items[item.id], unblocks=waiting)

    def end_attempt(self, fence: int | None, now: int, outcome: str, error: str | None = None) -> None:
        assert fence is not None
        self.attempts[fence - 1] = replace(
            self.attempts[fence - 1], ended_at=now, outcome=outcome, error=error
        )

    def unhold(self, item: WorkItem, **changes: Any) -> WorkItem:
        return replace(item, holder=None, fence=None, lease_until=None, heartbeat_at=None, **changes)

    def become_due(self, now: int) -> Swept:
        promoted = expired = 0
        if self.stopped:
            return Swept()
        for item in list(self.items.values()):
            if item.state == S.SCHEDULED and item.run_at is not None and item.run_at <= now:
                self.put(replace(item, state=S.READY, run_at=None), now)
                promoted += 1
            if item.state == S.LEASED and item.lease_until is not None and item.lease_until <= now:
                expired += 1
                error = "no sign of life before the lease ran out"
                if item.cancel_requested_at is not None:
                    state, outcome, reason = S.CANCELLED, "cancelled", "cancelled"
                else:
                    outcome, reason = "expired", "lease-expired"
                    state = S.DEAD if item.attempt >= item.max_attempts else S.READY
                self.end_attempt(item.fence, now, outcome, error)
                finished = None if state == S.READY else now
                self.put(
                    self.unhold(item, state=state, reason=reason, last_error=error, finished_at=finished), now
                )
        return Swept(promoted, expired)

    def claim(
        self, holder: str, limit: int, kinds: list[str], queues: list[str], lease_ms: int | None, now: int
    ) -> list[Lease]:
        if self.stopped:
            raise Frozen
        if holder in self.draining:
            raise Conflict
        self.become_due(now)
        ready = [i for i in self.in_order() if i.state == S.READY]
        ready = [i for i in ready if (not kinds or i.kind in kinds) and (not queues or i.queue in queues)]
        return [self.lease(item, holder, lease_ms, now) for item in ready[:limit]]

    def lease(self, item: WorkItem, holder: str, lease_ms: int | None, now: int) -> Lease:
        fence = len(self.attempts) + 1
        length = lease_ms or self.own_lease[item.id]
        number = item.attempt + 1
        self.attempts.append(Attempt(fence, item.id, number, item.generation, holder, now))
        item = replace(
            item, state=S.LEASED, holder=holder, fence=fence, attempt=number, lease_ms=length,
            lease_until=now + length, heartbeat_at=now, claimed_at=now, progress_pct=None, progress_note=None,
            progress_at=None, run_at=None, reason=None,
        )  # fmt: skip
        return Lease(self.put(item, now), fence, now + length)

    def held(self, item_id: str, fence: int) -> WorkItem:
        if item_id not in self.items:
            raise NotFound
        item = self.items[item_id]
        if item.state != S.LEASED or item.fence != fence:
            raise LeaseLost(item_id, item.fence, item.state)
        return item

    def extend(self, item_id: str, fence: int, now: int, **progress: Any) -> WorkItem:
        item = self.held(item_id, fence)
        item = replace(item, lease_until=now + (item.lease_ms or 0), heartbeat_at=now, **progress)
        return self.put(item, now)

    def complete(self, item_id: str, fence: int, result: str | None, now: int) -> WorkItem:
        known = self.items.get(item_id)
        if known is not None and known.state == S.SUCCEEDED and 1 <= fence <= len(self.attempts):
            attempt = self.attempts[fence - 1]
            first = (item_id, "succeeded", known.generation)
            if (attempt.item_id, attempt.outcome, attempt.generation) == first:
                return known
        item = self.held(item_id, fence)
        self.end_attempt(fence, now, "succeeded")
        done = self.unhold(
            item, state=S.SUCCEEDED, finished_at=now, result=result, cancel_requested_at=None, reason=None
        )
        self.put(done, now)
        for child, parents in self.edges.items():
            if parents.get(item_id) is False:
                parents[item_id] = True
                self.count_down(self.items[child], now)
        self.count_waiting()
        return self.items[item_id]

    def count_down(self, child: WorkItem, now: int) -> None:
        if child.state != S.BLOCKED:
            return
        child = replace(child, pending_dependencies=child.pending_dependencies - 1)
        if child.pending_dependencies:
            self.items[child.id] = child
            return
        waits = child.run_at is not None and child.run_at > now
        self.put(replace(child, state=S.SCHEDULED if waits else S.READY), now)

    def fail(
        self, item_id: str, fence: int, error: str, permanent: bool, run_at: int | None, now: int
    ) -> WorkItem:
        item = self.held(item_id, fence)
        outcome, reason, finished = "failed", "failed", now
        if item.cancel_requested_at is not None:
            state, outcome, reason = S.CANCELLED, "cancelled", "cancelled"
        elif permanent or item.attempt >= item.max_attempts:
            state = S.DEAD
            reason = "permanent" if permanent else "failed"
        else:
            state = S.SCHEDULED if run_at else S.READY
            finished = None  # type: ignore[assignment]
        self.end_attempt(fence, now, outcome, error)
        after = self.unhold(
            item, state=state, reason=reason, last_error=error, finished_at=finished, run_at=run_at
        )
        return self.put(after, now)

    def release(self, item_id: str, fence: int, now: int, reason: str = "released") -> WorkItem:
        item = self.held(item_id, fence)
        if item.cancel_requested_at is not None:
            self.end_attempt(fence, now, "cancelled")
            return self.put(self.unhold(item, state=S.CANCELLED, finished_at=now, reason="cancelled"), now)
        self.end_attempt(fence, now, "released")
        return self.put(self.unhold(item, state=S.READY, attempt=item.attempt - 1, reason=reason), now)

    def retry(self, item_id: str, now: int) -> WorkItem:
        item = self.items[item_id]
        if item.state not in DONE:
            raise Conflict
        twins = [i for i in self.items.values() if i.unique_key and i.unique_key == item.unique_key]
        if any(i.queue == item.queue and i.state not in DONE for i in twins):
            raise Conflict
        edges = self.edges[item_id]
        for parent in edges:
            edges[parent] = edges[parent] or self.items[parent].state == S.SUCCEEDED
        waits = sum(not satisfied for satisfied in edges.values())
        item = replace(
            item, state=S.BLOCKED if waits else S.READY, generation=item.generation + 1, attempt=0,
            run_at=None, finished_at=None, cancel_requested_at=None, reason=None, result=None,
            claimed_at=None, progress_pct=None, progress_note=None, progress_at=None,
            pending_dependencies=waits,
        )  # fmt: skip
        self.put(item, now)
        self.count_waiting()
        return self.items[item_id]

    def cancel(self, item_id: str, now: int) -> WorkItem:
        item = self.items[item_id]
        if item.state in DONE:
            raise Conflict
        if item.state == S.LEASED:
            self.items[item_id] = replace(item, cancel_requested_at=item.cancel_requested_at or now)
        else:
            self.put(replace(item, state=S.CANCELLED, run_at=None, finished_at=now, reason="cancelled"), now)
        self.count_waiting()
        return self.items[item_id]

    def thaw(self, now: int) -> None:
        self.stopped = False
        for item in self.items.values():
            if item.lease_until is not None:
                until = max(item.lease_until, now + (item.lease_ms or 0))
                self.items[item.id] = replace(item, lease_until=until)


def outcome(call: Callable[..., T], *args: Any, **more: Any) -> tuple[T | None, StoreError | None]:
    """What the model replies, or how it refuses."""
    try:
        return call(*args, **more), None
    except (NotFound, Conflict, LeaseLost, Frozen) as refusal:
        return None, refusal


holders = st.sampled_from(["ann", "bob"])
some = st.integers(0, 11)


class QueueMachine(RuleBasedStateMachine):
    """Any order of operations, valid or not."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.model = Model()
        self.requests = 0
        self.store = self.open()
        for holder in ("ann", "bob"):
            self.run(self.store.register(Registration(holder, "here"), BY))
        for n in range(5):
            new = NewWork(kind="ab"[n % 2], title=f"item {n}", queue="pq"[n % 2], priority=n, max_attempts=2)
            new = replace(new, depends_on=("w1", "w2")) if n == 4 else new
            self.same(self.store.add([new], BY), lambda new=new: [self.model.add(new, self.now)])

    def open(self) -> Store:
        path = Path(self.folder.name) / "store.db"
        return self.run(Store.open(path, self.clock, random.Random(7)))

    def run(self, awaitable: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaitable

        return self.loop.run_until_complete(wait())

    @property
    def now(self) -> int:
        return self.clock.now_ms()

    def same(self, actual: Awaitable[Any], expected: Any, *args: Any, **more: Any) -> Any:
        """The store's reply or error is the model's."""
        wanted, refusal = outcome(expected, *args, **more)
        if refusal is None:
            reply = self.run(actual)
            assert reply == wanted
            return reply
        with pytest.raises(type(refusal)) as caught:
            self.run(actual)
        if isinstance(refusal, LeaseLost):
            assert isinstance(caught.value, LeaseLost)
            assert caught.value.current_fence == refusal.current_fence
        return None

    def pick(self, n: int) -> str:
        """The id of some item; now and then of none."""
        known = len(self.model.items)
        return "w99" if n == 11 or known == 0 else f"w{n % known + 1}"

    def pick_held(self, n: int) -> str:
        """Mostly the id of a leased item."""
        leased = [item.id for item in self.model.items.values() if item.state == S.LEASED]
        return leased[n % len(leased)] if n > 2 and leased else self.pick(n)

    def fence(self, item_id: str, n: int) -> int:
        """Mostly the live fence, else an old, foreign or unborn one."""
        item = self.model.items.get(item_id)
        if n > 3 and item is not None and item.fence is not None:
            return item.fence
        return n + 1

    @rule(
        priority=st.integers(0, 9),
        kind=st.sampled_from("ab"),
        queue=st.sampled_from("pq"),
        parents=st.lists(st.integers(0, 10), max_size=2),
        key=st.sampled_from([None, None, "k"]),
        delay=st.sampled_from([None, None, 0, 30_000]),
        max_attempts=st.sampled_from([None, 1, 2]),
    )
    def add(self, priority: int, kind: str, queue: str, parents: list[int], key: str | None,
            delay: int | None, max_attempts: int | None) -> None:  # fmt: skip
        if len(self.model.items) >= 11:
            return
        new = NewWork(
            kind=kind, title=f"do {kind}", priority=priority, queue=queue, unique_key=key,
            depends_on=tuple(dict.fromkeys(self.pick(n) for n in parents)),
            run_at=None if delay is None else self.now + delay, max_attempts=max_attempts,
        )  # fmt: skip
        self.same(self.store.add([new], BY), lambda: [self.model.add(new, self.now)])

    @rule(
        holder=holders,
        limit=st.integers(1, 4),
        kinds=st.sampled_from([[], [], ["a"], ["b", "none"]]),
        queues=st.sampled_from([[], [], ["p"], ["p", "q"]]),
        lease_ms=st.sampled_from([None, 1_000]),
    )
    def claim(
        self, holder: str, limit: int, kinds: list[str], queues: list[str], lease_ms: int | None
    ) -> None:
        asked = self.store.claim(holder, BY, limit=limit, kinds=kinds, queues=queues, lease_ms=lease_ms)
        self.same(asked, self.model.claim, holder, limit, kinds, queues, lease_ms, self.now)

    @rule(holder=holders)
    def claim_twice_with_one_request_id(self, holder: str) -> None:
        if self.model.stopped or holder in self.model.draining:
            return
        self.requests += 1
        by = replace(BY, request_id=f"r{self.requests}")
        first = self.same(self.store.claim(holder, by), self.model.claim, holder, 1, [], [], None, self.now)
        if first:  # an empty reply is not kept
            assert self.run(self.store.claim(holder, by)) == first

    @rule(n=some, holder=holders)
    def claim_one(self, n: int, holder: str) -> None:
        item_id = self.pick(n)

        def expected() -> list[Lease]:
            self.model.claim(holder, 0, [], [], None, self.now)
            if item_id not in self.model.items:
                raise NotFound
            item = self.model.items[item_id]
            if item.state != S.READY:
                raise Conflict
            return [self.model.lease(item, holder, None, self.now)]

        known = dict(self.model.items), dict(self.model.rank), list(self.model.attempts)
        try:
            wanted = expected()
        except (NotFound, Conflict, Frozen) as error:
            self.model.items, self.model.rank, self.model.attempts = known  # refused: nothing happened
            with pytest.raises(type(error)):
                self.run(self.store.claim(holder, BY, item_id=item_id))
        else:
            assert self.run(self.store.claim(holder, BY, item_id=item_id)) == wanted

    @rule(n=some, f=some)
    def extend(self, n: int, f: int) -> None:
        item_id = self.pick_held(n)
        fence = self.fence(item_id, f)
        self.same(self.store.extend(item_id, fence), self.model.extend, item_id, fence, self.now)

    @rule(n=some, f=some, pct=st.integers(0, 100))
    def progress(self, n: int, f: int, pct: int) -> None:
        item_id = self.pick_held(n)
        fence = self.fence(item_id, f)
        done = {"progress_pct": float(pct), "progress_note": "on it", "progress_at": self.now}
        asked = self.store.progress(item_id, fence, pct, "on it", BY)
        self.same(asked, self.model.extend, item_id, fence, self.now, **done)

    @rule(n=some, f=some, again=st.booleans())
    def complete(self, n: int, f: int, again: bool) -> None:
        item_id = self.pick_held(n)
        fence = self.fence(item_id, f)
        result = f'"{fence}"'
        done = self.same(
            self.store.complete(item_id, fence, result, BY),
            self.model.complete, item_id, fence, result, self.now,
        )  # fmt: skip
        if done is not None and again:
            assert self.run(self.store.complete(item_id, fence, '"other"', BY)) == done

    @rule(f=st.lists(some, min_size=1, max_size=3, unique=True))
    def complete_many(self, f: list[int]) -> None:
        picked = dict.fromkeys(self.pick_held(n) for n in f)
        done = [(item_id, self.fence(item_id, sum(f) % 12), None) for item_id in picked]
        replies = self.run(self.store.complete_many(done, BY))
        assert len(replies) == len(done)
        for (item_id, fence, _), reply in zip(done, replies, strict=True):
            _, refusal = outcome(self.model.complete, item_id, fence, None, self.now)
            assert type(reply) is (type(refusal) if refusal else WorkItem)

    @rule(n=some, holder=holders)
    def complete_by_name(self, n: int, holder: str) -> None:
        item_id = self.pick_held(n)

        def expected() -> WorkItem:
            item = self.model.items.get(item_id)
            if item is None:
                raise NotFound
            if item.state != S.LEASED or item.holder != holder:
                raise LeaseLost(item_id, item.fence, item.state)
            assert item.fence is not None
            return self.model.complete(item_id, item.fence, None, self.now)

        self.same(self.store.complete(item_id, None, None, BY, holder=holder), expected)

    @rule(n=some, f=some, permanent=st.booleans())
    def fail(self, n: int, f: int, permanent: bool) -> None:
        item_id = self.pick_held(n)
        fence = self.fence(item_id, f)
        before = self.model.items.get(item_id)
        asked = self.store.fail(item_id, fence, "boom\ntrace", BY, permanent=permanent)
        if before is None or before.state != S.LEASED or before.fence != fence:
            self.same(asked, self.model.held, item_id, fence)
            return
        reply = self.run(asked)
        if reply.run_at is not None:
            assert self.now < reply.run_at <= self.now + 2_000 * 2 ** (before.attempt - 1)
        expected = self.model.fail(item_id, fence, "boom\ntrace", permanent, reply.run_at, self.now)
        assert reply == expected

    @rule(n=some, f=some)
    def release(self, n: int, f: int) -> None:
        item_id = self.pick_held(n)
        fence = self.fence(item_id, f)
        self.same(self.store.release(item_id, fence, BY), self.model.release, item_id, fence, self.now)

    @rule(n=some)
    def retry(self, n: int) -> None:
        item_id = self.pick(n)
        if item_id in self.model.items:
            self.same(self.store.retry(item_id, BY), self.model.retry, item_id, self.now)

    @rule(n=some)
    def cancel(self, n: int) -> None:
        item_id = self.pick(n)
        if item_id in self.model.items:
            self.same(self.store.cancel(item_id, BY), self.model.cancel, item_id, self.now)

    @rule(holder=holders)
    def requeue(self, holder: str) -> None:
        held = [i for i in self.model.items.values() if i.holder == holder]
        held.sort(key=lambda i: i.lease_until or 0)

        def expected() -> set[str]:
            for item in held:
                assert item.fence is not None
                self.model.release(item.id, item.fence, self.now, "requeued")
            return {item.id for item in held}

        async def ids() -> set[str]:
            return {item.id for item in await self.store.requeue_holder(holder, BY)}

        self.same(ids(), expected)

    @rule()
    def sweep(self) -> None:
        self.same(self.store.sweep(), self.model.become_due, self.now)

    @rule(holder=holders, n=some)
    def drain(self, holder: str, n: int) -> None:
        draining = n == 0
        (self.model.draining.add if draining else self.model.draining.discard)(holder)
        self.run(self.store.set_draining(holder, draining, BY))

    @rule(n=some)
    def stop_or_thaw(self, n: int) -> None:
        if not self.model.stopped and n > 2:
            return
        if self.model.stopped:
            self.run(self.store.clear_estop(BY))
            self.model.thaw(self.now)
        else:
            self.run(self.store.set_estop("fire", "[]", BY))
            self.model.stopped = True

    @rule(ms=st.sampled_from([1, 900, 1_000, 30_000, 60_000, 3_600_001]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.open()

    @invariant()
    def same_state(self) -> None:
        if not hasattr(self, "store"):
            return
        shown = self.run(self.store.window(View("work", count=100)))
        expected = self.model.in_order()
        assert list(shown.rows) == expected
        counts = {state: sum(i.state == state for i in expected) for state in S}
        assert self.store.counts() == counts
        assert shown.total == len(expected)
        held = {i.id: i for i in expected if i.state == S.LEASED}
        by_holder = self.store.leases_by_holder()
        assert {i.id: i for items in by_holder.values() for i in items} == held
        assert all(item.holder == holder for holder, items in by_holder.items() for item in items)

    @invariant()
    def promises(self) -> None:
        """What the model itself must never break."""
        if not hasattr(self, "store"):
            return
        live = [i.fence for i in self.model.items.values() if i.fence is not None]
        assert len(live) == len(set(live))
        for item in self.model.items.values():
            mine = [a for a in self.model.attempts if a.item_id == item.id]
            assert [a.id for a in mine] == sorted({a.id for a in mine})
            for generation in range(1, item.generation + 1):
                succeeded = [a for a in mine if (a.generation, a.outcome) == (generation, "succeeded")]
                assert len(succeeded) <= 1
            if item.state == S.BLOCKED:
                assert not all(self.model.edges[item.id].values())

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            for item_id in self.model.items:
                expected = [a for a in self.model.attempts if a.item_id == item_id]
                assert self.run(self.store.attempts(item_id)) == expected
            checked = self.run(self.store.verify_audit())
            assert checked.bad_seq is None, checked.reason
        finally:
            self.run(self.store.close())
            self.loop.close()
            self.folder.cleanup()


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(
    max_examples=120,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
