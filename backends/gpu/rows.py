"""From the probe's frames to :class:`~backends.model.Gpu` rows. What is missing stays missing."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from backends.gpu import words
from backends.gpu.history import History
from backends.gpu.protocol import Frame, GpuPart, MigPart, ProcessPart
from backends.model import Gpu, GpuProcess, MigInstance
from backends.text import clean, clean_optional


def row_id(host: str, index: int, uuid: str) -> str:
    """``<host>:<uuid>``, or ``<host>:#<index>`` while the uuid is not known."""
    return f"{host}:{uuid}" if uuid else f"{host}:#{index}"


def row(part: GpuPart, host: str, driver: str, now_ms: int) -> Gpu:
    """A GPU that answered, as of ``now_ms``."""
    uuid = clean(part.uuid, 80)
    status, reason = words.health(part.recovery, part.remapped_pending, part.remapped_failure)
    if not reason and part.mig and part.utilisation is None:
        reason = words.MIG
    processes = None if part.processes is None else tuple(_process(p) for p in part.processes)
    return Gpu(
        id=row_id(host, part.index, uuid),
        host=host,
        index=part.index,
        name=clean(part.name, 80),
        status=status,
        status_reason=reason,
        observed_at=now_ms,
        uuid=uuid,
        driver=driver,
        memory_total_bytes=part.memory_total,
        memory_used_bytes=part.memory_used,
        memory_reserved_bytes=part.memory_reserved,
        memory_is_unified=part.unified,
        utilisation_pct=_percent(part.utilisation),
        memory_busy_pct=_percent(part.memory_busy),
        power_w=_watts(part.power_mw),
        power_limit_w=_watts(part.power_limit_mw),
        temperature_c=part.temperature,
        memory_temperature_c=part.memory_temperature,
        sm_clock_mhz=part.sm_clock,
        sm_clock_max_mhz=part.sm_clock_max,
        memory_clock_mhz=part.memory_clock,
        fan_pct=part.fan,
        performance_state=None if part.pstate is None else f"P{part.pstate}",
        throttle=words.throttle(part.reasons),
        recovery_action=words.recovery_action(part.recovery),
        ecc_uncorrected=part.ecc,
        remapped_pending=part.remapped_pending,
        remapped_failure=part.remapped_failure,
        mig=part.mig,
        mig_instances=tuple(_instance(instance) for instance in part.mig_instances),
        processes=processes,
        unaccounted_bytes=unaccounted(part),
    )


def unaccounted(part: GpuPart) -> int | None:
    """VRAM that no listed process holds: used - sum of processes (bytes).

    ``None`` when any of them is unknown; also when the driver gives no separate reserve, because then *used*
    includes what the driver itself keeps, and when the memory is the host's own. Never below 0: the driver
    reads the two figures one after the other.
    """
    if part.memory_used is None or part.memory_reserved is None or part.unified or part.processes is None:
        return None
    held = 0
    for process in part.processes:
        if process.vram is None:
            return None
        held += process.vram
    return max(0, part.memory_used - held)


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else round(milliwatts / 1000, 1)


def _percent(value: int | None) -> int | None:
    """A share of 100. More than that is one of the driver's marks for "no sample"."""
    return value if value is not None and value <= 100 else None


def _process(part: ProcessPart) -> GpuProcess:
    return GpuProcess(
        pid=part.pid,
        vram_bytes=part.vram,
        kind=clean(part.kind, 20),
        user=clean_optional(part.user, 40),
        command=clean_optional(part.command, 200),
        sm_pct=_percent(part.sm),
    )


def _instance(part: MigPart) -> MigInstance:
    return MigInstance(
        uuid=clean(part.uuid, 80),
        name=clean(part.name, 80),
        memory_used_bytes=part.used,
        memory_total_bytes=part.total,
    )


