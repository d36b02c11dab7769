"""How an act on a process or unit ended, and why one was not even tried."""

from __future__ import annotations

from typing import Literal

from backends.model import Noun, OutcomeStatus


class Act(Noun, frozen=True):
    """What was seen after the act. ``unknown``: neither success nor failure could be seen in time."""

    status: OutcomeStatus
    message: str


Why = Literal["gone", "protected", "denied"]


class Refused(Exception):
    """Nothing was done. The text is for the operator; ``why`` is for the program.

    gone: the process ended, or its pid has another owner now; protected: it may never be signalled;
    denied: the operating system does not let us.
    """

    def __init__(self, why: Why, reason: str) -> None:
        super().__init__(reason)
        self.why = why


def verified(message: str) -> Act:
    return Act(OutcomeStatus.VERIFIED, message)


def failed(message: str) -> Act:
    return Act(OutcomeStatus.FAILED, message)


def unknown(message: str) -> Act:
    return Act(OutcomeStatus.UNKNOWN, message)
