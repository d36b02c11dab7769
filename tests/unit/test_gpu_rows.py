"""Frames become rows; what is missing stays missing, what is gone stays visible."""

from __future__ import annotations

from backends.gpu.protocol import Frame, GpuPart, MigPart, ProcessPart
from backends.gpu.rows import GpuRows, row
from backends.gpu.words import HUNG

NOW = 1_700_000_000_000
GIB = 1024**3


def part(index: int = 0, **values: object) -> GpuPart:
    return GpuPart(index, uuid=f"GPU-{index}", name="H200", **values)  # type: ignore[arg-type]


def test_what_the_probe_could_not_read_is_none_everywhere() -> None:
    gpu = row(part(), "h", "575", NOW)
    known = {"id", "host", "index", "name", "status", "status_reason", "observed_at", "uuid", "driver"}
    known |= {"memory_is_unified", "mig_instances", "simulated", "utilisation_history", "memory_history"}
    for field in set(gpu.__struct_fields__) - known:
        assert getattr(gpu, field) is None, field


def test_a_measured_zero_is_zero() -> None:
    gpu = row(part(utilisation=0, power_mw=0, reasons=0, ecc=0, processes=()), "h", "575", NOW)
    assert (gpu.utilisation_pct, gpu.power_w, gpu.throttle, gpu.ecc_uncorrected) == (0, 0.0, (), 0)
    assert gpu.processes == ()


def test_a_share_of_more_than_everything_is_unknown() -> None:
    gpu = row(
        part(utilisation=101, memory_busy=4294967295, processes=(ProcessPart(1, sm=4000),)), "h", "", NOW
    )
    assert (gpu.utilisation_pct, gpu.memory_busy_pct) == (None, None)
    assert [process.sm_pct for process in gpu.processes or ()] == [None]


def test_unaccounted_vram_is_what_no_process_holds() -> None:
    processes = (ProcessPart(1, 3 * GIB), ProcessPart(2, 4 * GIB))
    full = {"memory_used": 8 * GIB, "memory_reserved": 0, "processes": processes}
    assert row(part(**full), "h", "", NOW).unaccounted_bytes == GIB
    assert row(part(**{**full, "memory_used": 6 * GIB}), "h", "", NOW).unaccounted_bytes == 0


def test_unaccounted_vram_is_unknown_when_any_part_of_it_is() -> None:
    full = {"memory_used": 8 * GIB, "memory_reserved": 0, "processes": (ProcessPart(1, GIB),)}
    for missing in (
        {"memory_used": None},
        {"memory_reserved": None},  # the old call counts the driver's reserve as used
        {"processes": None},
        {"processes": (ProcessPart(1, GIB), ProcessPart(2, None))},
        {"unified": True},
    ):
        assert row(part(**{**full, **missing}), "h", "", NOW).unaccounted_bytes is None, missing


def test_text_from_the_driver_and_from_processes_is_cleaned() -> None:
    evil = "\x1b]52;c;cm0gLXJm\x07\u202e[/x]"
    gpu = row(
        GpuPart(
            0,
            uuid=evil,
            name=evil,
            processes=(ProcessPart(1, kind=evil, user=evil, command=evil),),
            mig_instances=(MigPart(evil, evil),),
        ),
        "h",
        "",
        NOW,
    )
    assert gpu.processes is not None
    process, instance = gpu.processes[0], gpu.mig_instances[0]
    for text in (
        gpu.uuid,
        gpu.name,
        process.kind,
        process.user,
        process.command,
        instance.uuid,
        instance.name,
    ):
        assert text is not None
        assert text.isprintable()
        assert "\x1b" not in text