class GpuRows:
    """The rows of one host over time: last values of GPUs that stopped answering, histories, XIDs."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._rows: dict[str, Gpu] = {}
        self._histories: dict[str, tuple[History, History]] = {}
        self._xids: dict[str, tuple[int, int]] = {}  # row id -> code, at

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def rows(self) -> list[Gpu]:
        return sorted(self._rows.values(), key=lambda gpu: gpu.index)

    def take(self, frame: Frame, driver: str, now_ms: int) -> list[Gpu]:
        """All rows after ``frame``. A GPU that the frame no longer names stays, as lost."""
        seen: dict[str, Gpu] = {}
        for part in frame.gpus:
            gpu = self._row(part, driver, now_ms)
            seen[gpu.id] = gpu
        places = {gpu.index for gpu in seen.values()}
        for gpu in self._rows.values():
            nameless = not gpu.uuid and gpu.index in places  # it has told its uuid since
            if gpu.id not in seen and not nameless:
                seen[gpu.id] = _with(gpu, words.GONE)
        self._rows = {id_: self._with_history(gpu, now_ms) for id_, gpu in seen.items()}
        return self.rows

    def take_xid(self, index: int, code: int, now_ms: int) -> None:
        """Remember the last XID of the GPU at ``index``; it shows from the next frame on."""
        known = next((gpu.id for gpu in self._rows.values() if gpu.index == index), None)
        self._xids[known or row_id(self._host, index, "")] = (code, now_ms)

    def mark(self, status: words.Words) -> list[Gpu]:
        """All rows with ``status``: none of them answers now. Values and their age stay."""
        return [_with(gpu, status) for gpu in self.rows]

    def _row(self, part: GpuPart, driver: str, now_ms: int) -> Gpu:
        silent = _silence(part)
        if silent is None:
            gpu = row(part, self._host, driver, now_ms)
        else:
            gpu = _with(self._last(part) or self._nameless(part, driver), silent)
        xid = self._xids.get(gpu.id) or self._xids.get(row_id(self._host, part.index, ""))
        if xid is not None:
            code, at = xid
            gpu = replace(gpu, xid_code=code, xid_text=words.xid(code), xid_at=at)
        return gpu

    def _last(self, part: GpuPart) -> Gpu | None:
        """The row this part continues, found by uuid or, before the GPU told it, by its place."""
        if part.uuid:
            return self._rows.get(row_id(self._host, part.index, clean(part.uuid, 80)))
        return next((gpu for gpu in self._rows.values() if gpu.index == part.index), None)

    def _nameless(self, part: GpuPart, driver: str) -> Gpu:
        uuid = clean(part.uuid, 80)
        return Gpu(
            id=row_id(self._host, part.index, uuid),
            host=self._host,
            index=part.index,
            name=clean(part.name, 80),
            uuid=uuid,
            driver=driver,
        )

    def _with_history(self, gpu: Gpu, now_ms: int) -> Gpu:
        """The row with this moment added to its charts; a GPU that does not answer adds a gap."""
        utilisation, memory = self._histories.setdefault(gpu.id, (History(), History()))
        answered = gpu.observed_at == now_ms
        utilisation.add(now_ms, gpu.utilisation_pct if answered else None)
        memory.add(now_ms, _memory_pct(gpu) if answered else None)
        return replace(gpu, utilisation_history=utilisation.values(), memory_history=memory.values())


def _silence(part: GpuPart) -> words.Words | None:
    if part.asleep:
        return words.ASLEEP
    if part.resting:
        return words.RESTING
    return None if part.error is None else words.gpu_error(part.error)


def _with(gpu: Gpu, status: words.Words) -> Gpu:
    return replace(gpu, status=status.status, status_reason=status.reason)


def _memory_pct(gpu: Gpu) -> float | None:
    if gpu.memory_used_bytes is None or not gpu.memory_total_bytes:
        return None
    return 100 * gpu.memory_used_bytes / gpu.memory_total_bytes


def any_gone(gpus: Iterable[GpuPart]) -> bool:
    """Some GPU needs the driver opened anew before it can answer again."""
    return any(part.error is not None for part in gpus)
