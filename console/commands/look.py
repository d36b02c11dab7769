"""Commands that only look: listings, explanations, the health score, the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from backends.model import View
from backends.units import count_words, duration_words
from console.commands.columns import aligned
from console.commands.registry import Act, Call, Command, CommandError, Params
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.watch.house import House


#: Of a group of dead items: so much of its error and so many of its ids are shown.
ERROR_WIDTH = 60
SAMPLES = 3


async def status(house: House, call: Call) -> Act:
    data = house.status()
    return Act(data["line"], data=data)


async def health(house: House, call: Call) -> Act:
    score = house.health()
    lost = "; ".join(f"-{deduction.points} {deduction.reason}" for deduction in score.deductions)
    return Act(f"{score.score}/100" + (f": {lost}" if lost else ": nothing is wrong"), data=score)


async def metrics(house: House, call: Call) -> Act:
    data = house.metrics()
    return Act("\n".join(f"{name} {value}" for name, value in sorted(data.items())), data=data)


class ListRows(Params, frozen=True):
    filter: Annotated[str, Meta(description="such as 'state:dead age>15m'")] = ""
    sort: Annotated[str, Meta(description="field, '-field' for descending")] = ""
    limit: Annotated[int, Meta(description="at most this many rows", ge=1, le=100_000)] = 200
    start: Annotated[int, Meta(description="skip this many rows", ge=0)] = 0


async def _list(house: House, table: str, params: ListRows) -> Act:
    from backends.fields import FIELDS
    from backends.filter import FilterError

    sort = params.sort.removeprefix("-")
    if sort and sort not in FIELDS[table]:
        raise CommandError(ExitCode.USAGE, f"no field '{sort}'; known: {' '.join(FIELDS[table])}")
    view = View(table, params.filter, sort, params.sort.startswith("-"), params.start, params.limit)
    try:
        window = await house.window(view)
    except FilterError as error:
        raise CommandError(ExitCode.USAGE, str(error)) from None
    shown = f"{len(window.rows)} of {window.total}"
    return Act(shown, data={"rows": window.rows, "total": window.total, "counts": window.counts})


async def list_agents(house: House, call: Call) -> Act:
    return await _list(house, "agents", call.params)


async def list_work(house: House, call: Call) -> Act:
    return await _list(house, "work", call.params)


async def list_gpus(house: House, call: Call) -> Act:
    return await _list(house, "gpus", call.params)


async def list_processes(house: House, call: Call) -> Act:
    return await _list(house, "processes", call.params)


async def list_worktrees(house: House, call: Call) -> Act:
    return await _list(house, "worktrees", call.params)


async def list_copies(house: House, call: Call) -> Act:
    return await _list(house, "copies", call.params)


async def problems(house: House, call: Call) -> Act:
    return await _list(house, "findings", call.params)


async def dead(house: House, call: Call) -> Act:
    from backends.text import clean

    groups = await house.store.dead_groups()
    if not groups:
        return Act("no dead items", data=groups)
    now = house.clock.now_ms()
    lines = [("COUNT", "REASON", "ERROR", "OLDEST", "ITEMS")]
    lines += [
        (
            str(group.count),
            clean(group.reason, 30) or "-",
            clean(group.error, ERROR_WIDTH) or "-",
            duration_words(max(0, now - group.oldest_at)),
            " ".join(group.sample_ids[:SAMPLES]) + (" …" if group.count > SAMPLES else ""),
        )
        for group in groups
    ]
    total = f"{count_words(sum(g.count for g in groups), 'dead item')} in {count_words(len(groups), 'group')}"
    return Act(f"{aligned(lines)}\n{total}", data=groups)


async def explain(house: House, call: Call) -> Act:
    explanation = await house.explain(call.target)
    lines = [f"{explanation.subject}: {explanation.verdict}"]
    lines += [f"  {'*' if e.won else '-'} {e.source}: {e.says}" for e in explanation.evidence]
    if explanation.next_step:
        lines.append(f"  next: {explanation.next_step}")
    return Act("\n".join(lines), data=explanation)


class Logs(Params, frozen=True):
    lines: Annotated[int, Meta(description="the last N lines", ge=1, le=10_000)] = 100


async def logs(house: House, call: Call) -> Act:
    text = await house.log_tail(call.target, call.params.lines)
    return Act(text, data=text)


class Audit(Params, frozen=True):
    verify: Annotated[bool, Meta(description="check the chain; name the first bad record")] = False
    limit: Annotated[int, Meta(description="the last N records", ge=1, le=100_000)] = 50
    filter: Annotated[str, Meta(description="such as 'command=cancel actor:alice'")] = ""


async def audit(house: House, call: Call) -> Act:
    from backends.filter import FilterError

    params: Audit = call.params
    if params.verify:
        state = await house.store.verify_audit()
        if state.bad_seq is not None:
            words = f"the chain breaks at record {state.bad_seq}: {state.reason}"
            return Act(words, exit_code=ExitCode.FAILED, data=state)
        return Act(
            f"{state.records} records and {state.checkpoints} checkpoints; the chain holds", data=state
        )
    try:
        records = await house.store.audit(params.limit, params.filter)
    except FilterError as error:
        raise CommandError(ExitCode.USAGE, str(error)) from None
    return Act(f"{count_words(len(records), 'record')}, newest first", data=records)


async def doctor(house: House, call: Call) -> Act:
    checks = house.doctor()
    bad = [check for check in checks if not check["ok"]]
    lines = [f"{'ok  ' if check['ok'] else 'FAIL'} {check['what']}: {check['says']}" for check in checks]
    code = ExitCode.FAILED if bad else ExitCode.OK
    return Act("\n".join(lines), data=checks, exit_code=code)


FAMILY = "look"

COMMANDS = (
    Command("status", FAMILY, "the watch, its sources and totals", run=status),
    Command("health", FAMILY, "a 0-100 score whose every deduction is listed", run=health),
    Command("metrics", FAMILY, "counters and figures of the watch, one a line", run=metrics),
    Command("list-agents", FAMILY, "agents, most urgent first", ListRows, table="agents", run=list_agents),
    Command("list-work", FAMILY, "work items, most urgent first", ListRows, table="work", run=list_work),
    Command("list-gpus", FAMILY, "GPUs", ListRows, table="gpus", run=list_gpus),
    Command("list-processes", FAMILY, "processes", ListRows, table="processes", run=list_processes),
    Command("list-worktrees", FAMILY, "git worktrees", ListRows, table="worktrees", run=list_worktrees),
    Command("list-copies", FAMILY, "identical scripts", ListRows, table="copies", run=list_copies),
    Command("problems", FAMILY, "what is wrong now, most urgent first", ListRows, table="findings",
            run=problems),
    Command("dead", FAMILY, "dead work items grouped by cause", run=dead),
    Command("explain", FAMILY, "why a row shows what it shows", acts_on="any", key="e", run=explain),
    Command("logs", FAMILY, "the end of an agent's log, or of the watch's own", Logs, acts_on="any",
            target_optional=True, key="l", run=logs),
    Command("audit", FAMILY, "who did what, and whether the record holds", Audit, table="audit", run=audit),
    Command("doctor", FAMILY, "check that everything the watch needs is there", run=doctor),
)  # fmt: skip
