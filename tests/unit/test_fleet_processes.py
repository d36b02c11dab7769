"""The process table over a made-up /proc: what changes a row, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.clock import ManualClock
from backends.fleet.identity import HAS_PROC
from backends.fleet.processes import REREAD_EVERY, ProcessTable
from backends.fleet.procfs import CLOCK_TICKS, PAGE_BYTES
from backends.model import Process

pytestmark = pytest.mark.skipif(not HAS_PROC, reason="needs Linux's /proc")


class FakeProc:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "stat").write_text("cpu  1 0 0 1 0 0 0 0 0 0\nbtime 1700000000\n")

    def process(
        self,
        pid: int,
        name: bytes = b"agent",
        state: str = "S",
        ticks: int = 0,
        start: int = 500,
        pages: int = 10,
        arguments_at: int = 1000,
        cmdline: bytes = b"agent\0--run\0",
    ) -> None:
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        head = f" {state} 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 3 0 {start} 1000 {pages}"
        tail = " 0" * 23 + f" {arguments_at} 0 0 0 0\n"
        (folder / "stat").write_bytes(b"%d (%s)" % (pid, name) + (head + tail).encode())
        (folder / "cmdline").write_bytes(cmdline)

    def end(self, pid: int) -> None:
        for file in (self.root / str(pid)).iterdir():
            file.unlink()
        (self.root / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def table(proc: FakeProc, clock: ManualClock) -> ProcessTable:
    return ProcessTable(clock, "h", str(proc.root))


async def rows(table: ProcessTable) -> dict[int, Process]:
    reading = await table.read()
    assert reading.state.ok, reading.state.reason
    return {row.ref.pid: row for row in reading.tables["processes"]}


async def test_a_row(proc: FakeProc, table: ProcessTable) -> None:
    proc.process(42)
    row = (await rows(table))[42]
    assert (row.id, row.name, row.command, row.state) == ("h:42:500", "agent", "agent --run", "S")
    assert (row.parent_pid, row.threads, row.rss_bytes) == (1, 3, 10 * PAGE_BYTES)
    assert row.started_at == 1_700_000_000_000 + 500 * 1000 // CLOCK_TICKS
    assert row.cpu_pct is None, "one look cannot know a share of time"


async def test_cpu_is_the_share_of_one_core_since_the_last_read(
    proc: FakeProc, table: ProcessTable, clock: ManualClock
) -> None:
    proc.process(42, ticks=0)
    await rows(table)
    proc.process(42, ticks=CLOCK_TICKS)
    clock.advance(2000)
    assert (await rows(table))[42].cpu_pct == 50.0
    clock.advance(2000)
    assert (await rows(table))[42].cpu_pct == 0.0
    clock.advance(60_000)
    await rows(table)
    proc.process(42, ticks=CLOCK_TICKS * 2)
    clock.advance(1000)
    assert (await rows(table))[42].cpu_pct == 100.0, "idle reads count as time that passed"


async def test_an_idle_process_keeps_its_very_row(
    proc: FakeProc, table: ProcessTable, clock: ManualClock
) -> None:
    proc.process(42)
    for _ in range(2):
        await rows(table)
        clock.advance(1000)
    before = (await rows(table))[42]
    for _ in range(REREAD_EVERY + 1):
        clock.advance(1000)
        assert (await rows(table))[42] is before


async def test_a_reused_pid_is_another_process(
    proc: FakeProc, table: ProcessTable, clock: ManualClock
) -> None:
    proc.process(42, ticks=900)
    first = (await rows(table))[42]
    clock.advance(1000)
    proc.process(42, start=900, ticks=3, cmdline=b"other\0")
    second = (await rows(table))[42]
    assert second.id != first.id
    assert (second.command, second.cpu_pct) == ("other", None)


async def test_exec_shows_the_new_command_line(
    proc: FakeProc, table: ProcessTable, clock: ManualClock
) -> None:
    proc.process(42, cmdline=b"sh\0-c\0agent\0")
    await rows(table)
    clock.advance(1000)
    proc.process(42, arguments_at=2000, cmdline=b"agent\0")
    assert (await rows(table))[42].command == "agent"


async def test_a_process_that_rewrites_its_command_line_is_found_out(
    proc: FakeProc, table: ProcessTable, clock: ManualClock
) -> None:
    proc.process(42, cmdline=b"ray::IDLE\0")
    await rows(table)
    proc.process(42, cmdline=b"ray::train\0")
    for _ in range(REREAD_EVERY):
        clock.advance(1000)
        found = await rows(table)
    assert found[42].command == "ray::train"


async def test_the_command_line_of_a_process_stuck_in_the_kernel_waits(
    proc: FakeProc, table: ProcessTable, clock: ManualClock
) -> None:
    proc.process(42, state="D")
    assert (await rows(table))[42].command == "[agent]"
    clock.advance(1000)
    proc.process(42, state="S")
    assert (await rows(table))[42].command == "agent --run"


async def test_a_process_that_ended_has_no_row(proc: FakeProc, table: ProcessTable) -> None:
    proc.process(42)
    proc.process(43)
    await rows(table)
    proc.end(42)
    assert set(await rows(table)) == {43}


async def test_hostile_names_and_arguments_are_one_clean_line(proc: FakeProc, table: ProcessTable) -> None:
    proc.process(42, name=b"x\x1b]52;c\x07\n)", cmdline=b"a\x1b[2J\0b\nc\0\xff\0[@click=app.quit]\0")
    proc.process(43, name=b"kworker/0:1", cmdline=b"")
    found = await rows(table)
    for row in found.values():
        assert row.name.isprintable()
        assert row.command.isprintable()
    assert found[42].command == "a␛[2J b c \N{REPLACEMENT CHARACTER} [@click=app.quit]"
    assert found[43].command == "[kworker/0:1]"


async def test_a_line_that_is_no_stat_line_is_no_process(proc: FakeProc, table: ProcessTable) -> None:
    proc.process(42)
    (proc.root / "43").mkdir()
    (proc.root / "43/stat").write_bytes(b"43 (half")
    assert set(await rows(table)) == {42}


async def test_no_proc_is_a_reading_with_a_reason(tmp_path: Path, clock: ManualClock) -> None:
    reading = await ProcessTable(clock, "h", str(tmp_path / "absent")).read()
    assert not reading.state.ok
    assert "cannot list processes" in reading.state.reason
