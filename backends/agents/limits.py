"""The numbers by which an agent is judged. The watch makes them from ``[agents]`` of config.toml."""

from __future__ import annotations

from msgspec import Struct


class Stall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long leased work may go without progress, in seconds."""

    warn_s: float = 15 * 60.0
    critical_s: float = 30 * 60.0

    def __post_init__(self) -> None:
        if not 0 < self.warn_s <= self.critical_s:
            raise ValueError(
                f"warn_s ({self.warn_s:g}) must be above 0 and at most critical_s ({self.critical_s:g})"
            )


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an agent counts as stalled, crash-looping, flapping or lost."""

    stall: Stall = Stall()
    stall_by_kind: dict[str, Stall] = {}  # by kind of work item; others use ``stall``
    crash_loop_starts: int = 3  # more restarts than this ...
    crash_loop_window_s: float = 60.0  # ... within this are a crash loop
    flap_changes: int = 3  # more changes into or out of trouble than this ...
    flap_window_s: float = 60.0  # ... within this are flapping
    unreachable_after_ttls: float = 4.0  # stale after one ttl without a heartbeat, unreachable after these
    busy_cpu_pct: float = 5.0  # a process nobody vouches for counts as working above this share of a core

    def stall_of(self, work_kind: str) -> Stall:
        """The limits for one kind of work."""
        return self.stall_by_kind.get(work_kind, self.stall)

    def __post_init__(self) -> None:
        if self.crash_loop_starts < 1 or self.flap_changes < 1:
            raise ValueError("crash_loop_starts and flap_changes must be at least 1")
        if self.crash_loop_window_s <= 0 or self.flap_window_s <= 0:
            raise ValueError("crash_loop_window_s and flap_window_s must be above 0")
        if self.unreachable_after_ttls < 1:
            raise ValueError("unreachable_after_ttls must be at least 1")
