"""What is imported when: seen in processes of their own."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import backends

ROOT = Path(__file__).parents[2]
HEAVY_UI = ("textual", "rich", "widgets")
HEAVY_MODEL = ("anthropic", "httpx", "pydantic")


def imported(code: str, *argv: str) -> set[str]:
    """Top-level packages in ``sys.modules`` after ``code`` ran in a fresh interpreter."""
    report = "\nimport sys\nprint('MODULES', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + report, *argv],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("MODULES", 1)[1].split())


def test_the_probe_itself_sees_what_is_imported() -> None:
    assert "textual" in imported("import textual")


def test_all_of_the_ground_needs_neither_the_screen_nor_the_model() -> None:
    rooms = [name for _, name, _ in pkgutil.walk_packages(backends.__path__, "backends.")]
    light = [name for name in rooms if not name.startswith("backends.analysis.claude")]
    found = imported("\n".join(f"import {name}" for name in light))
    assert not found & {*HEAVY_UI, *HEAVY_MODEL, "console"}


def test_the_room_of_the_model_imports_its_library_only_when_asked() -> None:
    found = imported("import backends.analysis.claude, backends.analysis.claude_events")
    assert not found & {*HEAVY_UI, *HEAVY_MODEL}


@pytest.mark.parametrize(
    "module",
    ["console.watch.process", "console.cli.main", "console.cli.one_shot", "console.cli.local_commands",
     "console.tui.link",
     "console.client", "console.cli.reference", "console.commands", "console.watch.answering"],
)  # fmt: skip
def test_the_watch_and_the_command_line_never_import_textual(module: str) -> None:
    assert not imported(f"import {module}") & {*HEAVY_UI, *HEAVY_MODEL}


def run_cli(*argv: str) -> str:
    """Code that runs the command line to its end."""
    return f"from console.cli.main import main\ntry: main({list(argv)!r})\nexcept SystemExit: pass"


def test_help_imports_nothing_heavy() -> None:
    found = imported(run_cli("--help"))
    assert not found & {*HEAVY_UI, *HEAVY_MODEL, "psutil", "pynvml", "asyncio", "sqlite3", "argparse"}


def test_a_status_imports_nothing_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFLOOR_STATE", str(tmp_path))
    found = imported(run_cli("status", "--json"))
    assert not found & {*HEAVY_UI, *HEAVY_MODEL, "psutil", "pynvml", "sqlite3"}


def test_a_running_watch_has_not_imported_them() -> None:
    """The watch's own modules, its commands among them: what they import late must stay light too."""
    code = """
import asyncio, pathlib, tempfile
from backends.clock import SystemClock
from console.commands import REGISTRY
from console.commands.registry import Place
from console.config.settings import Agents, Config, Drift, Gpu
from console.watch.dispatch import Dispatcher, Requester
from console.watch.house import House
from console.config.paths import StatePaths
from console.wire import Invoke

async def run():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "logs").mkdir()
        config = Config(agents=Agents(recognise=False), drift=Drift(roots=()), gpu=Gpu(enabled=False))
        house = await House.open(config, StatePaths(root, root / "s"), SystemClock())
        dispatcher = Dispatcher(REGISTRY, house)
        for command in REGISTRY:
            if command.place is Place.WATCH and not command.mutates:
                targets = ("x",) if command.acts_on else ()
                await dispatcher.invoke(Invoke(1, command.id, targets), Requester("uid:0 t", "t"))
        await house.close()

asyncio.run(run())
"""
    assert not imported(code) & {*HEAVY_UI, *HEAVY_MODEL}
