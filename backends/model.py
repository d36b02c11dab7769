"""The nouns: one word for one thing across code, CLI, screen and docs.

Every noun is a frozen ``msgspec.Struct``. Conventions that hold for all of them:

* ids are strings; a row's id is unique within its table
* ``..._at`` is an integer, milliseconds since the Unix epoch, UTC
* ``..._ms`` is a duration in milliseconds; ``..._bytes`` a size in bytes; ``..._pct`` is 0-100
* a value that could not be read is ``None``, never 0
* text that came from outside has been through :mod:`backends.text` before it is put in a noun
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class Noun(Struct, frozen=True, omit_defaults=True):
    """Base of all nouns: immutable, compact on the wire."""


# --- state ---------------------------------------------------------------------------------------


class Reach(StrEnum):
    """Can we hear from it? The first axis of state."""

    LIVE = "live"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    NEVER_SEEN = "never seen"


class Activity(StrEnum):
    """What is it doing? The second axis of state. ``None`` in a row means: not known."""

    STARTING = "starting"
    WORKING = "working"
    BLOCKED = "blocked"
    IDLE = "idle"
    STALLED = "stalled"
    PAUSED = "paused"
    DRAINING = "draining"
    STOPPED = "stopped"
    CRASHED = "crashed"
    CRASH_LOOP = "crash loop"


class WorkState(StrEnum):
    """The seven states of a work item. Everything else (retrying, expired ...) is a derived label."""

    BLOCKED = "blocked"
    SCHEDULED = "scheduled"
    READY = "ready"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Danger(StrEnum):
    """What a command may cost. Decides how it must be confirmed."""

    SAFE = "safe"
    DISRUPTIVE = "disruptive"
    DESTRUCTIVE = "destructive"


# --- evidence --------------------------------------------------------------------------------------


class Evidence(Noun, frozen=True):
    """One thing that was observed, and what it says. ``e`` shows these."""

    source: str  # which reader saw it: "heartbeat", "process", "declared: systemd", "lease" ...
    says: str  # in words: "no heartbeat for 4m (ttl 15s)"
    observed_at: int
    won: bool = False  # this evidence decided the value shown


class Explanation(Noun, frozen=True):
    """Why a row shows what it shows."""

    subject: str  # "agent builder-1"
    verdict: str  # "stalled: no progress for 16m"
    evidence: tuple[Evidence, ...] = ()
    next_step: str = ""  # what an operator can do, as a `:` line or a sentence


class SourceState(Noun, frozen=True):
    """How one reader of one host is doing. Panes show ``reason`` and the age of their data from it."""

    host: str
    source: str  # "processes", "gpu", "drift" ...
    ok: bool
    status: str = "ok"  # one short word per kind of failure: "no driver", "hung", "denied" ...
    reason: str = ""  # in words, with the next step
    observed_at: int | None = None  # of the last good reading
    failing_since_at: int | None = None
    cost_ms: float | None = None  # what the last reading cost


# --- hosts and processes ---------------------------------------------------------------------------


class ProcessRef(Noun, frozen=True):
    """Names one process beyond doubt: a pid alone may be reused."""

    pid: int
    start_ticks: int  # field 22 of /proc/<pid>/stat (or ms since the epoch where there is no /proc)
    boot_id: str = ""


class Process(Noun, frozen=True):
    """One operating-system process."""

    id: str  # "<host>:<pid>:<start_ticks>"
    host: str
    ref: ProcessRef
    parent_pid: int
    name: str
    command: str  # the command line, cleaned and joined for reading; never for running
    user: str
    state: str  # one letter as in ps(1): R S D T Z ...
    started_at: int
    cpu_pct: float | None  # of one core, over the last interval
    rss_bytes: int | None
    observed_at: int
    threads: int | None = None
    agent: str | None = None  # id of the agent it belongs to
    vram_bytes: int | None = None


class Pressure(Noun, frozen=True):
    """PSI: share of the last 10 s in which some task waited (see the kernel's accounting/psi.rst)."""

    cpu_some_pct: float | None = None
    memory_some_pct: float | None = None
    memory_full_pct: float | None = None
    io_some_pct: float | None = None
    io_full_pct: float | None = None


class Disk(Noun, frozen=True):
    mount: str
    used_bytes: int
    total_bytes: int


class Host(Noun, frozen=True):
    """One machine."""

    id: str
    reach: Reach
    observed_at: int | None = None
    boot_at: int | None = None
    boot_id: str = ""
    system: str = ""  # "Linux 6.1 x86_64"
    cores: int | None = None
    cpu_pct: float | None = None  # 0-100 over all cores
    load_1m: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swap_total_bytes: int | None = None
    pressure: Pressure | None = None
    disks: tuple[Disk, ...] = ()
    disk_read_bytes_s: int | None = None
    disk_write_bytes_s: int | None = None
    net_rx_bytes_s: int | None = None
    net_tx_bytes_s: int | None = None
    processes: int | None = None
    read_only: bool = False
    cpu_history: tuple[float | None, ...] = ()  # percent, oldest first, one a step of 5 s
    memory_history: tuple[float | None, ...] = ()


# --- GPUs ------------------------------------------------------------------------------------------


class GpuProcess(Noun, frozen=True):
    """One process holding VRAM."""

    pid: int
    vram_bytes: int | None  # None: the driver does not say (WDDM, some containers)
    kind: str = "compute"  # compute, graphics
    user: str | None = None
    command: str | None = None  # None: outside this pid namespace
    agent: str | None = None
    sm_pct: float | None = None


class MigInstance(Noun, frozen=True):
    """One slice of a GPU in MIG mode."""

    uuid: str
    name: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None


class Gpu(Noun, frozen=True):
    """One GPU as its driver describes it."""

    id: str  # "<host>:<uuid>", or "<host>:#<index>" while the uuid is unknown
    host: str
    index: int
    name: str
    status: str = "ok"  # "ok", "lost", "reset required", "no permission", "hung", "asleep", ...
    status_reason: str = ""  # in words, with the next step
    observed_at: int | None = None  # of the values below, not of the status
    uuid: str = ""
    driver: str = ""
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_reserved_bytes: int | None = None  # by the driver itself
    memory_is_unified: bool = False  # shared with the host's RAM
    utilisation_pct: int | None = None
    memory_busy_pct: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: int | None = None
    memory_temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    sm_clock_max_mhz: int | None = None
    memory_clock_mhz: int | None = None
    fan_pct: int | None = None
    performance_state: str | None = None  # "P0"
    throttle: tuple[str, ...] | None = None  # reasons in words; () = none, None = unknown
    recovery_action: str | None = None  # the driver's own advice in words; "none" when it says none
    xid_code: int | None = None  # last XID seen
    xid_text: str | None = None
    xid_at: int | None = None
    ecc_uncorrected: int | None = None
    remapped_pending: bool | None = None
    remapped_failure: bool | None = None
    mig: bool | None = None
    mig_instances: tuple[MigInstance, ...] = ()
    processes: tuple[GpuProcess, ...] | None = None  # None: not readable
    unaccounted_bytes: int | None = None  # used by no visible process
    utilisation_history: tuple[float | None, ...] = ()  # percent, oldest first, one a step of 5 s
    memory_history: tuple[float | None, ...] = ()
    simulated: bool = False  # made by the demo, not measured


# --- agents ----------------------------------------------------------------------------------------


class Agent(Noun, frozen=True):
    """One agent, merged from everything that knows of it."""

    id: str
    name: str
    host: str
    reach: Reach
    activity: Activity | None = None
    cause: str | None = None  # a short code: "no-progress", "oom", "exit-1", "approval" ...
    urgency: int = 0  # higher is more urgent; 0 = needs nobody (see backends.agents.urgency)
    kind: str = ""  # "claude-code", "codex", "ollama", "vllm", "worker" ...
    team: str = ""
    layer: str = ""
    sources: tuple[str, ...] = ()  # "registered", "declared", "discovered"
    work_id: str | None = None
    work_title: str | None = None
    work_pct: float | None = None
    lease_until: int | None = None
    progress_at: int | None = None  # last time its work moved
    heartbeat_at: int | None = None
    started_at: int | None = None
    cpu_pct: float | None = None  # sum over its processes, of one core
    rss_bytes: int | None = None
    vram_bytes: int | None = None
    restarts: int | None = None
    processes: tuple[ProcessRef, ...] = ()
    can_start: bool = False  # a declared start command or unit exists
    log_path: str | None = None
    note: str | None = None  # the agent's own last words: the question it asks, the error it met
    since_at: int | None = None  # in this state since
    observed_at: int | None = None


class Registration(Noun, frozen=True):
    """What an agent says of itself. Kept in the store; survives a restart of the watch."""

    id: str
    host: str
    kind: str = "agent"
    team: str = ""
    layer: str = ""
    capabilities: tuple[str, ...] = ()
    pid: int | None = None
    pid_start_ticks: int | None = None
    ttl_ms: int = 15_000
    log_path: str | None = None
    incarnation: int = 1  # raised at each registration
    registered_at: int = 0
    heartbeat_at: int | None = None
    activity: Activity | None = None  # self-reported with the heartbeat
    cause: str | None = None
    note: str | None = None
    draining: bool = False  # an operator asked it to finish and take nothing new
    answer: str | None = None  # an operator's "approved" or "denied" to what it asks; given once


# --- work ------------------------------------------------------------------------------------------


class WorkItem(Noun, frozen=True):
    """One item of the queue, as panes and the CLI show it."""

    id: str
    queue: str
    kind: str  # the type of work
    title: str
    state: WorkState
    priority: int  # 0-9, higher sooner
    created_at: int
    holder: str | None = None  # agent id of the lease's owner
    fence: int | None = None  # the live attempt's id: every write by the holder must carry it
    attempt: int = 0
    max_attempts: int = 5
    generation: int = 1
    lease_until: int | None = None
    lease_ms: int | None = None
    heartbeat_at: int | None = None
    claimed_at: int | None = None
    progress_pct: float | None = None
    progress_note: str | None = None
    progress_at: int | None = None
    run_at: int | None = None  # scheduled: not before
    finished_at: int | None = None
    cancel_requested_at: int | None = None
    pending_dependencies: int = 0
    unblocks: int = 0  # how many blocked items wait for this one
    unique_key: str | None = None
    reason: str | None = None  # short code of why it is dead or scheduled: "lease-expired", "failed" ...
    last_error: str | None = None
    payload: str | None = None  # JSON text
    result: str | None = None  # JSON text
    created_by: str | None = None


class Lease(Noun, frozen=True):
    """What a claim returns: the right to work on one item until ``lease_until``."""

    item: WorkItem
    fence: int
    lease_until: int


class Attempt(Noun, frozen=True):
    """One claim of one item and how it ended."""

    id: int  # the fence
    item_id: str
    number: int
    generation: int
    holder: str
    claimed_at: int
    ended_at: int | None = None
    outcome: str | None = None  # succeeded, failed, expired, released, cancelled
    error: str | None = None


class Event(Noun, frozen=True):
    """Something that happened, in the order it was committed."""

    seq: int
    at: int
    topic: str  # "work.claimed", "agent.joined", "command.finished" ...
    subject: str
    severity: Severity = Severity.INFO
    body: str = ""  # JSON text


# --- drift -----------------------------------------------------------------------------------------


class Worktree(Noun, frozen=True):
    """One git working tree under a configured root."""

    id: str  # its path
    repository: str  # path of the main working tree it belongs to
    name: str
    branch: str | None = None  # None: detached
    head: str | None = None
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    staged: int | None = None
    dirty: int | None = None  # changed, not staged
    untracked: int | None = None
    conflicted: int | None = None
    stashes: int | None = None
    committed_at: int | None = None  # of HEAD
    linked: bool = False  # a `git worktree`, not the main one
    locked: bool = False
    prunable: bool = False
    error: str | None = None
    observed_at: int | None = None


class CopyGroup(Noun, frozen=True):
    """Identical scripts in more than one place."""

    id: str  # git blob id
    name: str  # the most common file name
    size_bytes: int
    paths: tuple[str, ...]
    repositories: int  # how many different ones
    observed_at: int | None = None


# --- judgement -------------------------------------------------------------------------------------


class Proposal(Noun, frozen=True):
    """A registered command somebody (a rule, a model) suggests. Only an operator runs it."""

    command: str  # command id
    target: str = ""
    args: dict[str, Any] = {}
    reason: str = ""


class Finding(Noun, frozen=True):
    """One thing that is wrong now, with its evidence."""

    id: str  # stable while the same thing is wrong: "<category>:<subject>"
    severity: Severity
    category: str  # "hung-agent", "crash-loop", "leak", "vram-pressure", "dead-letters" ...
    subject_kind: str  # "agent", "work", "gpu", "host", "worktree", "watch"
    subject: str  # id
    statement: str
    evidence: tuple[Evidence, ...] = ()
    proposal: Proposal | None = None
    since_at: int | None = None
    observed_at: int = 0


class Alert(Noun, frozen=True):
    """A finding an operator must know of: warning or worse, while it lasts."""

    id: str
    severity: Severity
    statement: str
    fired_at: int
    acknowledged_at: int | None = None


class Incident(Noun, frozen=True):
    """Alerts that belong together."""

    id: str
    alerts: tuple[str, ...]
    opened_at: int
    closed_at: int | None = None


class Deduction(Noun, frozen=True):
    """Points lost from the health score, and why."""

    points: int
    reason: str


class Health(Noun, frozen=True):
    """0-100: what is left after every listed deduction."""

    score: int
    deductions: tuple[Deduction, ...] = ()
    observed_at: int = 0


# --- acting ----------------------------------------------------------------------------------------


class Precondition(Noun, frozen=True):
    """A fact the plan rests on. Checked again right before the act."""

    subject: str  # "agent:builder-1", "work:w1", "process:1234"
    field: str
    expected: Any


class Plan(Noun, frozen=True):
    """Exactly what a command would do. A dry run ends here."""

    id: str  # sha-256 over everything below; a run must name it
    command: str
    target: str
    args: dict[str, Any]
    danger: Danger
    steps: tuple[str, ...]  # one sentence an act, in order; argv shown with shlex quoting
    preconditions: tuple[Precondition, ...] = ()
    confirm: str = ""  # what must be typed: "" = none, "y" = a yes, else the word itself
    refusal: str = ""  # not empty: it cannot run now, and why
    made_at: int = 0


class OutcomeStatus(StrEnum):
    VERIFIED = "verified"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Outcome(Noun, frozen=True):
    """How a command ended. Never assumed: ``unknown`` when it could not be verified."""

    command: str
    target: str
    status: OutcomeStatus
    message: str
    exit_code: int = 0  # see console.exit_codes
    data: Any = None
    request_id: str = ""
    audit_seq: int | None = None


class AuditRecord(Noun, frozen=True):
    """One link of the audit chain (see backends.audit for the hash)."""

    seq: int
    at_us: int  # microseconds since the epoch, UTC
    actor: str  # "uid:1000 alice"
    door: str  # "tui", "cli", "socket", "watch"
    command: str
    target: str
    args: str  # canonical JSON, secrets redacted
    before: str
    after: str
    outcome: str  # "intent", "verified", "failed", "unknown", "refused"
    message: str
    request_id: str
    prev: str  # hex
    hash: str  # hex


# --- looking ---------------------------------------------------------------------------------------


class View(Noun, frozen=True):
    """What a pane wants to see of one table."""

    table: str  # "agents", "work", "gpus", "processes", "worktrees", "copies", "findings" ...
    filter: str = ""
    sort: str = ""  # field name; "" = the table's own order, most urgent first
    descending: bool = False
    start: int = 0  # index of the first row wanted
    count: int = 50
    follow: str | None = None  # keep this row id at index start+follow_offset while the order changes
    follow_offset: int = 0


class Summary(Noun, frozen=True):
    """The header: totals over every row of each table, so they agree with the panes."""

    hosts: dict[str, int] = {}  # by reach
    agents: dict[str, int] = {}  # by activity; "unknown" when it is not known
    agents_reach: dict[str, int] = {}
    work: dict[str, int] = {}  # by state
    findings: dict[str, int] = {}  # by severity
    health: int | None = None  # 0-100
    estop: str = ""  # why everything is frozen; "" = it is not
    failing: tuple[SourceState, ...] = ()  # sources that cannot be read now
    sources: tuple[SourceState, ...] = ()
    consoles: int = 0


class Window(Noun, frozen=True):
    """The rows a view shows now, and the totals of all rows that match it."""

    table: str
    start: int
    rows: tuple[Any, ...]  # nouns of the table
    total: int  # rows that match the filter
    total_is_exact: bool = True
    counts: dict[str, int] = {}  # by state, over the rows that match the filter
    table_total: int | None = None  # rows of the table, unfiltered
    followed: int | None = None  # index where the followed row is now; None: gone or not asked
    follow: str | None = None  # the row that was asked to be followed when this window was made
    problem: str = ""  # why the rows may be old, in words
    observed_at: int | None = None
