"""Commands on the work queue: what agents and operators do with items."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from backends.model import Danger, OutcomeStatus, Precondition, WorkItem, WorkState
from backends.units import count_words
from console.commands.registry import Act, Call, Command, CommandError, Draft, Params
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.watch.house import House

Fence = Annotated[int | None, Meta(description="the fence the claim returned")]
Holder = Annotated[str, Meta(description="the holder's agent id, instead of the fence")]


class AddWork(Params, frozen=True):
    type: Annotated[str, Meta(description="the type of work", min_length=1, max_length=200)]
    title: Annotated[str, Meta(description="what it is, for people", max_length=500)]
    priority: Annotated[int, Meta(description="0-9, higher sooner", ge=0, le=9)] = 5
    queue: Annotated[str, Meta(description="queue name", min_length=1, max_length=100)] = "default"
    payload: Annotated[str, Meta(description="JSON for the worker")] = ""
    after: Annotated[tuple[str, ...], Meta(description="item it depends on; may be given again")] = ()
    unique: Annotated[str, Meta(description="key: an open item with it is returned instead")] = ""
    max_attempts: Annotated[
        int, Meta(description="claims before it is dead; 0: as configured", ge=0, le=1000)
    ] = 0
    lease: Annotated[str, Meta(description="lease of a claim, such as 90s or 15m")] = ""
    delay: Annotated[str, Meta(description="not before this long from now")] = ""
    id: Annotated[str, Meta(description="an id of your own", max_length=200)] = ""


async def add_work(house: House, call: Call) -> Act:
    from backends.coordination import NewWork
    from backends.filter import parse_duration_ms
    from backends.text import clean

    params: AddWork = call.params
    if params.payload:
        _json("payload", params.payload)
    queue = house.config.queue
    new = NewWork(
        id=clean(params.id, 200) or None,
        kind=clean(params.type, 200),
        title=clean(params.title),
        priority=params.priority,
        queue=clean(params.queue, 100),
        payload=params.payload or None,
        depends_on=params.after,
        unique_key=clean(params.unique, 200) or None,
        run_at=house.clock.now_ms() + parse_duration_ms(params.delay) if params.delay else None,
        max_attempts=params.max_attempts or queue.max_attempts,
        lease_ms=parse_duration_ms(params.lease) if params.lease else int(queue.lease_ms),
    )
    (item,) = await house.store.add([new], call.caller)
    return Act(f"added {item.id} ({item.state})", data=item, audited=True)


class Claim(Params, frozen=True):
    agent: Annotated[str, Meta(description="who claims; default $WATCHFLOOR_AGENT", min_length=1)]
    type: Annotated[tuple[str, ...], Meta(description="only this type; may be given again")] = ()
    queue: Annotated[tuple[str, ...], Meta(description="only this queue; may be given again")] = ()
    limit: Annotated[int, Meta(description="at most this many items", ge=1, le=256)] = 1
    item: Annotated[str, Meta(description="this item and no other")] = ""
    lease: Annotated[str, Meta(description="lease, such as 90s or 15m")] = ""


async def claim(house: House, call: Call) -> Act:
    from backends.filter import parse_duration_ms

    params: Claim = call.params
    leases = await house.store.claim(
        params.agent,
        call.caller,
        limit=params.limit,
        kinds=params.type,
        queues=params.queue,
        item_id=params.item or None,
        lease_ms=parse_duration_ms(params.lease) if params.lease else None,
    )
    if not leases:
        return Act("nothing to claim", data=[], audited=True)
    return Act("claimed " + ", ".join(lease.item.id for lease in leases), data=leases, audited=True)


class Progress(Params, frozen=True):
    percent: Annotated[float, Meta(description="0-100", ge=0, le=100)]
    note: Annotated[str, Meta(description="what is happening", max_length=500)] = ""
    fence: Fence = None
    agent: Holder = ""


async def progress(house: House, call: Call) -> Act:
    from backends.text import clean

    params: Progress = call.params
    item = await house.store.progress(
        call.target,
        params.fence,
        params.percent,
        clean(params.note) or None,
        call.caller,
        holder=_holder(params.fence, params.agent),
    )
    return Act(f"{item.id} at {params.percent:g} %{_asked(item)}", data=item, audited=True)


class Extend(Params, frozen=True):
    fence: Fence = None
    agent: Holder = ""


async def extend(house: House, call: Call) -> Act:
    params: Extend = call.params
    holder = _holder(params.fence, params.agent)
    item = await house.store.extend(call.target, params.fence, holder=holder)
    left_s = max(0, (item.lease_until or 0) - house.clock.now_ms()) // 1000
    return Act(f"{item.id} is leased for {left_s} s more{_asked(item)}", data=item, audited=True)


class Complete(Params, frozen=True):
    fence: Fence = None
    agent: Holder = ""
    result: Annotated[str, Meta(description="JSON")] = ""


async def complete(house: House, call: Call) -> Act:
    params: Complete = call.params
    if params.result:
        _json("result", params.result)
    item = await house.store.complete(
        call.target,
        params.fence,
        params.result or None,
        call.caller,
        holder=_holder(params.fence, params.agent),
    )
    return Act(f"{item.id} succeeded", data=item, audited=True)


class CompleteMany(Params, frozen=True):
    items: Annotated[list[tuple[str, int, str | None]], Meta(description="[[item, fence, result], ...]")]


async def complete_many(house: House, call: Call) -> Act:
    from backends.coordination import StoreError

    outcomes = await house.store.complete_many(call.params.items, call.caller)
    data = [{"error": str(o)} if isinstance(o, StoreError) else o for o in outcomes]
    lost = sum(isinstance(outcome, StoreError) for outcome in outcomes)
    said = f"{count_words(len(outcomes) - lost, 'item')} succeeded"
    if lost:
        return Act(
            f"{said}, {count_words(lost, 'lease was', 'leases were')} lost",
            OutcomeStatus.FAILED,
            data=data,
            exit_code=ExitCode.CONFLICT,
            audited=True,
        )
    return Act(said, data=data, audited=True)


class Fail(Params, frozen=True):
    error: Annotated[str, Meta(description="what went wrong", max_length=4000)]
    fence: Fence = None
    agent: Holder = ""
    permanent: Annotated[bool, Meta(description="do not try again")] = False


async def fail(house: House, call: Call) -> Act:
    params: Fail = call.params
    item = await house.store.fail(
        call.target,
        params.fence,
        params.error,
        call.caller,
        permanent=params.permanent,
        holder=_holder(params.fence, params.agent),
    )
    return Act(f"{item.id} is {item.state} after attempt {item.attempt}", data=item, audited=True)


class Release(Params, frozen=True):
    fence: Fence = None
    agent: Holder = ""


async def plan_release(house: House, call: Call) -> Draft:
    item = await _item(house, call.target)
    if item.state is not WorkState.LEASED:
        return Draft((), refusal=f"{item.id} is {item.state}, not leased")
    return Draft(
        (f"give {item.id} back to the queue; {item.holder} loses its lease",),
        (Precondition(f"work:{item.id}", "fence", item.fence),),
        confirm="" if call.params.fence is not None or call.params.agent else None,
    )


async def release(house: House, call: Call) -> Act:
    params: Release = call.params
    fence, holder = params.fence, params.agent
    if fence is None and not holder:
        fence = (await _item(house, call.target)).fence
    item = await house.store.release(call.target, fence, call.caller, holder=holder or None)
    return Act(f"{item.id} is {item.state} again", data=item, audited=True)


async def plan_retry(house: House, call: Call) -> Draft:
    item = await _item(house, call.target)
    if item.state not in (WorkState.DEAD, WorkState.CANCELLED, WorkState.SUCCEEDED):
        return Draft((), refusal=f"{item.id} is {item.state}; only an ended item can be retried")
    return Draft(
        (f"put {item.id} back as ready, generation {item.generation + 1}, attempts from 0",),
        (Precondition(f"work:{item.id}", "state", str(item.state)),),
    )


async def retry(house: House, call: Call) -> Act:
    item = await house.store.retry(call.target, call.caller)
    return Act(f"{item.id} is {item.state} again, generation {item.generation}", data=item, audited=True)


async def plan_cancel(house: House, call: Call) -> Draft:
    item = await _item(house, call.target)
    if item.state in (WorkState.DEAD, WorkState.CANCELLED, WorkState.SUCCEEDED):
        return Draft((), refusal=f"{item.id} is {item.state} already")
    if item.state is WorkState.LEASED:
        step = f"ask {item.holder} to stop {item.id}; cancelled when it answers or its lease ends"
    else:
        step = f"cancel {item.id}"
    steps = [step]
    if item.unblocks:
        waiting = count_words(item.unblocks, "item that waits", "items that wait")
        steps.append(f"cancel {waiting} for it as well")
    return Draft(tuple(steps), (Precondition(f"work:{item.id}", "state", str(item.state)),))


async def cancel(house: House, call: Call) -> Act:
    item = await house.store.cancel(call.target, call.caller)
    if item.state is WorkState.LEASED:
        return Act(f"asked {item.holder} to cancel {item.id}", data=item, audited=True)
    return Act(f"{item.id} is cancelled", data=item, audited=True)


async def _item(house: House, item_id: str) -> WorkItem:
    item: WorkItem = await house.store.item(item_id)
    return item


def _asked(item: WorkItem) -> str:
    return "; an operator asks you to cancel it" if item.cancel_requested_at else ""


def _holder(fence: int | None, agent: str) -> str | None:
    """The holder's name when no fence was given. Raises a usage error when neither was."""
    if fence is None and not agent:
        raise CommandError(
            ExitCode.USAGE, "say who you are: --fence N (as the claim returned) or --agent NAME"
        )
    return agent or None


