"""What each source concludes about an agent's activity, on its own.

Every function reads :class:`~backends.agents.facts.Facts` and says what it believes, or ``None`` when it has
nothing to say. :data:`AUTHORITIES` lists them in the order in which they are believed: the first that speaks
decides. What proves that nothing can run stands before what the agent says of itself, and that before what is
merely seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backends.agents.facts import Facts, Unit, progressed_at
from backends.model import Activity, Registration
from backends.units import count_words, duration_words

#: States in which an agent's last word stays true after it fell silent.
_LAST_WORDS = frozenset({Activity.STOPPED, Activity.CRASHED})
_SESSION_ACTIVITY = {"idle": Activity.IDLE, "busy": Activity.WORKING, "shell": Activity.WORKING}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One source's view. ``activity`` None: it speaks with authority, and says that it is not known."""

    source: str
    activity: Activity | None
    cause: str | None
    says: str
    at: int


Authority = Callable[[Facts, int], Opinion | None]


def _said_lately(registration: Registration, now: int) -> bool:
    said_at = registration.heartbeat_at
    return said_at is not None and now - said_at <= registration.ttl_ms


def is_fresh(facts: Facts, now: int) -> bool:
    """True while the agent's last word is younger than its ttl."""
    contact = facts.contact_at
    return contact is not None and now - contact <= facts.ttl_ms


def crash_loop(facts: Facts, now: int) -> Opinion | None:
    """Started again and again in a short time, or given up on by systemd."""
    window_ms = facts.limits.crash_loop_window_s * 1000
    recent = [at for at in facts.starts if now - at <= window_ms]
    if len(recent) > facts.limits.crash_loop_starts:
        says = f"restarted {len(recent)} times in {duration_words(window_ms)}"
        if facts.last_exit:
            says += f", last end: {facts.last_exit}"
        return Opinion("restarts", Activity.CRASH_LOOP, facts.last_exit or "restarts", says, recent[-1])
    unit = facts.probe.unit if facts.probe else None
    if facts.probe and unit and unit.active == "failed" and unit.result == "start-limit-hit":
        says = f"systemd gave up on {unit.name}: started too often (start-limit-hit)"
        return Opinion(
            "declared: unit",
            Activity.CRASH_LOOP,
            facts.last_exit or "start-limit",
            says,
            facts.probe.observed_at,
        )
    return None


def stopped_by_operator(facts: Facts, now: int) -> Opinion | None:
    """An operator stopped it and nothing of it runs."""
    if facts.stopped_by is None or facts.roots:
        return None
    if facts.probe and facts.probe.running and facts.probe.observed_at > facts.stopped_at:
        return None
    says = f"stopped by {facts.stopped_by}; no process of it runs"
    return Opinion("operator", Activity.STOPPED, "operator", says, facts.stopped_at)


def last_words(facts: Facts, now: int) -> Opinion | None:
    """It said that it stops, or why it failed, and has said nothing since."""
    registration = facts.registration
    if registration is None or registration.heartbeat_at is None or registration.activity not in _LAST_WORDS:
        return None
    age = duration_words(now - registration.heartbeat_at)
    says = f"said {registration.activity} {age} ago" + (f": {registration.note}" if registration.note else "")
    return Opinion("heartbeat", registration.activity, registration.cause, says, registration.heartbeat_at)


def process_gone(facts: Facts, now: int) -> Opinion | None:
    """The process it registered with is no longer there, and it has not spoken since."""
    registration = facts.registration
    if registration is None or registration.pid is None or facts.gone_at is None or facts.roots:
        return None
    contact = facts.contact_at
    if contact is not None and contact > facts.gone_at:
        return None
    says = f"its process {registration.pid} is gone"
    return Opinion("process", Activity.CRASHED, facts.last_exit or "pid-gone", says, facts.gone_at)


def zombie(facts: Facts, now: int) -> Opinion | None:
    """Its processes ended and wait to be reaped by their parent."""
    if not facts.roots or any(process.state != "Z" for process in facts.roots):
        return None
    root = facts.roots[0]
    says = f"process {root.ref.pid} ended and its parent {root.parent_pid} has not reaped it"
    return Opinion("process", Activity.CRASHED, "zombie", says, root.observed_at)


