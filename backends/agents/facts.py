"""Everything known about one agent, before anything is concluded from it."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from backends.agents.declared import DeclaredAgent
from backends.agents.limits import Limits
from backends.model import Process, Registration, WorkItem


class Check(Struct, frozen=True):
    """What one probe of a declared agent said."""

    way: str  # "command", "unit", "pid_file", "port", "health_url"
    ok: bool | None  # None: could not be asked, or a first failure that wants a second opinion
    says: str
    observed_at: int


class Unit(Struct, frozen=True):
    """A systemd unit as ``systemctl show`` describes it."""

    name: str
    load: str  # "loaded", "not-found", "masked" ...
    active: str  # "active", "inactive", "failed", "activating", "deactivating", "reloading"
    sub: str  # "running", "dead", "auto-restart" ...
    main_pid: int | None
    restarts: int | None
    result: str  # "success", "exit-code", "signal", "oom-kill", "start-limit-hit", "timeout" ...
    exit_status: int | None  # exit code, or the signal when ``killed``
    killed: bool = False  # the main process ended by a signal


class ProbeReport(Struct, frozen=True):
    """What all probes of one declared agent said together."""

    name: str
    observed_at: int
    running: bool | None  # None: cannot tell
    responding: bool | None = None  # port and health probes; None: none declared, or cannot tell
    pids: tuple[int, ...] = ()  # its root processes
    abandoned_pid_file: bool = False  # names a process that is gone: it did not end in order
    unit: Unit | None = None
    checks: tuple[Check, ...] = ()


class Discovery(Struct, frozen=True):
    """An agent recognised in the process table."""

    id: str
    kind: str
    name: str
    pids: tuple[int, ...]  # its root processes
    team: str = ""
    rule: str = ""  # which rule recognised it


class Session(Struct, frozen=True):
    """What a Claude Code process says of itself in its session registry."""

    pid: int
    start_ticks: int | None  # guards against a reused pid
    status: str  # "idle", "busy", "shell", ""
    observed_at: int
    status_at: int | None = None
    name: str = ""
    cwd: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The input of :func:`backends.agents.derive.derive`."""

    id: str
    host: str
    limits: Limits
    registration: Registration | None = None
    declared: DeclaredAgent | None = None
    probe: ProbeReport | None = None
    discovery: Discovery | None = None
    session: Session | None = None
    roots: tuple[Process, ...] = ()  # its own processes, alive now
    tree: tuple[Process, ...] = ()  # those and what they started, other agents' processes left out
    processes_at: int | None = None  # when the process table was read; None: not readable here
    processes_stale: bool = False  # that was too long ago
    gone_at: int | None = None  # when its registered process was found missing
    was_running: bool = False  # this watch saw it run before
    stopped_by: str | None = None  # an operator stopped it, and it has not run since ...
    stopped_at: int = 0  # ... this instant
    leases: tuple[WorkItem, ...] = ()
    vram_bytes: int | None = None
    starts: tuple[int, ...] = ()  # recent restarts, oldest first
    restarts: int | None = None
    changes: tuple[int, ...] = ()  # recent changes into or out of trouble, oldest first
    last_exit: str | None = None  # how it ended last time, as a cause: "exit-1", "signal-9", "oom"

    @property
    def contact_at(self) -> int | None:
        """Last word from the agent itself: a heartbeat, or one that came with its work."""
        spoken = [item.heartbeat_at for item in self.leases if item.heartbeat_at is not None]
        if self.registration is not None and self.registration.heartbeat_at is not None:
            spoken.append(self.registration.heartbeat_at)
        return max(spoken, default=None)

    @property
    def ttl_ms(self) -> int:
        """How long its word is good for."""
        if self.registration is not None:
            return self.registration.ttl_ms
        return max((item.lease_ms or 0 for item in self.leases), default=0) or 15_000

    @property
    def current_work(self) -> WorkItem | None:
        """The leased item that moved last."""
        return max(self.leases, key=progressed_at, default=None)


def progressed_at(item: WorkItem) -> int:
    """When an item last moved: progress, or being claimed."""
    return max(item.progress_at or 0, item.claimed_at or 0) or item.created_at
