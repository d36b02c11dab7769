"""The last minutes of one figure, in even steps of time."""

from __future__ import annotations

from collections import deque

STEP_MS = 5_000
STEPS = 120


class History:
    """Means of ``STEPS`` steps of ``STEP_MS``, oldest first; the last one is the step now being filled.

    A step in which nothing was read is ``None``: a gap is shown as a gap.
    """

    def __init__(self) -> None:
        self._steps: deque[float | None] = deque(maxlen=STEPS)
        self._step = 0
        self._samples: list[float] = []

    def add(self, value: float | None, monotonic_ms: int) -> None:
        """Take in what was read at ``monotonic_ms``; times must not go back."""
        step = monotonic_ms // STEP_MS
        if not self._steps:
            self._step = step
            self._steps.append(None)
        elif step > self._step:
            self._steps.extend([None] * min(step - self._step, STEPS))
            self._step = step
            self._samples.clear()
        if value is not None:
            self._samples.append(value)
            self._steps[-1] = round(sum(self._samples) / len(self._samples), 1)

    def values(self) -> tuple[float | None, ...]:
        return tuple(self._steps)
