"""What is asked of one GPU, and how often: cheap calls at each beat, dear ones seldom.

Every call takes the driver's global lock, so polling costs the workload; the process list alone costs a
thousand times what utilisation costs.
"""

from __future__ import annotations

from typing import Any

from backends.gpu.probe.device import Device
from backends.gpu.probe.processes import ProcessNames, ProcessUtilisation, running

MEDIUM_S = 2.0
SLOW_S = 10.0
_SLACK_S = 0.1  # a beat that comes a little early still counts

_MEMORY_V2 = 0x02000028
_CLOCK_SM, _CLOCK_MEMORY = 1, 2
_TEMPERATURE_GPU = 0
_UNCORRECTED, _VOLATILE = 1, 0
_FIELD_MEMORY_TEMPERATURE = 82
_FIELD_RECOVERY_ACTION = 230
_PSTATE_UNKNOWN = 32

Values = dict[str, Any]


class Sampler:
    """Everything known of one GPU, refreshed tier by tier."""

    def __init__(self, device: Device, names: ProcessNames, root: str, processes_are_right: bool) -> None:
        self._device = device
        self._names = names
        self._root = root
        self._processes_are_right = processes_are_right
        self._utilisation = ProcessUtilisation()
        self._medium_at = self._slow_at = float("-inf")
        self._had_processes = False
        self.values: Values = self._static()

    def sample(self, now_s: float, processes: bool) -> Values:
        """All values, after asking what is due at ``now_s``. Raises :class:`~.device.GpuGone`."""
        values = self.values
        if now_s - self._slow_at >= SLOW_S - _SLACK_S:
            values.update(self._slow())
            self._slow_at = now_s
        values.update(self._fast())
        medium_due = now_s - self._medium_at >= MEDIUM_S - _SLACK_S
        if medium_due:
            values.update(self._medium())
            self._medium_at = now_s
        if not processes:
            values["processes"] = None
        elif medium_due or not self._had_processes:
            values["processes"] = self._processes(now_s)
        self._had_processes = processes
        return values

    def _static(self) -> Values:
        ask = self._device.ask
        return {
            "uuid": _text(ask("nvmlDeviceGetUUID")),
            "name": _text(ask("nvmlDeviceGetName")),
            "sm_clock_max": ask("nvmlDeviceGetMaxClockInfo", _CLOCK_SM),
        }

    def _fast(self) -> Values:
        ask = self._device.ask
        rates = ask("nvmlDeviceGetUtilizationRates")
        return {
            **self._memory(),
            "utilisation": None if rates is None else int(rates.gpu),
            "memory_busy": None if rates is None else int(rates.memory),
            "power_mw": ask("nvmlDeviceGetPowerUsage"),
            "temperature": ask("nvmlDeviceGetTemperature", _TEMPERATURE_GPU),
        }

    def _memory(self) -> Values:
        """Second version first: it keeps the driver's own reserve apart from what is used."""
        ask = self._device.ask
        memory = ask("nvmlDeviceGetMemoryInfo", _MEMORY_V2)
        reserved = None if memory is None else int(memory.reserved)
        if memory is None:
            memory = ask("nvmlDeviceGetMemoryInfo")
        if memory is not None and memory.total:
            return _memory(int(memory.total), int(memory.used), reserved, unified=False)
        if (memory is not None or self._device.not_supported) and not self.values.get("mig"):
            total, used = host_memory(self._root)
            return _memory(total, used, None, unified=True)
        return _memory(None, None, None, unified=False)

    def _medium(self) -> Values:
        ask = self._device.ask
        reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:
            reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        pstate = ask("nvmlDeviceGetPerformanceState")
        return {
            "sm_clock": ask("nvmlDeviceGetClockInfo", _CLOCK_SM),
            "memory_clock": ask("nvmlDeviceGetClockInfo", _CLOCK_MEMORY),
            "reasons": reasons,
            "pstate": None if pstate == _PSTATE_UNKNOWN else pstate,
            "memory_temperature": self._device.field(_FIELD_MEMORY_TEMPERATURE),
            "mig_instances": self._mig_instances() if self.values.get("mig") else [],
        }

    def _processes(self, now_s: float) -> list[Values] | None:
        rows = running(self._device) if self._processes_are_right else None
        if rows is None:
            return None
        shares = self._utilisation.read(self._device) if rows else None
        out = []
        for pid, vram, kind in rows:
            user, command = self._names.of(pid, now_s)
            sm = None if shares is None else shares.get(pid)
            out.append({"pid": pid, "vram": vram, "kind": kind, "user": user, "command": command, "sm": sm})
        return out

    def _slow(self) -> Values:
        ask = self._device.ask
        mode = ask("nvmlDeviceGetMigMode")
        mig = None if mode is None else bool(mode[0])
        if mig is not None and self.values.get("mig") not in (None, mig):
            self._device.forget_what_it_cannot()  # MIG decides what the whole GPU can answer
        self.values["mig"] = mig
        remapped = ask("nvmlDeviceGetRemappedRows")
        return {
            "mig": mig,
            "ecc": ask("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _VOLATILE),
            "remapped_pending": None if remapped is None else bool(remapped[2]),
            "remapped_failure": None if remapped is None else bool(remapped[3]),
            "recovery": self._device.field(_FIELD_RECOVERY_ACTION),
            "fan": ask("nvmlDeviceGetFanSpeed"),
            "power_limit_mw": ask("nvmlDeviceGetEnforcedPowerLimit"),
        }

    def _mig_instances(self) -> list[Values]:
        device, found = self._device, []
        for index in range(device.ask("nvmlDeviceGetMaxMigDeviceCount") or 0):
            instance = device.ask("nvmlDeviceGetMigDeviceHandleByIndex", index)
            if instance is None:
                continue
            memory = device.ask("nvmlDeviceGetMemoryInfo", on=instance)
            found.append(
                {
                    "uuid": _text(device.ask("nvmlDeviceGetUUID", on=instance)),
                    "name": _text(device.ask("nvmlDeviceGetName", on=instance)),
                    "used": None if memory is None else int(memory.used),
                    "total": None if memory is None else int(memory.total),
                }
            )
        return found


def host_memory(root: str) -> tuple[int | None, int | None]:
    """(total, used) bytes of the machine's own memory: what a GPU with unified memory shares."""
    found: dict[str, int] = {}
    try:
        with open(f"{root.rstrip('/')}/proc/meminfo", encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name in ("MemTotal", "MemAvailable"):
                    found[name] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return None, None
    total, available = found.get("MemTotal"), found.get("MemAvailable")
    return total, None if total is None or available is None else total - available


def _memory(total: int | None, used: int | None, reserved: int | None, *, unified: bool) -> Values:
    return {"memory_total": total, "memory_used": used, "memory_reserved": reserved, "unified": unified}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
