"""The only writer: one thread, one connection, group commit.

Callers hand over operations; the thread takes whatever is waiting, runs it as one transaction and commits
once, so many callers share one sync of the disk and a lone caller never waits for company. In a group each
operation has its own savepoint: one that is refused leaves the others alone. Nobody hears of success before
the commit is on disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
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


class _Request(NamedTuple):
    operation: Operation
    reply_to: Any


class Outcome(NamedTuple):
    """How one operation ended. ``reply_to`` is what its caller handed over with it."""

    reply_to: Any
    result: Any
    error: Exception | None


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
        self._waiting: SimpleQueue[_Request | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, operation: Operation, reply_to: Any) -> None:
        """Run ``operation`` in the next transaction; its outcome is delivered with ``reply_to``."""
        if self._closed:
            raise Closed("the store is closed; start the watch again")
        self._waiting.put(_Request(operation, reply_to))

    def close(self) -> None:
        """Finish what is waiting, then stop. Blocks until the connection is closed."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            self._deliver(*self._commit(group))
            self._checkpoints.reached(self._journal.audit_seq, self._journal.audit_hash, self._clock.now_ms())
        self._finish()

    def _next_group(self) -> list[_Request] | None:
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

    def _commit(self, group: list[_Request]) -> tuple[Changes | None, list[Outcome]]:
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
            sql.execute(statements.COMMIT)
        except Exception as error:
            # of a lone operation, or one that took the whole transaction with it: nothing of the group
            # happened
            journal.rewind(start)
            if sql.in_transaction:
                sql.execute(statements.ROLLBACK)
            reason = as_store_error(self._path, error)
            return None, [Outcome(request.reply_to, None, reason) for request in group]
        return journal.take(), outcomes

    def _guarded(self, request: _Request) -> Outcome:
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

    def _left(self) -> Iterator[_Request | None]:
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
