"""Dispatch: what is confirmed, refused, run and recorded. A real store, no process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from services.house_inside import OPERATOR, Inside, opened

from backends.clock import ManualClock
from backends.model import Danger, OutcomeStatus, Precondition, SourceState
from backends.picture import Reading
from backends.recovery import Refused
from console.commands import REGISTRY
from console.commands.registry import Act, Call, Command, CommandError, Draft, Place, Registry
from console.exit_codes import ExitCode
from console.watch.dispatch import REFUSAL_REST_MS, Dispatcher
from console.wire import Invoke


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    async with opened(tmp_path) as house:
        yield house


async def prepared(inside: Inside) -> dict[str, Any]:
    """One thing of each kind that commands act on. Returns the fence of the leased item."""
    await inside.data("register-agent", "b1")
    await inside.data("heartbeat", "b1", activity="blocked", note="may I?")
    await inside.data("add-work", type="build", title="one", id="ready")
    await inside.data("add-work", type="build", title="two", id="leased", priority=9)
    (lease,) = await inside.data("claim", agent="b1")
    await inside.data("add-work", type="build", title="three", id="ended")
    await inside.data("cancel", "ended", confirmed="y")
    return {"fence": lease.fence}


#: Arguments under which each mutating command of the watch is accepted on what :func:`prepared` made.
ACCEPTED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "add-work": ((), {"type": "build", "title": "x"}),
    "claim": ((), {"agent": "b1"}),
    "progress": (("leased",), {"percent": 5, "agent": "b1"}),
    "extend": (("leased",), {"agent": "b1"}),
    "complete": (("leased",), {"agent": "b1"}),
    "complete-many": ((), {"items": [("leased", 1, None)]}),
    "fail": (("leased",), {"error": "broke", "agent": "b1"}),
    "release": (("leased",), {}),
    "retry": (("ended",), {}),
    "cancel": (("ready",), {}),
    "register-agent": (("b2",), {}),
    "remove-agent": (("b1",), {}),
    "heartbeat": (("b1",), {}),
    "heartbeat-many": ((), {"beats": [("b1", None, None, None)]}),
    "approve": (("b1",), {}),
    "deny": (("b1",), {}),
    "drain-agent": (("b1",), {}),
    "requeue-agent": (("b1",), {}),
    "start-agent": (("b1",), {}),
    "restart-agent": (("b1",), {}),
    "stop-agent": (("b1",), {}),
    "pause-agent": (("b1",), {}),
    "resume-agent": (("b1",), {}),
    "kill-process": (("1",), {}),
    "estop": ((), {}),
    "thaw": ((), {}),
}
MUTATING = [command for command in REGISTRY if command.mutates and command.place is Place.WATCH]


def test_every_mutating_command_is_tried_here() -> None:
    assert {command.id for command in MUTATING} == set(ACCEPTED)


async def state_of(inside: Inside) -> Any:
    """Everything in the store that a command could change."""
    store = inside.house.store
    ids = ("ready", "leased", "ended")
    return (
        [await store.item(item) for item in ids],
        store.registrations(),
        store.estop(),
        dict(store.counts()),
        await store.audit(10_000),
        await store.events_since(0),
    )


@pytest.mark.parametrize("command", [command.id for command in MUTATING])
async def test_a_dry_run_changes_nothing_and_leaves_no_record(inside: Inside, command: str) -> None:
    await prepared(inside)
    targets, args = ACCEPTED[command]
    before = await state_of(inside)
    reply = await inside.do(command, *targets, dry_run=True, confirmed="y", **args)
    assert not reply.outcomes
    if reply.failure is not None:
        assert command == "kill-process"  # a house that was shown no process knows none
        assert reply.failure.code == ExitCode.NOT_FOUND
    else:
        assert all(plan.steps or plan.refusal for plan in reply.plans)
    assert await state_of(inside) == before


@pytest.mark.parametrize("command", [command.id for command in MUTATING if not command.by_agents])
async def test_a_read_only_watch_denies_everything_that_changes_and_records_it(
    tmp_path: Path, command: str
) -> None:
    async with opened(tmp_path, read_only=True) as inside:
        targets, args = ACCEPTED[command]
        assert await inside.code(command, *targets, confirmed="y", **args) == ExitCode.DENIED
        assert await inside.code(command, *targets, dry_run=True, **args) == ExitCode.DENIED
        assert [(name, outcome) for name, _, outcome in await inside.records()] == [(command, "refused")]


async def test_a_read_only_watch_still_hears_its_agents(tmp_path: Path) -> None:
    async with opened(tmp_path, read_only=True) as inside:
        assert await inside.code("register-agent", "b1") == ExitCode.OK
        assert await inside.code("heartbeat", "b1", activity="idle") == ExitCode.OK
        assert await inside.code("claim", agent="b1") == ExitCode.OK


async def test_reading_commands_leave_no_record(inside: Inside) -> None:
    await prepared(inside)
    before = await inside.records()
    for command in REGISTRY:
        if command.place is Place.WATCH and not command.mutates:
            targets = ("b1",) if command.acts_on and not command.target_optional else ()
            reply = await inside.do(command.id, *targets)
            assert reply.failure is None or command.id == "logs", (command.id, reply.failure)
    assert await inside.records() == before


async def test_an_atomic_command_leaves_exactly_one_record(inside: Inside) -> None:
    fence = (await prepared(inside))["fence"]
    await inside.data("progress", "leased", percent=50, fence=fence)
    await inside.data("complete", "leased", fence=fence)
    await inside.data("retry", "leased")
    await inside.data("drain-agent", "b1", confirmed="y")
    await inside.data("drain-agent", "b1", undo=True, confirmed="y")
    await inside.data("approve", "b1", confirmed="y")
    await inside.data("remove-agent", "b1", confirmed="y")
    assert await inside.records() == [
        ("register-agent", "b1", "verified"),
        ("add-work", "ready", "verified"),
        ("add-work", "leased", "verified"),
        ("claim", "leased", "verified"),
        ("add-work", "ended", "verified"),
        ("cancel", "ended", "verified"),
        ("progress", "leased", "verified"),
        ("complete", "leased", "verified"),
        ("retry", "leased", "verified"),
        ("drain-agent", "b1", "verified"),
        ("drain-agent", "b1", "verified"),
        ("approve", "b1", "verified"),
        ("remove-agent", "b1", "verified"),
    ]
    assert (await inside.data("audit", verify=True)).bad_seq is None


async def test_extend_renews_the_lease_without_progress_and_asks_to_let_go(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock) as inside:
        fence = (await prepared(inside))["fence"]
        before = await inside.house.store.item("leased")
        clock.advance(30_000)
        item = await inside.data("extend", "leased", fence=fence)
        assert item.lease_until == (before.lease_until or 0) + 30_000
        assert (item.progress_at, item.cancel_requested_at) == (before.progress_at, None)
        await inside.data("cancel", "leased", confirmed="y")
        assert (await inside.data("extend", "leased", agent="b1")).cancel_requested_at is not None
        assert await inside.code("extend", "leased") == ExitCode.USAGE
        assert await inside.code("extend", "leased", fence=fence + 1) == ExitCode.CONFLICT


async def said(inside: Inside, command: str, *targets: str, **more: Any) -> str:
    reply = await inside.do(command, *targets, **more)
    if reply.failure is not None:
        return reply.failure.message
    if reply.plans:
        return "; ".join(reply.plans[0].steps)
    return reply.outcomes[0].message


async def test_a_wrong_enum_value_is_answered_with_the_right_ones(inside: Inside) -> None:
    await prepared(inside)
    words = await said(inside, "heartbeat", "b1", activity="sleeping")
    assert words.startswith("heartbeat: activity 'sleeping' is none of: starting, working, blocked, idle")
    beats = [("b1", "\x1b]52;c;eA==\a", None, None)]
    words = await said(inside, "heartbeat-many", beats=beats)
    assert "is none of: starting" in words
    assert words.isprintable()


async def test_dead_items_are_shown_by_cause(inside: Inside) -> None:
    assert await said(inside, "dead") == "no dead items"
    for name, error in (("a", "no space"), ("b", "no space"), ("c", "x" * 200)):
        await inside.data("add-work", type="t", title=name, id=name)
        await inside.data("claim", agent="w", item=name)
        await inside.data("fail", name, error=error, agent="w", permanent=True)
    heading, *rows, total = (await said(inside, "dead")).splitlines()
    assert heading.split() == ["COUNT", "REASON", "ERROR", "OLDEST", "ITEMS"]
    assert any(row.startswith("2 ") and "no space" in row and "a b" in row for row in rows)
    assert all(len(row) < 140 for row in rows)
    assert total == "3 dead items in 2 groups"


async def test_what_an_item_was_given_and_gave_can_be_read(inside: Inside) -> None:
    await inside.data("add-work", type="t", title="sum", id="w", payload='{"n": 1}')
    (lease,) = await inside.data("claim", agent="b")
    await inside.data("complete", "w", fence=lease.fence, result='{"pages": 12}')
    words = await said(inside, "explain", "w")
    assert 'payload: {"n": 1}' in words
    assert 'result: {"pages": 12}' in words
    (row,) = (await inside.data("list-work"))["rows"]
    assert (row.payload, row.result) == ('{"n": 1}', '{"pages": 12}')


async def test_plans_and_messages_are_sentences(inside: Inside) -> None:
    await prepared(inside)
    assert await said(inside, "drain-agent", "b1", dry_run=True) == (
        "let b1 finish leased and claim nothing new"
    )
    assert "forget the registration of b1; let its lease on leased run out" in await said(
        inside, "remove-agent", "b1", dry_run=True
    )
    assert (await said(inside, "requeue-agent", "b1", confirmed="y")).startswith("1 item of b1 is back")
    await inside.data("drain-agent", "b1", confirmed="y")
    assert "drain-agent b1 --undo" in await said(inside, "claim", agent="b1")


async def test_a_source_with_nothing_to_read_is_no_figure(inside: Inside) -> None:
    house = inside.house
    house.picture.apply(Reading(SourceState(house.host, "gpu", ok=True, status="no driver", cost_ms=1.0)))
    house.picture.apply(Reading(SourceState(house.host, "drift", ok=False, status="hung")))
    figures = await inside.data("metrics")
    up = {name: figure for name, figure in figures.items() if "source_" in name}
    assert up == {f'watchfloor_source_up{{host="{house.host}",source="drift"}}': 0}


async def test_what_is_refused_leaves_a_record_and_an_honest_code(inside: Inside) -> None:
    await prepared(inside)
    start = len(await inside.records())
    assert await inside.code("complete", "nosuch", fence=1) == ExitCode.NOT_FOUND
    assert await inside.code("complete", "leased", fence=999) == ExitCode.CONFLICT
    assert await inside.code("retry", "ready") == ExitCode.CONFLICT  # its plan refuses
    assert await inside.code("cancel", "nosuch", confirmed="y") == ExitCode.NOT_FOUND
    assert await inside.code("stop-agent", "nosuch", confirmed="y") == ExitCode.NOT_FOUND
    assert (await inside.records())[start:] == [
        ("complete", "nosuch", "refused"),
        ("complete", "leased", "refused"),
        ("retry", "ready", "refused"),
        ("cancel", "nosuch", "refused"),
        ("stop-agent", "nosuch", "refused"),
    ]


@pytest.mark.parametrize(
    ("command", "targets", "args"),
    [
        ("nosuch", (), {}),
        ("pane-agents", (), {}),
        ("start", (), {}),
        ("status", ("x",), {}),
        ("complete", (), {"fence": 1}),
        ("cancel", ("ready", "ready"), {}),
        ("progress", ("leased",), {"percent": 101, "agent": "b1"}),
        ("progress", ("leased",), {"percent": "much", "agent": "b1"}),
        ("progress", ("leased",), {}),
        ("complete", ("leased",), {"fence": 1, "colour": "red"}),
        ("complete", ("leased",), {}),
        ("complete", ("leased",), {"fence": 1, "result": "{"}),
        ("add-work", (), {"type": "b", "title": "t", "payload": "{'a': 1}"}),
        ("add-work", (), {"type": "b", "title": "t", "lease": "soon"}),
        ("add-work", (), {"type": "b", "title": "t", "delay": "9" * 400}),
        ("add-work", (), {"type": "b", "title": "t", "priority": 10}),
        ("claim", (), {"agent": "b1", "lease": "never"}),
        ("claim", (), {"agent": ""}),
        ("register-agent", ("a\nb",), {}),
        ("register-agent", ("b9",), {"ttl": "often"}),
        ("heartbeat", ("b1",), {"activity": "dancing"}),
        ("list-work", (), {"filter": "nosuch:1"}),
        ("list-work", (), {"sort": "nosuch"}),
        ("list-agents", (), {"limit": 0}),
        ("audit", (), {"filter": "nosuch:1"}),
        ("kill-process", ("1",), {"grace": "long"}),
        ("kill-process", ("1",), {"grace": "1h"}),
    ],
)
async def test_a_usage_error_is_told_apart_and_no_attempt(
    inside: Inside, command: str, targets: tuple[str, ...], args: dict[str, Any]
) -> None:
    await prepared(inside)
    before = await inside.records()
    reply = await inside.do(command, *targets, confirmed="y", **args)
    assert reply.failure is not None
    assert reply.failure.code == ExitCode.USAGE, reply.failure
    assert "bug" not in reply.failure.message
    assert await inside.records() == before


async def test_a_refusal_that_repeats_itself_is_recorded_once_a_minute(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock) as inside:
        await inside.data("estop", confirmed="y")
        start = len(await inside.records())
        for _ in range(5):
            assert await inside.code("claim", agent="b1") == ExitCode.CONFLICT
        assert await inside.code("claim", agent="b2") == ExitCode.CONFLICT
        assert len(await inside.records()) == start + 2
        clock.advance(REFUSAL_REST_MS)
        assert await inside.code("claim", agent="b1") == ExitCode.CONFLICT
        assert len(await inside.records()) == start + 3


# --- confirmation ------------------------------------------------------------------------------------


async def test_a_disruptive_command_needs_a_yes(inside: Inside) -> None:
    await prepared(inside)
    reply = await inside.do("cancel", "ready")
    assert reply.confirm == "y"
    assert not reply.outcomes
    assert reply.plans[0].steps == ("cancel ready",)
    assert (await inside.house.store.item("ready")).state == "ready"
    assert (await inside.do("cancel", "ready", confirmed="yes please")).confirm == "y"
    assert await inside.code("cancel", "ready", confirmed="y") == 0


async def test_many_targets_need_their_count(inside: Inside) -> None:
    for name in "abc":
        await inside.data("add-work", type="t", title=name, id=name)
    assert (await inside.do("cancel", "a", "b", "c", confirmed="y")).confirm == "3"
    reply = await inside.do("cancel", "a", "b", "c", confirmed="3")
    assert [outcome.target for outcome in reply.outcomes] == ["a", "b", "c"]


def command_of(danger: Danger, draft: Draft) -> Command:
    async def plan(house: Any, call: Call) -> Draft:
        return draft

    return Command("x", "f", "h", acts_on="work", danger=danger, mutates=True, plan=plan)


@pytest.mark.parametrize(
    ("danger", "own", "targets", "word"),
    [
        (Danger.SAFE, None, ("a",), ""),
        (Danger.SAFE, None, ("a", "b"), ""),
        (Danger.DISRUPTIVE, None, ("a",), "y"),
        (Danger.DISRUPTIVE, None, ("a", "b"), "2"),
        (Danger.DISRUPTIVE, "", ("a", "b"), ""),  # the holder gives back what is its own
        (Danger.DESTRUCTIVE, None, ("a",), "a"),
        (Danger.DESTRUCTIVE, None, ("",), "x"),
        (Danger.DESTRUCTIVE, "4711", ("a",), "4711"),
        (Danger.DESTRUCTIVE, "4711", ("a", "b"), "2"),
    ],
)
def test_what_must_be_typed(danger: Danger, own: str | None, targets: tuple[str, ...], word: str) -> None:
    from console.watch.dispatch import confirmation

    draft = Draft(("do it",), confirm=own)
    assert confirmation(command_of(danger, draft), draft, targets) == word


async def test_a_target_that_changed_since_the_plan_is_refused_with_the_fact(inside: Inside) -> None:
    await prepared(inside)
    shown = await inside.do("cancel", "ready")
    await inside.data("claim", agent="b1", item="ready")
    reply = await inside.do("cancel", "ready", confirmed="y", plan_ids=tuple(plan.id for plan in shown.plans))
    assert reply.failure is not None
    assert reply.failure.code == ExitCode.CONFLICT
    assert "state of work:ready was 'ready' and is now 'leased'" in reply.failure.message
    assert (await inside.house.store.item("ready")).cancel_requested_at is None
    assert (await inside.records())[-1] == ("cancel", "ready", "refused")


async def test_a_plan_the_watch_does_not_know_is_refused(inside: Inside) -> None:
    await prepared(inside)
    reply = await inside.do("cancel", "ready", confirmed="y", plan_ids=("0" * 64,))
    assert reply.failure is not None
    assert "does not know this plan" in reply.failure.message


async def test_a_plan_for_other_targets_is_refused(inside: Inside) -> None:
    await prepared(inside)
    shown = await inside.do("cancel", "ready")
    plan_ids = tuple(plan.id for plan in shown.plans)
    assert await inside.code("cancel", "ready", "leased", confirmed="2", plan_ids=plan_ids) == 4
    assert await inside.code("cancel", "leased", confirmed="y", plan_ids=plan_ids) == 4


async def test_an_agreed_plan_runs(inside: Inside) -> None:
    await prepared(inside)
    shown = await inside.do("cancel", "ready")
    assert await inside.code("cancel", "ready", confirmed="y", plan_ids=(shown.plans[0].id,)) == 0


async def test_one_of_several_that_fails_stops_none_of_the_others(inside: Inside) -> None:
    for name in ("a", "b", "c"):
        await inside.data("register-agent", name)
    reply = await inside.do("heartbeat", "a", "nosuch", "c")
    assert [outcome.status for outcome in reply.outcomes] == ["verified", "failed", "verified"]
    assert [outcome.exit_code for outcome in reply.outcomes] == [0, 3, 0]
    assert "nosuch" in reply.outcomes[1].message


async def test_a_batch_tells_which_leases_were_lost(inside: Inside) -> None:
    fence = (await prepared(inside))["fence"]
    reply = await inside.do("complete-many", items=[("leased", fence, None), ("ready", 99, None)])
    (outcome,) = reply.outcomes
    assert outcome.exit_code == ExitCode.CONFLICT
    assert outcome.data[0].state == "succeeded"
    assert "lease" in outcome.data[1]["error"]


# --- commands that reach beyond the store --------------------------------------------------------------


class Deed:
    """A command of a test's own, and how often it ran."""

    def __init__(self, ends: Act | BaseException, **facts: Any) -> None:
        self.ends = ends
        self.runs = 0
        self.fact = "calm"
        self.command = Command("deed", "test", "does it", mutates=True, plan=self.plan, run=self.run, **facts)

    async def plan(self, house: Any, call: Call) -> Draft:
        return Draft(("do it",), (Precondition("thing:1", "mood", self.fact),))

    async def run(self, house: Any, call: Call) -> Act:
        self.runs += 1
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


