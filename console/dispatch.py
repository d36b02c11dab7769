"""Plan -> confirm -> check again -> write the intent -> run -> verify -> outcome. The only way to act.

A plan's id is a hash over everything it says, its preconditions included. A run names the plans an operator
agreed to; they are made again right before the act, and a plan that would now be another one is refused with
the fact that changed. Nothing is repeated blindly: a timeout is ``unknown``.
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

from backends.coordination import Caller, Conflict, Frozen, LeaseLost, NotFound, StoreError
from backends.model import Danger, Outcome, OutcomeStatus, Plan
from backends.redact import redact_args
from backends.text import clean
from console.commands.registry import Act, Call, Command, CommandError, Draft, Place, Registry
from console.exit_codes import ExitCode
from console.wire import Failure, Invoke, Reply

if TYPE_CHECKING:
    from console.house import House

log = logging.getLogger(__name__)

RUN_TIMEOUT_S = 60.0
#: Plans remembered so that a refusal can name the fact that changed.
REMEMBERED_PLANS = 2_000


@dataclass(frozen=True, slots=True)
class Requester:
    """Who is on the other end of a door."""

    actor: str
    door: str


def confirmation(command: Command, draft: Draft, targets: Sequence[str]) -> str:
    """What must be typed before ``command`` runs on ``targets``: nothing, a yes, the name or the count."""
    if draft.confirm is not None:
        return draft.confirm
    if command.danger is Danger.SAFE:
        return ""
    if len(targets) > 1:
        return str(len(targets))
    return "y" if command.danger is Danger.DISRUPTIVE else (targets[0] if targets else command.id)


def plan_id(plan: Plan) -> str:
    """SHA-256 over all of the plan but its id and its time."""
    body = msgspec.json.encode(msgspec.structs.replace(plan, id="", made_at=0), order="sorted")
    return hashlib.sha256(body).hexdigest()


def exit_of(error: Exception) -> ExitCode:
    """The exit code that tells this failure of the store apart from others."""
    if isinstance(error, NotFound):
        return ExitCode.NOT_FOUND
    if isinstance(error, (Conflict, LeaseLost, Frozen)):
        return ExitCode.CONFLICT
    return ExitCode.FAILED


class Dispatcher:
    """Runs the registry's commands on one house."""

    def __init__(self, registry: Registry, house: House) -> None:
        self._registry = registry
        self._house = house
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    async def invoke(self, invoke: Invoke, requester: Requester) -> Reply:
        """Answer one request of a door. Never raises."""
        try:
            return await self._invoke(invoke, requester)
        except CommandError as error:
            return Reply(invoke.id, failure=Failure(int(error.code), error.message, error.detail))
        except StoreError as error:
            return Reply(invoke.id, failure=Failure(int(exit_of(error)), str(error)))
        except Exception as error:
            log.exception("command %s failed", invoke.command)
            message = f"{invoke.command}: {type(error).__name__}: {error}; this is a bug, see the watch's log"
            return Reply(invoke.id, failure=Failure(int(ExitCode.FAILED), clean(message)))

    async def _invoke(self, invoke: Invoke, requester: Requester) -> Reply:
        command = self._registry.get(invoke.command)
        if command.place is not Place.WATCH or command.run is None:
            raise CommandError(ExitCode.USAGE, f"'{command.id}' does not run in the watch")
        params = self._decode(command, invoke.args)
        targets = self._targets(command, invoke.targets)
        if command.mutates and self._house.read_only:
            raise CommandError(ExitCode.DENIED, f"'{command.id}' changes things and this watch is read-only")
        caller = Caller(
            actor=requester.actor,
            door=requester.door,
            request_id=invoke.request_id,
            command=command.id,
        )
        calls = [Call(target, params, caller) for target in targets]
        plain = command.plan is None and command.danger is Danger.SAFE
        if plain and not invoke.dry_run and not invoke.plan_ids:
            return Reply(invoke.id, outcomes=tuple([await self._run(command, call) for call in calls]))
        return await self._planned(command, calls, invoke)

    async def _planned(self, command: Command, calls: list[Call], invoke: Invoke) -> Reply:
        drafts = [await self._draft(command, call) for call in calls]
        names = [call.target for call in calls]
        plans = [
            self._plan(command, call, draft, confirmation(command, draft, names))
            for call, draft in zip(calls, drafts, strict=True)
        ]
        if invoke.dry_run:
            return Reply(invoke.id, plans=tuple(plans))
        refused = [(plan, draft) for plan, draft in zip(plans, drafts, strict=True) if draft.refusal]
        if refused:
            plan, draft = refused[0]
            raise CommandError(draft.refusal_code, plan.refusal, detail=msgspec.to_builtins(plan.steps))
        if invoke.plan_ids:
            self._same_plans(invoke.plan_ids, plans)
        needed = plans[0].confirm if plans else ""
        if needed and invoke.confirmed != needed:
            return Reply(invoke.id, plans=tuple(plans), confirm=needed)
        outcomes = [await self._run(command, call) for call in calls]
        return Reply(invoke.id, outcomes=tuple(outcomes))

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
            if before is not None and before.id != now.id:
                raise CommandError(ExitCode.CONFLICT, f"{now.target}: {_difference(before, now)}; look again")
        raise CommandError(ExitCode.CONFLICT, "the targets are not those of the plan; look again")

    async def _run(self, command: Command, call: Call) -> Outcome:
        assert command.run is not None
        house = self._house
        if not command.mutates:
            act = await command.run(house, call)
            return _outcome(command, call, act, None)
        if not call.caller.request_id and not command.atomic:
            call = Call(
                call.target,
                call.params,
                msgspec.structs.replace(call.caller, request_id=uuid.uuid4().hex),
            )
        if command.atomic:
            act = await command.run(house, call)
            return _outcome(command, call, act, None)
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
        except (CommandError, StoreError) as error:
            await house.audit(call, "failed", str(error), "", "")
            raise
        except BaseException as error:
            await house.audit(call, "unknown", f"{type(error).__name__}: {error}", "", "")
            raise
        seq = await house.audit(call, act.status.value, act.message, act.before, act.after)
        return _outcome(command, call, act, seq)

    def _decode(self, command: Command, args: dict[str, Any]) -> Any:
        try:
            return msgspec.convert(args, command.params, strict=False)
        except msgspec.ValidationError as error:
            raise CommandError(ExitCode.USAGE, f"{command.id}: {error}") from None

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
