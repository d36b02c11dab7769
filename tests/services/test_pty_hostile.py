"""The real console in a terminal, against a real watch whose every field is poisoned.

Poison comes in as outsiders bring it: registrations, notes, work, log lines, git branches and process command
lines. The bytes that reach the terminal hold Textual's own sequences and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.terminal import Terminal
from fake_anthropic import FakeAnthropic
from gpu_stub.build import stub_library

from console.client import Connection

ROOT = Path(__file__).parents[2]
#: What must not arrive: clipboard, title, hyperlinks, C1, screen switches, bidi, invisible characters.
POISON = (
    "\x1b]52;c;UE9JU09O\x07",
    "\x1b]8;;http://poison\x1b\\x\x1b]8;;\x1b\\",
    "\x1b]0;poison\x07",
    "\x9b31;5mpoison",
    "\x9d52;c;UE9JU09O\x9c",
    "\x1b[2Jpoison",
    "\u202epoison\u2066\u200b\x7f",
    "[/poison]",
    "[@click=app.bell]poison[/]",
    "poison\x00\x07\x08",
)
ALL = "|".join(POISON)
#: CSI, mode and query sequences that Textual itself writes.
KNOWN = re.compile(
    rb"\x1b\[[0-9;:]*[mHu]|\x1b\[\?[0-9;]*[hlu$p]+|\x1b\[[<>=?][0-9;]*[a-zA-Z]|\x1b[78=>]|\x1b\(B"
    rb"|\x1b\]22;[a-z]*\x07"  # the shape of the pointer
    rb"|\x1b\[2J\x1b\[H|\x1b\[[0-9]+C"  # the first frame: erase and go home, skip cells
)


@pytest.fixture
def hostile_model() -> Iterator[str]:
    """The address of a model whose answers are poison."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service = FakeAnthropic(*["hostile"] * 3)
    asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result(10)
    yield service.url
    asyncio.run_coroutine_threadsafe(service.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def state(tmp_path: Path, hostile_model: str) -> Iterator[Path]:
    """A running watch full of poison."""
    state = tmp_path / "state"
    repository = tmp_path / "code" / "tools"
    repository.mkdir(parents=True)
    git = ["git", "-C", os.fspath(repository), "-c", "user.name=x", "-c", "user.email=x@x"]
    branch = "poison[@click=app.bell]\u202ex".replace("[", "(")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", ALL.replace("\x00", "")], check=True)
    subprocess.run([*git, "checkout", "-q", "-b", branch], check=True)
    (repository / "po\x1b]52;c;UE9JU09O\x07ison.sh").write_text("#!/bin/sh\n")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[drift]\nroots = ["{tmp_path / "code"}"]\n'
        f'[gpu]\nlibrary = "{stub_library()}"\n[analysis]\nbase_url = "{hostile_model}"\n'
    )
    environment = os.environ | {"WATCHFLOOR_STATE": os.fspath(state), "HOME": os.fspath(tmp_path)}
    environment |= {"NVML_STUB_NAME": "poison" + ALL.replace("\x00", "")[:60], "ANTHROPIC_API_KEY": "sk-x"}
    watch = subprocess.Popen(
        [sys.executable, "-m", "console.watch.process", "--state", state, "--config", config],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
    )
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", ALL.replace("\x00", "")], stdin=subprocess.PIPE
    )
    log = tmp_path / "agent.log"
    log.write_text(ALL + "\n" + "\n".join(POISON))
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline().strip() == b"ready"
        with Connection(state / "watch.sock", "cli") as door:
            poison_store(door, sleeper.pid, log)
        yield state
    finally:
        for process in (sleeper, watch):
            process.terminate()
            process.wait(10)


def poison_store(door: Connection, pid: int, log: Path) -> None:
    """What agents may say, said in poison; refusals are fine."""
    for number, text in enumerate(POISON):
        name = f"agent-{number}{text}"
        for target in (name, f"agent-{number}"):
            args = {"kind": text, "team": text, "layer": text, "pid": pid, "log": os.fspath(log)}
            door.invoke("register-agent", (target,), args)
            door.invoke("heartbeat", (target,), {"activity": "blocked", "cause": "approval", "note": text})
        door.invoke("add-work", (), {"type": text, "title": text, "queue": text, "payload": text})
        door.invoke("add-work", (), {"type": "t", "title": text, "max_attempts": 1})
    for number in range(len(POISON)):
        claimed = door.invoke("claim", (), {"agent": f"agent-{number}"})
        data = claimed.outcomes[0].data if claimed.outcomes else None
        item = data[0] if isinstance(data, list) and data else data
        if isinstance(item, dict):
            item_id = item.get("item", item)["id"]
            door.invoke("fail", (item_id,), {"fence": item["fence"], "error": ALL})


def assert_clean(raw: bytes) -> None:
    """Only sequences that Textual writes itself; no text that hides or turns round what is read."""
    left = KNOWN.sub(b"", raw)
    assert b"\x1b" not in left, left[max(0, left.index(b"\x1b") - 40) :][:120]
    assert not re.search(rb"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]", left)
    text = left.decode("utf-8")
    assert not re.search("[\x80-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]", text)


class Recording(Terminal):
    """Keeps everything that was written."""

    raw = b""

    def read(self, timeout_s: float) -> bytes:
        data = super().read(timeout_s)
        self.raw += data
        return data


def test_no_poison_reaches_the_terminal(state: Path) -> None:
    environment = {"WATCHFLOOR_STATE": os.fspath(state), "HOME": os.fspath(state.parent)}
    environment |= {"COLUMNS": "160", "LINES": "45"}
    argv = [sys.executable, "-m", "console", "--config", os.fspath(state.parent / "config.toml")]
    with Recording(argv, 160, 45, environment) as terminal:
        terminal.wait_for(lambda text: all(word in text for word in ("agent-7", "poison", "dead", "tools")))
        walk = [
            "\r",
            "\x1b",
            "e",
            "\x1b",
            "l",
            "\x1b",
            "2",
            "\r",
            "\x1b",
            "e",
            "\x1b",
            "3",
            "4",
            "\r",
            "\x1b",
        ]
        walk += ["5", "p", "p", "1", "a", ":logs agent-0\r", "\x1b", ":audit\r", "\x1b", "/poison\r", "\x1b"]
        walk += [":health\r", "\x1b", ":restart-agent agent-1\r", "\x1b", ":" + "\x1b", "1", "R", "\x1b"]
        for keys in walk:
            terminal.send(keys)
            terminal.drain(0.25)
        terminal.send(":ask what is wrong\r")
        terminal.wait_for(lambda text: "1234 in, 42 out" in text)  # the model has answered
        terminal.send("3z")
        terminal.wait_for(lambda text: "GPU 0 poison" in text)
    assert_clean(terminal.raw)
    assert b"poison" in terminal.raw
    assert terminal.raw.rindex(b"\x1b[?1049l") > len(terminal.raw) - 400  # and the terminal is left clean


def test_the_check_itself_sees_poison() -> None:
    for poison in POISON[:7] + POISON[9:]:
        with pytest.raises((AssertionError, UnicodeDecodeError)):
            assert_clean(f"\x1b[1mfine\x1b[0m{poison}".encode())
    assert_clean("\x1b[?1049h\x1b[1;1H\x1b[38;2;1;2;3mfine ▲\x1b[0m\x1b[?2026$p".encode())
