"""Starting agents and units for real."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from backends.clock import ManualClock, SystemClock
from backends.fleet import is_same_process
from backends.model import OutcomeStatus, ProcessRef
from backends.recovery import (
    Refused,
    StartFailed,
    exit_code_of,
    run_unit,
    start_command,
    systemctl_argv,
    terminate,
)


async def ended(ref: ProcessRef) -> int:
    """Its exit code, once its parent (we) collected it."""
    async with asyncio.timeout(30):
        while True:
            if (code := exit_code_of(ref)) is not None:
                return code
            await asyncio.sleep(0)


async def test_a_started_agent_has_its_own_session_no_input_and_a_log(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()), os.environ['NAME'], os.getcwd())\n"
        "print('problem', file=sys.stderr); sys.exit(7)"
    )
    log = tmp_path / "logs" / "agent.log"
    ref = start_command([sys.executable, "-c", script], {"NAME": "a b;$(c)"}, tmp_path, log)
    assert await ended(ref) == 7
    assert sorted(log.read_text().splitlines()) == [f"True '' a b;$(c) {tmp_path}", "problem"]
    assert log.stat().st_mode & 0o777 == 0o600
    assert not is_same_process(ref)


async def test_a_log_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("before\n")
    await ended(start_command(["echo", "after"], {}, None, log))
    assert log.read_text() == "before\nafter\n"


async def test_a_started_agent_can_be_terminated(tmp_path: Path) -> None:
    ref = start_command(["sleep", "600"], {}, None, tmp_path / "log")
    assert (await terminate(ref, SystemClock())).status is OutcomeStatus.VERIFIED
    assert await ended(ref) == -15


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        ([], None, "empty"),
        (["/no/such/agent"], None, "/no/such/agent is not found; give its full path"),
        (["true"], "/no/such/folder", "its folder /no/such/folder does not exist"),
        (["/etc/passwd"], None, "may not be executed"),
        (["a\0b"], None, "embedded null byte"),
    ],
)
def test_what_cannot_start_is_said_in_words(
    argv: list[str], cwd: str | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(StartFailed, match=words):
        start_command(argv, {}, cwd, tmp_path / "log")


def test_a_log_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartFailed, match="cannot write the log"):
        start_command(["touch", str(tmp_path / "started")], {}, None, tmp_path / "file" / "log")
    assert not (tmp_path / "started").exists()


def test_systemctl_is_called_with_arguments_only() -> None:
    assert systemctl_argv("agent@1.service", "restart", user=True) == [
        "systemctl",
        "--user",
        "--no-ask-password",
        "restart",
        "--",
        "agent@1.service",
    ]


@pytest.mark.parametrize("unit", ["", "--root=/", "a b", "a;b", "a\nb", "../x", "x" * 300])
def test_what_is_no_unit_name_is_refused(unit: str) -> None:
    with pytest.raises(Refused, match="not the name of a systemd unit"):
        systemctl_argv(unit, "start", user=False)


def systemctl(folder: Path, act: str, state: str) -> str:
    """A program that answers as systemctl would."""
    path = folder / "systemctl"
    path.write_text(f'#!/bin/sh\ncase "$*" in *is-active*) {state};; *) {act};; esac\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("act", "state", "status", "message"),
    [
        ("true", "echo active", OutcomeStatus.VERIFIED, "a.service is active"),
        ("true", "echo failed; exit 3", OutcomeStatus.FAILED, "a.service is failed after start"),
        ("true", "echo activating; exit 3", OutcomeStatus.UNKNOWN, "a.service is still activating"),
        ("true", "exit 1", OutcomeStatus.UNKNOWN, "could not be read"),
        ("echo Unit not found. >&2; exit 5", "echo", OutcomeStatus.FAILED, "failed: Unit not found."),
        ("exit 5", "echo", OutcomeStatus.FAILED, "failed: exit code 5"),
    ],
)
async def test_a_units_start_is_verified(
    act: str, state: str, status: OutcomeStatus, message: str, tmp_path: Path
) -> None:
    program = systemctl(tmp_path, act, state)
    outcome = await run_unit("a.service", "start", False, SystemClock(), systemctl=program)
    assert outcome.status is status
    assert message in outcome.message


async def test_a_systemctl_that_hangs_is_unknown(tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    program = systemctl(tmp_path, f"echo > {started}; sleep 600", "echo active")
    clock = ManualClock()
    running = asyncio.ensure_future(run_unit("a.service", "stop", True, clock, 30, program))
    await asyncio.get_running_loop().run_in_executor(None, started.read_bytes)
    while not running.done():
        await asyncio.sleep(0)
        clock.advance(30_000)
    outcome = await running
    assert outcome.status is OutcomeStatus.UNKNOWN
    assert "did not return within 30s" in outcome.message


async def test_a_machine_without_systemd_is_a_failure_in_words() -> None:
    outcome = await run_unit("a.service", "start", False, SystemClock(), systemctl="/no/systemctl")
    assert outcome.status is OutcomeStatus.FAILED
    assert "is this machine run by systemd?" in outcome.message
