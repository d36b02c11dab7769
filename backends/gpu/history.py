"""The last ten minutes of one figure, as means over steps of five seconds."""

from __future__ import annotations

from collections import deque

STEP_MS = 5_000
STEPS = 120


class History:
    """Means per step, oldest first. A step nobody read, or that could not be read, is ``None``."""

    def __init__(self, step_ms: int = STEP_MS, steps: int = STEPS) -> None:
        self._step_ms = step_ms
        self._closed: deque[float | None] = deque(maxlen=steps - 1)
        self._step: int | None = None
        self._sum = 0.0
        self._count = 0

    def add(self, at_ms: int, value: float | None) -> None:
        """Take in what was read at ``at_ms`` (any clock that does not go back)."""
        step = at_ms // self._step_ms
        if self._step is None:
            self._step = step
        if step > self._step:
            self._closed.append(self._mean())
            missed = step - self._step - 1
            self._closed.extend([None] * min(missed, self._closed.maxlen or 0))
            self._step, self._sum, self._count = step, 0.0, 0
        if value is not None:
            self._sum += value
            self._count += 1

    def values(self) -> tuple[float | None, ...]:
        """All steps, the last one still growing; empty before the first reading."""
        return () if self._step is None else (*self._closed, self._mean())

    def _mean(self) -> float | None:
        return round(self._sum / self._count, 1) if self._count else None
