"""The named fields of each table: what a filter may ask for and a view may sort by.

A field's name is the word on screen (``progress``), its attribute the one in :mod:`backends.model`
(``progress_at``). Panes, the CLI and the filter language all use the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any


class Kind(Enum):
    """How a field's values are written in a filter, and compared."""

    TEXT = "text"
    NUMBER = "number"
    BYTES = "bytes"  # 8G, 512M
    AGE = "age"  # a past instant: age>15m
    LEFT = "left"  # a coming instant: lease<1m


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``get`` reads it from a row; ``None`` means unknown."""

    name: str
    kind: Kind
    attribute: str
    get: Callable[[Any], Any]


def _fields(**kinds: tuple[Kind, str]) -> dict[str, Field]:
    return {
        name: Field(name, kind, attribute, attrgetter(attribute)) for name, (kind, attribute) in kinds.items()
    }


def _joined(name: str, attribute: str) -> Field:
    values = attrgetter(attribute)
    return Field(name, Kind.TEXT, attribute, lambda row: ",".join(values(row)))


T, N, B, A, L = Kind.TEXT, Kind.NUMBER, Kind.BYTES, Kind.AGE, Kind.LEFT

#: Field by name, for each table.
FIELDS: Mapping[str, Mapping[str, Field]] = {
    "agents": {
        **_fields(
            id=(T, "id"), agent=(T, "name"), host=(T, "host"), reach=(T, "reach"), activity=(T, "activity"),
            cause=(T, "cause"), urgency=(N, "urgency"), kind=(T, "kind"), team=(T, "team"),
            layer=(T, "layer"), work=(T, "work_id"), pct=(N, "work_pct"), lease=(L, "lease_until"),
            progress=(A, "progress_at"), heartbeat=(A, "heartbeat_at"), age=(A, "started_at"),
            since=(A, "since_at"), cpu=(N, "cpu_pct"), rss=(B, "rss_bytes"), vram=(B, "vram_bytes"),
            restarts=(N, "restarts"), note=(T, "note"),
        ),
        "source": _joined("source", "sources"),
    },
    "work": _fields(
        id=(T, "id"), queue=(T, "queue"), type=(T, "kind"), title=(T, "title"), state=(T, "state"),
        priority=(N, "priority"), holder=(T, "holder"), pct=(N, "progress_pct"), lease=(L, "lease_until"),
        attempts=(N, "attempt"), age=(A, "created_at"), progress=(A, "progress_at"),
        claimed=(A, "claimed_at"), finished=(A, "finished_at"), unblocks=(N, "unblocks"),
        reason=(T, "reason"), error=(T, "last_error"), run=(L, "run_at"),
    ),
    "gpus": _fields(
        id=(T, "id"), gpu=(N, "index"), host=(T, "host"), name=(T, "name"), status=(T, "status"),
        used=(B, "memory_used_bytes"), total=(B, "memory_total_bytes"), util=(N, "utilisation_pct"),
        power=(N, "power_w"), temp=(N, "temperature_c"),
    ),
    "processes": _fields(
        id=(T, "id"), pid=(N, "ref.pid"), host=(T, "host"), name=(T, "name"), command=(T, "command"),
        user=(T, "user"), state=(T, "state"), cpu=(N, "cpu_pct"), rss=(B, "rss_bytes"),
        vram=(B, "vram_bytes"), age=(A, "started_at"), agent=(T, "agent"),
    ),
    "hosts": _fields(
        id=(T, "id"), reach=(T, "reach"), cpu=(N, "cpu_pct"), memory=(B, "memory_used_bytes"),
        load=(N, "load_1m"), age=(A, "boot_at"),
    ),
    "worktrees": _fields(
        id=(T, "id"), name=(T, "name"), repository=(T, "repository"), branch=(T, "branch"),
        ahead=(N, "ahead"), behind=(N, "behind"), staged=(N, "staged"), dirty=(N, "dirty"),
        untracked=(N, "untracked"), stashes=(N, "stashes"), age=(A, "committed_at"), error=(T, "error"),
    ),
    "copies": {
        **_fields(id=(T, "id"), name=(T, "name"), size=(B, "size_bytes"), repositories=(N, "repositories")),
        "paths": _joined("paths", "paths"),
    },
    "findings": _fields(
        id=(T, "id"), severity=(T, "severity"), category=(T, "category"), subject=(T, "subject"),
        kind=(T, "subject_kind"), statement=(T, "statement"), since=(A, "since_at"),
    ),
    "audit": _fields(
        seq=(N, "seq"), actor=(T, "actor"), door=(T, "door"), command=(T, "command"), target=(T, "target"),
        outcome=(T, "outcome"), message=(T, "message"),
    ),
}  # fmt: skip

#: Fields that a bare word searches, for each table.
SEARCHED: Mapping[str, tuple[str, ...]] = {
    "agents": ("id", "agent", "host", "reach", "activity", "cause", "kind", "team", "layer", "work", "note"),
    "work": ("id", "title", "type", "holder", "state", "error"),
    "gpus": ("id", "name", "status", "host"),
    "processes": ("name", "command", "user", "agent"),
    "hosts": ("id", "reach"),
    "worktrees": ("id", "name", "branch", "error"),
    "copies": ("name", "paths"),
    "findings": ("category", "subject", "statement", "severity"),
    "audit": ("actor", "door", "command", "target", "outcome", "message"),
}
