"""Signals to real processes: only ever to the one that was meant, and never assumed to have worked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from backends.clock import ManualClock, SystemClock
from backends.fleet import is_same_process, process_ref, process_state
from backends.model import OutcomeStatus, ProcessRef
from backends.recovery import Refused, pause, resume, signal_process, signals, terminate

OBEDIENT = "import signal; print('up', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"

Spawn = Callable[[str], ProcessRef]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    children: list[subprocess.Popen[str]] = []

    def start(script: str) -> ProcessRef:
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        ref = process_ref(child.pid)
        assert ref is not None
        return ref

    yield start
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture(params=["pidfd", "no pidfd"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no pidfd":
        monkeypatch.setattr(signals, "HAS_PIDFD", False)
    elif not signals.HAS_PIDFD:
        pytest.skip("this kernel or Python has no pidfd")


@pytest.mark.usefixtures("_way")
async def test_an_obedient_process_exits_on_term(spawn: Spawn) -> None:
    act = await terminate(spawn(OBEDIENT), SystemClock())
    assert (act.status, act.message) == (OutcomeStatus.VERIFIED, "exited on TERM")


@pytest.mark.skipif(not signals.HAS_PIDFD, reason="needs pidfd: the clock stands still")
async def test_a_process_that_ignores_term_is_killed_after_its_grace(spawn: Spawn) -> None:
    clock, ref = ManualClock(), spawn(DEAF)
    ending = asyncio.ensure_future(terminate(ref, clock, grace_s=10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(9_999)
    assert process_state(ref) in ("S", "R"), "its grace is not over"
    clock.advance(1)
    act = await ending
    assert (act.status, act.message) == (
        OutcomeStatus.VERIFIED,
        "killed after 10s: it did not exit on TERM",
    )
    assert process_state(ref) in (None, "Z")


async def test_a_stopped_process_can_be_terminated(spawn: Spawn) -> None:
    ref, clock = spawn(OBEDIENT), SystemClock()
    assert (await pause([ref], clock)).status is OutcomeStatus.VERIFIED
    assert (await terminate(ref, clock)).message == "exited on TERM"


async def test_a_process_that_survives_kill_is_unknown(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    def drop_kill(held: signals.Held, number: signal.Signals) -> None:
        pass  # as a process stuck in the kernel takes it

    monkeypatch.setattr(signals.Held, "send", drop_kill)
    clock, ref = ManualClock(), spawn(OBEDIENT)
    ending = asyncio.ensure_future(terminate(ref, clock, grace_s=1))
    while not ending.done():
        await asyncio.sleep(0)
        clock.advance(1_000)
    act = await ending
    assert act.status is OutcomeStatus.UNKNOWN
    assert f"process {ref.pid} is still there" in act.message
    assert is_same_process(ref)


@pytest.mark.usefixtures("_way")
async def test_a_reused_pid_is_refused_and_its_new_owner_lives(spawn: Spawn) -> None:
    now = spawn(OBEDIENT)
    then = ProcessRef(now.pid, now.start_ticks - 1, now.boot_id)
    with pytest.raises(Refused, match="another owner") as refusal:
        await terminate(then, SystemClock())
    assert refusal.value.why == "gone"
    with pytest.raises(Refused, match="earlier boot"):
        signal_process(ProcessRef(now.pid, now.start_ticks, "before the reboot"), signal.SIGKILL)
    assert is_same_process(now)


@pytest.mark.usefixtures("_way")
def test_a_process_that_ended_is_refused(spawn: Spawn) -> None:
    ref = spawn("print('up', flush=True)")
    os.waitid(os.P_PID, ref.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(Refused, match="zombie"):
        signal_process(ref, signal.SIGTERM)
    os.waitpid(ref.pid, 0)
    with pytest.raises(Refused, match="has ended") as refusal:
        signal_process(ref, signal.SIGTERM)
    assert refusal.value.why == "gone"


@pytest.mark.parametrize("pid", [1, 0, -1, -1000])
def test_init_and_groups_are_never_signalled(pid: int) -> None:
    with pytest.raises(Refused) as refusal:
        signal_process(ProcessRef(pid, 0), signal.SIGCONT)
    assert refusal.value.why == "protected"


def test_we_and_what_we_run_under_are_never_signalled() -> None:
    for pid in signals.lineage():
        ref = process_ref(pid)
        if ref is not None:
            with pytest.raises(Refused) as refusal:
                signal_process(ref, signal.SIGCONT)
            assert refusal.value.why == "protected"
    assert os.getppid() in signals.lineage()


def test_what_the_caller_protects_is_not_signalled(spawn: Spawn) -> None:
    ref = spawn(OBEDIENT)
    with pytest.raises(Refused, match="part of Watchfloor"):
        signal_process(ref, signal.SIGKILL, protected={ref.pid})
    assert process_state(ref) in ("S", "R")


def test_another_users_process_is_denied_in_words() -> None:
    """As another user, in a process of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    script = (
        "import os, signal, sys; from backends.fleet import process_ref; from backends.recovery import *\n"
        "import subprocess; child = subprocess.Popen(['sleep', '60']); ref = process_ref(child.pid)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setuid(65534)\n"
        "    try: signal_process(ref, signal.SIGTERM)\n"
        "    except Refused as refusal: print(refusal.why, refusal, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0); child.kill(); child.wait()"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.startswith("denied not permitted to send SIGTERM to process")


async def test_pause_and_resume_are_seen_in_the_processes_state(spawn: Spawn) -> None:
    refs, clock = [spawn(OBEDIENT), spawn(DEAF)], SystemClock()
    act = await pause(refs, clock)
    assert (act.status, act.message) == (OutcomeStatus.VERIFIED, "paused 2 of 2 processes")
    assert [process_state(ref) for ref in refs] == ["T", "T"]
    act = await resume(refs, clock)
    assert (act.status, act.message) == (OutcomeStatus.VERIFIED, "resumed 2 of 2 processes")
    assert all(process_state(ref) in ("S", "R") for ref in refs)


async def test_pausing_some_that_ended_says_so(spawn: Spawn) -> None:
    alive = spawn(OBEDIENT)
    gone = ProcessRef(alive.pid, alive.start_ticks - 1, alive.boot_id)
    act = await pause([alive, gone], SystemClock())
    assert (act.status, act.message) == (OutcomeStatus.VERIFIED, "paused 1 of 2 processes; 1 had ended")
    assert (await pause([gone], SystemClock())).status is OutcomeStatus.FAILED
    assert (await pause([], SystemClock())).status is OutcomeStatus.FAILED


async def test_pausing_ourselves_among_others_fails_with_the_reason(spawn: Spawn) -> None:
    other, ourselves = spawn(OBEDIENT), process_ref(os.getpid())
    assert ourselves is not None
    act = await pause([other, ourselves], SystemClock())
    assert act.status is OutcomeStatus.FAILED
    assert "paused 1 of 2 processes" in act.message
    assert "Watchfloor itself" in act.message


async def test_a_signal_that_shows_no_effect_is_unknown(
    spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals.Held, "send", lambda held, number: None)
    clock = ManualClock()
    pausing = asyncio.ensure_future(pause([spawn(OBEDIENT)], clock))
    while not pausing.done():
        await asyncio.sleep(0)
        clock.advance(100)
    act = await pausing
    assert act.status is OutcomeStatus.UNKNOWN
    assert "does not take the signal" in act.message
