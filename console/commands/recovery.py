"""The first recovery commands: signals, restarts and the emergency stop.

Each names its processes by (pid, start time, boot id), refuses when what it would act on is old news, and
says ``unknown`` when it cannot see that the act had its effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, json

from backends.model import Agent, Danger, OutcomeStatus, Precondition, Process, ProcessRef
from console.commands.registry import Act, Call, Command, CommandError, Draft, Params
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from backends.recovery import Act as Effect
    from console.watch.house import House

#: A process table older than this is no ground to act on.
STALE_MS = 10_000
#: How long TERM may take before KILL.
GRACE_S = 10.0
THEN_KILL = f", KILL after {GRACE_S:.0f} s"
#: So much of a command line is shown in a step.
COMMAND_WIDTH = 60
#: A longer grace would outlast what a command may take.
MAX_GRACE_S = 45.0


def process_step(signal: str, ref: ProcessRef, house: House, then: str = "") -> str:
    """``TERM process 4711 (python worker.py), KILL after 10 s``: what would be done to which process."""
    from backends.text import clean

    process = house.process(ref)
    shown = f" ({clean(process.command, COMMAND_WIDTH) or process.name})" if process is not None else ""
    return f"{signal} process {ref.pid}{shown}{then}"


def process_facts(refs: tuple[ProcessRef, ...]) -> tuple[Precondition, ...]:
    """That each process is still the one that was seen."""
    return tuple(Precondition(f"process:{ref.pid}", "start_ticks", ref.start_ticks) for ref in refs)


def stale(house: House) -> str:
    """Why the process table cannot be acted on; "" when it can."""
    state = house.picture.sources.get((house.host, "processes"))
    if state is None or state.observed_at is None:
        return "the processes have not been read yet"
    age_ms = house.clock.now_ms() - state.observed_at
    if age_ms > STALE_MS:
        return f"the process table is {age_ms // 1000} s old ({state.reason or 'the watch is busy'})"
    return ""


def _plan_processes(house: House, agent: Agent, signal: str, then: str = "") -> Draft:
    refusal = stale(house)
    if not refusal and not agent.processes:
        refusal = f"{agent.id} has no process that is known on this machine"
    return Draft(
        tuple(process_step(signal, ref, house, then) for ref in agent.processes),
        process_facts(agent.processes),
        refusal=refusal,
    )


def _act(effect: Effect, before: str, after: str) -> Act:
    return Act(effect.message, effect.status, before=before, after=after)


# --- stop, restart, start ----------------------------------------------------------------------------


async def plan_stop_agent(house: House, call: Call) -> Draft:
    agent = house.agent(call.target)
    unit = house.unit_of(agent.id)
    if unit is not None:
        return Draft((f"run {unit.describe('stop')}",), process_facts(agent.processes))
    return _plan_processes(house, agent, "TERM", THEN_KILL)


async def stop_agent(house: House, call: Call) -> Act:
    agent = house.agent(call.target)
    house.expect_stop(agent.id, call.caller.actor)
    effect = await house.stop_processes(agent, GRACE_S)
    return _act(effect, str(agent.activity), "stopped" if effect.status is OutcomeStatus.VERIFIED else "?")


async def plan_restart_agent(house: House, call: Call) -> Draft:
    agent = house.agent(call.target)
    starter = house.starter_of(agent.id)
    if starter is None:
        return Draft(
            (),
            refusal=f"nothing says how to start {agent.id}; declare it in config.toml with `start` or a unit",
        )
    steps = [process_step("TERM", ref, house, THEN_KILL) for ref in agent.processes]
    held = house.store.leases_of(agent.id)
    steps += [f"put {item.id} back in the queue" for item in held]
    steps.append(f"run {starter.describe('restart')}")
    refusal = stale(house) if agent.processes else ""
    return Draft(tuple(steps), process_facts(agent.processes), refusal=refusal)


async def restart_agent(house: House, call: Call) -> Act:
    agent = house.agent(call.target)
    house.expect_stop(agent.id, call.caller.actor)
    if agent.processes and house.unit_of(agent.id) is None:
        stopped = await house.stop_processes(agent, GRACE_S)
        if stopped.status is not OutcomeStatus.VERIFIED:
            return _act(stopped, str(agent.activity), "?")
    if house.store.leases_of(agent.id):
        await house.store.requeue_holder(agent.id, call.caller)
    started = await house.start_agent(agent.id)
    return _act(started, str(agent.activity), "starting")


async def verify_started(house: House, call: Call, act: Act) -> Act:
    """A started agent counts as verified when its process is seen alive after a moment."""
    seen = await house.verify_started(call.target, act.status, act.message)
    return _act(seen, act.before, act.after)


async def plan_start_agent(house: House, call: Call) -> Draft:
    agent = house.agent(call.target)
    starter = house.starter_of(agent.id)
    if starter is None:
        return Draft((), refusal=f"nothing says how to start {agent.id}; declare `start` or a unit")
    if agent.processes:
        return Draft((), refusal=f"{agent.id} runs already as {agent.processes[0].pid}; use restart-agent")
    return Draft((f"run {starter.describe('start')}",))


async def start_agent(house: House, call: Call) -> Act:
    return _act(await house.start_agent(call.target), "stopped", "starting")


# --- pause, resume ------------------------------------------------------------------------------------


async def plan_pause_agent(house: House, call: Call) -> Draft:
    return _plan_processes(house, house.agent(call.target), "SIGSTOP")


async def pause_agent(house: House, call: Call) -> Act:
    from backends.recovery import pause

    agent = house.agent(call.target)
    return _act(await pause(agent.processes, house.clock), str(agent.activity), "paused")


async def plan_resume_agent(house: House, call: Call) -> Draft:
    return _plan_processes(house, house.agent(call.target), "SIGCONT")


async def resume_agent(house: House, call: Call) -> Act:
    from backends.recovery import resume

    agent = house.agent(call.target)
    return _act(await resume(agent.processes, house.clock), str(agent.activity), "running")


# --- kill ---------------------------------------------------------------------------------------------


class KillProcess(Params, frozen=True):
    grace: Annotated[str, Meta(description="how long TERM may take before KILL")] = "10s"


def _process(house: House, target: str) -> Process:
    """By row id or by bare pid."""
    row: Process | None = house.picture["processes"].rows.get(target)
    if row is None and target.isdecimal():
        row = next((p for p in house.picture["processes"].rows.values() if p.ref.pid == int(target)), None)
    if row is None:
        raise CommandError(ExitCode.NOT_FOUND, f"no process {target} on {house.host}; it may have ended")
    return row


def _grace_s(text: str) -> float:
    from backends.filter import parse_duration_ms

    seconds = parse_duration_ms(text) / 1000
    if seconds > MAX_GRACE_S:
        raise CommandError(ExitCode.USAGE, f"--grace {text}: at most {MAX_GRACE_S:.0f}s")
    return seconds


async def plan_kill_process(house: House, call: Call) -> Draft:
    _grace_s(call.params.grace)
    process = _process(house, call.target)
    return Draft(
        (process_step("TERM", process.ref, house, f", KILL after {call.params.grace}"),),
        process_facts((process.ref,)),
        refusal=stale(house),
        confirm=str(process.ref.pid),
    )


async def kill_process(house: House, call: Call) -> Act:
    from backends.recovery import terminate

    process = _process(house, call.target)
    effect = await terminate(process.ref, house.clock, _grace_s(call.params.grace))
    return _act(effect, f"{process.name} {process.state}", "gone")


# --- emergency stop -----------------------------------------------------------------------------------


class EStop(Params, frozen=True):
    reason: Annotated[str, Meta(description="why, for whoever finds it", max_length=200)] = "by an operator"


async def plan_estop(house: House, call: Call) -> Draft:
    refs = house.freezable()
    refusal = "it is in force already; `thaw` ends it" if house.store.estop() is not None else ""
    steps = ["refuse every claim until `thaw`"]
    steps += [process_step("SIGSTOP", ref, house) for ref in refs]
    return Draft(tuple(steps), process_facts(refs), refusal=refusal)


async def estop(house: House, call: Call) -> Act:
    from backends.recovery import pause
    from backends.text import clean

    refs = house.freezable()
    # claims stop first, so that nothing starts while processes are being frozen
    await house.store.set_estop(clean(call.params.reason, 200), json.encode(refs).decode(), call.caller)
    if not refs:
        return Act("claims are refused; no agent process was running", after="frozen")
    effect = await pause(refs, house.clock)
    return Act(f"claims are refused; {effect.message}", effect.status, after="frozen")


async def plan_thaw(house: House, call: Call) -> Draft:
    stopped = house.frozen()
    if stopped is None:
        return Draft((), refusal="no emergency stop is in force")
    steps = [process_step("SIGCONT", ref, house) for ref in stopped]
    return Draft((*steps, "allow claims again"))


async def thaw(house: House, call: Call) -> Act:
    from backends.fleet import is_same_process
    from backends.recovery import resume

    alive = [ref for ref in house.frozen() or () if is_same_process(ref)]
    effect = await resume(alive, house.clock) if alive else None
    await house.store.clear_estop(call.caller)
    if effect is None:
        return Act("claims are allowed; no frozen process was left", before="frozen", after="running")
    return Act(f"claims are allowed; {effect.message}", effect.status, before="frozen", after="running")


FAMILY = "recovery"


COMMANDS = (
    Command(
        "start-agent",
        FAMILY,
        "start a declared agent that does not run",
        acts_on="agents",
        key="S",
        mutates=True,
        plan=plan_start_agent,
        run=start_agent,
        verify=verify_started,
    ),
    Command(
        "restart-agent",
        FAMILY,
        "stop an agent, requeue its work and start it again",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="R",
        mutates=True,
        plan=plan_restart_agent,
        run=restart_agent,
        verify=verify_started,
    ),
    Command(
        "stop-agent",
        FAMILY,
        "stop an agent: TERM, wait, KILL",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="X",
        mutates=True,
        plan=plan_stop_agent,
        run=stop_agent,
    ),
    Command(
        "pause-agent",
        FAMILY,
        "freeze an agent's processes (SIGSTOP)",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="P",
        mutates=True,
        plan=plan_pause_agent,
        run=pause_agent,
    ),
    Command(
        "resume-agent",
        FAMILY,
        "let a frozen agent run on (SIGCONT)",
        acts_on="agents",
        key="U",
        mutates=True,
        plan=plan_resume_agent,
        run=resume_agent,
    ),
    Command(
        "kill-process",
        FAMILY,
        "end a process: TERM, wait, KILL",
        KillProcess,
        acts_on="processes",
        danger=Danger.DESTRUCTIVE,
        key="K",
        mutates=True,
        aliases=("kill",),
        plan=plan_kill_process,
        run=kill_process,
    ),
    Command(
        "estop",
        FAMILY,
        "emergency stop: freeze every agent, refuse every claim",
        EStop,
        danger=Danger.DISRUPTIVE,
        key="E",
        mutates=True,
        plan=plan_estop,
        run=estop,
    ),
    Command(
        "thaw",
        FAMILY,
        "end the emergency stop",
        danger=Danger.DISRUPTIVE,
        key="T",
        mutates=True,
        plan=plan_thaw,
        run=thaw,
    ),
)