def not_running(facts: Facts, now: int) -> Opinion | None:
    """The probes of a declared agent agree that it does not run."""
    probe = facts.probe
    if probe is None or probe.running is not False or is_fresh(facts, now):
        return None
    if probe.unit is not None:
        return _unit_opinion(probe.unit, probe.observed_at)
    failed = next((check.says for check in probe.checks if check.ok is False), "not running")
    if facts.was_running or probe.abandoned_pid_file:
        only_network = bool(probe.checks) and {check.way for check in probe.checks} <= {"port", "health_url"}
        cause = facts.last_exit or ("not-answering" if only_network else "pid-gone")
        return Opinion("declared", Activity.CRASHED, cause, failed, probe.observed_at)
    return Opinion("declared", Activity.STOPPED, "not-running", failed, probe.observed_at)


def unit_cause(unit: Unit) -> str | None:
    """How a unit's main process ended, as a cause; ``None`` when it ended well or did not end."""
    if unit.result == "oom-kill":
        return "oom"
    if unit.result in ("exit-code", "signal", "core-dump", "start-limit-hit") and unit.exit_status:
        return f"{'signal' if unit.killed else 'exit'}-{unit.exit_status}"
    return None if unit.result in ("success", "", "start-limit-hit") else unit.result


def _unit_opinion(unit: Unit, at: int) -> Opinion:
    says = f"{unit.name} is {unit.active} ({unit.sub})"
    cause = unit_cause(unit)
    if cause:
        says += f", last end: {cause}"
    if unit.load == "not-found":
        return Opinion("declared: unit", Activity.STOPPED, "no-unit", f"there is no unit {unit.name}", at)
    if unit.active == "failed" or unit.sub == "auto-restart":
        return Opinion("declared: unit", Activity.CRASHED, cause or "failed", says, at)
    if unit.active in ("activating", "reloading"):
        return Opinion("declared: unit", Activity.STARTING, None, says, at)
    if unit.active == "deactivating":
        return Opinion("declared: unit", Activity.DRAINING, "stopping", says, at)
    return Opinion("declared: unit", Activity.STOPPED, cause, says, at)


def frozen(facts: Facts, now: int) -> Opinion | None:
    """All its own processes are suspended; those that ended already do not count."""
    living = [process for process in facts.roots if process.state != "Z"]
    if not living or any(process.state not in ("T", "t") for process in living):
        return None
    root = living[0]
    cause = "traced" if root.state == "t" else "sigstop"
    says = f"process {root.ref.pid} is {'held by a debugger' if cause == 'traced' else 'suspended (SIGSTOP)'}"
    return Opinion("process", Activity.PAUSED, cause, says, root.observed_at)


def waits_for_human(facts: Facts, now: int) -> Opinion | None:
    """It says that it cannot go on without somebody. Expires with its heartbeat."""
    registration = facts.registration
    if (
        registration is None
        or registration.activity is not Activity.BLOCKED
        or not _said_lately(registration, now)
    ):
        return None
    at = registration.heartbeat_at or registration.registered_at
    if registration.answer is not None:
        says = f"was answered {registration.answer!r} and has not picked that up yet"
        return Opinion("heartbeat", Activity.BLOCKED, "answered", says, at)
    cause = registration.cause or "question"
    asks = registration.note or "it does not say what for"
    return Opinion("heartbeat", Activity.BLOCKED, cause, f"waits for {cause}: {asks}", at)


def lease_expired(facts: Facts, now: int) -> Opinion | None:
    """It still holds work whose lease ran out: nobody else may be doing it yet."""
    expired = [item for item in facts.leases if item.lease_until is not None and item.lease_until < now]
    if not expired:
        return None
    item = min(expired, key=lambda item: item.lease_until or 0)
    until = item.lease_until or now
    says = f"the lease of {item.id} ended {duration_words(now - until)} ago and was not renewed"
    return Opinion("lease", Activity.STALLED, "lease-expired", says, until)


