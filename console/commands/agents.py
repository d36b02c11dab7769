"""Commands agents use to be seen, and answers operators give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from backends.model import Activity, Agent, Danger, Precondition, Registration
from backends.units import count_words
from console.commands.registry import Act, Call, Command, CommandError, Draft, Params
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.watch.house import House

CAUSE = Meta(description="short code of why: approval, question, login, auth-401 ...", max_length=60)


class RegisterAgent(Params, frozen=True):
    kind: Annotated[str, Meta(description="what it is: worker, claude-code ...", max_length=60)] = "agent"
    team: Annotated[str, Meta(max_length=100)] = ""
    layer: Annotated[str, Meta(max_length=100)] = ""
    capability: Annotated[tuple[str, ...], Meta(description="what it can do; may be given again")] = ()
    pid: Annotated[int, Meta(description="its process, so that it can be measured", ge=0)] = 0
    ttl: Annotated[str, Meta(description="stale when silent for longer, such as 15s")] = ""
    log: Annotated[str, Meta(description="path of its log file")] = ""


async def register_agent(house: House, call: Call) -> Act:
    from backends.filter import parse_duration_ms
    from backends.fleet import process_ref
    from backends.text import clean

    params: RegisterAgent = call.params
    ref = None
    if params.pid:
        ref = process_ref(params.pid)
        if ref is None:
            raise CommandError(ExitCode.NOT_FOUND, f"there is no process {params.pid} on this machine")
    registration = Registration(
        id=_agent_id(call.target),
        host=house.host,
        kind=clean(params.kind, 60),
        team=clean(params.team, 100),
        layer=clean(params.layer, 100),
        capabilities=tuple(clean(capability, 100) for capability in params.capability),
        pid=params.pid or None,
        pid_start_ticks=ref.start_ticks if ref else None,
        ttl_ms=parse_duration_ms(params.ttl) if params.ttl else int(house.config.agents.ttl_ms),
        log_path=params.log or None,
        registered_at=house.clock.now_ms(),
    )
    kept = await house.store.register(registration, call.caller)
    return Act(f"registered {kept.id}, incarnation {kept.incarnation}", data=kept, audited=True)


async def plan_remove(house: House, call: Call) -> Draft:
    agent = house.agent(call.target)
    if house.store.registration(agent.id) is None:
        refusal = f"{agent.id} has not registered; there is nothing to forget"
        return Draft((), refusal=refusal, refusal_code=ExitCode.NOT_FOUND)
    steps = [f"forget the registration of {agent.id}"]
    if agent.work_id:
        steps.append(f"let its lease on {agent.work_id} run out; `requeue-agent` first frees it now")
    return Draft(tuple(steps), (Precondition(f"agent:{agent.id}", "activity", str(agent.activity)),))


async def remove_agent(house: House, call: Call) -> Act:
    agent = house.agent(call.target)
    await house.store.deregister(agent.id, call.caller)
    return Act(f"removed {agent.id}", audited=True)


class Heartbeat(Params, frozen=True):
    activity: Annotated[Activity | None, Meta(description="working, idle, blocked ...")] = None
    cause: Annotated[str, CAUSE] = ""
    note: Annotated[str, Meta(description="your own words: a question, an error", max_length=500)] = ""


async def heartbeat(house: House, call: Call) -> Act:
    from backends.coordination import Beat
    from backends.text import clean

    params: Heartbeat = call.params
    beat = Beat(call.target, params.activity, clean(params.cause, 60) or None, clean(params.note) or None)
    reply = (await house.store.heartbeat([beat]))[call.target]
    return Act(f"heard {call.target}", data=reply, audited=True)


class HeartbeatMany(Params, frozen=True):
    beats: Annotated[
        list[tuple[str, Activity | None, str | None, str | None]],
        Meta(description="[[agent, activity, cause, note], ...]"),
    ]


async def heartbeat_many(house: House, call: Call) -> Act:
    from backends.coordination import Beat
    from backends.text import clean_optional

    beats = [
        Beat(agent, activity, clean_optional(cause, 60), clean_optional(note))
        for agent, activity, cause, note in call.params.beats
    ]
    replies = await house.store.heartbeat(beats)
    return Act(f"heard {count_words(len(beats), 'agent')}", data=replies, audited=True)


async def plan_answer(house: House, call: Call) -> Draft:
    agent = house.agent(call.target)
    if agent.activity is not Activity.BLOCKED:
        return Draft((), refusal=f"{agent.id} is {agent.activity or 'in no known state'}; it asks nothing")
    return Draft(
        (f"tell {agent.id} with its next heartbeat; it asks: {agent.note or 'nothing in words'}",),
        (
            Precondition(f"agent:{agent.id}", "activity", str(agent.activity)),
            Precondition(f"agent:{agent.id}", "note", agent.note),
        ),
    )


async def approve(house: House, call: Call) -> Act:
    agent = house.agent(call.target)
    await house.store.set_answer(agent.id, "approved", call.caller)
    return Act(f"{agent.id} is told yes with its next heartbeat", audited=True)


async def deny(house: House, call: Call) -> Act:
    agent = house.agent(call.target)
    await house.store.set_answer(agent.id, "denied", call.caller)
    return Act(f"{agent.id} is told no with its next heartbeat", audited=True)


class DrainAgent(Params, frozen=True):
    undo: Annotated[bool, Meta(description="let it claim again")] = False


async def plan_drain(house: House, call: Call) -> Draft:
    agent: Agent = house.agent(call.target)
    registration = house.store.registration(agent.id)
    if registration is None:
        return Draft((), refusal=f"{agent.id} has not registered; only a registered agent claims work")
    if call.params.undo:
        step = f"let {agent.id} claim work again"
    else:
        step = f"let {agent.id} finish {agent.work_id or 'what it holds'} and claim nothing new"
    return Draft((step,), (Precondition(f"agent:{agent.id}", "draining", registration.draining),))


async def drain_agent(house: House, call: Call) -> Act:
    agent = house.agent(call.target)
    await house.store.set_draining(agent.id, not call.params.undo, call.caller)
    return Act(f"{agent.id} {'may claim again' if call.params.undo else 'is draining'}", audited=True)


async def plan_requeue(house: House, call: Call) -> Draft:
    held = house.store.leases_of(call.target)
    if not held:
        return Draft((), refusal=f"{call.target} holds no work")
    return Draft(
        tuple(f"put {item.id} back in the queue; fence {item.fence} becomes void" for item in held),
        tuple(Precondition(f"work:{item.id}", "fence", item.fence) for item in held),
    )


async def requeue_agent(house: House, call: Call) -> Act:
    items = await house.store.requeue_holder(call.target, call.caller)
    back = count_words(len(items), f"item of {call.target} is", f"items of {call.target} are")
    return Act(f"{back} back in the queue", data=items, audited=True)


def _agent_id(name: str) -> str:
    from backends.text import clean

    if clean(name, 200) != name or not name.strip():
        raise CommandError(ExitCode.USAGE, "an agent's id is one printable line of at most 200 characters")
    return name


FAMILY = "agents"

COMMANDS = (
    Command(
        "register-agent",
        FAMILY,
        "make an agent known; safe to repeat",
        RegisterAgent,
        acts_on="agents",
        mutates=True,
        by_agents=True,
        atomic=True,
        aliases=("register",),
        run=register_agent,
    ),
    Command(
        "remove-agent",
        FAMILY,
        "forget a registered agent",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        mutates=True,
        atomic=True,
        plan=plan_remove,
        run=remove_agent,
    ),
    Command(
        "heartbeat",
        FAMILY,
        "say that an agent lives and what it does",
        Heartbeat,
        acts_on="agents",
        mutates=True,
        by_agents=True,
        atomic=True,
        run=heartbeat,
    ),
    Command(
        "heartbeat-many",
        FAMILY,
        "heartbeats of many agents at once",
        HeartbeatMany,
        mutates=True,
        by_agents=True,
        atomic=True,
        run=heartbeat_many,
        hidden=True,
    ),
    Command(
        "approve",
        FAMILY,
        "answer yes to what a blocked agent asks",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="a",
        mutates=True,
        atomic=True,
        plan=plan_answer,
        run=approve,
    ),
    Command(
        "deny",
        FAMILY,
        "answer no to what a blocked agent asks",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="n",
        mutates=True,
        atomic=True,
        plan=plan_answer,
        run=deny,
    ),
    Command(
        "drain-agent",
        FAMILY,
        "let an agent finish its work and take nothing new",
        DrainAgent,
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="D",
        mutates=True,
        atomic=True,
        plan=plan_drain,
        run=drain_agent,
    ),
    Command(
        "requeue-agent",
        FAMILY,
        "put all work an agent holds back in the queue",
        acts_on="agents",
        danger=Danger.DISRUPTIVE,
        key="Q",
        mutates=True,
        atomic=True,
        plan=plan_requeue,
        run=requeue_agent,
    ),
)