def test_a_lost_gpu_keeps_its_last_values_and_their_age() -> None:
    rows = GpuRows("h")
    rows.take(Frame((part(0, utilisation=97), part(1, utilisation=5))), "575", NOW)
    lost, fine = rows.take(Frame((part(0, error=15), part(1, utilisation=6))), "575", NOW + 5000)
    assert (lost.status, lost.utilisation_pct, lost.observed_at) == ("lost", 97, NOW)
    assert "XID 79" in lost.status_reason
    assert (fine.status, fine.utilisation_pct, fine.observed_at) == ("ok", 6, NOW + 5000)
    assert lost.utilisation_history == (97.0, None)


def test_a_gpu_the_driver_no_longer_lists_stays_visible() -> None:
    rows = GpuRows("h")
    rows.take(Frame((part(0), part(1, power_mw=70_000))), "575", NOW)
    _, gone = rows.take(Frame((part(0),)), "575", NOW + 1000)
    assert (gone.id, gone.status, gone.power_w, gone.observed_at) == ("h:GPU-1", "lost", 70.0, NOW)
    assert "no longer lists" in gone.status_reason
    _, back = rows.take(Frame((part(0), part(1))), "575", NOW + 2000)
    assert back.status == "ok"


def test_a_gpu_that_was_never_read_has_no_values_and_a_reason() -> None:
    (gpu,) = GpuRows("h").take(Frame((GpuPart(0, error=4),)), "575", NOW)
    assert (gpu.id, gpu.status, gpu.observed_at, gpu.memory_used_bytes) == (
        "h:#0",
        "no permission",
        None,
        None,
    )


def test_a_sleeping_gpu_that_wakes_is_one_row() -> None:
    rows = GpuRows("h")
    (asleep,) = rows.take(Frame((GpuPart(0, name="RTX 4090", asleep=True),)), "575", NOW)
    assert (asleep.id, asleep.status, asleep.utilisation_pct) == ("h:#0", "asleep", None)
    (awake,) = rows.take(Frame((part(0, utilisation=3),)), "575", NOW + 1000)
    assert awake.id == "h:GPU-0"
    (again,) = rows.take(Frame((GpuPart(0, asleep=True),)), "575", NOW + 2000)
    assert (again.id, again.status, again.observed_at) == ("h:GPU-0", "asleep", NOW + 1000)


def test_an_xid_stays_on_its_gpu() -> None:
    rows = GpuRows("h")
    rows.take(Frame((part(0), part(1))), "575", NOW)
    rows.take_xid(1, 79, NOW + 10)
    for later in (1000, 60_000):
        other, struck = rows.take(Frame((part(0), part(1))), "575", NOW + later)
        assert other.xid_code is None
        assert (struck.xid_code, struck.xid_at) == (79, NOW + 10)
        assert struck.xid_text == "GPU has fallen off the bus (hardware)"


def test_the_drivers_advice_outranks_the_rest() -> None:
    assert row(part(recovery=0), "h", "", NOW).recovery_action == "none"
    assert row(part(recovery=0), "h", "", NOW).status == "ok"
    advised = row(part(recovery=4, remapped_failure=True), "h", "", NOW)
    assert (advised.status, advised.recovery_action) == ("needs recovery", "drain, then reset the GPU")
    assert row(part(remapped_failure=True), "h", "", NOW).status == "failing memory"
    assert row(part(remapped_pending=True), "h", "", NOW).status == "reset pending"


def test_mig_says_why_there_is_no_utilisation() -> None:
    gpu = row(part(mig=True, mig_instances=(MigPart("MIG-1", "3g", 5, 10),)), "h", "", NOW)
    assert gpu.utilisation_pct is None
    assert "MIG is on" in gpu.status_reason
    assert gpu.mig_instances[0].memory_used_bytes == 5


def test_a_hung_driver_marks_every_row_and_keeps_the_values() -> None:
    rows = GpuRows("h")
    rows.take(Frame((part(0, utilisation=50),)), "575", NOW)
    (gpu,) = rows.mark(HUNG)
    assert (gpu.status, gpu.utilisation_pct, gpu.observed_at) == ("hung", 50, NOW)
