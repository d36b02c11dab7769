"""Plan -> confirm -> check again -> write the intent -> run -> verify -> outcome. The only way to act.

A plan's id is a hash over everything it says, its preconditions included. A run names the plans an operator
agreed to; they are made again right before the act, and a plan that would now be another one is refused with
the fact that changed. Nothing is repeated blindly: a timeout is ``unknown``.

Every change leaves its records in the audit chain: a command that only touches the store one, in the
transaction that does the work; any other an intent before and an outcome after. What is refused leaves one
record as well, once a minute when it repeats itself. A dry run, a usage error and a question for confirmation
are no attempts and leave none.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from backends.coordination import Caller, Conflict, Frozen, Invalid, LeaseLost, NotFound, StoreError
from backends.filter import FilterError
from backends.model import Danger, Outcome, OutcomeStatus, Plan
from backends.recovery import Refused
from backends.redact import redact_args
from backends.text import clean
from console.commands.mistakes import mistake_words
from console.commands.registry import Act, Call, Command, CommandError, Draft, Place, Registry
from console.exit_codes import ExitCode
from console.wire import Failure, Invoke, Reply

if TYPE_CHECKING:
    from console.watch.house import House

log = logging.getLogger(__name__)

RUN_TIMEOUT_S = 60.0
#: Plans remembered so that a refusal can name the fact that changed.
REMEMBERED_PLANS = 2_000
#: A refusal that repeats itself within this time is recorded once: agents ask for work all the time.
REFUSAL_REST_MS = 60_000
REMEMBERED_REFUSALS = 10_000
#: Outcomes kept for requests that may be repeated; the store keeps those of its own commands.
REMEMBERED_REQUESTS = 1_000


@dataclass(frozen=True, slots=True)
class Requester:
    """Who is on the other end of a door."""

    actor: str
    door: str


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked under a request id, and how it ended."""

    asked: tuple[str, tuple[str, ...], Any]
    outcomes: asyncio.Future[tuple[Outcome, ...]]


def confirmation(command: Command, draft: Draft, targets: Sequence[str]) -> str:
    """What must be typed before ``command`` runs on ``targets``: nothing, a yes, the name or the count."""
    if draft.confirm == "" or command.danger is Danger.SAFE:
        return ""
    if len(targets) > 1:
        return str(len(targets))
    if draft.confirm is not None:
        return draft.confirm
    if command.danger is Danger.DISRUPTIVE:
        return "y"
    return (targets[0] if targets else "") or command.id


def plan_id(plan: Plan) -> str:
    """SHA-256 over all of the plan but its id and its time."""
    body = msgspec.json.encode(msgspec.structs.replace(plan, id="", made_at=0), order="sorted")
    return hashlib.sha256(body).hexdigest()


