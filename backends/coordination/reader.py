"""A thread with a connection that only reads. Never waits for the writer, nor the writer for it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from backends.coordination.errors import Closed
from backends.coordination.files import as_store_error

T = TypeVar("T")


class Reader:
    """Runs one query at a time, each in one snapshot of the database."""

    def __init__(
        self, name: str, path: Path, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._path = path
        self._sql = connection
        self._loop = loop
        self._waiting: SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]] | None]
        self._waiting = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``query`` on this thread."""
        if self._closed:
            raise Closed("the store is closed; start the watch again")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put((query, future))
        return await future

    def close(self) -> None:
        """Finish what is waiting, then stop. Blocks until the connection is closed."""
        self._closed = True
        self._sql.interrupt()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (request := self._waiting.get()) is not None:
            query, future = request
            if not future.cancelled():
                self._loop.call_soon_threadsafe(_settle, future, *self._answer(query))
        self._sql.close()

    def _answer(self, query: Callable[[sqlite3.Connection], Any]) -> tuple[Any, Exception | None]:
        try:
            self._sql.execute("BEGIN")
            try:
                return query(self._sql), None
            finally:
                if self._sql.in_transaction:
                    self._sql.execute("COMMIT")
        except Exception as error:
            return None, as_store_error(self._path, error)


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
