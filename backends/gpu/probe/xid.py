"""XID errors as the driver reports them, on a thread of their own: waiting blocks, and event sets are not
thread-safe.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

WAIT_MS = 1000

_XID_CRITICAL_ERROR = 0x8
_TIMEOUT = 10


class XidWatch:
    """Tells ``tell(gpu index, XID code)`` for every XID on the GPUs given to :meth:`add`.

    A GPU that cannot report events is left out: that says nothing about its health.
    """

    def __init__(self, nvml: Any, tell: Callable[[int, int], None]) -> None:
        self._nvml = nvml
        self._tell = tell
        self._new: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._index_of: dict[int | None, int] = {}
        self._started = False

    def add(self, index: int, handle: Any) -> None:
        """Watch one more GPU. Starts the thread on first use."""
        self._new.put((index, handle))
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="xid", daemon=True).start()

    def _run(self) -> None:
        nvml = self._nvml
        try:
            events = nvml.nvmlEventSetCreate()
        except nvml.NVMLError:
            return
        while True:
            self._register(events)
            if not self._index_of:
                time.sleep(WAIT_MS / 1000)
                continue
            try:
                event = nvml.nvmlEventSetWait_v2(events, WAIT_MS)
            except nvml.NVMLError as error:
                if int(error.value) != _TIMEOUT:
                    time.sleep(WAIT_MS / 1000)
                continue
            index = self._index_of.get(_address(event.device))
            if event.eventType & _XID_CRITICAL_ERROR and index is not None:
                self._tell(index, int(event.eventData))

    def _register(self, events: Any) -> None:
        while True:
            try:
                index, handle = self._new.get_nowait()
            except Empty:
                return
            try:
                self._nvml.nvmlDeviceRegisterEvents(handle, _XID_CRITICAL_ERROR, events)
            except self._nvml.NVMLError:
                continue
            self._index_of[_address(handle)] = index


def _address(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value
