"""Why the store refused. Every message names the thing, the reason and the next step."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """Base of everything the store refuses. Nothing was changed by the refused call."""


class Invalid(StoreError):
    """An argument is not what it must be."""


class NotFound(StoreError):
    """No such work item or agent."""


class Conflict(StoreError):
    """The state of the thing forbids it."""


class LeaseLost(StoreError):
    """The caller no longer holds the item: its writes must stop.

    ``current_fence`` is the fence of whoever holds it now; ``None`` when nobody does.
    """

    def __init__(self, item_id: str, current_fence: int | None, state: str) -> None:
        holds = "nobody holds it" if current_fence is None else f"fence {current_fence} holds it"
        super().__init__(
            f"lease of {item_id} is lost: it is {state} now and {holds}; drop this work and claim anew"
        )
        self.item_id = item_id
        self.current_fence = current_fence
        self.state = state

    def __reduce__(self) -> tuple[type[LeaseLost], tuple[str, int | None, str]]:
        return LeaseLost, (self.item_id, self.current_fence, self.state)


class Frozen(StoreError):
    """The emergency stop is in force: nothing new may start."""


class Closed(StoreError):
    """The store was closed before it could run this."""


class StoreUnusable(StoreError):
    """The file cannot be used as it is. ``reason`` is one short phrase per kind of failure."""

    reason = "unusable"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path}: {self.reason}: {detail}")
        self.path = path
        self.detail = detail


class ForeignFile(StoreUnusable):
    """Not a Watchfloor store. Left as it was found."""

    reason = "foreign file"


class Corrupt(StoreUnusable):
    """Damaged. Left as it was found."""

    reason = "corrupt"


class NewerSchema(StoreUnusable):
    """Written by a newer version. Left as it was found."""

    reason = "newer schema"


class DiskFull(StoreUnusable):
    """No room to write. What was acknowledged before is safe."""

    reason = "disk full"


class Unwritable(StoreUnusable):
    """No permission to write, or the medium refuses."""

    reason = "unwritable"


class Locked(StoreUnusable):
    """Another process holds the store."""

    reason = "in use"
