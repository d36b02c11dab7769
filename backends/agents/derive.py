"""From facts to a row: the two axes, the cause, and the explanation. Pure."""

from __future__ import annotations

from backends.agents.facts import Facts, progressed_at
from backends.agents.opinions import AUTHORITIES, Opinion, is_fresh, total_cpu
from backends.agents.urgency import urgency
from backends.model import Activity, Agent, Evidence, Explanation, Reach
from backends.units import duration_words


def derive(facts: Facts, now: int) -> Agent:
    """The row of one agent at ``now`` (ms UTC). Never raises, whatever the facts."""
    return _row(facts, decide(facts, now), now)


def decide(facts: Facts, now: int) -> Opinion | None:
    """The first authority that speaks, or ``None`` when nobody knows."""
    for authority in AUTHORITIES:
        opinion = authority(facts, now)
        if opinion is not None:
            return opinion
    return None


def explain(facts: Facts, now: int) -> Explanation:
    """Every opinion and where the reach comes from; the one that decided is marked."""
    agent = derive(facts, now)
    opinions = [opinion for authority in AUTHORITIES if (opinion := authority(facts, now)) is not None]
    evidence = [
        Evidence(opinion.source, opinion.says, opinion.at, won=index == 0)
        for index, opinion in enumerate(opinions)
    ]
    evidence.append(Evidence("reach", _reach_words(facts, agent.reach, now), facts.contact_at or now))
    if facts.probe is not None:
        evidence += [
            Evidence(f"declared: {check.way}", check.says, check.observed_at) for check in facts.probe.checks
        ]
    if facts.discovery is not None:
        pids = ", ".join(map(str, facts.discovery.pids))
        evidence.append(
            Evidence(
                "discovered", f"{facts.discovery.rule} recognised process {pids}", facts.processes_at or now
            )
        )
    if is_flapping(facts, now):
        evidence.append(Evidence("history", _flap_words(facts, now), facts.changes[-1]))
    return Explanation(f"agent {agent.name}", _verdict(agent, opinions), tuple(evidence), next_step(agent))


def reach(facts: Facts, opinion: Opinion | None, now: int) -> Reach:
    """Can we hear from it, or from something that knows?"""
    activity, cause = (opinion.activity, opinion.cause) if opinion else (None, None)
    if activity is Activity.CRASHED:
        return Reach.UNREACHABLE
    if activity is Activity.STOPPED:
        return Reach.NEVER_SEEN if cause in ("not-running", "no-unit") else Reach.LIVE
    contact = facts.contact_at
    if contact is not None:
        if is_fresh(facts, now):
            return Reach.LIVE
        silent_ms = now - contact
        if facts.roots and not facts.processes_stale:
            return Reach.STALE
        return Reach.UNREACHABLE if silent_ms > _lost_after_ms(facts) else Reach.STALE
    if facts.roots:
        return Reach.STALE if facts.processes_stale else Reach.LIVE
    if facts.probe is not None and facts.probe.running:
        return Reach.LIVE
    if facts.probe is not None and facts.probe.unit is not None and facts.probe.running is False:
        return Reach.LIVE
    return Reach.STALE if facts.was_running else Reach.NEVER_SEEN


def next_look(facts: Facts, now: int) -> int | None:
    """The earliest instant after ``now`` at which the row may change though no fact does."""
    limits = facts.limits
    instants: list[float] = []
    contacts = [item.heartbeat_at for item in facts.leases if item.heartbeat_at is not None]
    if facts.registration is not None and facts.registration.heartbeat_at is not None:
        contacts.append(facts.registration.heartbeat_at)
    for contact in contacts:
        instants += (contact + facts.ttl_ms, contact + _lost_after_ms(facts))
    for item in facts.leases:
        instants.append(progressed_at(item) + limits.stall_of(item.kind).warn_s * 1000)
        if item.lease_until is not None:
            instants.append(item.lease_until)
    instants += (at + limits.crash_loop_window_s * 1000 for at in facts.starts)
    instants += (at + limits.flap_window_s * 1000 for at in facts.changes)
    if facts.declared is not None and facts.probe is not None and facts.probe.responding is False:
        instants += (root.started_at + facts.declared.start_timeout_s * 1000 for root in facts.roots)
    return min((int(at) + 1 for at in instants if at + 1 > now), default=None)


def is_flapping(facts: Facts, now: int) -> bool:
    """Went into or out of trouble too often lately."""
    return _recent_changes(facts, now) > facts.limits.flap_changes


def next_step(agent: Agent) -> str:
    """What an operator can do about this state, as a ``:`` line; empty when there is nothing to do."""
    if agent.activity is Activity.BLOCKED:
        return "" if agent.cause == "answered" else f":approve {agent.id}   or   :deny {agent.id}"
    if agent.activity in (Activity.STALLED, Activity.CRASHED):
        return f":restart-agent {agent.id}" if agent.can_start else f":requeue-agent {agent.id}"
    if agent.activity is Activity.CRASH_LOOP:
        cure = "restart-agent" if agent.can_start else "stop-agent"
        return f":logs {agent.id}   then   :{cure} {agent.id}"
    if agent.activity is Activity.PAUSED:
        return f":resume-agent {agent.id}"
    if agent.activity is Activity.STOPPED:
        return f":restart-agent {agent.id}" if agent.can_start else ""
    if agent.reach is Reach.UNREACHABLE:
        return f":requeue-agent {agent.id}" if agent.work_id else f":logs {agent.id}"
    return ""


