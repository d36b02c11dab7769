"""Signals to processes that are named beyond doubt.

A pid alone may belong to somebody else by now. Where the kernel offers it, the process is pinned by a
pidfd first, then its start time is compared, then the signal goes through the pidfd: between the three,
the pid cannot change its owner. Elsewhere a window of microseconds remains.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from backends.clock import Clock
from backends.fleet import boot_id, parent_of, process_state
from backends.model import ProcessRef
from backends.recovery.act import Act, Refused, failed, unknown, verified

HAS_PIDFD = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")
KILL_WAIT_S = 5.0  # a killed process goes at once, unless it is stuck in the kernel
STATE_WAIT_S = 1.0  # for a stop or continue signal to show
POLL_S = 0.02

ENDED = (None, "Z", "X")
STOPPED = ("T", "t")


def signal_process(ref: ProcessRef, number: signal.Signals, protected: Collection[int] = ()) -> None:
    """Send one signal to exactly this process.

    Raises :class:`Refused` for init, for ourselves and whatever we run under, for the pids in ``protected``,
    for a process that is gone, and when the operating system denies it.
    """
    with hold(ref, protected) as process:
        process.send(number)


async def terminate(
    ref: ProcessRef, clock: Clock, grace_s: float = 10, protected: Collection[int] = ()
) -> Act:
    """Ask the process to end, wait ``grace_s``, then kill it; see that it is gone.

    A stopped process is continued, or it could not obey. Raises :class:`Refused` as :func:`signal_process`.
    """
    with hold(ref, protected) as process:
        process.send(signal.SIGTERM)
        process.send_if_there(signal.SIGCONT)
        if await process.ends_within(grace_s, clock):
            return verified("exited on TERM")
        process.send_if_there(signal.SIGKILL)
        if await process.ends_within(KILL_WAIT_S, clock):
            return verified(f"killed after {grace_s:g}s: it did not exit on TERM")
        return unknown(
            f"process {ref.pid} is still there {KILL_WAIT_S:g}s after KILL, in state {process_state(ref)}: "
            "stuck in the kernel (a driver, a dead filesystem); it goes when that call returns, or at reboot"
        )


async def pause(refs: Sequence[ProcessRef], clock: Clock, protected: Collection[int] = ()) -> Act:
    """Stop the processes (SIGSTOP), parents before children so that none reacts to a stopped child."""
    return await _signal_all(refs, signal.SIGSTOP, "paused", lambda state: state in STOPPED, clock, protected)


async def resume(refs: Sequence[ProcessRef], clock: Clock, protected: Collection[int] = ()) -> Act:
    """Let stopped processes run again (SIGCONT), children before parents: the reverse of :func:`pause`."""
    backwards = list(reversed(refs))
    return await _signal_all(
        backwards, signal.SIGCONT, "resumed", lambda state: state not in STOPPED, clock, protected
    )


async def _signal_all(
    refs: Sequence[ProcessRef],
    number: signal.Signals,
    done: str,
    is_done: Callable[[str], bool],
    clock: Clock,
    protected: Collection[int],
) -> Act:
    """Signal each, then see in each one's state that it took effect."""
    signalled: list[ProcessRef] = []
    refusals: list[Refused] = []
    for ref in refs:
        try:
            signal_process(ref, number, protected)
        except Refused as refusal:
            refusals.append(refusal)
        else:
            signalled.append(ref)
    stuck = await _not_yet(signalled, is_done, clock)
    gone = [refusal for refusal in refusals if refusal.why == "gone"]
    barred = [refusal for refusal in refusals if refusal.why != "gone"]
    succeeded = len(signalled) - len(stuck)
    told = f"{done} {succeeded} of {len(refs)} processes" if len(refs) != 1 else f"{done} {succeeded} process"
    if barred:
        return failed(f"{told}: {barred[0]}")
    if stuck:
        state = process_state(stuck[0])
        return unknown(f"{told}: process {stuck[0].pid} is in state {state} and does not take the signal now")
    if not signalled:
        return failed(str(gone[0]) if gone else f"nothing {done}: no process was named")
    return verified(f"{told}; {len(gone)} had ended" if gone else told)