def _json(name: str, text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, f"--{name} is not JSON: {error}") from None


FAMILY = "work"

COMMANDS = (
    Command("add-work", FAMILY, "add an item to the queue", AddWork, mutates=True, atomic=True, run=add_work),
    Command(
        "claim",
        FAMILY,
        "lease the most urgent items",
        Claim,
        mutates=True,
        by_agents=True,
        atomic=True,
        run=claim,
    ),
    Command(
        "progress",
        FAMILY,
        "say how far an item is; renews its lease",
        Progress,
        acts_on="work",
        mutates=True,
        by_agents=True,
        atomic=True,
        run=progress,
    ),
    Command(
        "extend",
        FAMILY,
        "renew the lease of an item that did not move",
        Extend,
        acts_on="work",
        mutates=True,
        by_agents=True,
        atomic=True,
        run=extend,
        detail="The reply carries cancel_requested_at when an operator wants the item cancelled.",
    ),
    Command(
        "complete",
        FAMILY,
        "finish an item",
        Complete,
        acts_on="work",
        mutates=True,
        by_agents=True,
        atomic=True,
        run=complete,
    ),
    Command(
        "complete-many",
        FAMILY,
        "finish several items in one transaction",
        CompleteMany,
        mutates=True,
        by_agents=True,
        atomic=True,
        run=complete_many,
        hidden=True,
    ),
    Command(
        "fail",
        FAMILY,
        "report that an attempt failed",
        Fail,
        acts_on="work",
        mutates=True,
        by_agents=True,
        atomic=True,
        run=fail,
    ),
    Command(
        "release",
        FAMILY,
        "give a leased item back, unfinished",
        Release,
        acts_on="work",
        danger=Danger.DISRUPTIVE,
        key="x",
        mutates=True,
        atomic=True,
        plan=plan_release,
        run=release,
    ),
    Command(
        "retry",
        FAMILY,
        "put an ended item back, under the same id",
        acts_on="work",
        key="t",
        mutates=True,
        atomic=True,
        plan=plan_retry,
        run=retry,
    ),
    Command(
        "cancel",
        FAMILY,
        "cancel an item",
        acts_on="work",
        danger=Danger.DISRUPTIVE,
        key="C",
        mutates=True,
        atomic=True,
        plan=plan_cancel,
        run=cancel,
    ),
)
