"""The command line against a real watch: exit codes, JSON, confirmation, read-only, dry runs."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.watch_process import ROOT, WATCHFLOOR, Watch, running

from console.commands import REGISTRY
from console.commands.registry import Place
from console.wire import PROTOCOL, Welcome, frame


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with running(tmp_path_factory.mktemp("cli")) as started:
        yield started


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The one JSON object on stderr."""
    body: dict[str, object] = json.loads(done.stderr)
    assert set(body) == {"error", "code"}
    assert body["code"] == done.returncode
    return body


def test_an_agent_works_from_the_shell(watch: Watch) -> None:
    item = watch.data("add-work", "build", "from the shell")
    assert item["state"] == "ready"
    claimed = watch.cli("claim", "--type", "build", WATCHFLOOR_AGENT="sh1")
    assert claimed.returncode == 0
    item_id, fence, title = claimed.stdout.strip().split("\t")
    assert (item_id, title) == (item["id"], "from the shell")
    assert watch.cli("progress", item_id, "40", "--note", "half", WATCHFLOOR_AGENT="sh1").returncode == 0
    assert watch.cli("register-agent", "--kind", "worker", WATCHFLOOR_AGENT="sh1").returncode == 0
    assert watch.cli("heartbeat", "--activity", "working", WATCHFLOOR_AGENT="sh1").returncode == 0
    assert watch.cli("complete", item_id, "--fence", fence).returncode == 0
    listed = watch.cli("list-work", "--filter", "state:succeeded")
    assert item_id in listed.stdout
    assert "SUCCEEDED" in listed.stdout.upper()


def test_titles_that_look_like_options_are_taken_after_two_dashes(watch: Watch) -> None:
    done = watch.cli("add-work", "--", "build", "--yes --json")
    assert done.returncode == 0, done.stderr
    assert any(row["title"] == "--yes --json" for row in watch.data("list-work")["rows"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status",), 0),
        (("list-agents", "--filter", "nosuch:1"), 2),
        (("nosuch",), 2),
        (("add-work", "build"), 2),
        (("progress", "w1", "lots", "--fence", "1"), 2),
        (("claim",), 2),
        (("pane-agents",), 2),
        (("help", "nosuch"), 2),
        (("status", "--confirm"), 2),
        (("explain", "nosuch"), 3),
        (("complete", "nosuch", "--fence", "1"), 3),
        (("cancel", "nosuch", "--yes"), 3),
        (("kill-process", "999999999", "--confirm", "999999999"), 3),
        (("thaw", "--yes"), 4),
        (("estop",), 2),  # needs a yes, nobody is there to give it
        (("start",), 4),
        (("cancel", "nosuch", "--yes", "--read-only"), 6),
        (("stop", "--read-only"), 6),
        (("config", "--set", "console.theme=light", "--read-only"), 6),
    ],
)
def test_exit_codes_are_honest_and_errors_are_json_when_asked(
    watch: Watch, words: tuple[str, ...], code: int
) -> None:
    plain = watch.cli(*words)
    assert plain.returncode == code, plain.stderr
    if code:
        steps, error = plain.stderr.splitlines()[:-1], plain.stderr.splitlines()[-1]
        assert error.startswith("watchfloor: ")
        assert not steps or words == ("estop",)  # the question shows what would be done
        assert "Traceback" not in plain.stderr
    if code and words[0] != "help" and words[-1] != "--confirm":
        as_json = watch.cli(*words, "--json")
        assert as_json.returncode == code
        assert error_of(as_json)["error"]


def test_every_reading_command_speaks_json(watch: Watch) -> None:
    watch.data("register-agent", "seen")
    for command in REGISTRY:
        if command.mutates or command.place is not Place.WATCH or command.id in ("logs", "doctor"):
            continue
        targets = ("seen",) if command.acts_on else ()
        done = watch.cli(command.id, *targets, "--json")
        assert done.returncode == 0, (command.id, done.stderr)
        body = json.loads(done.stdout)
        assert body["schema_version"] == 1
        assert body["data"] is not None
    for words in (("logs",), ("config",), ("config", "--path"), ("config", "--validate")):
        done = watch.cli(*words, "--json")
        assert done.returncode == 0, (words, done.stderr)
        assert json.loads(done.stdout)["schema_version"] == 1


