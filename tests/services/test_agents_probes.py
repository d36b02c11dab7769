"""Probes against real servers, real processes and real files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from backends.agents import DeclaredAgent, DeclaredReader, Match, Roster, SessionReader
from backends.agents.facts import ProbeReport, Session
from backends.agents.probe_network import check_health, check_port
from backends.agents.probe_unit import UnitsUnreadable, show_units
from backends.clock import SystemClock
from backends.fleet import ProcessTable
from backends.model import Activity, Process, Reach

CLOCK = SystemClock()


@contextlib.asynccontextmanager
async def server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
) -> AsyncIterator[int]:
    """A TCP server on a free port of the loopback interface."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            result = answer(reader, writer)
            if asyncio.iscoroutine(result):
                await result
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def says(line: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(line)
        await writer.drain()

    return answer


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("line", "ok", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "answered 200 OK"),
        (b"HTTP/1.0 204\r\n\r\n", True, "answered 204"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", False, "answered 302 Found"),
        (b"HTTP/1.1 503 Not \x1b[31mready\r\n\r\n", False, "answered 503 Not ␛[31mready"),
        (b"SSH-2.0-OpenSSH\r\n", False, "not HTTP: SSH-2.0-OpenSSH"),
        (b"", False, "not HTTP: nothing"),
        (b"HTTP/1.1 20 x\r\n", False, "not HTTP"),
        (b"x" * 100_000, False, "not HTTP"),
    ],
)
async def test_health_urls(line: bytes, ok: bool, words: str) -> None:
    async with server(says(line)) as port:
        found = await check_health(f"http://127.0.0.1:{port}/health?deep=1", 5)
    assert (found.ok, words in found.says) == (ok, True), found.says


async def test_the_request_is_one_a_server_understands() -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async with server(answer) as port:
        await check_health(f"http://user:secret@127.0.0.1:{port}?x=1", 5)
    request = heard[0].decode()
    assert request.startswith("GET /?x=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}\r\n" in request
    assert "secret" not in request


async def test_a_server_that_never_answers_runs_into_the_timeout() -> None:
    async with server(never) as port:
        began = time.monotonic()
        found = await check_health(f"http://127.0.0.1:{port}/", 0.1)
        assert time.monotonic() - began < 2
    assert found.ok is False
    assert "did not answer within 0.1s" in found.says


async def test_ports() -> None:
    async with server(never) as port:
        assert (await check_port("127.0.0.1", port, 5)).ok is True
    closed = await check_port("127.0.0.1", free_port(), 5)
    assert (closed.ok, "nothing listens" in closed.says) == (False, True)
    assert (await check_port("no-such-host.invalid", 80, 5)).ok is False


async def test_systemctl_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnitsUnreadable, match="not on this machine"):
        await show_units(["a.service"], False, CLOCK, 5)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'System has not been booted with systemd' >&2; exit 1", "not been booted"),
        ("exec sleep 60", "timeout"),
    ],
)
async def test_systemctl_that_cannot_answer(
    script: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _systemctl(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UnitsUnreadable, match=words):
        await show_units(["a.service"], False, CLOCK, 0.3)


async def test_all_units_are_asked_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = "LoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=1\\nNRestarts=2\\n"
    _systemctl(tmp_path, f'echo "$*" >> {tmp_path}/calls; printf "{block}\\n{block}"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    agents = [DeclaredAgent(name=name, match=Match(unit=f"{name}.service")) for name in ("a", "b")]
    told: list[ProbeReport] = []
    reading = await DeclaredReader("h", agents, list, told.extend, CLOCK).read()
    assert reading.state.ok
    assert [(report.name, report.running, report.unit and report.unit.restarts) for report in told] == [
        ("a", True, 2),
        ("b", True, 2),
    ]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].endswith("-- a.service b.service")


async def test_no_systemd_is_said_and_other_probes_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    told: list[ProbeReport] = []
    async with server(never) as port:
        agents = [
            DeclaredAgent(name="unit", match=Match(unit="a.service")),
            DeclaredAgent(name="port", match=Match(port=port)),
        ]
        reading = await DeclaredReader("h", agents, list, told.extend, CLOCK).read()
    assert (reading.state.ok, reading.state.status) == (False, "no systemd")
    assert [report.running for report in told] == [None, True]


async def test_one_failure_is_not_believed_two_are() -> None:
    told: list[ProbeReport] = []
    async with server(says(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        agent = DeclaredAgent(name="a", match=Match(health_url=f"http://127.0.0.1:{port}/"))
        reader = DeclaredReader("h", [agent], list, told.extend, CLOCK)
        await reader.read()
    await reader.read()
    await reader.read()
    assert [report.running for report in told] == [True, True, False]
    assert "asking a second time" in told[1].checks[0].says


async def test_a_real_process_from_start_to_crash(tmp_path: Path) -> None:
    """Command line, pid file and port of one real process; found, suspended, then killed."""
    port = free_port()
    script = tmp_path / "declared_worker.py"
    script.write_text(
        "import os, socket, sys\n"
        f"server = socket.create_server(('127.0.0.1', {port}))\n"
        f"open({str(tmp_path / 'a.pid')!r}, 'w').write(str(os.getpid()))\n"
        "print('up', flush=True)\n"
        "while True: server.accept()\n"
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        assert worker.stdout is not None
        await worker.stdout.readline()
        table = ProcessTable(CLOCK)
        roster = Roster(table.host)
        agent = DeclaredAgent(
            name="a", match=Match(command=r"declared_worker\.py", pid_file=str(tmp_path / "a.pid"), port=port)
        )
        roster.set_declared([agent])
        processes: list[Process] = []

        async def look(reader: DeclaredReader, times: int = 1) -> None:
            for _ in range(times):
                reading = await table.read()
                processes[:] = reading.tables["processes"]
                roster.set_processes(processes, reading.state.observed_at or 0)
                await reader.read()
                roster.tick(CLOCK.now_ms())

        reader = DeclaredReader(table.host, [agent], lambda: processes, roster.set_probes, CLOCK)
        await look(reader)
        row = roster.rows["a"]
        assert row.reach is Reach.LIVE
        assert [ref.pid for ref in row.processes] == [worker.pid]
        explanation = roster.explain("a", CLOCK.now_ms())
        assert explanation is not None
        words = " ".join(evidence.says for evidence in explanation.evidence)
        assert f"names process {worker.pid}" in words
        assert f"process {worker.pid} listens" in words

        worker.send_signal(19)  # SIGSTOP
        await _until(lambda: _state(worker.pid) == "T")
        await look(reader)
        assert roster.rows["a"].activity is Activity.PAUSED

        worker.kill()
        await worker.wait()
        await look(reader, times=3)
        assert (roster.rows["a"].activity, roster.rows["a"].cause) == (Activity.CRASHED, "pid-gone")
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def test_session_reader(tmp_path: Path) -> None:
    told: list[Session] = []
    (tmp_path / "5.json").write_text('{"pid": 5, "status": "idle"}')
    reading = await SessionReader("h", CLOCK, told.extend, tmp_path).read()
    assert reading.state.ok
    assert [session.pid for session in told] == [5]
    broken = await SessionReader("h", CLOCK, told.extend, tmp_path / "5.json").read()
    assert (broken.state.ok, broken.state.status) == (False, "unreadable")


def _systemctl(folder: Path, script: str) -> None:
    path = folder / "systemctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)
