"""``e``: why a row shows what it shows, for every table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.agents import Roster
from backends.coordination import NotFound
from backends.model import Evidence, Explanation, Finding, Gpu, Host, WorkItem, WorkState
from backends.text import clean
from backends.units import count_words
from console.commands.registry import CommandError
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.watch.house import House


#: So much of an item's payload and result is shown; `list-work --json` has all of it.
SHOWN = 1_000


async def explain_row(house: House, roster: Roster, target: str) -> Explanation:
    """The explanation of the row with that id. Raises :class:`CommandError` when no table has it."""
    now = house.clock.now_ms()
    about_agent = roster.explain(target, now)
    if about_agent is not None:
        return about_agent
    tables = house.picture.tables
    if (finding := tables["findings"].rows.get(target)) is not None:
        return _of_finding(finding)
    if (gpu := tables["gpus"].rows.get(target)) is not None:
        return _of_gpu(gpu)
    if (host := tables["hosts"].rows.get(target)) is not None:
        return _of_host(house, host, now)
    try:
        item = await house.store.item(target)
    except NotFound:
        known = "an agent, a work item, a GPU, a host or a finding"
        raise CommandError(ExitCode.NOT_FOUND, f"no row '{target}': it is not {known}") from None
    return await _of_work(house, item, now)


def _of_finding(finding: Finding) -> Explanation:
    proposal = finding.proposal
    step = f":{proposal.command} {proposal.target}" if proposal is not None else ""
    return Explanation(finding.subject, finding.statement, finding.evidence, step)


def _of_gpu(gpu: Gpu) -> Explanation:
    at = gpu.observed_at or 0
    source = "simulated" if gpu.simulated else f"NVML, driver {gpu.driver or '?'}"
    evidence = [
        Evidence(source, f"status {gpu.status}: {gpu.status_reason or 'nothing to say'}", at, won=True)
    ]
    if gpu.recovery_action not in (None, "none"):
        evidence.append(Evidence(source, f"the driver advises: {gpu.recovery_action}", at))
    if gpu.xid_code is not None:
        evidence.append(Evidence(source, f"XID {gpu.xid_code}: {gpu.xid_text}", gpu.xid_at or at))
    if gpu.throttle:
        evidence.append(Evidence(source, f"slowed down by: {', '.join(gpu.throttle)}", at))
    return Explanation(f"GPU {gpu.index} {gpu.name}", gpu.status, tuple(evidence))


def _of_host(house: House, host: Host, now: int) -> Explanation:
    evidence = [
        Evidence(
            state.source,
            f"{state.status}" + (f": {state.reason}" if state.reason else ""),
            state.observed_at or now,
            won=state.source == "host",
        )
        for (name, _), state in house.picture.sources.items()
        if name == host.id
    ]
    return Explanation(f"host {host.id}", str(host.reach.value), tuple(evidence))


async def _of_work(house: House, item: WorkItem, now: int) -> Explanation:
    evidence = [
        Evidence(
            f"attempt {attempt.number}",
            f"{attempt.holder}: {attempt.outcome or 'under way'}"
            + (f" ({attempt.error.splitlines()[0]})" if attempt.error else ""),
            attempt.ended_at or attempt.claimed_at,
        )
        for attempt in await house.store.attempts(item.id)
    ]
    if item.payload:
        evidence.append(Evidence("payload", clean(item.payload, SHOWN), item.created_at))
    if item.result:
        evidence.append(Evidence("result", clean(item.result, SHOWN), item.finished_at or now, won=True))
    return Explanation(
        f"work {item.id} {item.title}".rstrip(),
        _work_verdict(item, now),
        tuple(evidence),
        _work_step(item, now),
    )


def _work_verdict(item: WorkItem, now: int) -> str:
    if item.state is WorkState.LEASED and item.lease_until is not None:
        if item.lease_until < now:
            return f"leased by {item.holder}, whose lease ran out {(now - item.lease_until) // 1000} s ago"
        return f"leased by {item.holder} for {(item.lease_until - now) // 1000} s more, fence {item.fence}"
    if item.state is WorkState.BLOCKED:
        return f"blocked: waits for {count_words(item.pending_dependencies, 'other item')}"
    if item.state is WorkState.SCHEDULED and item.run_at is not None:
        return f"scheduled: runs in {max(0, item.run_at - now) // 1000} s ({item.reason or 'as asked'})"
    if item.state is WorkState.DEAD:
        return f"dead after {item.attempt} of {item.max_attempts} attempts: {item.last_error or item.reason}"
    return str(item.state)


def _work_step(item: WorkItem, now: int) -> str:
    if item.state in (WorkState.DEAD, WorkState.CANCELLED):
        return f":retry {item.id}"
    if item.state is WorkState.LEASED and (item.lease_until or now) < now:
        return f":release {item.id}"
    return ""
