"""The local analyst: each fault is found with its proposal; a quiet or mended floor has no finding."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from msgspec.structs import replace as replace_row

from backends.agents import Limits, Stall
from backends.agents.urgency import urgency
from backends.analysis.analyst import ORDER, analyse, checked
from backends.analysis.rules.agents import leak_rate
from backends.analysis.rules.inputs import Inputs
from backends.model import (
    Activity,
    Agent,
    Disk,
    Finding,
    Gpu,
    GpuProcess,
    Host,
    ProcessRef,
    Reach,
    Severity,
    SourceState,
    WorkItem,
    WorkState,
    Worktree,
)
from backends.picture import Picture, Reading

NOW = 1_700_000_000_000
S, M, G = 1000, 60_000, 1 << 30
PROPOSABLE = {
    "restart-agent",
    "stop-agent",
    "pause-agent",
    "resume-agent",
    "kill-process",
    "requeue-agent",
    "drain-agent",
    "approve",
    "deny",
    "retry",
    "release",
    "cancel",
    "estop",
    "thaw",
    "logs",
    "explain",
    "doctor",
}


@dataclass(frozen=True)
class Dead:
    reason: str = "failed"
    error: str = "CUDA OOM"
    count: int = 1
    oldest_at: int = NOW - M
    sample_ids: Sequence[str] = ("w9",)


def agent(
    id_: str, activity: Activity | None = Activity.IDLE, reach: Reach = Reach.LIVE, **changes: object
) -> Agent:
    cause = changes.get("cause")
    values: dict[str, object] = {
        "id": id_,
        "name": id_,
        "host": "h",
        "reach": reach,
        "activity": activity,
        "since_at": NOW - 5 * M,
        "urgency": urgency(reach, activity, cause if isinstance(cause, str) else None),
        "sources": ("registered",),
        "observed_at": NOW,
    }
    return Agent(**{**values, **changes})  # type: ignore[arg-type]


def lease(id_: str, holder: str, left: int = 30 * S, kind: str = "build") -> WorkItem:
    return WorkItem(
        id_,
        "q",
        kind,
        id_,
        WorkState.LEASED,
        5,
        NOW - M,
        holder=holder,
        lease_until=NOW + left,
        claimed_at=NOW - M,
    )


HOST = Host("h", Reach.LIVE, NOW, memory_used_bytes=4 * G, memory_total_bytes=16 * G)


def floor(*rows: object, **more: object) -> Inputs:
    picture = Picture(("agents", "hosts", "gpus", "worktrees"))
    names = {Agent: "agents", Host: "hosts", Gpu: "gpus", Worktree: "worktrees"}
    for row in rows:
        picture[names[type(row)]].put([row])  # type: ignore[index, list-item]
    return Inputs(picture, **more)  # type: ignore[arg-type]


def growing(start: int, step: int, samples: int = 12) -> tuple[tuple[int, int], ...]:
    return tuple((NOW - (samples - 1 - n) * 5 * S, start + n * step) for n in range(samples))


MB = 1 << 20
WORKER = (ProcessRef(9, 9),)
FAULTS = {
    "asks for approval": (
        floor(agent("a", Activity.BLOCKED, cause="approval", note="delete /data?")),
        "blocked-agent",
        Severity.WARNING,
        "approve",
        "a",
        "waited 5m for approval: delete /data?",
    ),
    "asks for long": (
        floor(agent("a", Activity.BLOCKED, cause="question", since_at=NOW - 20 * M)),
        "blocked-agent",
        Severity.CRITICAL,
        "approve",
        "a",
        "20m",
    ),
    "must be logged in": (
        floor(agent("a", Activity.BLOCKED, cause="login")),
        "blocked-agent",
        Severity.WARNING,
        "logs",
        "a",
        "login",
    ),
    "crash loop": (
        floor(agent("a", Activity.CRASH_LOOP, cause="exit-1", restarts=7, processes=WORKER, log_path="/l")),
        "crash-loop",
        Severity.CRITICAL,
        "stop-agent",
        "a",
        "7 restarts in all, last end: exit-1",
    ),
    "crash loop that can be started": (
        floor(agent("a", Activity.CRASH_LOOP, cause="exit-1", processes=WORKER, can_start=True)),
        "crash-loop",
        Severity.CRITICAL,
        "restart-agent",
        "a",
        "last end: exit-1",
    ),
    "crash loop of somebody else's": (
        floor(agent("a", Activity.CRASH_LOOP)),
        "crash-loop",
        Severity.CRITICAL,
        "logs",
        "a",
        "unknown",
    ),
    "crashed, startable": (
        floor(agent("a", Activity.CRASHED, Reach.UNREACHABLE, cause="pid-gone", can_start=True)),
        "crashed-agent",
        Severity.WARNING,
        "restart-agent",
        "a",
        "crashed 5m ago (pid-gone)",
    ),
    "crashed, holds work": (
        floor(
            agent("a", Activity.CRASHED, Reach.UNREACHABLE, work_id="w1"), leases={"a": [lease("w1", "a")]}
        ),
        "crashed-agent",
        Severity.CRITICAL,
        "requeue-agent",
        "a",
        "still holds w1",
    ),
    "crashed, nothing to do": (
        floor(agent("a", Activity.CRASHED, Reach.UNREACHABLE)),
        "crashed-agent",
        Severity.WARNING,
        "explain",
        "a",
        "crashed",
    ),
    "hangs": (
        floor(agent("a", Activity.STALLED, cause="no-progress", work_id="w1", progress_at=NOW - 16 * M)),
        "hung-agent",
        Severity.WARNING,
        "requeue-agent",
        "a",
        "no progress on w1 for 16m",
    ),
    "hangs for long, startable": (
        floor(
            agent(
                "a",
                Activity.STALLED,
                cause="no-progress",
                work_id="w1",
                progress_at=NOW - 31 * M,
                can_start=True,
            )
        ),
        "hung-agent",
        Severity.CRITICAL,
        "restart-agent",
        "a",
        "31m",
    ),
    "hangs by the limits of its work": (
        floor(
            agent("a", Activity.STALLED, cause="no-progress", work_id="w1", progress_at=NOW - 9 * S),
            leases={"a": [lease("w1", "a", kind="fast")]},
            limits=Limits(stall_by_kind={"fast": Stall(warn_s=2, critical_s=8)}),
        ),
        "hung-agent",
        Severity.CRITICAL,
        "requeue-agent",
        "a",
        "9s",
    ),
    "fails its health check": (
        floor(agent("a", Activity.STALLED, cause="health-check", can_start=True)),
        "hung-agent",
        Severity.WARNING,
        "restart-agent",
        "a",
        "has not answered for 5m",
    ),
    "unreachable with work": (
        floor(agent("a", None, Reach.UNREACHABLE, cause="silent", work_id="w1", heartbeat_at=NOW - 9 * M)),
        "silent-agent",
        Severity.WARNING,
        "requeue-agent",
        "a",
        "silent for 9m",
    ),
    "silent though its process lives": (
        floor(agent("a", None, Reach.STALE, cause="silent", processes=WORKER, heartbeat_at=NOW - 9 * M)),
        "silent-agent",
        Severity.WARNING,
        "explain",
        "a",
        "its process lives",
    ),
    "leaks": (
        floor(agent("a", Activity.WORKING, can_start=True), HOST, rss_trends={"a": growing(50 * MB, 6 * MB)}),
        "leak",
        Severity.WARNING,
        "restart-agent",
        "a",
        "grew from 50.0 MiB to 116 MiB in 55s",
    ),
    "leaks fast": (
        floor(agent("a", Activity.WORKING), HOST, rss_trends={"a": growing(50 * MB, 100 * MB)}),
        "leak",
        Severity.CRITICAL,
        "stop-agent",
        "a",
        "are gone in 10m",
    ),
    "lease expired": (
        floor(
            agent("a", Activity.STALLED, cause="lease-expired", work_id="w1"),
            leases={"a": [lease("w1", "a", left=-20 * S)]},
        ),
        "expired-lease",
        Severity.WARNING,
        "requeue-agent",
        "a",
        "the first 20s ago",
    ),
    "lease of a stranger expired": (
        floor(leases={"x": [lease("w1", "x", left=-20 * S)]}),
        "expired-lease",
        Severity.WARNING,
        "release",
        "w1",
        "x let 1 lease run out",
    ),
    "stopped and holds work": (
        floor(agent("a", Activity.STOPPED, cause="operator"), leases={"a": [lease("w1", "a")]}),
        "dead-holder",
        Severity.WARNING,
        "requeue-agent",
        "a",
        "stopped and still holds 1 item: w1",
    ),
    "suspended with work": (
        floor(agent("a", Activity.PAUSED, work_id="w1"), leases={"a": [lease("w1", "a")]}),
        "suspended-agent",
        Severity.WARNING,
        "resume-agent",
        "a",
        "suspended for 5m",
    ),
    "dead letters": (
        floor(dead=[Dead(count=12)]),
        "dead-letters",
        Severity.CRITICAL,
        "retry",
        "w9",
        "12 items are dead: CUDA OOM",
    ),
    "a dead letter": (
        floor(dead=[Dead(error="", reason="lease-expired")]),
        "dead-letters",
        Severity.WARNING,
        "retry",
        "w9",
        "1 item is dead: lease-expired",
    ),
    "nobody takes work": (
        floor(agent("a", Activity.BLOCKED, cause="answered"), work_counts={"ready": 3}),
        "starving-queue",
        Severity.WARNING,
        "doctor",
        "",
        "3 items are ready",
    ),
    "nobody takes work, one could": (
        floor(agent("a", Activity.STOPPED, can_start=True), work_counts={"ready": 1}),
        "starving-queue",
        Severity.WARNING,
        "restart-agent",
        "a",
        "1 item is ready",
    ),
    "emergency stop": (
        floor(
            agent("a", Activity.PAUSED),
            work_counts={"ready": 1},
            estop="fire drill",
            leases={"a": [lease("w", "a")]},
        ),
        "estop",
        Severity.WARNING,
        "thaw",
        "",
        "fire drill",
    ),
    "memory": (
        floor(
            replace_row(HOST, memory_used_bytes=int(15.5 * G)),
            agent("a", rss_bytes=9 * G),
            agent("b", rss_bytes=G),
        ),
        "host-memory",
        Severity.CRITICAL,
        "explain",
        "a",
        "memory 97% used",
    ),
    "disk": (
        floor(replace_row(HOST, disks=(Disk("/d", 91, 100),))),
        "host-disk",
        Severity.WARNING,
        "doctor",
        "",
        "/d 91% full",
    ),
    "GPU lost": (
        floor(Gpu("h:g", "h", 0, "X", status="lost", status_reason="fell off the bus")),
        "gpu-down",
        Severity.CRITICAL,
        "doctor",
        "",
        "GPU 0 X on h: lost: fell off the bus",
    ),
    "GPU needs a reset and is in use": (
        floor(
            agent("a"),
            Gpu(
                "h:g",
                "h",
                0,
                "X",
                recovery_action="reset the GPU",
                processes=(GpuProcess(1, 5, agent="gone"), GpuProcess(2, 4, agent="a")),
            ),
        ),
        "gpu-recovery",
        Severity.CRITICAL,
        "drain-agent",
        "a",
        "the driver advises: reset the GPU",
    ),
    "XID": (
        floor(Gpu("h:g", "h", 0, "X", xid_code=79, xid_text="fell off", xid_at=NOW - 3 * M)),
        "gpu-xid",
        Severity.CRITICAL,
        "doctor",
        "",
        "XID 79 (fell off) 3m ago",
    ),
    "hot": (
        floor(Gpu("h:g", "h", 0, "X", throttle=("software thermal limit",), simulated=True)),
        "gpu-hot",
        Severity.WARNING,
        "doctor",
        "",
        "(simulated): slowed down",
    ),
    "VRAM full": (
        floor(
            agent("a"),
            Gpu(
                "h:g",
                "h",
                0,
                "X",
                memory_used_bytes=99 * G,
                memory_total_bytes=100 * G,
                processes=(GpuProcess(1, 90 * G, agent="a"),),
            ),
        ),
        "vram-full",
        Severity.WARNING,
        "explain",
        "a",
        "VRAM 99% used",
    ),
    "VRAM nobody owns": (
        floor(Gpu("h:g", "h", 0, "X", unaccounted_bytes=3 * G)),
        "vram-hidden",
        Severity.WARNING,
        "doctor",
        "",
        "3.00 GiB of VRAM belong to no process",
    ),
    "conflict": (
        floor(Worktree("/w", "/r", "w", conflicted=1)),
        "drift-conflict",
        Severity.WARNING,
        None,
        "",
        "conflicts",
    ),
    "diverged": (
        floor(Worktree("/w", "/r", "w", branch="b", ahead=2, behind=3, upstream="o/b")),
        "drift-diverged",
        Severity.INFO,
        None,
        "",
        "2 ahead of and 3 behind o/b",
    ),
    "forgotten": (
        floor(Worktree("/w", "/r", "w", dirty=2, committed_at=NOW - 8 * 86_400_000)),
        "drift-forgotten",
        Severity.INFO,
        None,
        "",
        "2 changed files on a commit 8d old",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found_alone_with_its_proposal(name: str) -> None:
    inputs, category, severity, command, target, words = FAULTS[name]
    found = analyse(inputs, NOW)
    assert [finding.category for finding in found] == [category]
    finding = found[0]
    assert finding.severity is severity
    assert words in finding.statement, finding.statement
    assert (finding.proposal.command if finding.proposal else None) == command
    assert (finding.proposal.target if finding.proposal else "") == target
    assert finding.evidence
    assert finding.id.startswith(f"{category}:")
    assert category in ORDER or category == "host-swap"
    if finding.proposal:
        assert finding.proposal.command in PROPOSABLE


def test_a_quiet_floor_has_no_findings() -> None:
    inputs = floor(
        agent("a"),
        agent("b", Activity.WORKING, work_id="w1", progress_at=NOW - M),
        agent("c", Activity.STOPPED, cause="operator"),
        agent("d", None, sources=("discovered",)),
        agent("e", Activity.BLOCKED, cause="answered"),
        agent("f", None, Reach.STALE, cause="silent", since_at=NOW - 5 * S),
        HOST,
        Gpu("h:g", "h", 0, "X", recovery_action="none", memory_used_bytes=90, memory_total_bytes=100),
        Worktree("/w", "/r", "w", ahead=3, dirty=1, untracked=9, committed_at=NOW - M),
        work_counts={"ready": 5, "dead": 0},
        leases={"b": [lease("w1", "b")]},
        rss_trends={"b": growing(50 * MB, 0)},
    )
    inputs.picture.apply(Reading(SourceState("h", "gpu", ok=False, status="no driver", reason="none")))
    assert analyse(inputs, NOW) == []
    assert len(checked()) >= 10


def test_a_failing_source_is_named_after_a_while_and_forgotten_when_it_recovers() -> None:
    inputs = floor()
    failing = SourceState(
        "h", "drift", ok=False, status="denied", reason="cannot read /r", failing_since_at=NOW
    )
    inputs.picture.apply(Reading(failing))
    assert analyse(inputs, NOW + 5 * S) == []
    (finding,) = analyse(inputs, NOW + 2 * M)
    assert finding.statement == "drift of h cannot be read for 2m: cannot read /r"
    assert finding.proposal is not None
    assert finding.proposal.command == "doctor"
    inputs.picture.apply(Reading(SourceState("h", "drift", ok=True, observed_at=NOW + 3 * M)))
    assert analyse(inputs, NOW + 3 * M) == []


@pytest.mark.parametrize(
    "trend",
    [
        growing(50 * MB, 6 * MB, samples=5),
        growing(50 * MB, MB),
        growing(4 * G, 6 * MB),
        growing(200 * MB, -6 * MB),
        tuple((NOW + n * 5 * S, min(n, 6) * 500 * MB + MB) for n in range(12)),
        tuple((NOW + n * 5 * S, 1000 * MB - (900 * MB >> n)) for n in range(12)),
        tuple((NOW + n * 5 * S, (100 + 100 * (n % 3)) * MB) for n in range(12)),
        tuple((NOW, n * 100 * MB) for n in range(12)),
        (),
    ],
    ids=[
        "too few",
        "too little",
        "too little for its size",
        "shrinks",
        "a model that loads",
        "a cache that fills",
        "a sawtooth",
        "no time",
        "none",
    ],
)
def test_what_is_no_leak(trend: tuple[tuple[int, int], ...]) -> None:
    assert leak_rate(trend) is None


def test_a_leak_survives_one_flat_step() -> None:
    samples = [50, 60, 70, 70, 80, 90, 100, 110, 120, 130, 140, 150]
    trend = tuple((NOW + n * 5 * S, size * MB) for n, size in enumerate(samples))
    assert leak_rate(trend) == pytest.approx(100 * MB / 55)


def test_a_mended_fault_is_no_finding() -> None:
    inputs = floor(agent("a", Activity.STALLED, cause="no-progress", work_id="w1", progress_at=NOW - 16 * M))
    assert analyse(inputs, NOW)
    inputs.picture["agents"].put([agent("a", Activity.WORKING, work_id="w1", progress_at=NOW)])
    assert analyse(replace(inputs), NOW) == []


def test_most_urgent_first_and_the_same_every_time() -> None:
    inputs = floor(
        agent("leaky", Activity.WORKING),
        agent("asks", Activity.BLOCKED, cause="approval"),
        agent("loop", Activity.CRASH_LOOP),
        agent("hung", Activity.STALLED, cause="no-progress", work_id="w", progress_at=NOW - 16 * M),
        Worktree("/w", "/r", "w", ahead=1, behind=1),
        HOST,
        rss_trends={"leaky": growing(50 * MB, 6 * MB)},
        dead=[Dead()],
    )
    found = analyse(inputs, NOW)
    assert [finding.category for finding in found] == [
        "crash-loop",
        "blocked-agent",
        "hung-agent",
        "leak",
        "dead-letters",
        "drift-diverged",
    ]
    assert analyse(replace(inputs), NOW) == found
    assert len({finding.id for finding in found}) == len(found)


def test_ids_are_stable_while_the_fault_lasts() -> None:
    def ids(now: int) -> list[str]:
        return [finding.id for finding in analyse(floor(agent("a", Activity.CRASHED), dead=[Dead()]), now)]

    assert ids(NOW) == ids(NOW + 10 * M)


def test_a_mass_of_faults_stays_bounded() -> None:
    picture = Picture(("agents",))
    picture["agents"].put(
        [agent(f"a{n}", Activity.CRASHED if n % 2 else Activity.IDLE) for n in range(20_000)]
    )
    inputs = Inputs(picture, leases={f"a{n}": [lease(f"w{n}", f"a{n}", left=-M)] for n in range(2_000)})
    began = time.process_time()
    found = analyse(inputs, NOW)
    assert time.process_time() - began < 0.5
    assert len(found) < 300
    (more,) = [finding for finding in found if finding.category == "troubled-agents"]
    assert "9800 more agents want attention" in more.statement
    assert _is_sorted(found)


def _is_sorted(found: list[Finding]) -> bool:
    ranks = [list(reversed(Severity)).index(finding.severity) for finding in found]
    return ranks == sorted(ranks)
