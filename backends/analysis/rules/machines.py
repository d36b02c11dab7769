"""Hosts that run short, GPUs that are sick or full, sources that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable

from backends.analysis.rules.inputs import Inputs
from backends.health import ABSENT, Ailment, Strain, ailments, strains
from backends.model import Agent, Evidence, Finding, Gpu, Host, Proposal, Severity, SourceState
from backends.units import duration_words, size_words

CHECKED = (
    "memory, swap, disks and pressure of every host",
    "state, faults, heat and VRAM of every GPU",
    "sources that cannot be read",
)

#: A source that fails for less than this may be about to recover.
SOURCE_GRACE_MS = 10_000
_TOP = 3


def check(inputs: Inputs, now: int) -> Iterable[Finding]:
    """All findings about machines and the readers that watch them."""
    for host in inputs.rows("hosts"):
        for strain in strains(host):
            yield _host(host, strain, inputs, now)
    for gpu in inputs.rows("gpus"):
        for ailment in ailments(gpu, now):
            yield _gpu(gpu, ailment, inputs, now)
    for state in inputs.picture.sources.values():
        if not state.ok and state.status not in ABSENT:
            since = state.failing_since_at
            if since is None or now - since >= SOURCE_GRACE_MS:
                yield _source(state, now)


def _host(host: Host, strain: Strain, inputs: Inputs, now: int) -> Finding:
    category = f"host-{strain.kind.replace(' ', '-')}"
    seen_at = host.observed_at or now
    evidence = [Evidence("host", strain.says, seen_at, won=True)]
    proposal = Proposal("doctor", reason="shows what this machine is short of")
    if strain.kind in ("memory", "swap", "memory pressure"):
        largest = _largest(inputs, host.id)
        evidence += [
            Evidence("process", f"{agent.name} holds {size_words(agent.rss_bytes or 0)}", seen_at)
            for agent in largest
        ]
        if largest:
            command = "restart-agent" if largest[0].can_start else "explain"
            proposal = Proposal(command, largest[0].id, reason="the agent that holds most memory")
    subject = f"{host.id}:{strain.subject}" if strain.subject else host.id
    return Finding(
        f"{category}:{subject}", strain.severity, category, "host", host.id,
        f"{host.id}: {strain.says}", tuple(evidence), proposal, None, now,
    )  # fmt: skip


def _largest(inputs: Inputs, host: str) -> list[Agent]:
    here = [agent for agent in inputs.rows("agents") if agent.rss_bytes and agent.host == host]
    return sorted(here, key=lambda agent: (-(agent.rss_bytes or 0), agent.id))[:_TOP]


def _gpu(gpu: Gpu, ailment: Ailment, inputs: Inputs, now: int) -> Finding:
    seen_at = gpu.observed_at or now
    evidence = [
        Evidence(
            ailment.source,
            ailment.says,
            gpu.xid_at if ailment.kind == "gpu-xid" and gpu.xid_at else seen_at,
            won=True,
        )
    ]
    held = sorted(
        (process for process in gpu.processes or () if process.vram_bytes is not None),
        key=lambda process: (-(process.vram_bytes or 0), process.pid),
    )
    for process in held[:_TOP]:
        who = process.agent or process.command or "a process that cannot be seen"
        evidence.append(
            Evidence(
                "driver", f"{who} (pid {process.pid}) holds {size_words(process.vram_bytes or 0)}", seen_at
            )
        )
    holder = next((process.agent for process in held if inputs.agent(process.agent) is not None), None)
    proposal = Proposal("doctor", reason="checks the driver and this GPU")
    if holder is not None and ailment.is_sick:
        proposal = Proposal("drain-agent", holder, reason="lets it finish before the GPU is reset")
    elif holder is not None:
        proposal = Proposal("explain", holder, reason="the agent that holds most of this GPU")
    simulated = " (simulated)" if gpu.simulated else ""
    return Finding(
        f"{ailment.kind}:{gpu.id}", ailment.severity, ailment.kind, "gpu", gpu.id,
        f"GPU {gpu.index} {gpu.name} on {gpu.host}{simulated}: {ailment.says}",
        tuple(evidence), proposal, None, now,
    )  # fmt: skip


def _source(state: SourceState, now: int) -> Finding:
    since = state.failing_since_at
    lasting = f" for {duration_words(now - since)}" if since is not None else ""
    evidence = [Evidence(state.source, state.reason or state.status, since or now, won=True)]
    if state.observed_at is not None:
        age = duration_words(max(0, now - state.observed_at))
        evidence.append(Evidence(state.source, f"what is shown of it is {age} old", state.observed_at))
    return Finding(
        f"source-failing:{state.host}:{state.source}",
        Severity.WARNING, "source-failing", "watch", state.host,
        f"{state.source} of {state.host} cannot be read{lasting}: {state.reason or state.status}",
        tuple(evidence), Proposal("doctor", reason="names what is missing and how to get it"), since, now,
    )  # fmt: skip
