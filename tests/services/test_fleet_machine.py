"""This very machine, read for real, and psutil beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from backends.clock import ManualClock, SystemClock
from backends.fleet import (
    LocalHost,
    ProcessTable,
    is_same_process,
    parent_of,
    process_ref,
    process_state,
    run_command,
)
from backends.fleet.identity import HAS_PROC
from backends.fleet.portable import PsutilScan, PsutilSource


async def test_this_process_is_in_the_table() -> None:
    reading = await ProcessTable(SystemClock()).read()
    ours = next(row for row in reading.tables["processes"] if row.ref.pid == os.getpid())
    assert ours.ref == process_ref(os.getpid())
    assert ours.parent_pid == os.getppid() == parent_of(os.getpid())
    assert ours.user == psutil.Process().username()
    assert abs(ours.started_at - psutil.Process().create_time() * 1000) < 2_000
    assert ours.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.3)
    assert reading.state.cost_ms is not None


async def test_every_process_psutil_sees_is_in_the_table() -> None:
    before = set(psutil.pids())
    reading = await ProcessTable(SystemClock()).read()
    lasting = before & set(psutil.pids())
    assert lasting <= {row.ref.pid for row in reading.tables["processes"]}


async def test_this_host() -> None:
    clock = SystemClock()
    reader = LocalHost(clock)
    await reader.read()
    reading = await reader.read()
    (host,) = reading.tables["hosts"]
    assert host.id == reading.state.host
    assert host.cores == os.cpu_count()
    assert 0 < host.memory_used_bytes <= host.memory_total_bytes
    assert host.boot_id
    assert host.disks


async def test_the_portable_way_agrees() -> None:
    rows = await PsutilScan("h", "boot").rows(1, 1)
    ours = next(row for row in rows if row.ref.pid == os.getpid())
    assert ours.cpu_pct is None
    assert ours.parent_pid == os.getppid()
    sample = PsutilSource().sample()
    assert sample.memory.total_bytes == psutil.virtual_memory().total
    assert PsutilSource().mounts() is not None


def test_a_reference_outlives_neither_its_process_nor_a_reused_pid() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ref = process_ref(child.pid)
        assert ref is not None
        assert is_same_process(ref)
        assert not is_same_process(type(ref)(ref.pid, ref.start_ticks + 1, ref.boot_id))
        assert not is_same_process(type(ref)(ref.pid, ref.start_ticks, "another boot"))
    finally:
        child.communicate(b"\n")
    assert process_ref(child.pid) != ref
    assert process_state(ref) is None


@pytest.mark.skipif(not HAS_PROC, reason="the portable way needs psutil")
def test_linux_does_without_psutil() -> None:
    script = (
        "import asyncio, sys; from backends.clock import SystemClock; from backends.fleet import *\n"
        "asyncio.run(ProcessTable(SystemClock()).read()); asyncio.run(LocalHost(SystemClock()).read())\n"
        "assert 'psutil' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


async def test_a_command_gives_its_code_and_output() -> None:
    argv = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"]
    result = await run_command(argv, SystemClock(), timeout_s=30)
    assert result == ("exited", 3, b"out\n", b"err\n")


async def test_a_command_past_its_time_is_killed_with_its_children(tmp_path: Path) -> None:
    clock = ManualClock()
    pid_file = tmp_path / "pids"
    os.mkfifo(pid_file)
    script = (
        "import os, signal, sys; os.fork(); open(sys.argv[1], 'w').write(f'{os.getpid()} '); signal.pause()"
    )
    argv = [sys.executable, "-c", script, str(pid_file)]

    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(run_command(argv, clock, timeout_s=5))
    pids: list[int] = []
    while len(pids) < 2:
        pids += [int(pid) for pid in (await loop.run_in_executor(None, pid_file.read_text)).split()]
    while not running.done():
        await asyncio.sleep(0)
        clock.advance(5_000)
    assert (await running).ended == "timeout"
    for pid in pids:
        psutil.wait_procs([process for process in psutil.process_iter() if process.pid == pid], timeout=10)
        assert process_ref(pid) is None or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_command_that_floods_is_cut_off() -> None:
    argv = [sys.executable, "-c", "while True: print('x' * 1000)"]
    result = await run_command(argv, SystemClock(), timeout_s=30, limit_bytes=10_000)
    assert (result.ended, result.code) == ("too much output", None)
    assert len(result.stdout) <= 10_000


async def test_a_program_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        await run_command(["/no/such/program"], SystemClock(), timeout_s=1)
