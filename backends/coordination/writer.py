"""The only writer: one connection, group commit, and a thread for when the disk is slow.

Callers hand over operations in groups; a group is one transaction, so many callers share one sync of the disk
and a lone caller never waits for company. In a group each operation has its own savepoint: one that is
refused leaves the others alone. Nobody hears of success before the commit is on disk.

While commits are quick, a group is run where it was handed over: waking a thread and being woken by it costs
as much as the commit. When they are not, the thread takes over until they are again.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from backends.clock import Clock
from backends.coordination import statements
from backends.coordination.checkpoints import Checkpoints
from backends.coordination.errors import Closed
from backends.coordination.files import as_store_error
from backends.coordination.journal import Changes, Journal

Operation = Callable[[Journal], Any]

MAX_GROUP = 256
#: No group longer than this is run on the caller's thread: it would hold up everything else there.
MAX_GROUP_AT_ONCE = 32
#: While commits take less than this on average (the last one counts an eighth), the disk is quick.
QUICK_COMMIT_NS = 1_000_000


class Request(NamedTuple):
    """One operation and the future that hears of its end."""

    operation: Operation
    reply_to: Any


class Outcome(NamedTuple):
    """How one operation ended. ``reply_to`` is what its caller handed over with it."""

    reply_to: Any
    result: Any
    error: Exception | None


Group = tuple[Changes | None, list[Outcome]]


Deliver = Callable[[Changes | None, list[Outcome]], None]
"""Told once per group, on the writer thread, after the commit. Must be quick and must not raise."""


class Writer:
    """Owns the connection from :meth:`start` to :meth:`close`."""

    def __init__(
        self,
        path: Path,
        journal: Journal,
        clock: Clock,
        checkpoints: Checkpoints,
        deliver: Deliver,
    ) -> None:
        self._path = path
        self._journal = journal
        self._clock = clock
        self._checkpoints = checkpoints
        self._deliver = deliver
        self._waiting: SimpleQueue[Request | None] = SimpleQueue()
        self._turn = threading.Lock()  # whoever holds it may use the connection
        self._commit_ns = 0  # moving average
        self._submitted = 0  # counted by the callers' thread ...
        self._finished = 0  # ... and by ours: equal when nothing is on its way
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run_at_once(self, group: Sequence[Request]) -> Group | None:
        """Commit ``group`` on the calling thread; ``None`` when it must be handed to :meth:`submit` instead:
        the thread is at work, the group is long, or the disk has been slow lately.
        """
        if self._closed or len(group) > MAX_GROUP_AT_ONCE or self._commit_ns > QUICK_COMMIT_NS:
            return None
        if self._submitted != self._finished or not self._turn.acquire(blocking=False):
            return None
        try:
            return self._commit(group)
        finally:
            self._turn.release()

    def submit(self, group: Sequence[Request]) -> None:
        """Run ``group`` on the thread, in one of the next transactions; the outcomes are delivered."""
        if self._closed:
            raise Closed("the store is closed; start the watch again")
        self._submitted += len(group)
        for request in group:
            self._waiting.put(request)

    def close(self) -> None:
        """Finish what is waiting, then stop. Blocks until the connection is closed."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            with self._turn:
                ended = self._commit(group)
            self._finished += len(group)
            self._deliver(*ended)
        with self._turn:
            self._finish()

    def _next_group(self) -> list[Request] | None:
        """Everything that waits now; blocks while nothing does. ``None``: closed and nothing left."""
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        try:
            while len(group) < MAX_GROUP:
                request = self._waiting.get_nowait()
                if request is None:
                    self._waiting.put(None)  # stop after this group
                    break
                group.append(request)
        except Empty:
            pass
        return group

    def _commit(self, group: Sequence[Request]) -> Group:
        journal, sql = self._journal, self._journal.sql
        journal.now_ms = self._clock.now_ms()
        start = journal.mark()
        try:
            sql.execute(statements.BEGIN)
            if len(group) == 1:
                result = group[0].operation(journal)
                journal.write_events()
                outcomes = [Outcome(group[0].reply_to, result, None)]
            else:
                outcomes = [self._guarded(request) for request in group]
            began = time.monotonic_ns()
            sql.execute(statements.COMMIT)
            self._commit_ns += (time.monotonic_ns() - began - self._commit_ns) // 8
        except Exception as error:
            # of a lone operation, or one that took the whole transaction with it: nothing of the group
            # happened
            journal.rewind(start)
            if sql.in_transaction:
                sql.execute(statements.ROLLBACK)
            reason = as_store_error(self._path, error)
            return None, [Outcome(request.reply_to, None, reason) for request in group]
        self._checkpoints.reached(journal.audit_seq, journal.audit_hash, journal.now_ms)
        return journal.take(), outcomes

    def _guarded(self, request: Request) -> Outcome:
        """Run one of several operations so that its failure is its own."""
        journal, sql = self._journal, self._journal.sql
        mark = journal.mark()
        sql.execute(statements.SAVEPOINT)
        try:
            result = request.operation(journal)
            journal.write_events()
        except Exception as error:
            if not sql.in_transaction:
                raise  # SQLite rolled back everything (disk full, I/O error)
            journal.rewind(mark)
            sql.execute(statements.ROLLBACK_TO)
            sql.execute(statements.RELEASE)
            return Outcome(request.reply_to, None, as_store_error(self._path, error))
        sql.execute(statements.RELEASE)
        return Outcome(request.reply_to, result, None)

    def _left(self) -> Iterator[Request | None]:
        try:
            while True:
                yield self._waiting.get_nowait()
        except Empty:
            return

    def _finish(self) -> None:
        journal = self._journal
        late = [request for request in self._left() if request is not None]
        closed = Closed("the store was closed before it could run this; start the watch again")
        self._deliver(None, [Outcome(request.reply_to, None, closed) for request in late])
        self._checkpoints.close(journal.audit_seq, journal.audit_hash, self._clock.now_ms())
        with contextlib.suppress(sqlite3.Error):  # everything is in the log; the next open folds it in
            journal.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        journal.sql.close()