def no_progress(facts: Facts, now: int) -> Opinion | None:
    """None of the work it holds has moved for longer than that kind of work may take between steps."""
    item = facts.current_work
    if item is None:
        return None
    moved = progressed_at(item)
    limit_ms = facts.limits.stall_of(item.kind).warn_s * 1000
    if now - moved <= limit_ms:
        return None
    says = f"no progress on {item.id} for {duration_words(now - moved)} (limit {duration_words(limit_ms)})"
    return Opinion("lease", Activity.STALLED, "no-progress", says, moved)


def draining(facts: Facts, now: int) -> Opinion | None:
    """An operator asked it to finish and take nothing new."""
    registration = facts.registration
    if registration is None or not registration.draining:
        return None
    at = registration.heartbeat_at or registration.registered_at
    if facts.leases:
        return Opinion(
            "registration", Activity.DRAINING, None, f"finishing {count_words(len(facts.leases), 'item')}", at
        )
    return Opinion("registration", Activity.DRAINING, "drained", "holds no work and takes none", at)


def self_report(facts: Facts, now: int) -> Opinion | None:
    """What it said with a fresh heartbeat; without words, holding work means working."""
    contact = facts.contact_at
    if contact is None or not is_fresh(facts, now):
        return None
    registration = facts.registration
    reported = registration.activity if registration else None
    age = duration_words(max(0, now - contact))
    if registration and reported is not None and _said_lately(registration, now):
        return Opinion(
            "heartbeat", reported, registration.cause, f"says {reported}, heard {age} ago", contact
        )
    if facts.current_work is not None:
        return Opinion(
            "lease", Activity.WORKING, None, f"works on {facts.current_work.id}, heard {age} ago", contact
        )
    return Opinion("heartbeat", Activity.IDLE, None, f"heard {age} ago and holds no work", contact)


def session_status(facts: Facts, now: int) -> Opinion | None:
    """What its session registry says, while that very process lives."""
    session = facts.session
    if session is None or not facts.roots:
        return None
    activity = _SESSION_ACTIVITY.get(session.status)
    if activity is None:
        return None
    says = f"its session file says {session.status}"
    if session.status_at is not None:
        says += f" since {duration_words(max(0, now - session.status_at))}"
    return Opinion("session file", activity, None, says, session.observed_at)


def health(facts: Facts, now: int) -> Opinion | None:
    """It runs, but does not answer where it was declared to."""
    probe = facts.probe
    if probe is None or not probe.running:
        return None
    if probe.unit is not None and probe.unit.active in ("activating", "reloading", "deactivating"):
        return _unit_opinion(probe.unit, probe.observed_at)
    if probe.responding is not False:
        return None
    says = "; ".join(check.says for check in probe.checks if check.ok is False) or "does not answer"
    started = min((process.started_at for process in facts.roots), default=None)
    if facts.declared and started is not None and now - started <= facts.declared.start_timeout_s * 1000:
        says = f"up for {duration_words(max(0, now - started))}, not answering yet: {says}"
        return Opinion("declared", Activity.STARTING, None, says, probe.observed_at)
    return Opinion("declared", Activity.STALLED, "health-check", says, probe.observed_at)


def process_load(facts: Facts, now: int) -> Opinion | None:
    """Its processes run. Busy ones work; quiet ones may be idle or may be waiting: that is not known."""
    if not facts.roots:
        return None
    root = facts.roots[0]
    cpu = total_cpu(facts)
    if cpu is not None and cpu >= facts.limits.busy_cpu_pct:
        says = f"its processes use {cpu:.0f}% of a core"
        return Opinion("process", Activity.WORKING, None, says, root.observed_at)
    says = f"process {root.ref.pid} runs and is quiet: idle or waiting cannot be told from outside"
    return Opinion("process", None, None, says, root.observed_at)


def total_cpu(facts: Facts) -> float | None:
    """Per cent of one core over all its processes; ``None`` when none is known."""
    known = [process.cpu_pct for process in facts.tree if process.cpu_pct is not None]
    return round(sum(known), 1) if known else None


#: In the order in which they are believed.
AUTHORITIES: tuple[Authority, ...] = (
    frozen,
    crash_loop,
    stopped_by_operator,
    last_words,
    process_gone,
    zombie,
    not_running,
    waits_for_human,
    lease_expired,
    no_progress,
    draining,
    self_report,
    session_status,
    health,
    process_load,
)
