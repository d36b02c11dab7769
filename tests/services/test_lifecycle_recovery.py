"""Recovery commands on real processes: what they do is seen in /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from services.house_inside import Inside, opened

from backends.agents import DeclaredAgent, Match
from backends.fleet import process_state
from backends.fleet.identity import process_ref
from backends.model import Activity
from console.exit_codes import ExitCode

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

IDLE = (sys.executable, "-c", "import time; print(flush=True); time.sleep(120)")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(120)",
)


class Children:
    """Real processes, gone when the test is."""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, argv: tuple[str, ...] = IDLE) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # it is up, its handlers are in place
        self._all.append(child)
        return child

    def close(self) -> None:
        for child in self._all:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children()
    yield made
    made.close()


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    async with opened(tmp_path) as house:
        yield house


def state(child: subprocess.Popen[bytes]) -> str | None:
    ref = process_ref(child.pid)
    return None if ref is None else process_state(ref)


async def registered(inside: Inside, children: Children, name: str = "b1") -> subprocess.Popen[bytes]:
    """An agent with a real process, holding one item."""
    child = children.start()
    await inside.data("register-agent", name, pid=child.pid)
    await inside.show(child.pid)
    return child


async def test_pause_and_resume_are_seen_in_proc(inside: Inside, children: Children) -> None:
    child = await registered(inside, children)
    assert await inside.code("pause-agent", "b1", confirmed="y") == 0
    assert state(child) == "T"
    assert await inside.code("resume-agent", "b1") == 0
    assert state(child) in ("S", "R")
    assert (await inside.records())[-4:] == [
        ("pause-agent", "b1", "intent"),
        ("pause-agent", "b1", "verified"),
        ("resume-agent", "b1", "intent"),
        ("resume-agent", "b1", "verified"),
    ]


async def test_stop_agent_ends_its_process(inside: Inside, children: Children) -> None:
    child = await registered(inside, children)
    reply = await inside.do("stop-agent", "b1")
    assert f"process {child.pid}" in reply.plans[0].steps[0]
    assert state(child) in ("S", "R")  # a plan does nothing
    reply = await inside.do("stop-agent", "b1", confirmed="y")
    assert reply.outcomes[0].status == "verified", reply
    assert child.wait(5) == -signal.SIGTERM


async def test_a_process_deaf_to_term_is_killed(inside: Inside, children: Children) -> None:
    child = children.start(DEAF)
    await inside.show(child.pid)
    reply = await inside.do("kill-process", str(child.pid), grace="100ms", confirmed=str(child.pid))
    assert reply.outcomes[0].status == "verified", reply
    assert child.wait(5) == -signal.SIGKILL


async def test_kill_process_wants_the_pid_typed_and_knows_its_own(inside: Inside, children: Children) -> None:
    child = children.start()
    await inside.show(child.pid, os.getpid())
    assert (await inside.do("kill-process", str(child.pid), confirmed="y")).confirm == str(child.pid)
    assert state(child) in ("S", "R")
    assert await inside.code("kill-process", "999999999", confirmed="999999999") == ExitCode.NOT_FOUND
    own = str(os.getpid())
    assert await inside.code("kill-process", own, confirmed=own) == ExitCode.DENIED
    assert (await inside.records())[-2:] == [
        ("kill-process", own, "intent"),
        ("kill-process", own, "refused"),
    ]


async def test_a_process_that_ended_since_it_was_seen_is_not_found(
    inside: Inside, children: Children
) -> None:
    child = children.start()
    await inside.show(child.pid)
    child.kill()
    child.wait()
    pid = str(child.pid)
    assert await inside.code("kill-process", pid, confirmed=pid) == ExitCode.NOT_FOUND


async def test_an_old_process_table_is_no_ground_to_act_on(inside: Inside, children: Children) -> None:
    child = await registered(inside, children)
    state_of = inside.house.picture.sources
    key = (inside.house.host, "processes")
    import msgspec

    old = (state_of[key].observed_at or 0) - 60_000
    state_of[key] = msgspec.structs.replace(state_of[key], observed_at=old)
    assert await inside.code("stop-agent", "b1", confirmed="y") == ExitCode.CONFLICT
    assert state(child) in ("S", "R")


async def test_an_emergency_stop_freezes_agents_refuses_claims_and_thaws(
    inside: Inside, children: Children
) -> None:
    first, second = children.start(), children.start()
    bystander = children.start()
    await inside.data("register-agent", "b1", pid=first.pid)
    await inside.data("register-agent", "b2", pid=second.pid)
    await inside.data("add-work", type="t", title="work")
    await inside.show(first.pid, second.pid, bystander.pid)
    start = len(await inside.records())

    reply = await inside.do("estop", reason="smoke", confirmed="y")
    assert reply.outcomes[0].status == "verified", reply
    assert (state(first), state(second)) == ("T", "T")
    assert state(bystander) in ("S", "R")
    refused = await inside.do("claim", agent="b1")
    assert refused.failure is not None
    assert refused.failure.code == ExitCode.CONFLICT
    assert "smoke" in refused.failure.message
    assert (await inside.data("heartbeat", "b1")).estop is True
    assert await inside.code("estop", confirmed="y") == ExitCode.CONFLICT  # in force already

    reply = await inside.do("thaw", confirmed="y")
    assert reply.outcomes[0].status == "verified", reply
    assert state(first) in ("S", "R")
    assert state(second) in ("S", "R")
    assert len(await inside.data("claim", agent="b1")) == 1
    assert await inside.code("thaw", confirmed="y") == ExitCode.CONFLICT  # none is in force
    assert [(command, outcome) for command, _, outcome in (await inside.records())[start:]] == [
        ("estop", "intent"),
        ("estop", "verified"),
        ("claim", "refused"),
        ("estop", "refused"),
        ("thaw", "intent"),
        ("thaw", "verified"),
        ("claim", "verified"),
        ("thaw", "refused"),
    ]


async def test_an_emergency_stop_without_a_process_thaws_as_well(inside: Inside, children: Children) -> None:
    assert await inside.code("estop", confirmed="y") == 0
    assert await inside.code("thaw", confirmed="y") == 0
    child = await registered(inside, children)
    assert await inside.code("estop", confirmed="y") == 0
    child.kill()
    child.wait()
    assert await inside.code("thaw", confirmed="y") == 0  # what it froze has ended: nothing is left to do
    assert inside.house.store.estop() is None


async def test_an_emergency_stop_outlives_the_watch(tmp_path: Path, children: Children) -> None:
    async with opened(tmp_path) as inside:
        child = await registered(inside, children)
        assert await inside.code("estop", reason="fire", confirmed="y") == 0
    async with opened(tmp_path) as inside:
        assert await inside.code("claim", agent="b1") == ExitCode.CONFLICT
        assert "fire" in inside.house.status()["line"]
        assert state(child) == "T"
        assert await inside.code("thaw", confirmed="y") == 0
        assert state(child) in ("S", "R")


async def test_restart_agent_ends_requeues_and_starts_the_declared_command(
    tmp_path: Path, children: Children
) -> None:
    child = children.start()
    mark = tmp_path / "started"
    code = f"import pathlib, time; pathlib.Path({str(mark)!r}).write_text('up'); time.sleep(120)"
    declared = DeclaredAgent(
        name="worker", match=Match(command="no such command line"), start=[sys.executable, "-c", code]
    )
    async with opened(tmp_path / "house", declared=(declared,)) as inside:
        for _ in range(5):  # it came up again and again
            await inside.data("register-agent", "worker", pid=child.pid)
        await inside.data("add-work", type="t", title="held", id="held")
        (lease,) = await inside.data("claim", agent="worker")
        await inside.show(child.pid)
        assert inside.house.agent("worker").activity is Activity.CRASH_LOOP
        start = len(await inside.records())
        plan = (await inside.do("restart-agent", "worker")).plans[0]
        assert [step.split()[0] for step in plan.steps] == ["TERM", "put", "run"]
        assert plan.steps[0].startswith(f"TERM process {child.pid} (")
        assert plan.steps[0].endswith("…), KILL after 10 s")
        reply = await inside.do("restart-agent", "worker", confirmed="y")
        assert reply.failure is None, reply.failure
        (outcome,) = reply.outcomes
        assert outcome.status == "verified", outcome
        started = int(outcome.message.split("process ")[1].split(",")[0])
        try:
            assert child.wait(5) == -signal.SIGTERM
            assert mark.read_text() == "up"
            assert inside.house.agent("worker").activity is not Activity.CRASH_LOOP
            assert await inside.code("complete", "held", fence=lease.fence) == ExitCode.CONFLICT
        finally:
            os.killpg(started, signal.SIGKILL)
        assert [(name, end) for name, _, end in (await inside.records())[start:]] == [
            ("restart-agent", "intent"),
            ("restart-agent", "verified"),
            ("complete", "refused"),
        ]


async def test_an_agent_that_dies_at_once_was_not_started(tmp_path: Path) -> None:
    declared = DeclaredAgent(
        name="worker",
        match=Match(command="no such command line"),
        start=[sys.executable, "-c", "raise SystemExit(3)"],
    )
    async with opened(tmp_path, declared=(declared,)) as inside:
        await inside.show()
        reply = await inside.do("start-agent", "worker")
        assert reply.failure is None, reply.failure
        assert reply.outcomes[0].status == "failed"
        assert reply.outcomes[0].exit_code == ExitCode.FAILED
        assert "status 3" in reply.outcomes[0].message


async def test_an_agent_nobody_declared_cannot_be_restarted(inside: Inside, children: Children) -> None:
    child = await registered(inside, children)
    reply = await inside.do("restart-agent", "b1", confirmed="y")
    assert reply.failure is not None
    assert reply.failure.code == ExitCode.CONFLICT
    assert "declare it" in reply.failure.message
    assert state(child) in ("S", "R")


# --- what only the store knows -------------------------------------------------------------------------


async def test_requeue_agent_voids_the_fence(inside: Inside) -> None:
    await inside.data("register-agent", "b1")
    await inside.data("add-work", type="t", title="x", id="x")
    (lease,) = await inside.data("claim", agent="b1")
    assert await inside.code("requeue-agent", "b1", confirmed="y") == 0
    assert await inside.code("complete", "x", fence=lease.fence) == ExitCode.CONFLICT
    (again,) = await inside.data("claim", agent="b2")
    assert again.item.id == "x"
    assert again.fence > lease.fence
    assert await inside.code("requeue-agent", "b1", confirmed="y") == ExitCode.CONFLICT  # holds nothing


async def test_a_draining_agent_finishes_and_claims_nothing_new(inside: Inside) -> None:
    await inside.data("register-agent", "b1")
    for name in ("x", "y"):
        await inside.data("add-work", type="t", title=name, id=name)
    (lease,) = await inside.data("claim", agent="b1")
    assert await inside.code("drain-agent", "b1", confirmed="y") == 0
    assert await inside.code("claim", agent="b1") == ExitCode.CONFLICT
    assert (await inside.data("heartbeat", "b1")).draining is True
    await inside.data("complete", lease.item.id, fence=lease.fence)
    assert await inside.code("drain-agent", "b1", undo=True, confirmed="y") == 0
    assert len(await inside.data("claim", agent="b1")) == 1


@pytest.mark.parametrize(("command", "answer"), [("approve", "approved"), ("deny", "denied")])
async def test_an_answer_reaches_the_agent_once(inside: Inside, command: str, answer: str) -> None:
    await inside.data("register-agent", "b1")
    assert await inside.code(command, "b1", confirmed="y") == ExitCode.CONFLICT  # it asks nothing
    await inside.data("heartbeat", "b1", activity="blocked", cause="approval", note="delete prod?")
    asked = await inside.do(command, "b1")
    assert "delete prod?" in asked.plans[0].steps[0]
    assert await inside.code(command, "b1", confirmed="y") == 0
    assert (await inside.data("heartbeat", "b1", activity="blocked")).answer == answer
    assert (await inside.data("heartbeat", "b1", activity="blocked")).answer is None


async def test_an_answer_to_another_question_than_was_shown_is_refused(inside: Inside) -> None:
    await inside.data("register-agent", "b1")
    await inside.data("heartbeat", "b1", activity="blocked", note="read the log?")
    shown = await inside.do("approve", "b1")
    await inside.data("heartbeat", "b1", activity="blocked", note="delete prod?")
    reply = await inside.do("approve", "b1", confirmed="y", plan_ids=(shown.plans[0].id,))
    assert reply.failure is not None
    assert reply.failure.code == ExitCode.CONFLICT
    assert "delete prod?" in reply.failure.message
    await asyncio.sleep(0)
    assert (await inside.data("heartbeat", "b1", activity="blocked")).answer is None
