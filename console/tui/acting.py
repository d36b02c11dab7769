"""From a key or a line to an outcome: get the plan, have it confirmed, run it, say how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from backends.model import Outcome, OutcomeStatus, Plan
from console.commands.registry import Command
from console.exit_codes import ExitCode
from console.wire import Failure, Reply

if TYPE_CHECKING:
    from console.tui.app import WatchfloorApp

Weight = Literal["information", "warning", "error"]
_WEIGHT: dict[OutcomeStatus, Weight] = {
    OutcomeStatus.VERIFIED: "information",
    OutcomeStatus.UNKNOWN: "warning",
    OutcomeStatus.FAILED: "error",
}


#: A longer answer gets a page of its own.
ONE_LINE = 150


def plan_text(plans: Sequence[Plan]) -> str:
    """What each plan would do, step by step, and why it could not run now."""
    lines = []
    for plan in plans:
        lines.append(f"{plan.command} {plan.target} ({plan.danger})".replace("  ", " "))
        lines += [f"  would {step}" for step in plan.steps]
        if plan.refusal:
            lines.append(f"  cannot run now: {plan.refusal}")
    return "\n".join(lines)


def _rows(table: str, data: Any) -> list[Any]:
    """The rows in the data of a listing, as nouns."""
    from console.wire import rows_of

    rows = data.get("rows") if isinstance(data, dict) else data
    return rows_of(table, rows) if rows else []


class Actor:
    """Runs commands of the watch for one console."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app

    async def act(
        self, command: Command, targets: tuple[str, ...], args: dict[str, Any], *, dry_run: bool = False
    ) -> None:
        """Run ``command``; whatever happens is said on screen. A dry run shows the plan and stops."""
        link = self._app.link
        reply = await link.invoke(command.id, targets, args, dry_run=dry_run)
        if dry_run and reply.failure is None:
            self._app.pages.text(f"{command.id}: what would happen", plan_text(reply.plans))
            return
        if reply.confirm:
            from console.tui.screens.confirm import ConfirmScreen

            agreed = await self._app.push_screen_wait(
                ConfirmScreen(
                    command,
                    reply.plans,
                    reply.confirm,
                    trigger=self._app.last_key,
                    ascii_only=self._app.ascii_only,
                    monotonic_ms=self._app.clock.monotonic_ms,
                )
            )
            if not agreed:
                self._app.say(f"{command.id}: not confirmed, nothing was changed")
                return
            plan_ids = tuple(plan.id for plan in reply.plans)
            reply = await link.invoke(command.id, targets, args, plan_ids=plan_ids, confirmed=reply.confirm)
        self._report(command, reply)

    def _report(self, command: Command, reply: Reply) -> None:
        if reply.failure is not None:
            self._fail(command, reply.failure)
            return
        if len(reply.outcomes) == 1 and not command.mutates:
            self._answer(command, reply.outcomes[0])
            return
        if (table := self._app.floor.table) is not None:
            table.clear_marks()
        for status in (OutcomeStatus.FAILED, OutcomeStatus.UNKNOWN, OutcomeStatus.VERIFIED):
            ended = [outcome for outcome in reply.outcomes if outcome.status is status]
            if ended:
                self._app.say(self._sentence(command, ended, len(reply.outcomes)), _WEIGHT[status])

    def _sentence(self, command: Command, ended: list[Outcome], asked: int) -> str:
        if asked == 1:
            return ended[0].message
        return f"{command.id}: {len(ended)} of {asked} {ended[0].status}; {ended[0].message}"

    def _answer(self, command: Command, outcome: Outcome) -> None:
        """What a command that only looks has found: rows, a page of text, or one line."""
        message = outcome.message
        if command.table and (rows := _rows(command.table, outcome.data)):
            from console.cli.listing import table_text

            self._app.pages.text(f"{command.id}: {message}", table_text(command.table, rows))
        elif "\n" in message or len(message) > ONE_LINE:
            self._app.pages.text(command.id, message)
        else:
            self._app.say(message, "warning" if outcome.exit_code else "information")

    def _fail(self, command: Command, failure: Failure) -> None:
        weight: Weight = "error" if failure.code != ExitCode.CONFLICT else "warning"
        self._app.say(f"{command.id}: {failure.message}", weight)
