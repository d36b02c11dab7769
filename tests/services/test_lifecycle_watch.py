"""The watch's life: one per state directory, gone in a second, back after kill -9, clear in failure."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from services.watch_process import ROOT, Watch, running, until

from console.cli.lifecycle import running_pid
from console.config.paths import StatePaths
from console.watch.process import hold_state
from console.wire import PROTOCOL, Hello, Invoke, frame


def test_a_second_watch_on_the_same_state_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        second = Watch(tmp_path)
        said = second.start()
        assert f"pid {first.pid}" in said
        assert second.process is not None
        assert second.process.wait(10) == 4
        assert first.reachable()
        done = first.cli("start")
        assert done.returncode == 4
        assert str(first.pid) in done.stderr
        second.end()


def test_two_states_do_not_know_each_other(tmp_path: Path) -> None:
    with running(tmp_path / "a") as one, running(tmp_path / "b") as two:
        one.data("add-work", "t", "mine")
        assert two.data("list-work")["total"] == 0


def test_what_a_killed_watch_leaves_is_recovered_from(tmp_path: Path) -> None:
    with running(tmp_path) as watch:
        watch.data("register-agent", "b1", "--team", "search")
        watch.data("add-work", "t", "kept", "--id", "kept")
        watch.data("claim", "b1")
        pid = watch.pid
        watch.kill()
        assert watch.socket.exists()
        assert (watch.state / "watch.pid").read_text().strip() == str(pid)
        assert watch.cli("status").returncode == 5
        assert "left over" in watch.cli("status").stderr
        assert watch.cli("stop").returncode == 3
        assert watch.start() == "ready"
        (item,) = watch.data("list-work")["rows"]
        assert (item["id"], item["state"], item["holder"]) == ("kept", "leased", "b1")
        (agent,) = watch.data("list-agents")["rows"]
        assert (agent["id"], agent["team"]) == ("b1", "search")
        assert (watch.state / "watch.pid").read_text().strip() == str(watch.pid)


def test_term_ends_it_in_a_second_while_commands_run_and_doors_are_open(tmp_path: Path) -> None:
    deaf = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True);"
            " time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    assert deaf.stdout is not None
    deaf.stdout.readline()
    with running(tmp_path) as watch:
        until(
            lambda: watch.data("list-processes", "--filter", f"pid={deaf.pid}")["rows"],
            "the process in the table",
        )
        busy = socket.socket(socket.AF_UNIX)
        busy.connect(str(watch.socket))
        busy.sendall(frame(Hello(PROTOCOL, "tui")))
        busy.sendall(
            frame(Invoke(1, "kill-process", (str(deaf.pid),), {"grace": "30s"}, confirmed=str(deaf.pid)))
        )
        idle = [watch.connect() for _ in range(20)]
        until(lambda: ("kill-process", str(deaf.pid), "intent") in watch.audit(), "the command under way")
        try:
            assert watch.end() < 1.0
            assert watch.process is not None
            assert watch.process.returncode == 0
            assert not watch.socket.exists()
            assert watch.start() == "ready"
            assert watch.audit()[-1] == ("kill-process", str(deaf.pid), "unknown")  # not left as an intent
            assert watch.cli("audit", "--verify").returncode == 0
        finally:
            busy.close()
            for client in idle:
                client.close()
            deaf.kill()
            deaf.wait()
            deaf.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_watch_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as watch:
        assert watch.end(number) < 1.0
        assert watch.process is not None
        assert watch.process.returncode == 0
        assert not watch.socket.exists()
        assert not (watch.state / "watchfloor.db-wal").exists()


def test_a_lost_terminal_does_not_end_it(tmp_path: Path) -> None:
    with running(tmp_path) as watch:
        os.kill(watch.pid, signal.SIGHUP)
        assert watch.data("status")["pid"] == watch.pid


def test_start_stop_and_restart_from_the_shell(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert watch.cli("stop").returncode == 3
    started = watch.cli("start")
    assert started.returncode == 0, started.stderr
    try:
        first = watch.data("status")["pid"]
        watch.data("register-agent", "b1")
        watch.data("add-work", "t", "kept")
        assert watch.cli("restart", "--yes").returncode == 0
        assert watch.data("status")["pid"] != first
        assert watch.data("list-work")["total"] == 1
        assert watch.data("list-agents")["total"] == 1
    finally:
        stopped = watch.cli("stop", "--yes")
    assert stopped.returncode == 0, stopped.stderr
    assert not watch.reachable()


def test_a_private_watch_ends_with_its_console(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    console = subprocess.Popen(
        [sys.executable, "-m", "console.watch.process", "--state", str(watch.state), "--private"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=watch.environ,
        cwd=ROOT,
    )
    assert console.stdout is not None
    assert console.stdin is not None
    assert console.stdout.readline() == b"ready\n"
    console.stdin.close()
    assert console.wait(5) == 0
    console.stdout.close()


# --- what it cannot start on -----------------------------------------------------------------------------


def refused(watch: Watch, code: int = 1) -> str:
    """Start it where it cannot; both ways say the same, in one line."""
    said = watch.start()
    assert watch.process is not None
    assert watch.process.wait(10) == code
    watch.end()
    done = watch.cli("start")
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return said


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"my shopping list\n" * 100, "foreign file"),
        (b"SQLite format 3\0" + b"\0" * 20, "corrupt"),
        (b"SQLite format 3\0" + os.urandom(4096), "foreign file"),
    ],
    ids=["text", "cut", "noise"],
)
def test_a_foreign_database_file_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes, word: str
) -> None:
    watch = Watch(tmp_path)
    watch.state.mkdir(mode=0o700)
    watch.database.write_bytes(content)
    said = refused(watch)
    assert word in said
    assert str(watch.database) in said
    assert watch.database.read_bytes() == content


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.state.mkdir(mode=0o700)
    with sqlite3.connect(watch.database) as sql:
        sql.execute("CREATE TABLE recipes (name)")
    sql.close()
    content = watch.database.read_bytes()
    assert "belongs to another program" in refused(watch)
    assert watch.database.read_bytes() == content


def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with running(tmp_path) as watch:
        for number in range(50):
            with watch.connect() as client:
                client.invoke("add-work", args={"type": "t", "title": f"{number}" * 100})
        watch.end()
    content = bytearray(watch.database.read_bytes())
    for at in range(4096, len(content) - 64, 512):
        content[at : at + 64] = b"\xa5" * 64
    watch.database.write_bytes(content)
    assert "corrupt" in refused(watch)
    assert watch.database.read_bytes() == content


def test_a_broken_configuration_starts_nothing(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "[watch]\nidle_factor = 'often'\n")
    said = refused(watch, code=2)
    assert str(watch.config_file) in said
    assert "idle_factor" in said
    assert not watch.database.exists()


def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.state.write_text("not a folder")
    said = refused(watch)
    assert str(watch.state) in said
    assert watch.state.read_text() == "not a folder"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_state_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.state.mkdir(mode=0o700)
    os.chown(watch.state, 65534, 65534)
    said = refused(watch)
    assert "uid 65534" in said
    assert "WATCHFLOOR_STATE" in said


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_an_unwritable_state_directory_is_refused(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.state.mkdir(mode=0o500)
    assert str(watch.state) in refused(watch)


def test_a_state_directory_on_a_read_only_filesystem_is_named(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.state = Path("/proc/nowhere/state")
    said = watch.start()
    assert watch.process is not None
    assert watch.process.wait(10) == 1
    watch.end()
    assert "/proc/nowhere" in said


def test_a_file_where_the_socket_belongs_is_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("precious")
    watch = Watch(tmp_path, f"[watch]\nsocket = '{notes}'\n")
    said = refused(watch)
    assert str(notes) in said
    assert "not a socket" in said
    assert notes.read_text() == "precious"


def test_a_socket_that_another_watch_serves_is_left_to_it(tmp_path: Path) -> None:
    shared = tmp_path / "s.sock"
    config = f"[watch]\nsocket = '{shared}'\n"
    with running(tmp_path / "a", config):
        other = Watch(tmp_path / "b", config)
        said = refused(other, code=4)
        assert str(shared) in said
        with socket.socket(socket.AF_UNIX) as still:
            still.connect(str(shared))


def test_a_moved_socket_is_found_by_the_command_line(tmp_path: Path) -> None:
    shared = tmp_path / "s.sock"
    with running(tmp_path, f"[watch]\nsocket = '{shared}'\n") as watch:
        assert watch.data("status")["pid"] == watch.pid
        assert not (watch.state / "watch.sock").exists()


def test_asking_whether_a_watch_runs_does_not_keep_one_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StatePaths(tmp_path, tmp_path / "s")
    asking = os.open(paths.pid_file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(asking, fcntl.LOCK_EX)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            os.close(asking)  # it has its answer

    monkeypatch.setattr("console.watch.process.time.sleep", pause)
    lock = hold_state(paths)
    assert len(pauses) == 3
    assert running_pid(paths) == os.getpid()
    os.close(lock)
    assert running_pid(paths) is None
