"""Agents that hang, leak, crash, wait for somebody, or went silent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median

from backends.analysis.rules.inputs import Inputs, Trend, moment
from backends.model import Activity, Agent, Evidence, Finding, Proposal, Reach, Severity
from backends.units import duration_words, size_words

CHECKED = (
    "agents that hold work without progress",
    "agents whose memory only grows",
    "crashed and crash-looping agents",
    "agents that wait for an answer",
    "agents that went silent",
    "suspended agents that hold work",
)

#: A question that waits this long is critical.
ANSWER_LATE_MS = 15 * 60_000
#: Silent this long although its process lives.
SILENT_MS = 60_000
#: A leak: at least so many samples, this growth and this factor over them, and so many steps upward.
LEAK_SAMPLES = 6
LEAK_BYTES = 24 << 20
LEAK_FACTOR = 1.3
LEAK_UPWARD = 0.9
#: Memory that would be full within this is critical.
LEAK_SOON_MS = 30 * 60_000

_DOWN = (Activity.CRASHED, Activity.STOPPED)


def check(inputs: Inputs, now: int) -> Iterable[Finding]:
    """All findings about single agents."""
    for agent in inputs.troubled:
        finding = (
            _blocked(agent, now)
            or _crash_loop(agent, now)
            or _crashed(agent, now)
            or _hung(agent, inputs, now)
            or _silent(agent, now)
        )
        if finding is not None:
            yield finding
    if inputs.troubled_count > len(inputs.troubled):
        rest = inputs.troubled_count - len(inputs.troubled)
        yield Finding(
            "troubled-agents:more", Severity.WARNING, "troubled-agents", "watch", "agents",
            f"{rest} more agents want attention than are listed here: filter the agents pane by urgency>=40",
            (Evidence("agents", f"{inputs.troubled_count} agents in trouble", now),),
            Proposal("doctor", reason="so many at once usually have one cause"), observed_at=now,
        )  # fmt: skip
    for id_, trend in inputs.rss_trends.items():
        grower = inputs.agent(id_)
        if grower is not None and grower.activity not in _DOWN:
            finding = _leak(grower, trend, inputs, now)
            if finding is not None:
                yield finding
    if inputs.estop is None:
        yield from _suspended(inputs, now)


def _blocked(agent: Agent, now: int) -> Finding | None:
    if agent.activity is not Activity.BLOCKED or agent.cause == "answered":
        return None
    waited = now - moment(agent, now)
    asks = agent.note or "it does not say what for"
    severity = Severity.CRITICAL if waited >= ANSWER_LATE_MS else Severity.WARNING
    statement = f"{agent.name} has waited {duration_words(waited)} for {agent.cause or 'an answer'}: {asks}"
    evidence = [
        _seen(agent, "heartbeat", f"says it is blocked ({agent.cause or 'no reason given'}): {asks}", now)
    ]
    if agent.work_id:
        evidence.append(_seen(agent, "lease", f"holds {agent.work_id} meanwhile", now))
    if agent.cause == "login":
        proposal = Proposal("logs", agent.id, reason="somebody must log it in; its log says where")
    else:
        proposal = Proposal("approve", agent.id, reason="read what it asks; `deny` is the other answer")
    return _finding("blocked-agent", severity, agent, statement, evidence, proposal, now)


def _crash_loop(agent: Agent, now: int) -> Finding | None:
    if agent.activity is not Activity.CRASH_LOOP:
        return None
    count = f"{agent.restarts} restarts in all" if agent.restarts is not None else "restarts again and again"
    statement = (
        f"{agent.name} crashes as often as it is started ({count}, last end: {agent.cause or 'unknown'})"
    )
    evidence = [_seen(agent, "restarts", count, now), *_last_words(agent, now)]
    if agent.can_start:
        proposal = Proposal(
            "restart-agent",
            agent.id,
            reason="when its log says why it ends and that is mended: a fresh start",
        )
    elif agent.processes:
        proposal = Proposal("stop-agent", agent.id, reason="nothing is known to start it with; let it rest")
    else:
        proposal = Proposal("logs", agent.id, reason="its log says why it ends")
    return _finding("crash-loop", Severity.CRITICAL, agent, statement, evidence, proposal, now)


def _crashed(agent: Agent, now: int) -> Finding | None:
    if agent.activity is not Activity.CRASHED:
        return None
    age = duration_words(now - moment(agent, now))
    statement = f"{agent.name} crashed {age} ago ({agent.cause or 'unknown cause'})"
    if agent.work_id:
        statement += f" and still holds {agent.work_id}"
    evidence = [_seen(agent, "process", f"{agent.cause or 'not running'}", now), *_last_words(agent, now)]
    severity = Severity.CRITICAL if agent.work_id else Severity.WARNING
    if agent.can_start:
        proposal = Proposal("restart-agent", agent.id, reason="it was declared with a way to start it")
    elif agent.work_id:
        proposal = Proposal("requeue-agent", agent.id, reason="gives its work to somebody who lives")
    else:
        proposal = Proposal("explain", agent.id, reason="nothing is known to start it with")
    return _finding("crashed-agent", severity, agent, statement, evidence, proposal, now)


def _hung(agent: Agent, inputs: Inputs, now: int) -> Finding | None:
    if agent.activity is not Activity.STALLED or agent.cause == "lease-expired":
        return None
    if agent.cause == "health-check":
        statement = f"{agent.name} runs but has not answered for {duration_words(now - moment(agent, now))}"
        evidence = [_seen(agent, "declared", "its health probe fails", now), *_last_words(agent, now)]
        return _finding("hung-agent", Severity.WARNING, agent, statement, evidence, _unstick(agent), now)
    moved = agent.progress_at or moment(agent, now)
    held = next((item for item in inputs.leases.get(agent.id, ()) if item.id == agent.work_id), None)
    critical_ms = inputs.limits.stall_of(held.kind if held else "").critical_s * 1000
    severity = Severity.CRITICAL if now - moved > critical_ms else Severity.WARNING
    statement = (
        f"{agent.name} hangs: no progress on {agent.work_id or 'its work'} for {duration_words(now - moved)}"
    )
    evidence = [Evidence("lease", f"last progress {duration_words(now - moved)} ago", moved, won=True)]
    if agent.heartbeat_at is not None:
        age = duration_words(max(0, now - agent.heartbeat_at))
        evidence.append(Evidence("heartbeat", f"still heard {age} ago, so it lives", agent.heartbeat_at))
    if agent.cpu_pct is not None:
        evidence.append(_seen(agent, "process", f"uses {agent.cpu_pct:.0f}% of a core", now))
    evidence += _last_words(agent, now)
    return _finding("hung-agent", severity, agent, statement, evidence, _unstick(agent), now)


def _silent(agent: Agent, now: int) -> Finding | None:
    if agent.activity in _DOWN or agent.reach not in (Reach.UNREACHABLE, Reach.STALE):
        return None
    if agent.activity in (Activity.BLOCKED, Activity.STALLED):
        return None
    silent = now - (agent.heartbeat_at or moment(agent, now))
    if agent.reach is Reach.STALE and now - moment(agent, now) < SILENT_MS:
        return None
    lives = "its process lives" if agent.processes else "no process of it is seen"
    statement = f"{agent.name} has been silent for {duration_words(silent)}; {lives}"
    evidence = [_seen(agent, "heartbeat", f"last heard {duration_words(silent)} ago", now)]
    if agent.work_id:
        proposal = Proposal(
            "requeue-agent", agent.id, reason=f"frees {agent.work_id} for somebody who answers"
        )
    else:
        proposal = Proposal("explain", agent.id, reason="shows what each source says of it")
    return _finding("silent-agent", Severity.WARNING, agent, statement, evidence, proposal, now)


def _leak(agent: Agent, trend: Trend, inputs: Inputs, now: int) -> Finding | None:
    rate = leak_rate(trend)
    if rate is None:
        return None
    (first_at, first), (last_at, last) = trend[0], trend[-1]
    grew = f"{size_words(first)} to {size_words(last)} in {duration_words(last_at - first_at)}"
    statement = f"{agent.name} leaks memory: grew from {grew} without ever giving any back"
    evidence = [
        Evidence("process", f"RSS {grew}, {size_words(rate)}/s over {len(trend)} samples", last_at, won=True)
    ]
    severity = Severity.WARNING
    host = next((host for host in inputs.rows("hosts") if host.id == agent.host), None)
    if host is not None and host.memory_total_bytes is not None and host.memory_used_bytes is not None:
        free = max(0, host.memory_total_bytes - host.memory_used_bytes)
        full_in_ms = free / rate * 1000
        gone_in = duration_words(full_in_ms)
        said = f"at this rate the {size_words(free)} left on {agent.host} are gone in {gone_in}"
        statement += f"; {said}"
        evidence.append(Evidence("host memory", said, host.observed_at or now))
        if full_in_ms <= LEAK_SOON_MS:
            severity = Severity.CRITICAL
    command = "restart-agent" if agent.can_start else "stop-agent"
    proposal = Proposal(command, agent.id, reason="gives the memory back; its work is leased again")
    return Finding(
        f"leak:{agent.id}",
        severity,
        "leak",
        "agent",
        agent.id,
        statement,
        tuple(evidence),
        proposal,
        first_at,
        now,
    )


def leak_rate(trend: Trend) -> float | None:
    """Bytes a second, when memory grows like a leak; else ``None``.

    A leak grows in nearly every step, by a lot in all, and has not slowed down: the median step of the later
    half is at least a third of the mean. Loading a model grows fast and then stops.
    """
    if len(trend) < LEAK_SAMPLES:
        return None
    (first_at, first), (last_at, last) = trend[0], trend[-1]
    if last_at <= first_at or last - first < LEAK_BYTES or last < first * LEAK_FACTOR:
        return None
    steps = [after[1] - before[1] for before, after in pairwise(trend)]
    mean = (last - first) / len(steps)
    if sum(step > 0 for step in steps) < LEAK_UPWARD * len(steps) or min(steps) < -mean:
        return None
    if median(steps[len(steps) // 2 :]) < mean / 3 or steps[-1] <= 0:
        return None
    return (last - first) * 1000 / (last_at - first_at)


def _suspended(inputs: Inputs, now: int) -> Iterable[Finding]:
    for holder in inputs.leases:
        agent = inputs.agent(holder)
        if agent is None or agent.activity is not Activity.PAUSED:
            continue
        since = duration_words(now - moment(agent, now))
        statement = f"{agent.name} has been suspended for {since} while it holds {agent.work_id or 'work'}"
        evidence = [_seen(agent, "process", f"paused ({agent.cause or 'by itself'})", now)]
        proposal = Proposal("resume-agent", agent.id, reason="its lease runs out while it sleeps")
        yield _finding("suspended-agent", Severity.WARNING, agent, statement, evidence, proposal, now)


def _unstick(agent: Agent) -> Proposal:
    if agent.can_start:
        return Proposal("restart-agent", agent.id, reason="a fresh start; its work is leased again")
    if agent.work_id:
        return Proposal(
            "requeue-agent", agent.id, reason="frees its work; a late answer of it will be refused"
        )
    return Proposal("stop-agent", agent.id, reason="it does nothing and nothing is known to start it with")


def _last_words(agent: Agent, now: int) -> list[Evidence]:
    words = []
    if agent.note:
        words.append(_seen(agent, "heartbeat", f"its last words: {agent.note}", now))
    if agent.log_path:
        words.append(_seen(agent, "log", f"more in {agent.log_path} (:logs {agent.id})", now))
    return words


def _seen(agent: Agent, source: str, says: str, now: int) -> Evidence:
    return Evidence(source, says, agent.observed_at or now)


def _finding(
    category: str,
    severity: Severity,
    agent: Agent,
    statement: str,
    evidence: list[Evidence],
    proposal: Proposal,
    now: int,
) -> Finding:
    return Finding(
        f"{category}:{agent.id}",
        severity,
        category,
        "agent",
        agent.id,
        statement,
        tuple(evidence),
        proposal,
        agent.since_at,
        now,
    )