def test_without_a_watch_everything_that_asks_one_is_unreachable(tmp_path: Path) -> None:
    away = Watch(tmp_path)
    for words in (("status",), ("claim", "a"), ("estop", "--yes"), ("cancel", "x", "--dry-run")):
        done = away.cli(*words)
        assert done.returncode == 5, done.stderr
        assert "watchfloor start" in done.stderr
    assert not away.state.exists()


def test_a_watch_that_dies_while_it_is_asked_leaves_a_change_unverified(tmp_path: Path) -> None:
    with running(tmp_path) as watch:
        os.kill(watch.pid, signal.SIGSTOP)
        asks = [
            subprocess.Popen(
                [*WATCHFLOOR, *words], env=watch.environ, cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
            for words in (("add-work", "t", "x"), ("status",))
        ]
        killer = threading.Timer(0.5, watch.process.kill)  # type: ignore[union-attr]
        killer.start()
        said = [ask.communicate(timeout=30)[1] for ask in asks]
    # neither had been greeted yet: nothing was sent, so nothing can have happened
    assert [ask.returncode for ask in asks] == [5, 5], said


@pytest.mark.parametrize(
    ("words", "code"),
    [(("add-work", "t", "x"), 7), (("add-work", "t", "x", "--dry-run"), 5), (("status",), 5)],
)
def test_a_watch_that_leaves_after_it_was_asked_leaves_a_change_unverified(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    gone = Watch(tmp_path)
    gone.state.mkdir(mode=0o700)
    welcome = frame(Welcome(PROTOCOL, 1, "h", "0", 0))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(gone.socket))
        door.listen()

        def greet_hear_and_leave() -> None:
            caller, _ = door.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(welcome)
                caller.recv(4096)

        leaving = threading.Thread(target=greet_hear_and_leave)
        leaving.start()
        done = gone.cli(*words)
        leaving.join()
    assert done.returncode == code, done.stderr
    assert ("look before repeating" in done.stderr) is (code == 7)


def test_dry_runs_change_nothing(watch: Watch, tmp_path: Path) -> None:
    watch.data("add-work", "t", "dry", "--id", "dry1")
    before = (watch.data("list-work"), watch.data("list-agents")["total"], watch.audit())
    for words in (
        ("add-work", "t", "x"),
        ("claim", "nobody"),
        ("cancel", "dry1"),
        ("register-agent", "ghost"),
        ("heartbeat", "seen"),
        ("estop",),
        ("stop",),
        ("restart",),
    ):
        done = watch.cli(*words, "--dry-run", "--yes")
        assert done.returncode == 0, (words, done.stderr)
        assert "would" in done.stdout, (words, done.stdout)
        body = json.loads(watch.cli(*words, "--dry-run", "--yes", "--json").stdout)
        assert body["schema_version"] == 1
    assert (watch.data("list-work"), watch.data("list-agents")["total"], watch.audit()) == before
    fresh = Watch(tmp_path)
    assert fresh.cli("start", "--dry-run").returncode == 0
    assert not fresh.state.exists()


def test_a_dry_run_that_could_not_run_says_so(watch: Watch) -> None:
    done = watch.cli("thaw", "--dry-run")
    assert done.returncode == 4
    assert "no emergency stop is in force" in done.stdout


def test_config_set_writes_the_users_file_and_nothing_else(tmp_path: Path) -> None:
    mine = Watch(tmp_path)
    before = mine.config_file.read_text()
    done = mine.cli("config", "--set", "console.theme=light", "--dry-run")
    assert done.returncode == 0
    assert mine.config_file.read_text() == before
    assert mine.cli("config", "--set", "console.theme=light").returncode == 0
    assert 'theme = "light"' in mine.config_file.read_text()
    assert before.splitlines()[1] in mine.config_file.read_text()  # the rest stays
    bad = mine.cli("config", "--set", "console.theme=mauve")
    assert bad.returncode == 2
    assert "theme" in bad.stderr
    values = {entry["key"]: entry for entry in json.loads(mine.cli("config", "--json").stdout)["data"]}
    assert values["console.theme"]["value"] == "light"
    assert str(mine.config_file) in values["console.theme"]["where"]


def test_a_broken_configuration_is_a_usage_error_that_names_file_and_line(tmp_path: Path) -> None:
    mine = Watch(tmp_path, "[console]\ntheem = 'dark'\n")
    for words in (("config",), ("start",), ("status",)):
        done = mine.cli(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert str(mine.config_file) in done.stderr
        assert "theem" in done.stderr
        assert "theme" in done.stderr  # the nearest right key
    assert not mine.database.exists()


@pytest.mark.parametrize(
    ("keys", "named"), [('rety = "R"', "rety"), ('retry = "hyper+x"', "hyper"), ('quit = ""', "quit")]
)
def test_validate_finds_broken_keys(tmp_path: Path, keys: str, named: str) -> None:
    mine = Watch(tmp_path, f"[keys]\n{keys}\n")
    done = mine.cli("config", "--validate")
    assert done.returncode == 2
    assert f"{mine.config_file}:" in done.stderr
    assert named in done.stderr
    assert error_of(mine.cli("config", "--validate", "--json"))["code"] == 2


def test_help_comes_from_the_registry_and_starts_nothing(tmp_path: Path) -> None:
    away = Watch(tmp_path)
    done = away.cli("--help")
    assert done.returncode == 0
    for command in REGISTRY:
        if not command.hidden and command.place is not Place.CONSOLE:
            assert f"  {command.id} " in done.stdout
    one = away.cli("progress", "--help")
    assert one.returncode == 0
    assert "progress ITEM" in one.stdout
    assert not away.state.exists()


def test_a_status_from_a_running_watch_imports_nothing_heavy(watch: Watch) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "console", "status", "--json"],
        env=watch.environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    loaded = {
        line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line
    }
    assert "msgspec" in loaded
    assert not loaded & {"textual", "rich", "widgets", "anthropic", "psutil", "asyncio", "sqlite3"}


def test_a_yes_is_asked_for_at_a_terminal_and_no_is_no(watch: Watch) -> None:
    watch.data("add-work", "t", "asked", "--id", "asked")
    for typed, code, state in ((b"n\n", 6, "ready"), (b"y\n", 0, "cancelled")):
        master, slave = pty.openpty()
        asked = subprocess.Popen(
            [*WATCHFLOOR, "cancel", "asked"],
            env=watch.environ,
            cwd=ROOT,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(slave)
        os.write(master, typed)
        _, errors = asked.communicate(timeout=30)
        os.close(master)
        assert asked.returncode == code, errors
        assert b"cancel asked" in errors
        item = next(row for row in watch.data("list-work")["rows"] if row["id"] == "asked")
        assert item["state"] == state


def test_a_reader_that_leaves_is_no_error(watch: Watch) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *WATCHFLOOR, "metrics"],
        env=watch.environ,
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"Traceback" not in done.stderr


def test_audit_verify_holds_and_names_the_first_bad_record(tmp_path: Path) -> None:
    with running(tmp_path) as watch:
        for number in range(5):
            watch.data("add-work", "t", f"item {number}")
        good = watch.cli("audit", "--verify")
        assert good.returncode == 0
        assert "the chain holds" in good.stdout
        watch.end()
        with sqlite3.connect(watch.database) as sql:
            sql.execute("UPDATE audit SET target = 'other' WHERE seq = 3")
        sql.close()
        assert watch.start() == "ready"
        bad = watch.cli("audit", "--verify")
        assert bad.returncode == 1
        assert "record 3" in bad.stderr
        as_json = watch.cli("audit", "--verify", "--json")
        assert as_json.returncode == 1
        assert json.loads(as_json.stdout)["data"]["bad_seq"] == 3
        assert error_of(as_json)["code"] == 1


def test_a_read_only_watch_denies_and_shows(tmp_path: Path) -> None:
    with running(tmp_path, "[console]\nread_only = true\n") as watch:
        assert watch.cli("add-work", "t", "x").returncode == 6
        assert watch.cli("estop", "--yes").returncode == 6
        assert watch.cli("list-work").returncode == 0
        assert watch.data("status")["read_only"] is True
        assert [outcome for _, _, outcome in watch.audit()] == ["refused", "refused"]
