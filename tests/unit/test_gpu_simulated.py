"""The demo's GPUs follow real memory and never pass for real."""

from __future__ import annotations

from backends.clock import ManualClock
from backends.gpu import SimulatedGpus
from backends.gpu.simulated import RESERVED_BYTES, SCALE, TOTAL_BYTES

MIB = 1024**2


async def test_vram_follows_the_memory_of_the_processes() -> None:
    workers: list[tuple[int, int, str | None]] = [(100, 40 * MIB, "builder"), (101, 30 * MIB, None)]
    reader = SimulatedGpus("h", lambda: workers, ManualClock())
    first, second = (await reader.read()).tables["gpus"]
    assert first.memory_used_bytes == 40 * MIB * SCALE
    assert second.memory_used_bytes == 30 * MIB * SCALE
    assert [(p.pid, p.agent) for p in first.processes] == [(100, "builder")]

    workers[0] = (100, 80 * MIB, "builder")
    first, _ = (await reader.read()).tables["gpus"]
    assert first.memory_used_bytes == 80 * MIB * SCALE


async def test_every_row_and_the_source_say_simulated() -> None:
    reading = await SimulatedGpus("h", list, ManualClock()).read()
    assert len(reading.tables["gpus"]) == 2
    assert all(gpu.simulated and "Simulated" in gpu.name for gpu in reading.tables["gpus"])
    assert reading.state.ok
    assert reading.state.status == "simulated"


async def test_a_leak_fills_the_gpu_and_no_more() -> None:
    reader = SimulatedGpus("h", lambda: [(2, 64 * 1024 * MIB, None)], ManualClock())
    full, _ = (await reader.read()).tables["gpus"]
    assert full.memory_used_bytes == TOTAL_BYTES - RESERVED_BYTES
    assert full.utilisation_pct == 100
