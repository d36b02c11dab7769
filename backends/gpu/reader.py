"""The GPU reader: keeps a probe running, and says in words when it cannot."""

from __future__ import annotations

import asyncio
import contextlib

from backends.clock import Clock, SystemClock
from backends.gpu import words
from backends.gpu.child import ProbeProcess, probe_arguments
from backends.gpu.deadlines import RETRY_MS, Deadlines
from backends.gpu.protocol import Frame, Hello, Opening, Trouble, Xid, parse
from backends.gpu.rows import GpuRows, any_gone
from backends.model import Gpu, SourceState
from backends.picture import Reading
from backends.text import clean

FASTEST_S, SLOWEST_S = 0.2, 60.0

_NO_DRIVER = "no driver"


class GpuReader:
    """Reads this machine's GPUs through one long-lived probe process.

    ``library`` names the driver's library file when the loader should not choose; ``root`` is where ``/proc``
    and ``/sys`` are. The states it reports, each with its reason: ``ok``, ``no GPUs``, ``no driver``,
    ``driver mismatch``, ``driver not loaded``, ``no permission``, ``no nvidia-ml-py``, ``wrong pynvml``,
    ``stale``, ``hung``, ``probe failed``. A machine that never had a GPU is not in trouble: there
    ``no driver`` is an ok state.
    """

    source = "gpu"

    def __init__(
        self,
        host: str,
        clock: Clock | None = None,
        *,
        library: str | None = None,
        root: str = "/",
        interval_s: float = 1.0,
        processes: bool = True,
    ) -> None:
        self.host = host
        self._clock = clock or SystemClock()
        self._library = library
        self._root = root
        self._interval_s = interval_s
        self._processes = processes
        self._deadlines = Deadlines.at(interval_s)
        self._rows = GpuRows(host)

        self._probe: ProbeProcess | None = None
        self._abandoned: ProbeProcess | None = None
        self._news = asyncio.Event()
        self._life_ms = 0  # monotonic, of the last sign of life
        self._retry_ms = 0  # monotonic, no new probe before
        self._free_restart_ms = 0  # monotonic, from then on a probe that dies is replaced at once
        self._gone_since_ms: int | None = None
        self._ended = self._greeted = self._told_stale = False
        self._frame: Frame | None = None  # not yet handed out
        self._trouble: Trouble | None = None
        self._last_words = ""  # of a probe that died: its last line that was no message
        self._driver = ""

        self._ok = True
        self._state = words.Words("starting", "the GPU probe is starting")
        self._good_at: int | None = None
        self._failing_since_at: int | None = None
        self._cost_ms: float | None = None

    @property
    def probe_pid(self) -> int | None:
        """Process id of the running probe."""
        return None if self._probe is None else self._probe.pid

    def set_pace(self, interval_s: float, processes: bool) -> None:
        """Ask for a frame each ``interval_s`` seconds, with or without the (dear) process lists."""
        interval_s = min(max(interval_s, FASTEST_S), SLOWEST_S)
        if (interval_s, processes) == (self._interval_s, self._processes):
            return
        self._interval_s, self._processes = interval_s, processes
        self._deadlines = Deadlines.at(interval_s)
        if self._probe is not None:
            self._probe.send(interval_s=interval_s, processes=processes)
        self._news.set()

    async def read(self) -> Reading:
        """The newest frame; waits for one at most until the next deadline."""
        if self._probe is None and not await self._start():
            return self._reading()
        for _ in range(2):  # after a stall of this process the pipe holds what it missed: no silence, then
            await asyncio.sleep(0)
        while self._probe is not None:
            self._news.clear()
            if self._frame is not None:
                await self._take_frame(self._frame)
                break
            if self._ended:
                await self._bury()
                continue
            silent_ms = self._clock.monotonic_ms() - self._life_ms
            if silent_ms >= self._deadlines.hung_ms:
                self._give_up()
                break
            if silent_ms >= self._deadlines.stale_ms and not self._told_stale:
                self._told_stale = True
                self._fail(words.stale(silent_ms, greeted=self._greeted))
                break
            limit_ms = self._deadlines.hung_ms if self._told_stale else self._deadlines.stale_ms
            await self._news_within(limit_ms - silent_ms)
        return self._reading()

    async def close(self) -> None:
        """End the probe. At most half a second, whether or not the driver answers."""
        probe, self._probe = self._probe, None
        if self._abandoned is not None:
            self._abandoned.abandon()
        if probe is None:
            return
        if self._told_stale:
            probe.abandon()
            await asyncio.sleep(0)
        else:
            await probe.stop()

    # --- the probe's life ------------------------------------------------------------------------------

    async def _start(self) -> bool:
        """Start a probe if one is due and none still hangs."""
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._retry_ms:
            return False
        self._retry_ms = now_ms + RETRY_MS
        if self._abandoned is not None:
            if self._abandoned.exit_code() is None:
                self._fail(words.still_hung(self._abandoned.pid))
                return False
            self._abandoned = None
        self._life_ms = now_ms
        self._ended = self._greeted = self._told_stale = False
        self._frame = self._trouble = None
        self._last_words = ""
        probe = ProbeProcess(lambda line: self._hear(probe, line), lambda: self._end(probe))
        arguments = probe_arguments(self._library, self._root, self._interval_s, self._processes)
        self._probe = probe  # before it starts: it may speak, or end, meanwhile
        try:
            await probe.start(arguments)
        except OSError as error:
            self._probe = None
            probe.abandon()
            self._fail(words.trouble("start", detail=f"it cannot be started: {error}"))
            return False
        return True

    def _hear(self, probe: ProbeProcess, line: bytes) -> None:
        if probe is not self._probe:
            return
        message = parse(line)
        if isinstance(message, Xid):  # its thread lives on when a call hangs: no sign of life
            self._rows.take_xid(message.index, message.code, self._clock.now_ms())
            return
        if message is None:
            self._last_words = clean(line.strip(), 200) or self._last_words
            return
        self._life_ms = self._clock.monotonic_ms()
        if isinstance(message, Frame):
            self._frame = message
        elif isinstance(message, Hello):
            self._greeted = True
            self._driver = clean(message.driver, 40)
        elif isinstance(message, Trouble):
            self._trouble = message
        elif isinstance(message, Opening):
            return
        self._news.set()

    def _end(self, probe: ProbeProcess) -> None:
        if probe is self._probe:
            self._ended = True
            self._news.set()

    async def _bury(self) -> None:
        """The probe ended by itself. One that worked is replaced at once, but not twice within a minute."""
        probe, self._probe = self._probe, None
        assert probe is not None
        await probe.stop()
        now_ms = self._clock.monotonic_ms()
        self._retry_ms = now_ms + RETRY_MS
        if self._trouble is not None:
            self._take_trouble(self._trouble)
            return
        self._fail(words.died(probe.exit_code(), self._last_words))
        if self._greeted and now_ms >= self._free_restart_ms:
            self._free_restart_ms = now_ms + RETRY_MS
            self._retry_ms = now_ms
            await self._start()

    def _give_up(self) -> None:
        """The driver hangs: leave this probe to the kernel, and try another later."""
        probe, self._probe = self._probe, None
        assert probe is not None
        probe.abandon()
        self._abandoned = probe
        self._retry_ms = self._clock.monotonic_ms() + RETRY_MS
        self._fail(words.hung(probe.pid))

    async def _news_within(self, ms: int) -> None:
        """Return when something was heard, or ``ms`` have passed on the clock."""
        news = asyncio.ensure_future(self._news.wait())
        alarm = asyncio.ensure_future(self._clock.sleep(ms / 1000))
        try:
            await asyncio.wait((news, alarm), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (news, alarm):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    # --- what it said ----------------------------------------------------------------------------------

    async def _take_frame(self, frame: Frame) -> None:
        now_at = self._clock.now_ms()
        self._frame = None
        self._told_stale = False
        rows = self._rows.take(frame, self._driver, now_at)
        self._cost_ms = None if frame.driver_us is None else frame.driver_us / 1000
        self._succeed(words.Words("ok", "") if rows else words.NO_GPUS)
        await self._reopen_for(frame)

    async def _reopen_for(self, frame: Frame) -> None:
        """A lost GPU can only come back to a driver that was opened anew: replace the probe once a minute."""
        now_ms = self._clock.monotonic_ms()
        if not any_gone(frame.gpus):
            self._gone_since_ms = None
        elif self._gone_since_ms is None:
            self._gone_since_ms = now_ms
        elif now_ms - self._gone_since_ms >= RETRY_MS and self._probe is not None:
            self._gone_since_ms = now_ms
            self._retry_ms = now_ms
            probe, self._probe = self._probe, None
            await probe.stop()
            if probe.exit_code() is None:
                self._abandoned = probe

    def _take_trouble(self, trouble: Trouble) -> None:
        status = words.trouble(
            trouble.why,
            code=trouble.code,
            kernel=trouble.kernel and clean(trouble.kernel, 40),
            library=trouble.library and clean(trouble.library, 40),
            path=trouble.path and clean(trouble.path, 200),
            detail=trouble.detail and clean(trouble.detail, 200),
        )
        if status.status == _NO_DRIVER and not self._rows and not self._library:
            self._succeed(status)
        else:
            self._fail(status)

    def _succeed(self, state: words.Words) -> None:
        self._ok, self._state = True, state
        self._good_at = self._clock.now_ms()
        self._failing_since_at = None

    def _fail(self, state: words.Words) -> None:
        self._ok, self._state = False, state
        if self._failing_since_at is None:
            self._failing_since_at = self._clock.now_ms()

    def _reading(self) -> Reading:
        hung = self._state.status == words.HUNG.status
        rows: list[Gpu] = self._rows.mark(words.HUNG) if hung else self._rows.rows
        state = SourceState(
            host=self.host,
            source=self.source,
            ok=self._ok,
            status=self._state.status,
            reason=self._state.reason,
            observed_at=self._good_at,
            failing_since_at=self._failing_since_at,
            cost_ms=self._cost_ms,
        )
        return Reading(state, {"gpus": rows})
