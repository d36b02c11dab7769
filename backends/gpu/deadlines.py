"""How long the probe may be silent before its data is old, and before it is given up."""

from __future__ import annotations

from typing import NamedTuple

HUNG_MS = 10_000
RETRY_MS = 60_000


class Deadlines(NamedTuple):
    """Milliseconds since the probe's last sign of life."""

    stale_ms: int
    hung_ms: int

    @classmethod
    def at(cls, interval_s: float) -> Deadlines:
        """Three beats until stale, ten seconds until hung; both give way when the beats are slow.

        >>> Deadlines.at(1.0)
        Deadlines(stale_ms=3000, hung_ms=10000)
        >>> Deadlines.at(5.0)
        Deadlines(stale_ms=8000, hung_ms=10000)
        """
        interval_ms = int(interval_s * 1000)
        hung_ms = max(HUNG_MS, 2 * interval_ms)
        return cls(min(3 * interval_ms, hung_ms * 8 // 10), hung_ms)
