"""One fixed scene for every pane: what tests of the console and its pictures look at."""

from __future__ import annotations

from still_watch import StillWatch

from backends.model import (
    Activity,
    Agent,
    CopyGroup,
    Disk,
    Evidence,
    Finding,
    Gpu,
    GpuProcess,
    Host,
    Pressure,
    Process,
    ProcessRef,
    Proposal,
    Reach,
    Severity,
    Worktree,
)

NOW = 1_700_000_000_000
SECOND, MINUTE, GIB = 1000, 60_000, 1 << 30


def agent(name: str, activity: Activity, urgency: int = 0, cause: str | None = None, **more: object) -> Agent:
    """An agent of forge-01."""
    known = {
        "team": "core",
        "layer": "build",
        "sources": ("registered", "discovered"),
        "heartbeat_at": NOW - 4 * SECOND,
        "started_at": NOW - 3_600_000,
        "cpu_pct": 12.0,
        "rss_bytes": 3 * GIB // 2,
        "restarts": 0,
    } | more
    return Agent(
        id=name, name=name, host="forge-01", reach=Reach.LIVE, activity=activity, cause=cause,
        urgency=urgency, **known,
    )  # type: ignore[arg-type]  # fmt: skip


AGENTS = (
    agent(
        "builder-1", Activity.STALLED, 60, "no-progress", work_id="w1", work_title="Build the images",
        work_pct=41.0, progress_at=NOW - 16 * MINUTE,
    ),
    agent("cleaner", Activity.BLOCKED, 80, "approval", note="may I delete 14 old results?"),
    agent("notifier", Activity.CRASH_LOOP, 90, "restarts", restarts=7, cpu_pct=None, rss_bytes=None),
    agent("tester", Activity.WORKING, work_title="Test the site", work_pct=80.0, progress_at=NOW - SECOND),
    agent("idler", Activity.IDLE),
)  # fmt: skip
HOST = Host(
    id="forge-01", reach=Reach.LIVE, boot_at=NOW - 86_400_000, system="Linux 6.1 x86_64", cores=16,
    cpu_pct=37.0, load_1m=5.2, memory_used_bytes=41 * GIB, memory_total_bytes=64 * GIB, swap_used_bytes=0,
    swap_total_bytes=0, pressure=Pressure(1.0, 0.0, 0.0, 14.0, 2.0),
    disks=(Disk("/data", 88 * GIB, 90 * GIB),), net_rx_bytes_s=2_000, net_tx_bytes_s=1_000,
    disk_read_bytes_s=0, disk_write_bytes_s=90_000, processes=212,
    cpu_history=tuple(float(value) for value in range(0, 80, 2)),
    memory_history=(60.0, 61.0, 63.0, 64.0) * 10,
)  # fmt: skip
PROCESSES = tuple(
    Process(
        id=f"forge-01:{4700 + number}:1", host="forge-01", ref=ProcessRef(4700 + number, 1), parent_pid=1,
        name="python", command=command, user="ana", state="S", started_at=NOW - number * 10 * MINUTE,
        cpu_pct=40.0 - number * 5, rss_bytes=(8 - number) * GIB // 4, observed_at=NOW,
    )
    for number, command in enumerate(("python train.py", "python serve.py", "sshd: ana", "tmux"))
)  # fmt: skip
GPUS = tuple(
    Gpu(
        id=f"forge-01:GPU-{index}", host="forge-01", index=index, name="NVIDIA H200", driver="570.86",
        memory_total_bytes=141 * GIB, memory_used_bytes=(110 - 60 * index) * GIB,
        utilisation_pct=93 - 70 * index, memory_busy_pct=40, power_w=612.0, power_limit_w=700.0,
        temperature_c=71, sm_clock_mhz=1755, sm_clock_max_mhz=1980, throttle=("power cap",) * (1 - index),
        performance_state="P0", utilisation_history=(10.0, 40.0, 90.0, 93.0) * 10,
        memory_history=(78.0,) * 40,
        processes=(GpuProcess(4711 + index, 71 * GIB, user="svc", command="vllm serve", agent="vllm"),),
    )
    for index in range(2)
)  # fmt: skip
WORKTREES = (
    Worktree(
        id="/src/payments", repository="/src/payments", name="payments", branch="main", ahead=3, behind=12,
        staged=0, dirty=4, untracked=1, stashes=0, committed_at=NOW - 5 * 86_400_000,
    ),
    Worktree(
        id="/src/site", repository="/src/site", name="site", branch="release", ahead=0, behind=0, staged=0,
        dirty=0, untracked=0, stashes=2, committed_at=NOW - MINUTE,
    ),
)  # fmt: skip
COPIES = (
    CopyGroup("b1", "deploy.sh", 4312, ("/src/payments/deploy.sh", "/src/site/deploy.sh"), repositories=2),
)
FINDINGS = (
    Finding(
        id="crash-loop:notifier", severity=Severity.CRITICAL, category="crash-loop", subject_kind="agent",
        subject="notifier", statement="notifier crashes as often as it is started",
        evidence=(Evidence("process", "7 restarts in 3 minutes", NOW - SECOND),),
        proposal=Proposal("stop-agent", "notifier", {}, "It burns a core and its log."),
        since_at=NOW - 3 * MINUTE,
    ),
    Finding(
        id="hung-agent:builder-1", severity=Severity.WARNING, category="hung-agent", subject_kind="agent",
        subject="builder-1", statement="builder-1 has not moved for 16 minutes",
        evidence=(Evidence("progress", "41% for 16m", NOW - SECOND),),
        proposal=Proposal("requeue-agent", "builder-1", {}, "Another agent can take it."),
        since_at=NOW - 16 * MINUTE,
    ),
)  # fmt: skip


def set_scene(watch: StillWatch, *, gpus: bool = False) -> None:
    """Everything at once."""
    watch.put("agents", AGENTS)
    watch.put("hosts", [HOST])
    watch.put("processes", PROCESSES)
    watch.put("worktrees", WORKTREES)
    watch.put("copies", COPIES)
    watch.put("findings", FINDINGS)
    watch.put("gpus", GPUS if gpus else ())
    watch.source("gpu", ok=gpus, reason="" if gpus else "no NVIDIA driver is loaded")
    watch.source("processes")
