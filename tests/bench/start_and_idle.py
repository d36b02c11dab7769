"""Cold start against a bare Textual app, what the console costs when nothing happens, and the CLI's speed."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.figures import Figure
from bench.terminal import Terminal

ROUNDS = 7
IDLE_S = 30.0
WATCHFLOOR = str(Path(sys.executable).with_name("watchfloor"))
#: What a developer would write first: one line of text, the same settings for a thin line.
BARE = """
import os
os.environ.update(TEXTUAL_FPS="30", TEXTUAL_ANIMATIONS="none")
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("bare app is here")
Bare().run(mouse=False)
"""


def _private_home(folder: str) -> dict[str, str]:
    return {"WATCHFLOOR_STATE": f"{folder}/state", "HOME": folder, "XDG_CONFIG_HOME": folder}


def _has_all_panes(screen: str) -> bool:
    wanted = ("no agents yet", "no work yet", "no git repository", "nothing is wrong", "memory", "load ")
    return all(text in screen for text in wanted)


def cold_start() -> list[Figure]:
    """First paint and all panes, interleaved with the bare app."""
    bare, first, drawn, full = [], [], [], []
    for _ in range(ROUNDS):
        with Terminal([sys.executable, "-c", BARE], 160, 45) as terminal:
            bare.append(terminal.wait_for(lambda text: "bare app is here" in text))
        with (
            tempfile.TemporaryDirectory() as folder,
            Terminal([WATCHFLOOR], 160, 45, _private_home(folder)) as terminal,
        ):
            first.append(terminal.wait_for(lambda text: "1 Agents" in text))
            drawn.append(terminal.wait_for(lambda text: "? help" in text))
            full.append(terminal.wait_for(_has_all_panes))
    base, paint, panes = statistics.median(bare), statistics.median(first), statistics.median(full)
    return [
        Figure(
            "cold start to first paint, against a bare Textual app",
            "<= 1.5x",
            f"{paint / base:.2f}x",
            paint / base <= 1.5,
            f"frame after {paint * 1000:.0f} ms against {base * 1000:.0f} ms; "
            f"all widgets after {statistics.median(drawn) * 1000:.0f} ms",
        ),
        Figure("all five panes with real data", "<= 1.2 s", f"{panes:.2f} s", panes <= 1.2),
    ]


def idle() -> list[Figure]:
    """Bytes, CPU and memory of an idle console and its watch."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Terminal([WATCHFLOOR], 160, 45, _private_home(folder)) as terminal,
    ):
        terminal.wait_for(_has_all_panes)
        terminal.drain(10)
        console = psutil.Process(terminal.pid)
        processes = [console, *console.children(recursive=True)]
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        sent = terminal.drain(IDLE_S)
        cpu = sum(sum(process.cpu_times()[:2]) for process in processes) - before
        memory = sum(process.memory_info().rss for process in processes) / (1 << 20)
    share = cpu / IDLE_S * 100
    rate = sent / IDLE_S
    return [
        Figure("idle: bytes to the terminal", "<= 1 kB/s", f"{rate:.0f} B/s", rate <= 1000),
        Figure("idle: console + watch", "<= 3 % of a core", f"{share:.1f} %", share <= 3),
        Figure("idle: memory, console + watch", "<= 130 MiB", f"{memory:.0f} MiB", memory <= 130),
    ]


def command_line() -> list[Figure]:
    """Whole processes of the CLI."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, **_private_home(folder)}
        subprocess.run([WATCHFLOOR, "start"], env=env, check=True, capture_output=True)
        try:
            help_s = _median_run([WATCHFLOOR, "--help"], env)
            status_s = _median_run([WATCHFLOOR, "status", "--json"], env)
        finally:
            subprocess.run([WATCHFLOOR, "stop", "--yes"], env=env, check=True, capture_output=True)
    return [
        Figure("watchfloor --help", "<= 100 ms", f"{help_s * 1000:.0f} ms", help_s <= 0.1),
        Figure("watchfloor status --json", "<= 150 ms", f"{status_s * 1000:.0f} ms", status_s <= 0.15),
    ]


def _median_run(argv: list[str], env: dict[str, str]) -> float:
    took = []
    for _ in range(15):
        began = time.perf_counter()
        subprocess.run(argv, env=env, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return statistics.median(took)
