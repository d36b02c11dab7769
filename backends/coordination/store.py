"""The store's front: asynchronous to its callers, one writer thread and two reader threads behind it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from backends.audit import AuditDraft
from backends.clock import Clock
from backends.coordination import (
    adding,
    claiming,
    holding,
    operations,
    reading,
    registrations,
    steering,
    windows,
)
from backends.coordination.checkpoints import Checkpoints, checkpoint_path, report_lost_checkpoints
from backends.coordination.errors import Closed, Invalid, StoreError
from backends.coordination.files import FileLock, as_store_error, open_database, open_reader
from backends.coordination.journal import Changes, Journal
from backends.coordination.mirror import Mirror
from backends.coordination.nouns import (
    AuditState,
    Beat,
    BeatReply,
    Caller,
    Commit,
    DeadGroup,
    EmergencyStop,
    NewWork,
    Swept,
)
from backends.coordination.reader import Reader
from backends.coordination.threads import in_thread
from backends.coordination.writer import Outcome, Request, Writer
from backends.model import (
    Attempt,
    AuditRecord,
    Event,
    Lease,
    Registration,
    View,
    Window,
    WorkItem,
    WorkState,
)
from backends.text import clean_lines, clean_optional

T = TypeVar("T")

FLUSH_S = 5.0
"""Heartbeats are written down this often: what a crash can make the store forget of them."""


class Store:
    """Work queue, agents, events and audit trail of one watch, in one file.

    Every method that changes something returns after it is on disk, and raises a
    :class:`~backends.coordination.errors.StoreError` when it changed nothing. A cancelled caller may not
    hear of the outcome; the operation still happens. Where ``fence`` is ``None`` the ``holder`` must be
    named and must be the one that holds the item: a convenience for people, safe against other holders but
    not against the same one's past.
    """

    def __init__(self, path: Path, clock: Clock, loop: asyncio.AbstractEventLoop, parts: _Parts) -> None:
        self.path = path
        self._clock = clock
        self._loop = loop
        self._lock = parts.lock
        self._mirror = parts.mirror
        self._reader = Reader("store-reader", path, parts.readers[0], loop)
        self._scanner = Reader("store-scanner", path, parts.readers[1], loop)
        self._windows = windows.WorkWindows(clock)
        self._watchers: list[Callable[[Commit], None]] = []
        self._handed_over: list[Request] = []  # in this turn of the loop, not yet with the writer
        self._unseen: deque[Changes] = deque()  # committed, in order, not yet in the mirror
        self._writer = Writer(path, parts.journal, clock, parts.checkpoints, self._deliver)
        self._writer.start()
        self._flusher = loop.create_task(self._flush_beats())
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path, clock: Clock, chance: random.Random | None = None) -> Store:
        """Open the store at ``path``, made if it is not there. Raises a ``StoreUnusable`` that says why it
        cannot.

        ``chance`` draws the jitter of retries.
        """
        parts = await in_thread("store-open", partial(_open_parts, path, clock, chance or random.Random()))
        return cls(path, clock, asyncio.get_running_loop(), parts)

    async def close(self) -> None:
        """Write down what is in memory, finish what is under way, fold the log into the file, let go of the
        lock.
        """
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._flusher.cancel()
        with contextlib.suppress(StoreError):
            await self.flush()
        await in_thread("store-close", self._stop_threads)
        self._catch_up()
        self._lock.release()

    def _stop_threads(self) -> None:
        self._reader.close()
        self._scanner.close()
        self._writer.close()  # last: it folds the log into the file

    # --- the way to the writer and back ----------------------------------------------------------

    def _write(self, operation: Callable[[Journal], T]) -> asyncio.Future[T]:
        """Have ``operation`` run with all others of this turn of the loop, in one commit."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._handed_over.append(Request(operation, future))
        if len(self._handed_over) == 1:
            self._loop.call_soon(self._hand_over)
        return future

    def _hand_over(self) -> None:
        group, self._handed_over = self._handed_over, []
        ended = self._writer.run_at_once(group)
        if ended is None:
            try:
                self._writer.submit(group)
            except Closed as error:
                self._settle([Outcome(request.reply_to, None, error) for request in group])
            return
        changes, outcomes = ended
        if changes:
            self._unseen.append(changes)
        self._settle(outcomes)

    def _deliver(self, changes: Changes | None, outcomes: list[Outcome]) -> None:
        """One group is on disk. On the writer's thread: one wake-up of the loop for all of it."""
        if changes:
            self._unseen.append(changes)
        with contextlib.suppress(RuntimeError):  # the loop was closed without closing the store
            self._loop.call_soon_threadsafe(self._settle, outcomes)

    def _settle(self, outcomes: list[Outcome]) -> None:
        self._catch_up()
        for future, result, error in outcomes:
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _catch_up(self) -> None:
        """Bring what the loop keeps in memory up to the last commit."""
        while self._unseen:
            commit = self._mirror.apply(self._unseen.popleft())
            for watcher in self._watchers:
                watcher(commit)

    def on_commit(self, watcher: Callable[[Commit], None]) -> Callable[[], None]:
        """Call ``watcher`` on the event loop after each commit that changed something, before the callers
        whose doing it was hear of it. Returns what ends that.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # --- work ------------------------------------------------------------------------------------

    async def add(self, works: Sequence[NewWork], by: Caller) -> list[WorkItem]:
        """Add all of ``works``, or none. For a unique key that is taken, the unfinished item that has it."""
        if not 1 <= len(works) <= adding.MAX_BATCH:
            raise Invalid(f"add takes 1 to {adding.MAX_BATCH} items, not {len(works)}")
        checked = [adding.checked_work(new) for new in works]
        return await self._write(lambda journal: adding.add(journal, checked, by))

    async def claim(
        self,
        holder: str,
        by: Caller,
        *,
        limit: int = 1,
        kinds: Collection[str] = (),
        queues: Collection[str] = (),
        item_id: str | None = None,
        lease_ms: int | None = None,
    ) -> list[Lease]:
        """Lease the ``limit`` most urgent ready items, or ``item_id``; ``[]`` when nothing is ready.

        Raises ``Frozen`` under an emergency stop, ``Conflict`` for a draining holder.
        """
        return await self._write(
            operations.claim(
                holder, by, limit=limit, kinds=kinds, queues=queues, item_id=item_id, lease_ms=lease_ms
            )
        )

    async def extend(self, item_id: str, fence: int | None, *, holder: str | None = None) -> WorkItem:
        """A sign of life for one lease. ``cancel_requested_at`` of the reply asks the holder to let go."""
        return await self._write(lambda journal: holding.extend(journal, item_id, fence, holder))

    async def progress(
        self,
        item_id: str,
        fence: int | None,
        pct: float | None,
        note: str | None,
        by: Caller,
        *,
        holder: str | None = None,
    ) -> WorkItem:
        """How far the work is (``pct`` 0-100); also a sign of life. ``None`` leaves a value as it was."""
        if pct is not None and not 0 <= pct <= 100:
            raise Invalid(f"progress {pct} is not between 0 and 100")
        share = None if pct is None else float(pct)
        note = clean_optional(note)
        return await self._write(
            lambda journal: holding.progress(journal, item_id, fence, share, note, by, holder)
        )

    async def complete(
        self, item_id: str, fence: int | None, result: str | None, by: Caller, *, holder: str | None = None
    ) -> WorkItem:
        """The work is done. ``result`` is JSON text. Repeated with the same fence it returns the first
        outcome.
        """
        return await self._write(operations.complete(item_id, fence, result, by, holder=holder))

    async def complete_many(
        self, done: Sequence[tuple[str, int, str | None]], by: Caller
    ) -> list[WorkItem | StoreError]:
        """Complete each of ``(item id, fence, result)`` in one commit. A lost lease is an error in its
        place.
        """
        return await self._write(operations.complete_many(done, by))

    async def fail(
        self,
        item_id: str,
        fence: int | None,
        error: str,
        by: Caller,
        *,
        permanent: bool = False,
        holder: str | None = None,
    ) -> WorkItem:
        """The attempt failed: scheduled again after a pause, or dead when permanent or out of attempts."""
        error = clean_lines(error, 4_000)
        return await self._write(
            lambda journal: holding.fail(journal, item_id, fence, error, by, permanent, holder)
        )

    async def release(
        self, item_id: str, fence: int | None, by: Caller, *, holder: str | None = None
    ) -> WorkItem:
        """Give the item back unharmed; the attempt is not counted."""
        return await self._write(lambda journal: holding.release(journal, item_id, fence, by, holder))

    async def retry(self, item_id: str, by: Caller) -> WorkItem:
        """Do a dead, cancelled or succeeded item again: same id, next generation."""
        return await self._write(lambda journal: steering.retry(journal, item_id, by))

    async def cancel(self, item_id: str, by: Caller) -> WorkItem:
        """End an unfinished item; the holder of a leased one is asked to let go."""
        return await self._write(lambda journal: steering.cancel(journal, item_id, by))

    async def requeue_holder(self, holder: str, by: Caller) -> list[WorkItem]:
        """Take back everything ``holder`` holds; attempts are not counted, its fences are void."""
        return await self._write(lambda journal: holding.requeue_holder(journal, holder, by))

    async def sweep(self) -> Swept:
        """Promote what is due, take back leases that ran out, forget old replies and events."""
        swept = await self._write(claiming.sweep)
        moved = swept
        while moved.promoted + moved.expired:  # in bounded transactions: others get their turn
            moved = await self._write(claiming.move_due)
            swept = Swept(swept.promoted + moved.promoted, swept.expired + moved.expired)
        return swept

    # --- agents ----------------------------------------------------------------------------------

    async def register(self, registration: Registration, by: Caller) -> Registration:
        """Join or join again; what the store keeps (incarnation, times, draining) is in the reply."""
        new = registrations.checked_registration(registration)
        return await self._write(lambda journal: registrations.register(journal, new, by))

    async def deregister(self, agent_id: str, by: Caller) -> None:
        await self._write(lambda journal: registrations.deregister(journal, agent_id, by))

    async def heartbeat(self, beats: Sequence[Beat]) -> dict[str, BeatReply]:
        """Signs of life, kept in memory and written down every few seconds. Raises ``NotFound``, and notes
        none of them, when an agent is not registered.
        """
        replies = self._mirror.beat(beats, self._clock.now_ms())
        if any(reply.answer is not None for reply in replies.values()):
            await self.flush()  # an answer is given once, also across a crash
        if self._watchers:
            commit = Commit((), {}, tuple(replies))
            for watcher in self._watchers:
                watcher(commit)
        return replies

    async def set_draining(self, agent_id: str, draining: bool, by: Caller) -> None:
        """Ask an agent to take nothing new, or take that back."""
        await self._write(lambda journal: registrations.set_draining(journal, agent_id, draining, by))

    async def set_answer(self, agent_id: str, answer: str, by: Caller) -> None:
        """``"approved"`` or ``"denied"``, handed to the agent with its next heartbeat, once."""
        await self._write(lambda journal: registrations.set_answer(journal, agent_id, answer, by))

    def registrations(self) -> list[Registration]:
        return list(self._mirror.agents.values())

    def registration(self, agent_id: str) -> Registration | None:
        return self._mirror.agents.get(agent_id)

    async def flush(self) -> None:
        """Write the heartbeats in memory down now."""
        unsaved = self._mirror.take_unsaved()
        if unsaved:
            await self._write(lambda journal: registrations.save_beats(journal, unsaved))

    async def _flush_beats(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_S)
            with contextlib.suppress(StoreError):  # a full disk costs liveness of a few seconds, nothing else
                await self.flush()

    # --- emergency stop --------------------------------------------------------------------------

    async def set_estop(self, reason: str, frozen: str, by: Caller) -> EmergencyStop:
        """No claims, and no lease runs out, until cleared. ``frozen``: JSON list of what was stopped."""
        adding.checked_json(frozen, "frozen")
        return await self._write(lambda journal: registrations.set_estop(journal, reason, frozen, by))

    async def clear_estop(self, by: Caller) -> EmergencyStop | None:
        """Lift the stop and renew every lease. Returns the stop that was in force, if any."""
        return await self._write(lambda journal: registrations.clear_estop(journal, by))

    def estop(self) -> EmergencyStop | None:
        """The emergency stop in force."""
        return self._mirror.estop

    # --- audit and events ------------------------------------------------------------------------

    async def append_audit(self, draft: AuditDraft) -> AuditRecord:
        """Add a record for something that is not the store's own doing."""
        return await self._write(lambda journal: journal.append_audit(draft))

    async def audit(self, limit: int = 100, filter_text: str = "") -> list[AuditRecord]:
        """The newest records that match, newest first. Raises FilterError."""
        now = self._clock.now_ms()
        return await self._scanner.read(lambda sql: reading.audit_records(sql, limit, filter_text, now))

    async def verify_audit(self) -> AuditState:
        """Check every record against the chain and the checkpoints; names the first bad one."""
        return await self._scanner.read(lambda sql: reading.verify_audit(sql, checkpoint_path(self.path)))

    async def events_since(self, seq: int, limit: int = 1000) -> list[Event]:
        """Events after ``seq``, in the order they were committed."""
        return await self._reader.read(lambda sql: reading.events_since(sql, seq, limit))

    # --- looking ---------------------------------------------------------------------------------

    async def window(self, view: View) -> Window:
        """The rows of a view of the table ``work`` and the totals of all that match. Raises FilterError,
        ``Invalid``.
        """
        windows.check_view(view)
        counts = dict(self._mirror.counts)
        if windows.has_index(view):
            now = self._clock.now_ms()
            return await self._reader.read(lambda sql: windows.indexed_window(sql, view, counts, now))
        window = await self._scanner.read(lambda sql: self._windows.window(sql, view))
        return replace(window, table_total=sum(counts.values()))

    def counts(self) -> dict[WorkState, int]:
        """Items by state; every state is there."""
        return {state: self._mirror.counts[state] for state in WorkState}

    async def item(self, item_id: str) -> WorkItem:
        """One item, or ``NotFound``."""
        return await self._reader.read(lambda sql: reading.item(sql, item_id))

    async def attempts(self, item_id: str) -> list[Attempt]:
        """Every claim of an item, first first."""
        return await self._reader.read(lambda sql: reading.attempts(sql, item_id))

    async def parents(self, item_id: str) -> list[WorkItem]:
        """The items an item depends on, done or not."""
        return await self._reader.read(lambda sql: reading.parents(sql, item_id))

    async def dead_groups(self, limit: int = 50) -> list[DeadGroup]:
        """Dead letters by cause, most frequent first."""
        return await self._scanner.read(lambda sql: reading.dead_groups(sql, limit))

    async def oldest_ready_at(self) -> int | None:
        """Since when the longest-waiting of the next thousand ready items waits."""
        return await self._reader.read(reading.oldest_ready_at)

    def leases_by_holder(self) -> dict[str, list[WorkItem]]:
        """Every leased item, by the agent that holds it."""
        return self._mirror.leases_by_holder()

    def leases_of(self, holder: str) -> list[WorkItem]:
        return self._mirror.leases_of(holder)


class _Parts(NamedTuple):
    lock: FileLock
    journal: Journal
    checkpoints: Checkpoints
    mirror: Mirror
    readers: tuple[sqlite3.Connection, sqlite3.Connection]


def _open_parts(path: Path, clock: Clock, chance: random.Random) -> _Parts:
    with contextlib.ExitStack() as undo:
        lock = FileLock(path)
        undo.callback(lock.release)
        try:
            connection = open_database(path)
            undo.callback(connection.close)
            readers = open_reader(path), open_reader(path)
            for reader in readers:
                undo.callback(reader.close)
            journal = Journal(connection, chance)
            checkpoints = Checkpoints(checkpoint_path(path))
            report_lost_checkpoints(journal, checkpoints, clock.now_ms())
            mirror = Mirror(connection, journal.estop)
        except (OSError, sqlite3.Error) as error:
            raise as_store_error(path, error) from error
        undo.pop_all()
    return _Parts(lock, journal, checkpoints, mirror, readers)
