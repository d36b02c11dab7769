"""From facts to the row: every state and cause, which evidence wins, and that nothing makes it raise."""

from __future__ import annotations

from dataclasses import replace as replace_facts

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.agents.declared import DeclaredAgent, Match
from backends.agents.derive import derive, explain, next_look
from backends.agents.facts import Check, Discovery, Facts, ProbeReport, Session, Unit
from backends.agents.limits import Limits, Stall
from backends.agents.urgency import ATTENTION, urgency
from backends.model import Activity, Process, ProcessRef, Reach, Registration, WorkItem, WorkState

NOW = 1_700_000_000_000
S = 1000
M = 60 * S


def process(pid: int = 100, state: str = "S", cpu: float | None = 0.0, age_ms: int = 10 * M) -> Process:
    return Process(
        f"h:{pid}:{pid}",
        "h",
        ProcessRef(pid, pid),
        1,
        "worker",
        "python worker.py",
        "u",
        state,
        NOW - age_ms,
        cpu,
        50 << 20,
        NOW,
    )


def registration(heartbeat_ago: int | None = 2 * S, **changes: object) -> Registration:
    values: dict[str, object] = {
        "id": "a",
        "host": "h",
        "ttl_ms": 15 * S,
        "registered_at": NOW - 60 * M,
        "heartbeat_at": None if heartbeat_ago is None else NOW - heartbeat_ago,
    }
    return Registration(**{**values, **changes})  # type: ignore[arg-type]


def lease(moved_ago: int = S, left: int = 30 * S, kind: str = "build") -> WorkItem:
    return WorkItem(
        "w1",
        "default",
        kind,
        "Build it",
        WorkState.LEASED,
        5,
        NOW - 90 * M,
        holder="a",
        lease_until=NOW + left,
        claimed_at=NOW - 80 * M,
        progress_at=NOW - moved_ago,
        progress_pct=40.0,
    )


def probe(running: bool | None, responding: bool | None = None, unit: Unit | None = None) -> ProbeReport:
    checks = (
        (Check("health_url", responding, "http://x answered 503", NOW),) if responding is not None else ()
    )
    return ProbeReport("a", NOW, running, responding, unit=unit, checks=checks)


def unit(
    active: str, sub: str, result: str = "success", status: int | None = 0, killed: bool = False
) -> Unit:
    return Unit("a.service", "loaded", active, sub, None, 0, result, status, killed)


def facts(**changes: object) -> Facts:
    values: dict[str, object] = {"id": "a", "host": "h", "limits": Limits(), "processes_at": NOW}
    return Facts(**{**values, **changes})  # type: ignore[arg-type]


def tree(*processes: Process) -> dict[str, object]:
    return {"roots": processes, "tree": processes}


DECLARED = DeclaredAgent(name="a", match=Match(command="worker.py"), start=["worker"])
DISCOVERED = Discovery("a", "ollama", "ollama 100", (100,))

