"""Calls that may never return: a ``statvfs`` or ``scandir`` on a network filesystem whose server is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start_abandonable(call: Callable[[], T], name: str) -> Future[T]:
    """Run ``call`` in a thread of its own.

    The thread is a daemon: unlike an executor's, one that hangs does not keep the program from ending.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def in_abandonable_thread(call: Callable[[], T], name: str) -> T:
    """:func:`start_abandonable`, awaited. Cancel the wait, and the thread is left behind."""
    return await asyncio.wrap_future(start_abandonable(call, name))