async def invoke(inside: Inside, deed: Deed, **wire: Any) -> Any:
    registry = Registry()
    registry.add(deed.command)
    dispatcher = Dispatcher(registry, inside.house)
    return await dispatcher.invoke(Invoke(7, "deed", **wire), OPERATOR)


@pytest.mark.parametrize(
    ("ends", "code", "outcome"),
    [
        (Act("done"), 0, "verified"),
        (Act("no", OutcomeStatus.FAILED), 1, "failed"),
        (Act("who knows", OutcomeStatus.UNKNOWN), 7, "unknown"),
        (Refused("gone", "process 7 has ended"), 3, "refused"),
        (Refused("protected", "that is init"), 6, "refused"),
        (Refused("denied", "not yours"), 6, "refused"),
        (CommandError(ExitCode.UNREACHABLE, "no answer"), 5, "failed"),
        (RuntimeError("a bug"), 1, "unknown"),
    ],
)
async def test_intent_and_outcome_are_recorded(
    inside: Inside, ends: Act | BaseException, code: int, outcome: str
) -> None:
    reply = await invoke(inside, Deed(ends))
    assert (reply.failure.code if reply.failure else reply.outcomes[0].exit_code) == code
    records = await inside.house.store.audit()
    assert [record.outcome for record in reversed(records)] == ["intent", outcome]
    assert len({record.request_id for record in records}) == 1
    if reply.outcomes:
        assert reply.outcomes[0].audit_seq == records[0].seq