CASES = {
    "fresh heartbeat without words, no work": (
        facts(registration=registration()),
        Reach.LIVE,
        Activity.IDLE,
        None,
    ),
    "fresh heartbeat, holds work": (
        facts(registration=registration(), leases=(lease(),)),
        Reach.LIVE,
        Activity.WORKING,
        None,
    ),
    "says what it does": (
        facts(registration=registration(activity=Activity.STARTING)),
        Reach.LIVE,
        Activity.STARTING,
        None,
    ),
    "its own word beats its CPU": (
        facts(registration=registration(activity=Activity.IDLE), **tree(process(cpu=90.0))),
        Reach.LIVE,
        Activity.IDLE,
        None,
    ),
    "progress alone keeps it live": (
        facts(
            registration=registration(5 * M),
            leases=(
                WorkItem(
                    "w1",
                    "q",
                    "k",
                    "t",
                    WorkState.LEASED,
                    5,
                    NOW,
                    heartbeat_at=NOW - S,
                    claimed_at=NOW - S,
                    lease_until=NOW + S,
                ),
            ),
        ),
        Reach.LIVE,
        Activity.WORKING,
        None,
    ),
    "silent longer than its ttl": (facts(registration=registration(16 * S)), Reach.STALE, None, "silent"),
    "silent longer than four ttls": (
        facts(registration=registration(61 * S)),
        Reach.UNREACHABLE,
        None,
        "silent",
    ),
    "silent for long, but its process lives": (
        facts(registration=registration(10 * M, pid=100), **tree(process())),
        Reach.STALE,
        None,
        "silent",
    ),
    "never sent a heartbeat": (facts(registration=registration(None)), Reach.NEVER_SEEN, None, None),
    "its process is gone": (
        facts(registration=registration(5 * S, pid=100), gone_at=NOW - S),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "pid-gone",
    ),
    "its process is gone, yet it spoke since: another process carries on": (
        facts(registration=registration(S, pid=100), gone_at=NOW - 5 * S),
        Reach.LIVE,
        Activity.IDLE,
        None,
    ),
    "stopped by an operator": (
        facts(registration=registration(5 * S, pid=100), gone_at=NOW - S, stopped_by="operator"),
        Reach.LIVE,
        Activity.STOPPED,
        "operator",
    ),
    "said that it stops": (
        facts(registration=registration(10 * M, activity=Activity.STOPPED)),
        Reach.LIVE,
        Activity.STOPPED,
        None,
    ),
    "said that it failed": (
        facts(registration=registration(10 * M, activity=Activity.CRASHED, cause="oom")),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "oom",
    ),
    "suspended": (
        facts(registration=registration(activity=Activity.WORKING), **tree(process(state="T"))),
        Reach.LIVE,
        Activity.PAUSED,
        "sigstop",
    ),
    "a zombie": (
        facts(discovery=DISCOVERED, **tree(process(state="Z"))),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "zombie",
    ),
    "waits for an approval": (
        facts(registration=registration(activity=Activity.BLOCKED, cause="approval", note="rm -rf?")),
        Reach.LIVE,
        Activity.BLOCKED,
        "approval",
    ),
    "waits, and does not hang": (
        facts(
            registration=registration(activity=Activity.BLOCKED, cause="question"), leases=(lease(20 * M),)
        ),
        Reach.LIVE,
        Activity.BLOCKED,
        "question",
    ),
    "was answered": (
        facts(registration=registration(activity=Activity.BLOCKED, cause="approval", answer="approved")),
        Reach.LIVE,
        Activity.BLOCKED,
        "answered",
    ),
    "a question expires with its heartbeat": (
        facts(registration=registration(20 * S, activity=Activity.BLOCKED, cause="approval")),
        Reach.STALE,
        None,
        "silent",
    ),
    "no progress": (
        facts(registration=registration(activity=Activity.WORKING), leases=(lease(15 * M + 1),)),
        Reach.LIVE,
        Activity.STALLED,
        "no-progress",
    ),
    "no progress, limits of its kind of work": (
        facts(
            registration=registration(),
            leases=(lease(3 * S, kind="fast"),),
            limits=Limits(stall_by_kind={"fast": Stall(warn_s=2, critical_s=4)}),
        ),
        Reach.LIVE,
        Activity.STALLED,
        "no-progress",
    ),
    "one of two items moves": (
        facts(registration=registration(), leases=(lease(20 * M), lease(S))),
        Reach.LIVE,
        Activity.WORKING,
        None,
    ),
    "its lease ran out": (
        facts(registration=registration(), leases=(lease(S, left=-S),)),
        Reach.LIVE,
        Activity.STALLED,
        "lease-expired",
    ),
    "draining with work": (
        facts(registration=registration(draining=True), leases=(lease(),)),
        Reach.LIVE,
        Activity.DRAINING,
        None,
    ),
    "drained": (facts(registration=registration(draining=True)), Reach.LIVE, Activity.DRAINING, "drained"),
    "crash loop": (
        facts(registration=registration(), starts=tuple(NOW - n * S for n in (40, 30, 20, 10))),
        Reach.LIVE,
        Activity.CRASH_LOOP,
        "restarts",
    ),
    "suspended in a crash loop": (
        facts(
            registration=registration(),
            starts=tuple(NOW - n * S for n in (40, 30, 20, 10)),
            **tree(process(state="T"), process(101, state="Z")),
        ),
        Reach.LIVE,
        Activity.PAUSED,
        "sigstop",
    ),
    "three restarts are none": (
        facts(registration=registration(), starts=tuple(NOW - n * S for n in (30, 20, 10))),
        Reach.LIVE,
        Activity.IDLE,
        None,
    ),
    "restarts of long ago are none": (
        facts(registration=registration(), starts=tuple(NOW - n * S for n in (70, 30, 20, 10))),
        Reach.LIVE,
        Activity.IDLE,
        None,
    ),
    "systemd gave up": (
        facts(declared=DECLARED, probe=probe(False, unit=unit("failed", "failed", "start-limit-hit", 3))),
        Reach.LIVE,
        Activity.CRASH_LOOP,
        "start-limit",
    ),
    "unit stopped in order": (
        facts(declared=DECLARED, probe=probe(False, unit=unit("inactive", "dead"))),
        Reach.LIVE,
        Activity.STOPPED,
        None,
    ),
    "unit failed with an exit code": (
        facts(declared=DECLARED, probe=probe(False, unit=unit("failed", "failed", "exit-code", 3))),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "exit-3",
    ),
    "unit killed by a signal": (
        facts(declared=DECLARED, probe=probe(False, unit=unit("failed", "failed", "signal", 9, killed=True))),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "signal-9",
    ),
    "unit out of memory": (
        facts(
            declared=DECLARED, probe=probe(False, unit=unit("failed", "failed", "oom-kill", 9, killed=True))
        ),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "oom",
    ),
    "unit between two restarts": (
        facts(declared=DECLARED, probe=probe(False, unit=unit("activating", "auto-restart", "exit-code", 1))),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "exit-1",
    ),
    "unit starting": (
        facts(declared=DECLARED, probe=probe(True, unit=unit("activating", "start"))),
        Reach.LIVE,
        Activity.STARTING,
        None,
    ),
    "declared and never run": (
        facts(declared=DECLARED, probe=probe(False)),
        Reach.NEVER_SEEN,
        Activity.STOPPED,
        "not-running",
    ),
    "declared, ran, and is gone": (
        facts(declared=DECLARED, probe=probe(False), was_running=True),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "pid-gone",
    ),
    "declared by URL, answered once, and no more": (
        facts(declared=DECLARED, probe=probe(False, responding=False), was_running=True),
        Reach.UNREACHABLE,
        Activity.CRASHED,
        "not-answering",
    ),
    "declared, not probed yet": (facts(declared=DECLARED), Reach.NEVER_SEEN, None, None),
    "runs and does not answer": (
        facts(declared=DECLARED, probe=probe(True, responding=False), **tree(process())),
        Reach.LIVE,
        Activity.STALLED,
        "health-check",
    ),
    "runs and does not answer yet": (
        facts(declared=DECLARED, probe=probe(True, responding=False), **tree(process(age_ms=5 * S))),
        Reach.LIVE,
        Activity.STARTING,
        None,
    ),
    "a quiet process is not idle": (facts(discovery=DISCOVERED, **tree(process())), Reach.LIVE, None, None),
    "a busy process works": (
        facts(discovery=DISCOVERED, **tree(process(cpu=80.0))),
        Reach.LIVE,
        Activity.WORKING,
        None,
    ),
    "a process seen long ago": (
        facts(discovery=DISCOVERED, processes_stale=True, **tree(process())),
        Reach.STALE,
        None,
        "silent",
    ),
    "its session file says busy": (
        facts(discovery=DISCOVERED, session=Session(100, 100, "busy", NOW), **tree(process())),
        Reach.LIVE,
        Activity.WORKING,
        None,
    ),
    "its session file says idle": (
        facts(discovery=DISCOVERED, session=Session(100, 100, "idle", NOW), **tree(process(cpu=50.0))),
        Reach.LIVE,
        Activity.IDLE,
        None,
    ),
    "a session file without its process": (
        facts(discovery=DISCOVERED, session=Session(100, 100, "busy", NOW)),
        Reach.NEVER_SEEN,
        None,
        None,
    ),
    "a holder that nobody knows": (facts(leases=(lease(),)), Reach.NEVER_SEEN, None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_state(name: str) -> None:
    known, reach, activity, cause = CASES[name]
    row = derive(known, NOW)
    assert (row.reach, row.activity, row.cause) == (reach, activity, cause)
    assert row.urgency == urgency(reach, activity, cause)


@pytest.mark.parametrize("name", CASES)
def test_explanation_names_the_evidence_that_won(name: str) -> None:
    known, _reach, activity, _cause = CASES[name]
    explanation = explain(known, NOW)
    winners = [evidence for evidence in explanation.evidence if evidence.won]
    assert len(winners) <= 1
    if activity is not None:
        assert winners
        assert activity.value in explanation.verdict
        assert winners[0].says in explanation.verdict


def test_explanation_keeps_what_lost() -> None:
    known = facts(
        registration=registration(activity=Activity.WORKING, pid=100),
        leases=(lease(16 * M),),
        **tree(process()),
    )
    explanation = explain(known, NOW)
    assert explanation.verdict == "stalled (no-progress): no progress on w1 for 16m (limit 15m)"
    says = {evidence.source: evidence.says for evidence in explanation.evidence if not evidence.won}
    assert says["heartbeat"] == "says working, heard 2s ago"
    assert says["reach"] == "live: last heard 2s ago (ttl 15s)"
    assert explanation.next_step == ":requeue-agent a"


def test_row_carries_its_work_and_sums_its_processes() -> None:
    row = derive(
        facts(
            registration=registration(),
            leases=(lease(),),
            **tree(process(100, cpu=1.5), process(101, cpu=2.0)),
        ),
        NOW,
    )
    assert (row.work_id, row.work_title, row.work_pct) == ("w1", "Build it", 40.0)
    assert row.cpu_pct == 3.5
    assert row.rss_bytes == 100 << 20
    assert [ref.pid for ref in row.processes] == [100, 101]
    assert row.restarts is None


def test_unknown_is_not_zero() -> None:
    row = derive(facts(registration=registration(None)), NOW)
    assert (row.cpu_pct, row.rss_bytes, row.vram_bytes, row.work_pct, row.heartbeat_at) == (None,) * 5


def test_urgency_order() -> None:
    states = [
        (Reach.LIVE, Activity.BLOCKED, "approval"),
        (Reach.LIVE, Activity.CRASH_LOOP, None),
        (Reach.LIVE, Activity.STALLED, "lease-expired"),
        (Reach.UNREACHABLE, Activity.CRASHED, None),
        (Reach.LIVE, Activity.STALLED, "no-progress"),
        (Reach.UNREACHABLE, None, None),
        (Reach.STALE, Activity.WORKING, None),
        (Reach.LIVE, Activity.PAUSED, None),
        (Reach.LIVE, Activity.WORKING, None),
        (Reach.LIVE, Activity.IDLE, None),
        (Reach.LIVE, Activity.STOPPED, None),
    ]
    numbers = [urgency(*state) for state in states]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers)
    assert numbers[6] == ATTENTION
    assert numbers[-1] == 0


def test_next_look_is_when_time_alone_changes_the_row() -> None:
    known = facts(registration=registration(), leases=(lease(),))
    row, at = derive(known, NOW), next_look(known, NOW)
    assert at == NOW + 13 * S + 1  # ttl 15 s, heard 2 s ago
    assert derive(known, at - 1).reach is row.reach
    assert derive(known, at).reach is Reach.STALE


times = st.integers(NOW - 4 * 3_600_000, NOW + 3_600_000)
maybe_times = st.none() | times
processes = st.builds(
    process,
    st.integers(1, 9),
    st.sampled_from("RSDTtZX"),
    st.none() | st.floats(0, 800),
    st.integers(-M, 60 * M),
)
registrations = st.builds(
    Registration,
    st.just("a"),
    st.just("h"),
    pid=st.none() | st.integers(1, 9),
    ttl_ms=st.integers(0, 60_000),
    registered_at=times,
    heartbeat_at=maybe_times,
    activity=st.none() | st.sampled_from(Activity),
    cause=st.none() | st.text(max_size=5),
    note=st.none() | st.text(max_size=5),
    draining=st.booleans(),
    incarnation=st.integers(0, 9),
    answer=st.none() | st.just("approved"),
)
items = st.builds(
    WorkItem,
    st.just("w"),
    st.just("q"),
    st.just("k"),
    st.just("t"),
    st.just(WorkState.LEASED),
    st.just(5),
    times,
    lease_until=maybe_times,
    claimed_at=maybe_times,
    progress_at=maybe_times,
    heartbeat_at=maybe_times,
    lease_ms=st.none() | st.integers(0, 10_000),
)
units = st.builds(
    Unit,
    st.just("u"),
    st.sampled_from(["loaded", "not-found", ""]),
    st.sampled_from(["active", "inactive", "failed", "activating", "deactivating", ""]),
    st.sampled_from(["running", "dead", "auto-restart", ""]),
    st.none() | st.integers(1, 9),
    st.none() | st.integers(0, 9),
    st.sampled_from(["success", "exit-code", "signal", "start-limit-hit", ""]),
    st.none() | st.integers(0, 255),
    st.booleans(),
)
triples = st.none() | st.booleans()
probes = st.builds(
    ProbeReport,
    st.just("a"),
    times,
    triples,
    triples,
    abandoned_pid_file=st.booleans(),
    unit=st.none() | units,
)
stamps = st.lists(times, max_size=8).map(sorted).map(tuple)
anything = st.builds(
    lambda root, **values: Facts(
        id="a", host="h", limits=Limits(), roots=tuple(root), tree=tuple(root), **values
    ),
    root=st.lists(processes, max_size=3),
    registration=st.none() | registrations,
    declared=st.none() | st.just(DECLARED),
    probe=st.none() | probes,
    discovery=st.none() | st.just(DISCOVERED),
    session=st.none()
    | st.builds(Session, st.integers(1, 9), st.none(), st.sampled_from(["busy", "idle", "?"]), times),
    processes_at=maybe_times,
    processes_stale=st.booleans(),
    gone_at=maybe_times,
    was_running=st.booleans(),
    stopped_by=st.none() | st.just("operator"),
    leases=st.lists(items, max_size=3).map(tuple),
    starts=stamps,
    changes=stamps,
    last_exit=st.none() | st.just("exit-1"),
)


@settings(max_examples=400, deadline=None)
@given(anything)
def test_any_facts_give_one_row_and_an_explanation(known: Facts) -> None:
    row = derive(known, NOW)
    assert row.reach in Reach
    assert row.urgency == urgency(row.reach, row.activity, row.cause)
    explanation = explain(known, NOW)
    assert sum(evidence.won for evidence in explanation.evidence) <= 1


@settings(max_examples=400, deadline=None)
@given(anything, st.integers(0, 2 * 3_600_000))
def test_nothing_changes_before_the_next_look(known: Facts, later: int) -> None:
    """The schedule may not miss an instant: between now and ``next_look`` the state is the same."""
    at = next_look(known, NOW)
    then = NOW + later if at is None else min(NOW + later, at - 1)
    before, after = derive(known, NOW), derive(known, then)
    assert (before.reach, before.activity, before.cause) == (after.reach, after.activity, after.cause)


def test_flapping_is_noted_but_an_agents_own_words_stand() -> None:
    restless = facts(registration=registration(), changes=tuple(NOW - n * S for n in (40, 30, 20, 10)))
    assert derive(restless, NOW).note == "flapping: 4 changes into or out of trouble in 1m"
    assert "flapping" in explain(restless, NOW).evidence[-1].says
    spoken = replace_facts(restless, registration=registration(note="busy"))
    assert derive(spoken, NOW).note == "busy"


def test_a_zombie_is_no_process_to_act_on() -> None:
    row = derive(facts(**tree(process(), process(101, state="Z"))), NOW)
    assert [ref.pid for ref in row.processes] == [100]


def test_the_next_step_of_a_crash_loop_is_one_that_works() -> None:
    looping = facts(registration=registration(), starts=tuple(NOW - n * S for n in (40, 30, 20, 10)))
    assert ":stop-agent a" in explain(looping, NOW).next_step
    assert ":restart-agent a" in explain(replace_facts(looping, declared=DECLARED), NOW).next_step
