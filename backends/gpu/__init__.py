"""GPUs as their driver describes them, read by a child process that is abandoned when the driver hangs.

Front door: :class:`GpuReader` (real GPUs through NVML) and :class:`SimulatedGpus` (for the demo). Both load
on first use: the probe, a child that must stay small, passes through this package on its way to its own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backends.gpu.reader import GpuReader as GpuReader
    from backends.gpu.simulated import SimulatedGpus as SimulatedGpus

__all__ = ["GpuReader", "SimulatedGpus"]


def __getattr__(name: str) -> object:
    if name == "GpuReader":
        from backends.gpu.reader import GpuReader

        return GpuReader
    if name == "SimulatedGpus":
        from backends.gpu.simulated import SimulatedGpus

        return SimulatedGpus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
