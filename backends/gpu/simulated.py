"""Two GPUs that do not exist, for the demo. Their VRAM follows the real memory of real processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from backends.clock import Clock, SystemClock
from backends.gpu.history import History
from backends.model import Gpu, GpuProcess, SourceState
from backends.picture import Reading

#: (pid, resident bytes, agent id) of the processes that the demo runs.
Workers = Callable[[], Sequence[tuple[int, int, str | None]]]

TOTAL_BYTES = 24 * 1024**3
RESERVED_BYTES = 512 * 1024**2

#: Simulated VRAM per byte of real memory: a worker of 40 MB looks like a model of 2.5 GB.
SCALE = 64

_GPUS = 2
_IDLE_W, _WATTS_PER_PCT = 30.0, 2.7
_IDLE_C, _PCT_PER_DEGREE = 34, 2


class SimulatedGpus:
    """Reads nothing from any driver. Every row is marked ``simulated``.

    A process is placed by its pid, so it stays on its GPU. VRAM = resident bytes x :data:`SCALE`, no more
    than the GPU has; utilisation, power and temperature follow from how full the GPU is.
    """

    source = "gpu"

    def __init__(self, host: str, workers: Workers, clock: Clock | None = None) -> None:
        self.host = host
        self._workers = workers
        self._clock = clock or SystemClock()
        self._histories = [(History(), History()) for _ in range(_GPUS)]

    def set_pace(self, interval_s: float, processes: bool) -> None:
        """Nothing to slow down: a reading costs nothing."""

    async def read(self) -> Reading:
        now_at = self._clock.now_ms()
        held: list[list[GpuProcess]] = [[] for _ in range(_GPUS)]
        for pid, rss_bytes, agent in self._workers():
            share = GpuProcess(pid, rss_bytes * SCALE, agent=agent)
            held[pid % _GPUS].append(share)
        rows = [self._row(index, tuple(processes), now_at) for index, processes in enumerate(held)]
        state = SourceState(
            host=self.host,
            source=self.source,
            ok=True,
            status="simulated",
            reason="these GPUs are simulated: their VRAM follows the memory of the demo's processes",
            observed_at=now_at,
        )
        return Reading(state, {"gpus": rows})

    async def close(self) -> None:
        """Nothing is held."""

    def _row(self, index: int, processes: tuple[GpuProcess, ...], now_at: int) -> Gpu:
        room = TOTAL_BYTES - RESERVED_BYTES
        used = min(room, sum(process.vram_bytes or 0 for process in processes))
        full_pct = round(100 * used / room)
        row = Gpu(
            id=f"{self.host}:SIM-{index}",
            host=self.host,
            index=index,
            name="Simulated GPU",
            uuid=f"SIM-{index}",
            observed_at=now_at,
            memory_total_bytes=TOTAL_BYTES,
            memory_used_bytes=used,
            memory_reserved_bytes=RESERVED_BYTES,
            utilisation_pct=full_pct,
            power_w=round(_IDLE_W + _WATTS_PER_PCT * full_pct, 1),
            power_limit_w=300.0,
            temperature_c=_IDLE_C + full_pct // _PCT_PER_DEGREE,
            throttle=(),
            processes=processes,
            unaccounted_bytes=0,
            simulated=True,
        )
        utilisation, memory = self._histories[index]
        utilisation.add(now_at, full_pct)
        memory.add(now_at, 100 * used / TOTAL_BYTES)
        return replace(row, utilisation_history=utilisation.values(), memory_history=memory.values())