def as_command_error(error: Exception) -> CommandError:
    """What a failure is to the one who asked: an exit code that tells it apart, and words."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, Refused):
        code = ExitCode.NOT_FOUND if error.why == "gone" else ExitCode.DENIED
    elif isinstance(error, NotFound):
        code = ExitCode.NOT_FOUND
    elif isinstance(error, (Conflict, LeaseLost, Frozen)):
        code = ExitCode.CONFLICT
    elif isinstance(error, (Invalid, FilterError)):
        code = ExitCode.USAGE
    else:
        code = ExitCode.FAILED
    return CommandError(code, str(error))


class Dispatcher:
    """Runs the registry's commands on one house."""

    def __init__(self, registry: Registry, house: House) -> None:
        self._registry = registry
        self._house = house
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._refusals: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._requests: OrderedDict[tuple[str, str], _Request] = OrderedDict()
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(self, invoke: Invoke, requester: Requester) -> Reply:
        """Answer one request of a door. Never raises, unless it is cancelled."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await self._invoke(invoke, requester)
        except (CommandError, Refused, StoreError, FilterError) as error:
            known = as_command_error(error)
            return Reply(invoke.id, failure=Failure(int(known.code), known.message, known.detail))
        except Exception as error:
            log.exception("command %s failed", invoke.command)
            message = f"{invoke.command}: {type(error).__name__}: {error}; this is a bug, see the watch's log"
            return Reply(invoke.id, failure=Failure(int(ExitCode.FAILED), clean(message)))
        finally:
            self._running.discard(task)

    async def close(self) -> None:
        """End what still runs; each leaves the record that its outcome is unknown."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _invoke(self, invoke: Invoke, requester: Requester) -> Reply:
        command = self._registry.get(invoke.command)
        if command.place is not Place.WATCH or command.run is None:
            raise CommandError(ExitCode.USAGE, f"'{command.id}' does not run in the watch")
        params = self._decode(command, invoke.args)
        targets = self._targets(command, invoke.targets)
        caller = Caller(
            actor=requester.actor,
            door=requester.door,
            request_id=invoke.request_id,
            command=command.id,
        )
        calls = [Call(target, params, caller) for target in targets]
        if command.mutates and not command.by_agents and self._house.read_only:
            error = CommandError(
                ExitCode.DENIED, f"'{command.id}' changes things and this watch is read-only"
            )
            if not invoke.dry_run:
                await self._record_refusal(calls[0], error)
            raise error
        if invoke.request_id and command.mutates and not command.atomic and not invoke.dry_run:
            return await self._once(command, calls, invoke)
        plain = command.plan is None and command.danger is Danger.SAFE
        if not command.mutates or (plain and not invoke.dry_run and not invoke.plan_ids):
            return Reply(invoke.id, outcomes=await self._run_all(command, calls, ()))
        return await self._planned(command, calls, invoke)

    async def _once(self, command: Command, calls: list[Call], invoke: Invoke) -> Reply:
        """A request that names itself: repeated, it gets the outcomes of the first time and acts no more."""
        key = (calls[0].caller.actor, invoke.request_id)
        asked = (command.id, tuple(call.target for call in calls), calls[0].params)
        while (first := self._requests.get(key)) is not None:
            if first.asked != asked:
                raise CommandError(
                    ExitCode.CONFLICT, f"request id {invoke.request_id} was used before; take a new one"
                )
            outcomes = await asyncio.shield(first.outcomes)
            if outcomes:
                return Reply(invoke.id, outcomes=outcomes)
        request = self._requests[key] = _Request(asked, asyncio.get_running_loop().create_future())
        outcomes = ()
        try:
            reply = await self._planned(command, calls, invoke)
            outcomes = reply.outcomes
            return reply
        finally:
            if not outcomes:  # refused, or asked to confirm: nothing was done that could be repeated
                del self._requests[key]
            request.outcomes.set_result(outcomes)
            while len(self._requests) > REMEMBERED_REQUESTS:
                self._requests.popitem(last=False)

    async def _planned(self, command: Command, calls: list[Call], invoke: Invoke) -> Reply:
        try:
            plans, needed = await self._agreed(command, calls, invoke)
        except (CommandError, StoreError) as error:
            if not invoke.dry_run:
                await self._record_refusal(calls[0], as_command_error(error))
            raise
        if invoke.dry_run or needed:
            return Reply(invoke.id, plans=plans, confirm=needed)
        return Reply(invoke.id, outcomes=await self._run_all(command, calls, plans))

    async def _agreed(
        self, command: Command, calls: list[Call], invoke: Invoke
    ) -> tuple[tuple[Plan, ...], str]:
        """The plans, and what must still be confirmed before they may run. Raises when they may not."""
        drafts = [await self._draft(command, call) for call in calls]
        names = [call.target for call in calls]
        plans = tuple(
            self._plan(command, call, draft, confirmation(command, draft, names))
            for call, draft in zip(calls, drafts, strict=True)
        )
        if invoke.dry_run:
            return plans, ""
        for draft in drafts:
            if draft.refusal:
                raise CommandError(draft.refusal_code, draft.refusal, detail=list(draft.steps))
        if invoke.plan_ids:
            self._same_plans(invoke.plan_ids, plans)
        needed = plans[0].confirm
        return plans, "" if invoke.confirmed == needed else needed

    async def _draft(self, command: Command, call: Call) -> Draft:
        if command.plan is not None:
            return await command.plan(self._house, call)
        return Draft(steps=(f"{command.id} {call.target}".strip(),))

    def _plan(self, command: Command, call: Call, draft: Draft, confirm: str) -> Plan:
        plan = Plan(
            id="",
            command=command.id,
            target=call.target,
            args=redact_args(msgspec.to_builtins(call.params)),
            danger=command.danger,
            steps=draft.steps,
            preconditions=draft.preconditions,
            confirm=confirm,
            refusal=draft.refusal,
            made_at=self._house.clock.now_ms(),
        )
        plan = msgspec.structs.replace(plan, id=plan_id(plan))
        self._plans[plan.id] = plan
        while len(self._plans) > REMEMBERED_PLANS:
            self._plans.popitem(last=False)
        return plan

    def _same_plans(self, agreed: Sequence[str], plans: Sequence[Plan]) -> None:
        if tuple(agreed) == tuple(plan.id for plan in plans):
            return
        for plan_id_, now in zip(agreed, plans, strict=False):
            before = self._plans.get(plan_id_)
            if before is None:
                raise CommandError(
                    ExitCode.CONFLICT, "the watch does not know this plan any more; look again"
                )
            if before.id != now.id:
                raise CommandError(ExitCode.CONFLICT, f"{now.target}: {_difference(before, now)}; look again")
        raise CommandError(ExitCode.CONFLICT, "the targets are not those of the plan; look again")

    async def _run_all(
        self, command: Command, calls: Sequence[Call], plans: Sequence[Plan]
    ) -> tuple[Outcome, ...]:
        """Run each call. One of several that fails is an outcome of its own and stops none of the others.

        Raises what a lone call raises.
        """
        if len(calls) == 1:
            return (await self._run(command, calls[0]),)
        outcomes = []
        for number, call in enumerate(calls):
            try:
                if number and plans:  # those before it took their time
                    await self._still_true(command, call, plans[number])
                outcomes.append(await self._run(command, call))
            except (CommandError, Refused, StoreError, FilterError) as error:
                known = as_command_error(error)
                act = Act(known.message, OutcomeStatus.FAILED, exit_code=known.code)
                outcomes.append(_outcome(command, call, act, None))
        return tuple(outcomes)

    async def _still_true(self, command: Command, call: Call, plan: Plan) -> None:
        """Raise when the plan of this call would be another one by now."""
        draft = await self._draft(command, call)
        now = self._plan(command, call, draft, plan.confirm)
        if now.id != plan.id:
            error = CommandError(ExitCode.CONFLICT, f"{call.target}: {_difference(plan, now)}; look again")
            await self._record_refusal(call, error)
            raise error

    async def _run(self, command: Command, call: Call) -> Outcome:
        assert command.run is not None
        if not command.mutates:
            return _outcome(command, call, await command.run(self._house, call), None)
        if command.atomic:
            try:
                return _outcome(command, call, await command.run(self._house, call), None)
            except (CommandError, StoreError, FilterError) as error:
                await self._record_refusal(call, as_command_error(error))
                raise
        return await self._run_recorded(command, call)

    async def _run_recorded(self, command: Command, call: Call) -> Outcome:
        """Intent, act, outcome: for what reaches beyond the store. The store's own part in it needs no
        record of its own.
        """
        assert command.run is not None
        house = self._house
        caller = msgspec.structs.replace(
            call.caller, request_id=call.caller.request_id or uuid.uuid4().hex, audit=False
        )
        call = Call(call.target, call.params, caller)
        await house.audit(call, "intent", "", "", "")
        try:
            async with asyncio.timeout(RUN_TIMEOUT_S):
                act = await command.run(house, call)
                if command.verify is not None and act.status is not OutcomeStatus.FAILED:
                    act = await command.verify(house, call, act)
        except TimeoutError:
            act = Act(
                f"{command.id} did not finish in {RUN_TIMEOUT_S:.0f} s; look before trying again",
                OutcomeStatus.UNKNOWN,
            )
        except (CommandError, Refused, StoreError, FilterError) as error:
            word = "refused" if isinstance(error, Refused) else "failed"
            await house.audit(call, word, str(error), "", "")
            raise
        except BaseException as error:
            reason = str(error) or "the watch was stopped"
            await house.audit(call, "unknown", f"{type(error).__name__}: {reason}", "", "")
            raise
        seq = await house.audit(call, act.status.value, act.message, act.before, act.after)
        return _outcome(command, call, act, seq)

    async def _record_refusal(self, call: Call, error: CommandError) -> None:
        """Record that a change was asked for and not made. A usage error is none: nothing was tried."""
        if error.code is ExitCode.USAGE:
            return
        caller, now = call.caller, self._house.clock.monotonic_ms()
        args = msgspec.json.encode(call.params, order="sorted").decode()
        key = (caller.actor, caller.door, caller.command, call.target, args, error.message)
        if now - self._refusals.get(key, -REFUSAL_REST_MS) < REFUSAL_REST_MS:
            return
        self._refusals[key] = now
        self._refusals.move_to_end(key)
        while len(self._refusals) > REMEMBERED_REFUSALS:
            self._refusals.popitem(last=False)
        outcome = "failed" if error.code is ExitCode.FAILED else "refused"
        try:
            await self._house.audit(call, outcome, error.message, "", "")
        except StoreError:  # a full disk: the one who asked is told the first reason, not this one
            log.exception("the refusal of %s could not be recorded", caller.command)

    def _decode(self, command: Command, args: dict[str, Any]) -> Any:
        try:
            return msgspec.convert(args, command.params, strict=False)
        except msgspec.ValidationError as error:
            raise CommandError(ExitCode.USAGE, mistake_words(command, error)) from None

    def _targets(self, command: Command, targets: tuple[str, ...]) -> tuple[str, ...]:
        if command.acts_on:
            if not targets and not command.target_optional:
                noun = command.acts_on.rstrip("s")
                raise CommandError(ExitCode.USAGE, f"'{command.id}' needs the id of a row of {noun}")
            if len(set(targets)) != len(targets):
                raise CommandError(ExitCode.USAGE, f"'{command.id}': a target is named twice")
        elif targets:
            raise CommandError(ExitCode.USAGE, f"'{command.id}' takes no target; got '{targets[0]}'")
        return targets or ("",)


def _outcome(command: Command, call: Call, act: Act, seq: int | None) -> Outcome:
    code = act.exit_code
    if code is ExitCode.OK:
        code = {
            OutcomeStatus.FAILED: ExitCode.FAILED,
            OutcomeStatus.UNKNOWN: ExitCode.UNVERIFIED,
        }.get(act.status, ExitCode.OK)
    return Outcome(
        command=command.id,
        target=call.target,
        status=act.status,
        message=act.message,
        exit_code=int(code),
        data=act.data,
        request_id=call.caller.request_id,
        audit_seq=seq,
    )


def _difference(before: Plan, now: Plan) -> str:
    """The first fact that makes ``now`` another plan than ``before``."""
    if now.refusal:
        return now.refusal
    facts = {(fact.subject, fact.field): fact.expected for fact in before.preconditions}
    for fact in now.preconditions:
        expected = facts.get((fact.subject, fact.field))
        if expected != fact.expected:
            return f"{fact.field} of {fact.subject} was {expected!r} and is now {fact.expected!r}"
    return "what the command would do has changed"