async def test_what_cannot_be_recorded_is_not_done(inside: Inside) -> None:
    deed = Deed(Act("done"))
    await inside.house.store.close()
    reply = await invoke(inside, deed)
    assert reply.failure is not None
    assert deed.runs == 0


async def test_a_command_that_does_not_end_is_unknown(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr("console.watch.dispatch.RUN_TIMEOUT_S", 0.01)
    deed = Deed(Act("never"))

    async def run(house: Any, call: Call) -> Act:
        await asyncio.Event().wait()
        return Act("never")

    registry = Registry()
    registry.add(Command("deed", "test", "does it", mutates=True, run=run))
    reply = await Dispatcher(registry, inside.house).invoke(Invoke(1, "deed"), OPERATOR)
    assert reply.outcomes[0].status == "unknown"
    assert reply.outcomes[0].exit_code == ExitCode.UNVERIFIED
    assert [outcome for _, _, outcome in await inside.records()] == ["intent", "unknown"]
    assert deed.runs == 0


async def test_a_watch_that_ends_records_what_it_leaves_undone(inside: Inside) -> None:
    import asyncio

    began = asyncio.Event()

    async def run(house: Any, call: Call) -> Act:
        began.set()
        await asyncio.Event().wait()
        return Act("never")

    registry = Registry()
    registry.add(Command("deed", "test", "does it", mutates=True, run=run))
    dispatcher = Dispatcher(registry, inside.house)
    under_way = asyncio.create_task(dispatcher.invoke(Invoke(1, "deed"), OPERATOR))
    await began.wait()
    await dispatcher.close()
    assert under_way.cancelled()
    assert [outcome for _, _, outcome in await inside.records()] == ["intent", "unknown"]


async def test_a_later_target_that_changed_while_earlier_ones_ran_is_refused(inside: Inside) -> None:
    await prepared(inside)
    deed = Deed(Act("done"), acts_on="work")

    async def run(house: Any, call: Call) -> Act:
        deed.runs += 1
        deed.fact = "angry"  # what the first did changes what the second rests on
        return Act("done")

    registry = Registry()
    registry.add(Command("deed", "test", "does it", acts_on="work", mutates=True, plan=deed.plan, run=run))
    dispatcher = Dispatcher(registry, inside.house)
    reply = await dispatcher.invoke(Invoke(1, "deed", ("ready", "leased")), OPERATOR)
    assert [outcome.exit_code for outcome in reply.outcomes] == [0, 4]
    assert "mood of thing:1 was 'calm' and is now 'angry'" in reply.outcomes[1].message
    assert deed.runs == 1


async def test_secrets_in_arguments_stay_out_of_the_trail(inside: Inside) -> None:
    await inside.do("estop", reason="token=ghp_0123456789abcdefghijABCDEFGHIJ012345", confirmed="y")
    records = await inside.house.store.audit()
    assert records
    assert not any("ghp_0123456789" in record.args for record in records)


async def test_an_act_repeated_under_its_request_id_is_done_once(inside: Inside) -> None:
    import asyncio

    deed = Deed(Act("done"))
    registry = Registry()
    registry.add(deed.command)
    dispatcher = Dispatcher(registry, inside.house)
    request = Invoke(1, "deed", request_id="r1")
    first, second = await asyncio.gather(
        dispatcher.invoke(request, OPERATOR), dispatcher.invoke(request, OPERATOR)
    )
    third = await dispatcher.invoke(Invoke(9, "deed", request_id="r1"), OPERATOR)
    assert deed.runs == 1
    assert first.outcomes == second.outcomes == third.outcomes
    assert third.id == 9
    await dispatcher.invoke(Invoke(2, "deed", request_id="r2"), OPERATOR)
    assert deed.runs == 2


async def test_a_question_under_a_request_id_is_no_act_yet(inside: Inside) -> None:
    deed = Deed(Act("done"), danger=Danger.DISRUPTIVE)
    registry = Registry()
    registry.add(deed.command)
    dispatcher = Dispatcher(registry, inside.house)
    assert (await dispatcher.invoke(Invoke(1, "deed", request_id="r1"), OPERATOR)).confirm == "y"
    reply = await dispatcher.invoke(Invoke(1, "deed", request_id="r1", confirmed="y"), OPERATOR)
    assert reply.outcomes
    assert deed.runs == 1


async def test_a_repeated_request_gets_the_first_answer(inside: Inside) -> None:
    first = await inside.do("add-work", type="t", title="once", request_id="r1")
    again = await inside.do("add-work", type="t", title="once", request_id="r1")
    assert first.outcomes[0].data.id == again.outcomes[0].data.id
    assert inside.house.store.counts()["ready"] == 1  # type: ignore[index]