async def _not_yet(
    refs: Sequence[ProcessRef], is_done: Callable[[str], bool], clock: Clock
) -> list[ProcessRef]:
    """Those in which the effect does not show within ``STATE_WAIT_S``. One that ended is not waited for."""
    until = clock.monotonic_ms() + int(STATE_WAIT_S * 1000)
    while True:
        states = {ref: process_state(ref) for ref in refs}
        waiting = [ref for ref, state in states.items() if state is not None and not is_done(state)]
        if not waiting or clock.monotonic_ms() >= until:
            return waiting
        await clock.sleep(POLL_S)


@contextmanager
def hold(ref: ProcessRef, protected: Collection[int] = ()) -> Iterator[Held]:
    """Pin a process and make sure that it is the one meant. Raises :class:`Refused`."""
    _refuse_protected(ref.pid, protected)
    pidfd = None
    if HAS_PIDFD:
        try:
            pidfd = os.pidfd_open(ref.pid)
        except ProcessLookupError:
            raise Refused("gone", f"process {ref.pid} has ended") from None
        except OSError:  # a kernel before 5.3, or a sandbox that forbids it: signal by pid
            pidfd = None
    try:
        _refuse_another(ref)
        yield Held(ref, pidfd)
    finally:
        if pidfd is not None:
            os.close(pidfd)


class Held:
    """A process that was checked, and cannot be mistaken for another while it is held."""

    def __init__(self, ref: ProcessRef, pidfd: int | None) -> None:
        self._ref = ref
        self._pidfd = pidfd

    def send(self, number: signal.Signals) -> None:
        """Send a signal. Raises :class:`Refused`."""
        pid = self._ref.pid
        try:
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            raise Refused("gone", f"process {pid} has ended") from None
        except PermissionError:
            raise Refused(
                "denied",
                f"not permitted to send {number.name} to process {pid}: it belongs to another user; "
                "run the watch as that user or as root",
            ) from None

    def send_if_there(self, number: signal.Signals) -> None:
        """Send a signal to a process that may have ended meanwhile."""
        try:
            self.send(number)
        except Refused as refusal:
            if refusal.why != "gone":
                raise

    async def ends_within(self, seconds: float, clock: Clock) -> bool:
        """Wait until the process has ended (a zombie has), at most ``seconds``."""
        deadline = asyncio.ensure_future(clock.sleep(seconds))
        watch = self._watch_pidfd if self._pidfd is not None else self._poll
        ended = asyncio.ensure_future(watch(clock))
        try:
            await asyncio.wait((ended, deadline), return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline.cancel()
            ended.cancel()
            await asyncio.wait((ended,))  # the pidfd is closed next: nothing may watch it any more
        return process_state(self._ref) in ENDED

    async def _watch_pidfd(self, clock: Clock) -> None:
        assert self._pidfd is not None
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._pidfd, readable.set)  # readable: it ended
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._pidfd)

    async def _poll(self, clock: Clock) -> None:
        while process_state(self._ref) not in ENDED:
            await clock.sleep(POLL_S)


def lineage() -> list[int]:
    """Our own pid and those of everything we run under, up to init."""
    pids = [os.getpid()]
    while (parent := parent_of(pids[-1])) is not None and parent > 0 and parent not in pids:
        pids.append(parent)
    return pids


def _refuse_protected(pid: int, protected: Collection[int]) -> None:
    if pid <= 1:
        raise Refused("protected", f"process {pid} is never signalled: it is init or a group of processes")
    if pid in protected:
        raise Refused("protected", f"process {pid} is part of Watchfloor itself; use `stop` for the watch")
    own = lineage()
    if pid == own[0]:
        raise Refused("protected", f"process {pid} is Watchfloor itself; use `stop` for the watch")
    if pid in own:
        raise Refused(
            "protected", f"process {pid} is what Watchfloor runs under; ending it would end Watchfloor"
        )


def _refuse_another(ref: ProcessRef) -> None:
    if ref.boot_id and ref.boot_id != boot_id():
        raise Refused("gone", f"process {ref.pid} was of an earlier boot of this machine")
    state = process_state(ref)
    if state is None:
        raise Refused("gone", f"process {ref.pid} has ended; the pid may have another owner now")
    if state in ENDED:
        raise Refused("gone", f"process {ref.pid} has ended; its parent has not collected it yet (zombie)")