def _row(facts: Facts, opinion: Opinion | None, now: int) -> Agent:
    reached = reach(facts, opinion, now)
    activity = opinion.activity if opinion else None
    cause = opinion.cause if opinion else None
    if cause is None and activity is None and reached in (Reach.STALE, Reach.UNREACHABLE):
        cause = "silent"
    registration, declared, discovery = facts.registration, facts.declared, facts.discovery
    item = facts.current_work
    note = registration.note if registration else None
    if note is None and is_flapping(facts, now):
        note = _flap_words(facts, now)
    rss = [process.rss_bytes for process in facts.tree if process.rss_bytes is not None]
    return Agent(
        id=facts.id,
        name=_name(facts),
        host=facts.host,
        reach=reached,
        activity=activity,
        cause=cause,
        urgency=urgency(reached, activity, cause),
        kind=_kind(facts),
        team=(registration.team if registration else "")
        or (declared.team if declared else "")
        or (discovery.team if discovery else ""),
        layer=(registration.layer if registration else "") or (declared.layer if declared else ""),
        sources=_sources(facts),
        work_id=item.id if item else None,
        work_title=item.title if item else None,
        work_pct=item.progress_pct if item else None,
        lease_until=item.lease_until if item else None,
        progress_at=progressed_at(item) if item else None,
        heartbeat_at=facts.contact_at,
        started_at=min((process.started_at for process in facts.roots), default=None),
        cpu_pct=total_cpu(facts),
        rss_bytes=sum(rss) if rss else None,
        vram_bytes=facts.vram_bytes,
        restarts=facts.restarts,
        # a zombie takes no signal: nothing can be done to it but by its parent
        processes=tuple(process.ref for process in facts.tree if process.state != "Z"),
        can_start=declared is not None and declared.can_start,
        log_path=(registration.log_path if registration else None) or (declared.log if declared else None),
        note=note,
        observed_at=_observed_at(facts, opinion),
    )


def _name(facts: Facts) -> str:
    if facts.registration is not None:
        return facts.registration.id
    if facts.declared is not None:
        return facts.declared.name
    if facts.discovery is None:
        return facts.id
    session = facts.session
    place = (session.name or session.cwd.rstrip("/").rpartition("/")[2]) if session is not None else ""
    return f"{facts.discovery.kind} {place}" if place else facts.discovery.name


def _kind(facts: Facts) -> str:
    """The most telling kind: what was recognised, unless somebody said more than "agent"."""
    said = [
        facts.registration.kind if facts.registration else "",
        facts.declared.kind if facts.declared else "",
    ]
    special = [kind for kind in said if kind not in ("", "agent")]
    if special:
        return special[0]
    return facts.discovery.kind if facts.discovery else next((kind for kind in said if kind), "agent")


def _sources(facts: Facts) -> tuple[str, ...]:
    present = (
        ("registered", facts.registration),
        ("declared", facts.declared),
        ("discovered", facts.discovery),
    )
    return tuple(name for name, source in present if source is not None) or ("holder",)


def _observed_at(facts: Facts, opinion: Opinion | None) -> int | None:
    seen = [
        facts.contact_at,
        opinion.at if opinion else None,
        facts.probe.observed_at if facts.probe else None,
    ]
    if facts.roots:
        seen.append(facts.processes_at)
    return max((at for at in seen if at is not None), default=None)


def _lost_after_ms(facts: Facts) -> float:
    return facts.ttl_ms * facts.limits.unreachable_after_ttls


def _recent_changes(facts: Facts, now: int) -> int:
    window_ms = facts.limits.flap_window_s * 1000
    return sum(now - at <= window_ms for at in facts.changes)


def _flap_words(facts: Facts, now: int) -> str:
    window = duration_words(facts.limits.flap_window_s * 1000)
    return f"flapping: {_recent_changes(facts, now)} changes into or out of trouble in {window}"


def _reach_words(facts: Facts, reached: Reach, now: int) -> str:
    contact = facts.contact_at
    if contact is not None:
        silent = duration_words(max(0, now - contact))
        return f"{reached}: last heard {silent} ago (ttl {duration_words(facts.ttl_ms)})"
    if facts.roots and facts.processes_at is not None:
        age = duration_words(max(0, now - facts.processes_at))
        return f"{reached}: it sends no heartbeat; its process was seen {age} ago"
    if facts.registration is not None:
        return f"{reached}: registered, but never sent a heartbeat"
    return f"{reached}: it sends no heartbeat"


def _verdict(agent: Agent, opinions: list[Opinion]) -> str:
    state = agent.activity.value if agent.activity is not None else "activity not known"
    if agent.reach is not Reach.LIVE:
        state += f", {agent.reach.value}"
    if agent.cause:
        state += f" ({agent.cause})"
    return f"{state}: {opinions[0].says}" if opinions else state
