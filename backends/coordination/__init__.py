"""Work queue, agents, events and audit trail of one watch, in one SQLite file. Front door of the room."""

from backends.coordination import operations
from backends.coordination.errors import (
    Closed,
    Conflict,
    Corrupt,
    DiskFull,
    ForeignFile,
    Frozen,
    Invalid,
    LeaseLost,
    Locked,
    NewerSchema,
    NotFound,
    StoreError,
    StoreUnusable,
    Unwritable,
)
from backends.coordination.nouns import (
    AuditState,
    Beat,
    BeatReply,
    Caller,
    Commit,
    DeadGroup,
    EmergencyStop,
    NewWork,
    Swept,
)
from backends.coordination.store import Store

__all__ = [
    "AuditState",
    "Beat",
    "BeatReply",
    "Caller",
    "Closed",
    "Commit",
    "Conflict",
    "Corrupt",
    "DeadGroup",
    "DiskFull",
    "EmergencyStop",
    "ForeignFile",
    "Frozen",
    "Invalid",
    "LeaseLost",
    "Locked",
    "NewWork",
    "NewerSchema",
    "NotFound",
    "Store",
    "StoreError",
    "StoreUnusable",
    "Swept",
    "Unwritable",
    "operations",
]
