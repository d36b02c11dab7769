"""From a key or a line to an outcome: get the plan, have it confirmed, run it, say how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from backends.model import Outcome, OutcomeStatus
from console.commands.registry import Command
from console.exit_codes import ExitCode
from console.wire import Failure, Reply

if TYPE_CHECKING:
    from console.app import WatchfloorApp

Weight = Literal["information", "warning", "error"]
_WEIGHT: dict[OutcomeStatus, Weight] = {
    OutcomeStatus.VERIFIED: "information",
    OutcomeStatus.UNKNOWN: "warning",
    OutcomeStatus.FAILED: "error",
}


class Actor:
    """Runs commands of the watch for one console."""

    def __init__(self, app: WatchfloorApp) -> None:
        self._app = app

    async def act(self, command: Command, targets: tuple[str, ...], args: dict[str, Any]) -> None:
        """Run ``command``; whatever happens is said on screen."""
        link = self._app.link
        reply = await link.invoke(command.id, targets, args)
        if reply.confirm:
            from console.screens.confirm import ConfirmScreen

            agreed = await self._app.push_screen_wait(
                ConfirmScreen(command, reply.plans, reply.confirm, ascii_only=self._app.ascii_only)
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
        if len(reply.outcomes) == 1 and self._is_long(command, reply.outcomes[0]):
            self._app.show_text(command.id, reply.outcomes[0].message)
            return
        self._app.forget_marks()
        for status in (OutcomeStatus.FAILED, OutcomeStatus.UNKNOWN, OutcomeStatus.VERIFIED):
            ended = [outcome for outcome in reply.outcomes if outcome.status is status]
            if ended:
                self._app.say(self._sentence(command, ended, len(reply.outcomes)), _WEIGHT[status])

    def _sentence(self, command: Command, ended: list[Outcome], asked: int) -> str:
        if asked == 1:
            return ended[0].message
        return f"{command.id}: {len(ended)} of {asked} {ended[0].status}; {ended[0].message}"

    def _is_long(self, command: Command, outcome: Outcome) -> bool:
        return not command.mutates and ("\n" in outcome.message or bool(command.table))

    def _fail(self, command: Command, failure: Failure) -> None:
        weight: Weight = "error" if failure.code != ExitCode.CONFLICT else "warning"
        self._app.say(f"{command.id}: {failure.message}", weight)
