"""Opt-in check on a machine with a real NVIDIA driver: ``python -m pytest -s tests/device``.

Prints what every GPU says and what asking costs, so that figures from real hardware can be compared with the
limits that the stub driver cannot test.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.gpu import GpuReader
from backends.gpu.probe.library import LIBRARY_VARIABLE, Trouble, load

FRAMES = 20
DRIVER_MS_PER_GPU = 6.0
PROBE_CORE_SHARE = 0.005


@pytest.fixture(autouse=True)
def needs_driver() -> None:
    try:
        load(os.environ.get(LIBRARY_VARIABLE))
    except Trouble:
        pytest.skip("no NVIDIA driver on this machine")


def cpu_s(process: Path) -> float:
    return (
        sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir()) / 1e9
    )


async def test_real_gpus_tell_the_truth_at_little_cost() -> None:
    reader = GpuReader("here")
    try:
        first = await reader.read()
        assert first.state.ok, first.state
        assert first.tables["gpus"], first.state
        probe = Path(f"/proc/{reader.probe_pid}")
        before, costs = cpu_s(probe), []
        for _ in range(FRAMES):
            reading = await reader.read()
            assert reading.state.ok, reading.state
            assert reading.state.cost_ms is not None
            costs.append(reading.state.cost_ms)
        share = (cpu_s(probe) - before) / FRAMES
        resident = next(
            line for line in (probe / "status").read_text().splitlines() if line.startswith("VmRSS")
        )
    finally:
        await reader.close()

    gpus = reading.tables["gpus"]
    for gpu in gpus:
        print()
        for field in gpu.__struct_fields__:
            print(f"  {field:24} {getattr(gpu, field)!r}")
        assert gpu.uuid
        assert gpu.memory_total_bytes
        assert gpu.memory_used_bytes is None or gpu.memory_used_bytes <= gpu.memory_total_bytes
    mean = sum(costs) / len(costs) / len(gpus)
    print(f"\n  driver time per GPU and frame: mean {mean:.2f} ms, most {max(costs) / len(gpus):.2f} ms")
    print(f"  probe: {share * 100:.2f} % of a core at 1 Hz, {resident}")
    assert mean <= DRIVER_MS_PER_GPU
    assert share <= PROBE_CORE_SHARE * max(1, len(gpus) / 8) + mean * len(gpus) / 1000
