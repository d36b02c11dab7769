"""The host's figures: shares and rates come from two looks, what is unknown stays unknown."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backends.clock import ManualClock
from backends.fleet.disks import DiskUsage
from backends.fleet.history import STEP_MS, STEPS, History
from backends.fleet.host import LocalHost, ProcSource, busy_pct, rate
from backends.fleet.procfs import CpuTicks, Traffic
from backends.model import Disk, Host, Pressure


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "proc/stat": "cpu  100 0 0 900 0 0 0 0 0 0\nbtime 1700000000\n",
        "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 750 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        "proc/loadavg": "0.50 0.40 0.30 1/99 1234\n",
        "proc/diskstats": "8 0 sda 1 0 0 0 1 0 0 0 0 0 0\n",
        "proc/net/dev": "eth0: 0 0 0 0 0 0 0 0 0 0 0\n",
        "proc/pressure/cpu": "some avg10=2.00 avg60=0 avg300=0 total=0\n",
        "proc/self/mountinfo": "27 1 254:0 / / rw - ext4 /dev/vda rw\n",
        "proc/17/stat": "",
        "sys/block/sda/device": "",
    }
    for name, text in files.items():
        put(tmp_path / name, text)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def disks() -> DiskUsage:
    return DiskUsage(lambda mount: (30, 100))


async def row(reader: LocalHost) -> Host:
    reading = await reader.read()
    assert reading.state.ok, reading.state.reason
    (host,) = reading.tables["hosts"]
    assert isinstance(host, Host)
    return host


async def test_the_first_look_knows_no_rates(root: Path) -> None:
    host = await row(LocalHost(ManualClock(), "h", ProcSource(root), disks()))
    assert (host.cpu_pct, host.disk_read_bytes_s, host.net_rx_bytes_s) == (None, None, None)
    assert (host.memory_used_bytes, host.memory_total_bytes) == (250 * 1024, 1000 * 1024)
    assert (host.load_1m, host.processes, host.boot_at) == (0.5, 1, 1_700_000_000_000)
    assert host.pressure == Pressure(cpu_some_pct=2.0)
    assert host.disks == (Disk("/", 30, 100),)


async def test_the_second_look_gives_means_over_the_time_between(root: Path) -> None:
    clock = ManualClock()
    reader = LocalHost(clock, "h", ProcSource(root), disks())
    await row(reader)
    put(root / "proc/stat", "cpu  150 0 0 950 0 0 0 0 0 0\nbtime 1700000000\n")
    put(root / "proc/diskstats", "8 0 sda 1 0 4 0 1 0 8 0 0 0 0\n")
    put(root / "proc/net/dev", "eth0: 4000 0 0 0 0 0 0 0 2000 0 0\n")
    clock.advance(2000)
    host = await row(reader)
    assert host.cpu_pct == 50.0
    assert (host.disk_read_bytes_s, host.disk_write_bytes_s) == (1024, 2048)
    assert (host.net_rx_bytes_s, host.net_tx_bytes_s) == (2000, 1000)


async def test_a_containers_memory_limit_is_its_memory(root: Path) -> None:
    put(root / "sys/fs/cgroup/memory.max", "409600\n")
    put(root / "sys/fs/cgroup/memory.current", "204800\n")
    put(root / "sys/fs/cgroup/memory.stat", "inactive_file 102400\n")
    host = await row(LocalHost(ManualClock(), "h", ProcSource(root), disks()))
    assert (host.memory_used_bytes, host.memory_total_bytes) == (102400, 409600)


async def test_unreadable_counters_are_a_reading_with_a_reason(root: Path) -> None:
    (root / "proc/meminfo").unlink()
    reading = await LocalHost(ManualClock(), "h", ProcSource(root), disks()).read()
    assert not reading.state.ok
    assert "meminfo" in reading.state.reason
    assert not reading.tables


def test_a_counter_that_went_back_is_unknown_not_negative() -> None:
    assert rate(Traffic(10, 10), Traffic(5, 20), 1000) is None
    assert busy_pct(CpuTicks(5, 10), CpuTicks(5, 10)) is None
    assert busy_pct(CpuTicks(9, 10), CpuTicks(8, 20)) == 0.0


def test_history_shows_gaps_as_gaps() -> None:
    history = History()
    history.add(10.0, 0)
    history.add(20.0, 1000)
    history.add(30.0, 3 * STEP_MS)
    assert history.values() == (15.0, None, None, 30.0)
    history.add(None, 4 * STEP_MS)
    assert history.values()[-1] is None


def test_history_keeps_its_length_after_a_long_silence() -> None:
    history = History()
    history.add(1.0, 0)
    history.add(2.0, 10_000 * STEP_MS)
    assert len(history.values()) == STEPS
    assert history.values()[-2:] == (None, 2.0)


async def test_a_mount_that_hangs_delays_no_other() -> None:
    answer = threading.Event()
    calls: list[str] = []

    def measure(mount: str) -> tuple[int, int]:
        calls.append(mount)
        if mount == "/dead":
            answer.wait()
        return (1, 2)

    usage = DiskUsage(measure)
    try:
        assert await usage.look(["/", "/dead"], patience_s=0.05) == (Disk("/", 1, 2),)
        assert await usage.look(["/", "/dead"], patience_s=0.0) is not None
        assert calls.count("/dead") == 1, "one thread waits for a dead mount, not one a look"
    finally:
        answer.set()


async def test_a_mount_that_refuses_has_no_row() -> None:
    def measure(mount: str) -> tuple[int, int]:
        raise PermissionError(mount)

    assert await DiskUsage(measure).look(["/secret"]) == ()
