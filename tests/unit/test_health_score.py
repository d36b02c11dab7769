"""The health score: 100 less what is listed, and nothing that is not known counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.agents.urgency import urgency
from backends.health import ailments, score, strains
from backends.model import (
    Activity,
    Agent,
    Disk,
    Gpu,
    Host,
    Pressure,
    Reach,
    Severity,
    SourceState,
    Worktree,
)
from backends.picture import Picture, Reading

NOW = 1_700_000_000_000
G = 1 << 30
TABLES = ("agents", "hosts", "gpus", "worktrees")


def agent(
    id_: str, activity: Activity | None = Activity.IDLE, reach: Reach = Reach.LIVE, cause: str | None = None
) -> Agent:
    return Agent(id_, id_, "h", reach, activity, cause, urgency(reach, activity, cause))


def picture(**rows: list[object]) -> Picture:
    made = Picture(TABLES)
    for table, content in rows.items():
        made[table].put(content)  # type: ignore[arg-type]
    return made


def host(**changes: object) -> Host:
    values: dict[str, object] = {
        "id": "h", "reach": Reach.LIVE, "memory_used_bytes": 4 * G, "memory_total_bytes": 16 * G,
        "swap_used_bytes": 0, "swap_total_bytes": 0, "pressure": Pressure(5.0, 0.0, 0.0, 0.0, 0.0),
        "disks": (Disk("/", 50 * G, 100 * G),),
    }  # fmt: skip
    return Host(**{**values, **changes})  # type: ignore[arg-type]


def gpu(**changes: object) -> Gpu:
    return Gpu(**{"id": "h:g", "host": "h", "index": 0, "name": "G", **changes})  # type: ignore[arg-type]


def test_a_calm_floor_is_100() -> None:
    calm = picture(
        agents=[
            agent("a"),
            agent("b", Activity.WORKING),
            agent("c", Activity.STOPPED),
            agent("d", None),
            agent("e", Activity.PAUSED),
        ],
        hosts=[host()],
        gpus=[gpu(status="ok", recovery_action="none", throttle=())],
        worktrees=[Worktree("w", "r", "w", dirty=3)],
    )
    calm.apply(Reading(SourceState("h", "gpu", ok=False, status="no driver", reason="no NVIDIA driver")))
    health = score(calm, NOW)
    assert (health.score, health.deductions) == (100, ())


def test_an_empty_picture_is_100() -> None:
    assert score(Picture(()), NOW).score == 100


@pytest.mark.parametrize(
    ("rows", "points", "words"),
    [
        ({"agents": [agent("a", Activity.CRASHED, Reach.UNREACHABLE)]}, 6, "1 agent crashed: a"),
        ({"agents": [agent("a", Activity.CRASH_LOOP)]}, 10, "1 agent crash-looping: a"),
        (
            {"agents": [agent("a", Activity.STALLED), agent("b", Activity.STALLED)]},
            12,
            "2 agents stalled: a, b",
        ),
        ({"agents": [agent("a", None, Reach.UNREACHABLE)]}, 5, "1 agent unreachable: a"),
        ({"agents": [agent("a", Activity.WORKING, Reach.STALE)]}, 1, "1 agent silent: a"),
        ({"agents": [agent("a", Activity.BLOCKED)]}, 1, "1 agent waiting for somebody: a"),
        (
            {"agents": [agent(f"a{n}", Activity.CRASHED) for n in range(50)]},
            24,
            "50 agents crashed: a0, a1, a2 ...",
        ),
        ({"hosts": [host(memory_used_bytes=14 * G)]}, 4, "h: memory 88% used"),
        ({"hosts": [host(memory_used_bytes=15.9 * G)]}, 12, "h: memory 99% used"),
        ({"hosts": [host(disks=(Disk("/data", 98 * G, 100 * G),))]}, 12, "h: /data 98% full, 2.00 GiB left"),
        ({"hosts": [host(swap_used_bytes=9, swap_total_bytes=10)]}, 4, "swap 90% used"),
        ({"hosts": [host(pressure=Pressure(memory_some_pct=30.0))]}, 4, "tasks waited for memory 30%"),
        ({"gpus": [gpu(status="lost", status_reason="fell off the bus")]}, 15, "GPU 0 on h: lost: fell off"),
        ({"gpus": [gpu(recovery_action="reset the GPU")]}, 15, "the driver advises: reset the GPU"),
        ({"gpus": [gpu(xid_code=79, xid_at=NOW - 1)]}, 15, "XID 79"),
        ({"worktrees": [Worktree("w", "r", "w", conflicted=2)]}, 2, "1 working trees with conflicts: w"),
    ],
)
def test_every_fault_costs_its_points_and_says_why(
    rows: dict[str, list[object]], points: int, words: str
) -> None:
    health = score(picture(**rows), NOW)
    assert health.score == 100 - points
    assert sum(deduction.points for deduction in health.deductions) == points
    assert any(words in deduction.reason for deduction in health.deductions), health.deductions


def test_queue_and_sources_count() -> None:
    made = picture()
    made.apply(Reading(SourceState("h", "drift", ok=False, status="denied", reason="cannot read /r")))
    health = score(made, NOW, dead_letters=30, expired_leases=2)
    assert {(d.points, d.reason) for d in health.deductions} == {
        (10, "30 dead letters"),
        (4, "2 expired leases"),
        (3, "drift of h cannot be read: cannot read /r"),
    }
    assert health.score == 83


@pytest.mark.parametrize(
    "quiet",
    [
        gpu(xid_code=79, xid_at=NOW - 2 * 3_600_000),
        gpu(memory_used_bytes=95 * G, memory_total_bytes=100 * G),
        gpu(unaccounted_bytes=500 << 20),
        gpu(throttle=("power cap",)),
        gpu(memory_used_bytes=99, memory_total_bytes=100, memory_is_unified=True),
        gpu(status="asleep"),
    ],
)
def test_gpus_that_are_well(quiet: Gpu) -> None:
    assert ailments(quiet, NOW) == ()


@pytest.mark.parametrize(
    ("sick", "kind", "severity"),
    [
        (gpu(status="hung"), "gpu-down", Severity.CRITICAL),
        (gpu(status="no permission"), "gpu-down", Severity.WARNING),
        (gpu(status="stale"), "gpu-down", Severity.INFO),
        (gpu(xid_code=31, xid_at=NOW), "gpu-xid", Severity.WARNING),
        (gpu(xid_code=48, xid_at=NOW), "gpu-xid", Severity.CRITICAL),
        (gpu(remapped_failure=True), "gpu-memory-fault", Severity.CRITICAL),
        (gpu(remapped_pending=True), "gpu-memory-fault", Severity.WARNING),
        (gpu(ecc_uncorrected=3), "gpu-memory-fault", Severity.WARNING),
        (gpu(throttle=("hardware thermal limit",), temperature_c=91), "gpu-hot", Severity.WARNING),
        (gpu(memory_used_bytes=99 * G, memory_total_bytes=100 * G), "vram-full", Severity.WARNING),
        (gpu(unaccounted_bytes=600 << 20), "vram-hidden", Severity.WARNING),
    ],
)
def test_gpus_that_are_not(sick: Gpu, kind: str, severity: Severity) -> None:
    assert [(ailment.kind, ailment.severity) for ailment in ailments(sick, NOW)] == [(kind, severity)]


def test_one_high_moment_is_no_memory_shortage() -> None:
    assert strains(host(memory_used_bytes=16 * G, memory_history=(30.0,) * 12)) == ()
    assert strains(host(memory_used_bytes=4 * G, memory_history=(99.0,) * 12)) == ()
    lasting = strains(host(memory_used_bytes=16 * G, memory_history=(None, *(99.0,) * 11)))
    assert [strain.severity for strain in lasting] == [Severity.CRITICAL]


def test_what_a_host_does_not_tell_is_not_judged() -> None:
    assert strains(Host("h", Reach.UNREACHABLE)) == ()
    assert strains(host(memory_total_bytes=0, disks=(Disk("/", 0, 0),))) == ()


@given(
    st.lists(
        st.tuples(
            st.none() | st.sampled_from(Activity),
            st.sampled_from(Reach),
            st.none() | st.just("lease-expired"),
        ),
        max_size=40,
    ),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_score_is_100_less_what_is_listed(
    states: list[tuple[Activity | None, Reach, str | None]], dead: int, expired: int
) -> None:
    rows: list[object] = [agent(f"a{n}", *state) for n, state in enumerate(states)]
    health = score(picture(agents=rows), NOW, dead_letters=dead, expired_leases=expired)
    assert health.score == max(0, 100 - sum(deduction.points for deduction in health.deductions))
    assert all(deduction.reason for deduction in health.deductions)
