"""What README shows agents and operators to type works as it stands there, on a real watch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from watch_process import ROOT, Watch, running, until

from console.config.layers import load
from console.tui.start import keymap_of

README = (ROOT / "README.md").read_text()
SNIPPETS = dict(re.findall(r"<!-- snippet: (\w+) -->\n```\w+\n(.*?)```", README, re.DOTALL))


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with running(tmp_path_factory.mktemp("readme")) as watch:
        yield watch


def environ(watch: Watch) -> dict[str, str]:
    """A user's environment, with ``watchfloor`` on the path."""
    scripts = os.fspath(Path(sys.executable).parent)
    return {**watch.environ, "PATH": os.pathsep.join((scripts, os.environ["PATH"]))}


def agent(watch: Watch, name: str) -> dict[str, Any]:
    """The row of an agent; empty when there is none yet."""
    rows = watch.data("list-agents", "--filter", f"id={name}")["rows"]
    return dict(rows[0]) if rows else {}


def is_blocked(watch: Watch, name: str) -> bool:
    return agent(watch, name).get("activity") == "blocked"


def work(watch: Watch, title: str) -> dict[str, Any]:
    (row,) = watch.data("list-work", "--filter", f'title="{title}"')["rows"]
    return dict(row)


def test_the_shell_snippet_works_and_its_question_is_answered(watch: Watch) -> None:
    # the shell is the agent: it lives until it is told to go on
    script = SNIPPETS["shell"] + "read -r _\n"
    with subprocess.Popen(["sh", "-eu", "-c", script], env=environ(watch), stdin=subprocess.PIPE) as shell:
        until(lambda: is_blocked(watch, "builder-1"), "builder-1 asks")
        done = work(watch, "build the site")
        assert (done["state"], done["progress_note"]) == ("succeeded", "half of build the site")
        watch.data("approve", "builder-1", "--yes")
        assert watch.data("heartbeat", "builder-1")["answer"] == "approved"
        shell.communicate(b"\n", timeout=30)
    assert shell.returncode == 0


def test_the_python_snippet_works_with_the_standard_library_alone(watch: Watch) -> None:
    argv = [sys.executable, "-I", "-S", "-c", SNIPPETS["python"]]
    said = subprocess.run(argv, env=environ(watch), capture_output=True, text=True, timeout=30, check=True)
    assert said.stdout.split() == ["None", "None", "None"]
    done = work(watch, "build the docs")
    assert (done["state"], done["progress_note"]) == ("succeeded", "half way")
    assert agent(watch, "builder-2")["kind"] == "worker"


def test_the_configuration_snippet_is_good(watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(SNIPPETS["config"])
    watch.data("config", "--validate", "--config", os.fspath(file))
    loaded = load(file, environ={})
    (declared,), (discovered,) = loaded.config.agents.declared, loaded.config.agents.discover
    assert (declared.name, discovered.name) == ("indexer", "trainer")
    assert re.search(declared.match.command or "-", " ".join(declared.start or ()))
    keymap = keymap_of(loaded)
    assert keymap.keys_of("list-work") == ("f2", "W")
