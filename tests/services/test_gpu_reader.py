"""The GPU reader with real probes on a stub driver: every situation has its own words, and nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import runpy
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from backends.clock import ManualClock
from backends.gpu import GpuReader, child
from backends.gpu.probe.library import SONAME
from backends.model import Gpu
from backends.picture import Reading

STUB = runpy.run_path(str(Path(__file__).parents[1] / "gpu_stub" / "build.py"))
PATIENCE_S = 20
MIB = 1024**2

Make = Callable[..., GpuReader]
Stub = Callable[..., None]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Set the stub driver's faults for the next probe: ``stub(GPUS=2)``. ``None`` takes one back."""

    def put(**faults: object) -> None:
        for name, value in faults.items():
            if value is None:
                monkeypatch.delenv(f"NVML_STUB_{name}", raising=False)
            else:
                monkeypatch.setenv(f"NVML_STUB_{name}", str(value))

    return put


@pytest.fixture
async def make(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes readers on the stub driver, ten frames a second, with an empty machine as root."""
    readers: list[GpuReader] = []

    def new(**options: object) -> GpuReader:
        given = {"library": str(STUB["stub_library"]()), "interval_s": 0.1, "root": str(tmp_path), **options}
        reader = GpuReader("here", clock, **given)  # type: ignore[arg-type]
        readers.append(reader)
        return reader

    yield new
    for reader in readers:
        await reader.close()


def gpus(reading: Reading) -> list[Gpu]:
    return list(reading.tables["gpus"])


async def read_until(reader: GpuReader, wanted: Callable[[Reading], bool]) -> Reading:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reading = await reader.read()
            if wanted(reading):
                return reading
            await asyncio.sleep(0)


async def advance(clock: ManualClock, ms: int) -> None:
    """Let tasks reach their waits, then move the clock."""
    for _ in range(10):
        await asyncio.sleep(0)
    clock.advance(ms)


def in_first_namespace(root: Path) -> Path:
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
    return root / "proc"


# --- what is read ----------------------------------------------------------------------------------------


async def test_two_gpus_with_all_their_values(make: Make, stub: Stub, clock: ManualClock) -> None:
    stub(GPUS=2, REASONS=0x4 | 0x40)
    reading = await make().read()
    first, second = gpus(reading)
    assert (reading.state.ok, reading.state.status) == (True, "ok")
    assert reading.state.cost_ms is not None
    assert [first.id, second.id] == ["here:GPU-00000000-57ab", "here:GPU-00000001-57ab"]
    assert first.observed_at == clock.now_ms()
    assert (first.name, first.driver) == ("Stub GPU 80GB", "575.57.08")
    assert (first.memory_total_bytes, first.memory_used_bytes) == (81920 * MIB, 8192 * MIB)
    assert first.memory_reserved_bytes == 600 * MIB
    assert (first.utilisation_pct, first.memory_busy_pct) == (97, 7)
    assert (first.power_w, first.power_limit_w) == (295.5, 700.0)
    assert (first.temperature_c, first.memory_temperature_c, first.fan_pct) == (61, 68, 41)
    assert (first.sm_clock_mhz, first.sm_clock_max_mhz, first.memory_clock_mhz) == (1755, 1980, 2619)
    assert (first.performance_state, first.recovery_action, first.ecc_uncorrected) == ("P0", "none", 0)
    assert first.throttle == ("power cap", "hardware thermal limit")
    assert first.mig is False
    assert first.processes == ()


async def test_processes_have_vram_user_and_command(make: Make, stub: Stub, tmp_path: Path) -> None:
    folder = in_first_namespace(tmp_path) / "1234"
    folder.mkdir()
    (folder / "cmdline").write_bytes(b"python\0train.py\x1b[2J\0")
    (folder / "status").write_text("Uid:\t0\t0\t0\t0\n")
    stub(PROCESSES="0/1234:5000,0/77:3000")
    (gpu,) = gpus(await make().read())
    known, elsewhere = gpu.processes or ()
    assert (known.pid, known.vram_bytes, known.user, known.sm_pct) == (1234, 5000 * MIB, "root", 40.0)
    assert known.command == "python train.py␛[2J"
    assert (elsewhere.pid, elsewhere.user, elsewhere.command) == (77, None, None)
    assert gpu.unaccounted_bytes == (8192 - 8000) * MIB


async def test_a_process_of_unknown_size_stays_and_makes_the_rest_unknown(make: Make, stub: Stub) -> None:
    stub(PROCESSES="0/1234:5000,0/77:-1")
    (gpu,) = gpus(await make().read())
    assert [process.vram_bytes for process in gpu.processes or ()] == [5000 * MIB, None]
    assert gpu.unaccounted_bytes is None


async def test_what_the_gpu_cannot_say_is_none_never_zero(make: Make, stub: Stub) -> None:
    stub(
        NOT_SUPPORTED="nvmlDeviceGetUtilizationRates,nvmlDeviceGetPowerUsage,nvmlDeviceGetEnforcedPowerLimit,"
        "nvmlDeviceGetTemperature,nvmlDeviceGetFanSpeed,nvmlDeviceGetClockInfo,nvmlDeviceGetMaxClockInfo,"
        "nvmlDeviceGetPerformanceState,nvmlDeviceGetTotalEccErrors,nvmlDeviceGetRemappedRows,nvmlDeviceGetMigMode,"
        "nvmlDeviceGetFieldValues,nvmlDeviceGetCurrentClocksEventReasons,nvmlDeviceGetCurrentClocksThrottleReasons,"
        "nvmlDeviceGetComputeRunningProcesses_v3,nvmlDeviceGetComputeRunningProcesses_v2,"
        "nvmlDeviceGetGraphicsRunningProcesses_v3,nvmlDeviceGetGraphicsRunningProcesses_v2"
    )
    (gpu,) = gpus(await make().read())
    read = {
        "id",
        "host",
        "index",
        "name",
        "status",
        "status_reason",
        "observed_at",
        "uuid",
        "driver",
        "simulated",
    }
    read |= {"memory_total_bytes", "memory_used_bytes", "memory_reserved_bytes", "memory_is_unified"}
    read |= {"mig_instances", "utilisation_history", "memory_history"}
    for field in set(gpu.__struct_fields__) - read:
        assert getattr(gpu, field) is None, field
    assert gpu.utilisation_history == (None,)


async def test_a_call_the_gpu_does_not_know_is_asked_once(make: Make, stub: Stub, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    stub(NOT_SUPPORTED="nvmlDeviceGetUtilizationRates", LOG=log)
    reader = make()
    for _ in range(5):
        await reader.read()
    calls = log.read_text().split()
    assert calls.count("nvmlDeviceGetUtilizationRates") == 1
    assert calls.count("nvmlDeviceGetMemoryInfo_v2") >= 5


async def test_dear_calls_are_made_seldom(make: Make, stub: Stub, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    stub(LOG=log)
    reader = make()
    for _ in range(8):
        await reader.read()
    calls = log.read_text().split()
    assert calls.count("nvmlDeviceGetUtilizationRates") >= 8
    for seldom in ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetUUID"):
        assert calls.count(seldom) == 1, seldom


@pytest.mark.parametrize(
    ("fault", "field", "value"),
    [
        ({"MISSING": "nvmlDeviceGetMemoryInfo_v2"}, "memory_used_bytes", (8192 + 600) * MIB),
        ({"MISSING": "nvmlDeviceGetMemoryInfo_v2"}, "memory_reserved_bytes", None),
        ({"MISSING": "nvmlDeviceGetMemoryInfo_v2"}, "unaccounted_bytes", None),
        ({"MISSING": "nvmlDeviceGetCurrentClocksEventReasons", "REASONS": 4}, "throttle", ("power cap",)),
        ({"DENIED": "nvmlDeviceGetMemoryInfo_v2,nvmlDeviceGetMemoryInfo"}, "memory_used_bytes", None),
        ({"DRIVER": "535.54.03"}, "processes", None),
        ({"ECC": 3}, "ecc_uncorrected", 3),
        ({"REMAP": "failure"}, "status", "failing memory"),
        ({"RECOVERY": 2}, "recovery_action", "reboot the host"),
        ({"RECOVERY": 2}, "status", "needs recovery"),
        ({"NAME": "H200\x1b]0;x\x07"}, "name", "H200␛]0;x␇"),
    ],
)
async def test_older_drivers_and_sick_gpus(
    make: Make, stub: Stub, fault: dict[str, object], field: str, value: object
) -> None:
    stub(**fault)
    (gpu,) = gpus(await make().read())
    assert getattr(gpu, field) == value


async def test_process_lists_of_older_drivers_are_read(make: Make, stub: Stub) -> None:
    missing = "nvmlDeviceGetComputeRunningProcesses_v3,nvmlDeviceGetGraphicsRunningProcesses_v3"
    stub(MISSING=missing, PROCESSES="0/7:100")
    (gpu,) = gpus(await make().read())
    assert [process.pid for process in gpu.processes or ()] == [7]


async def test_unified_memory_is_the_hosts_and_says_so(make: Make, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")
    stub(NOT_SUPPORTED="nvmlDeviceGetMemoryInfo_v2,nvmlDeviceGetMemoryInfo")
    (gpu,) = gpus(await make().read())
    assert gpu.memory_is_unified
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes) == (1_024_000, 614_400)
    assert gpu.unaccounted_bytes is None


async def test_mig_shows_instances_and_no_utilisation(make: Make, stub: Stub) -> None:
    stub(MIG=1)
    (gpu,) = gpus(await make().read())
    assert gpu.mig is True
    assert gpu.utilisation_pct is None
    assert "MIG is on" in gpu.status_reason
    assert [instance.memory_total_bytes for instance in gpu.mig_instances] == [40960 * MIB] * 2


async def test_an_xid_is_told_with_its_meaning(make: Make, stub: Stub) -> None:
    stub(GPUS=2, XID="79:10")
    reading = await read_until(
        make(), lambda reading: bool(gpus(reading)) and gpus(reading)[0].xid_code is not None
    )
    struck, other = gpus(reading)
    assert (struck.xid_code, struck.xid_text) == (79, "GPU has fallen off the bus (hardware)")
    assert other.xid_code is None


async def test_a_hidden_pane_asks_for_no_processes(make: Make, stub: Stub, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    stub(PROCESSES="0/7:100", LOG=log)
    reader = make()
    assert gpus(await reader.read())[0].processes
    reader.set_pace(0.2, processes=False)
    await read_until(reader, lambda reading: gpus(reading)[0].processes is None)
    reader.set_pace(0.2, processes=True)
    await read_until(reader, lambda reading: bool(gpus(reading)[0].processes))


# --- sleeping GPUs ---------------------------------------------------------------------------------------


def pci(root: Path, place: int, status: str, control: str = "auto") -> Path:
    folder = root / f"sys/bus/pci/devices/0000:0{place}:00.0"
    (folder / "power").mkdir(parents=True)
    for name, text in (("vendor", "0x10de"), ("class", "0x030200"), ("power/control", control)):
        (folder / name).write_text(text + "\n")
    (folder / "power/runtime_status").write_text(status + "\n")
    return folder / "power/runtime_status"


async def test_a_suspended_gpu_is_never_woken(make: Make, stub: Stub, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    status = pci(tmp_path, 1, "suspended")
    pci(tmp_path, 2, "active", control="on")
    stub(GPUS=2, LOG=log)
    reader = make()
    for _ in range(3):
        asleep, awake = gpus(await reader.read())
    assert (asleep.status, asleep.id, asleep.utilisation_pct) == ("asleep", "here:#0", None)
    assert (awake.status, awake.utilisation_pct) == ("ok", 97)
    assert not [line for line in log.read_text().splitlines() if line.startswith("0 ")]

    status.write_text("active\n")
    reading = await read_until(reader, lambda reading: gpus(reading)[0].status == "ok")
    assert [gpu.id for gpu in gpus(reading)] == ["here:GPU-00000000-57ab", "here:GPU-00000001-57ab"]


async def test_an_idle_gpu_that_may_sleep_is_left_alone(make: Make, stub: Stub, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    pci(tmp_path, 1, "active")
    stub(IDLE=1, LOG=log)
    reader = make()
    reading = await read_until(reader, lambda reading: gpus(reading)[0].status == "resting")
    assert gpus(reading)[0].utilisation_pct == 0
    asked = len(log.read_text())
    for _ in range(3):
        await reader.read()
    assert len(log.read_text()) == asked


# --- what goes wrong with one GPU -------------------------------------------------------------------------


async def test_a_lost_gpu_stays_with_its_age_and_comes_back(
    make: Make, stub: Stub, clock: ManualClock
) -> None:
    stub(GPUS=2, FAIL="1:15:60")
    reader = make()
    await read_until(reader, lambda reading: len(gpus(reading)) == 2)
    seen_at = clock.now_ms()
    reading = await read_until(reader, lambda reading: gpus(reading)[1].status == "lost")
    clock.advance(1000)
    fine, lost = gpus(await reader.read())
    assert reading.state.ok
    assert fine.status == "ok"
    assert (lost.utilisation_pct, lost.observed_at) == (97, seen_at)
    assert "XID 79" in lost.status_reason

    before = reader.probe_pid
    stub(FAIL=None)
    for _ in range(13):  # only a driver opened anew can find it again, which is tried once a minute
        clock.advance(5_000)
        reading = await read_until(reader, lambda reading: reading.state.ok)
    assert gpus(reading)[1].status == "ok"
    assert reader.probe_pid != before


@pytest.mark.parametrize(
    ("code", "status"), [(4, "no permission"), (15, "lost"), (16, "reset required"), (17, "blocked")]
)
async def test_a_gpu_that_cannot_be_opened_does_not_take_the_others_along(
    make: Make, stub: Stub, code: int, status: str
) -> None:
    stub(GPUS=2, HANDLE=f"0:{code}")
    bad, fine = gpus(await make().read())
    assert (bad.status, bad.memory_used_bytes, bad.observed_at) == (status, None, None)
    assert bad.status_reason
    assert fine.status == "ok"


# --- what goes wrong with the driver -----------------------------------------------------------------------


async def test_a_version_mismatch_names_both_and_heals_within_a_minute(
    make: Make, stub: Stub, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\n"
    )
    stub(INIT=18)
    reader = make()
    state = (await reader.read()).state
    assert (state.ok, state.status) == (False, "driver mismatch")
    assert "550.54.15" in state.reason
    assert STUB["VERSION"] in state.reason
    assert "reboot" in state.reason

    stub(INIT=None)
    clock.advance(59_000)
    assert (await reader.read()).state.status == "driver mismatch"
    clock.advance(1_000)
    assert (await reader.read()).state.ok


@pytest.mark.parametrize(
    ("code", "status"), [(4, "no permission"), (9, "driver not loaded"), (999, "driver error")]
)
async def test_a_driver_that_does_not_start_says_why(make: Make, stub: Stub, code: int, status: str) -> None:
    stub(INIT=code)
    state = (await make().read()).state
    assert (state.ok, state.status) == (False, status)
    assert state.reason


async def test_a_driver_without_gpus_is_no_failure(make: Make, stub: Stub) -> None:
    stub(GPUS=0)
    reading = await make().read()
    assert (reading.state.ok, reading.state.status) == (True, "no GPUs")
    assert gpus(reading) == []


async def test_without_a_driver_nothing_runs_between_tries(
    make: Make, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        ctypes.CDLL(SONAME)
    except OSError:
        pass
    else:
        pytest.skip("this machine has an NVIDIA driver")
    reader = make(library=None)
    state = (await reader.read()).state
    assert (state.ok, state.status) == (True, "no driver")
    assert SONAME in state.reason
    assert reader.probe_pid is None
    started: list[object] = []
    monkeypatch.setattr(child.subprocess, "Popen", lambda *args, **kwargs: started.append(args) or 1 / 0)
    clock.advance(59_000)
    assert (await reader.read()).state == state
    assert not started


async def test_a_configured_library_that_is_not_there_is_a_failure(make: Make) -> None:
    state = (await make(library="/nowhere/libnvidia-ml.so.1").read()).state
    assert (state.ok, state.status) == (False, "no driver")
    assert "/nowhere/libnvidia-ml.so.1" in state.reason


async def test_the_library_can_be_named_in_the_environment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFLOOR_NVML_LIBRARY", str(STUB["stub_library"]()))
    assert len(gpus(await make(library=None).read())) == 1


async def test_the_wrong_pynvml_is_named(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pynvml.py").write_text("def nvmlInit(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    state = (await make().read()).state
    assert (state.ok, state.status) == (False, "wrong pynvml")
    assert str(tmp_path / "pynvml.py") in state.reason


async def test_a_missing_binding_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    state = (await make().read()).state
    assert (state.ok, state.status) == (False, "no nvidia-ml-py")


# --- what goes wrong with the probe ------------------------------------------------------------------------


async def test_a_hung_driver_is_stale_then_hung_then_tried_again(
    make: Make, stub: Stub, clock: ManualClock, tmp_path: Path
) -> None:
    stuck = tmp_path / "stuck"
    stub(HANG_FILE=stuck)
    reader = make(interval_s=1.0)
    first = await reader.read()
    assert first.state.ok
    hung_pid = reader.probe_pid
    stuck.touch()
    reading = asyncio.create_task(read_until(reader, lambda reading: not reading.state.ok))
    await advance(clock, 0)
    while not reading.done():
        await advance(clock, 500)
        await asyncio.sleep(0.01)
    stale = await reading
    assert stale.state.status == "stale"
    assert gpus(stale)[0].utilisation_pct == 97

    give_up = asyncio.create_task(reader.read())
    await advance(clock, 10_000)
    hung = await give_up
    (gpu,) = gpus(hung)
    assert (hung.state.ok, hung.state.status) == (False, "hung")
    assert (gpu.status, gpu.utilisation_pct, gpu.observed_at) == ("hung", 97, gpus(first)[0].observed_at)
    assert reader.probe_pid is None

    assert hung_pid is not None
    wait_for_its_end(hung_pid)
    stuck.unlink()
    clock.advance(59_000)
    assert (await reader.read()).state.status == "hung"
    clock.advance(1_000)
    back = await reader.read()
    assert (back.state.ok, gpus(back)[0].status) == (True, "ok")
    assert reader.probe_pid != hung_pid


async def test_a_probe_that_cannot_be_killed_is_the_only_one(
    make: Make, stub: Stub, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an uninterruptible driver call looks like from here: the kill does nothing."""
    stub(INIT_HANG=1)
    reader = make()
    starting = asyncio.create_task(reader.read())
    await advance(clock, 3_000)
    assert "starting" in (await starting).state.reason
    pid = reader.probe_pid
    assert pid is not None
    real_kill = os.kill
    monkeypatch.setattr(child.os, "kill", lambda *_: None)
    monkeypatch.setattr(child.ProbeProcess, "_close_pipes", lambda self: None)
    try:
        giving_up = asyncio.create_task(reader.read())
        await advance(clock, 10_000)
        assert (await giving_up).state.status == "hung"
        clock.advance(60_000)
        async with asyncio.timeout(PATIENCE_S):
            state = (await reader.read()).state
        assert reader.probe_pid is None
        assert f"probe {pid}" in state.reason
        assert "cannot be killed" in state.reason
        began = time.monotonic()
        await reader.close()
        assert time.monotonic() - began <= 0.5
    finally:
        real_kill(pid, signal.SIGKILL)


async def test_closing_takes_half_a_second_at_most_while_the_driver_hangs(make: Make, stub: Stub) -> None:
    stub(INIT_HANG=1)
    reader = make()
    reading = asyncio.create_task(reader.read())
    for _ in range(10):
        await asyncio.sleep(0)
    pid = reader.probe_pid
    assert pid is not None
    reading.cancel()
    began = time.monotonic()
    await reader.close()
    assert time.monotonic() - began <= 0.5
    wait_for_its_end(pid)


async def test_a_killed_probe_is_replaced_at_once(make: Make) -> None:
    reader = make()
    await reader.read()
    pid = reader.probe_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    reading = await read_until(reader, lambda reading: reader.probe_pid not in (None, pid))
    assert (reading.state.ok, gpus(reading)[0].status) == (True, "ok")


async def test_a_probe_that_keeps_dying_is_not_restarted_in_a_loop(make: Make, clock: ManualClock) -> None:
    reader = make()
    for _ in range(2):
        await reader.read()
        pid = reader.probe_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await read_until(reader, lambda reading, pid=pid: reader.probe_pid != pid)
    state = (await reader.read()).state
    assert (state.ok, state.status) == (False, "probe failed")
    assert "signal 9" in state.reason
    clock.advance(60_000)
    assert (await reader.read()).state.ok


async def test_a_probe_that_breaks_leaves_its_last_words(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_ROOT", Path("/nowhere"))
    state = (await make().read()).state
    assert (state.ok, state.status) == (False, "probe failed")
    assert "No module named" in state.reason or "ModuleNotFoundError" in state.reason


async def test_garbage_on_the_pipe_does_not_disturb(make: Make) -> None:
    reader = make()
    await reader.read()
    probe = reader._probe
    assert probe is not None
    for data in (
        b"\xff\xfe\x00 garbage\n",
        b"x" * 5_000_000 + b"\n",
        b'{"k":"frame","gpus":[{"index":"0"}]}\n',
    ):
        probe.data_received(data)
    assert (await reader.read()).state.ok


@pytest.mark.parametrize("fault", [{}, {"NVML_STUB_INIT_HANG": "1"}])
def test_a_probe_never_outlives_its_parent(fault: dict[str, str]) -> None:
    """Its input ends when its parent dies, however that happened; a hung call does not keep it."""
    environment = {**os.environ, **fault, "PYTHONPATH": child.search_path()}
    arguments = child.probe_arguments(str(STUB["stub_library"]()), "/", 0.1, True)
    probe = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
    assert probe.stdin is not None
    probe.stdin.close()
    assert probe.wait(PATIENCE_S) == 0


async def test_a_stall_of_this_process_is_not_the_drivers(make: Make, clock: ManualClock) -> None:
    reader = make()
    await reader.read()
    probe = reader.probe_pid
    time.sleep(0.3)  # noqa: ASYNC251 - the stall; frames wait in the pipe
    clock.advance(60_000)
    assert (await reader.read()).state.ok
    assert reader.probe_pid == probe


def wait_for_its_end(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # reaped already
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


# --- what it costs ------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux's /proc")
async def test_eight_gpus_cost_half_a_percent_of_a_core_and_15_mib(make: Make, stub: Stub) -> None:
    stub(GPUS=8, PROCESSES=",".join(f"{gpu}/{pid}:512" for gpu in range(8) for pid in (1, 2)))
    reader = make(root="/")
    await reader.read()
    task = Path(f"/proc/{reader.probe_pid}")
    before = cpu_s(task)
    for _ in range(10):
        await reader.read()
    assert (cpu_s(task) - before) / 10 <= 0.005  # seconds a frame = share of a core at 1 Hz
    resident = next(line for line in (task / "status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) * 1024 <= 15 * MIB


def cpu_s(process: Path) -> float:
    return (
        sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir()) / 1e9
    )
