"""Draws the pictures of this folder: the real console, on the demo's real fleet. ``make screenshots``.

Starts the demo and its watch, waits until the analyst has found everything that goes wrong there, opens the
console without a terminal, presses keys and exports what it shows as SVG. Nothing is drawn by hand.
"""

from __future__ import annotations

import asyncio
import html
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace
from textual.pilot import Pilot

from console.cli.lifecycle import WatchArguments, spawn, wait_ready
from console.client import Connection
from console.config.keymap import build_keymap
from console.config.layers import load
from console.config.paths import state_paths
from console.config.settings import Config, Console
from console.demo.fleet import DemoFleet
from console.tui.app import WatchfloorApp
from console.tui.key_defaults import default_keys

FOLDER = Path(__file__).resolve().parent
CHECKOUT = FOLDER.parent.parent
WIDE, SMALL = (160, 45), (80, 24)
#: What the demo does wrong, as the analyst names it: hung, leaking, crash-looping, waiting for an answer.
FAULTS = frozenset(("hung-agent:crawler", "leak:indexer", "crash-loop:notifier", "blocked-agent:cleaner"))
#: A leak takes six samples to be called one, and the hung agent a while to be told from a slow one.
FAULTS_S = 180.0
SHOWN_S = 20.0
LOOK_EVERY_S = 0.1


class CannotTake(Exception):
    """Why there is no picture."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="watchfloor-") as place:
        # commands are on the pictures; where this checkout's Python lies is nobody's business
        link = Path(place, "venv")
        link.symlink_to(sys.prefix)
        sys.executable = os.fspath(link / "bin" / "python")
        return take_pictures()


def take_pictures() -> int:
    """Start the demo, take every picture, end it. Returns the exit code."""
    fleet = DemoFleet.prepare()
    try:
        paths = state_paths(os.fspath(fleet.state), environ={}, create=True)
        config = fleet.configured(load(environ={})).config
        # the watch ends with the pipe it is given, and so does the fleet: nothing outlives this process
        watch = spawn(
            WatchArguments(paths.root, os.fspath(fleet.config_file), fleet.settings, demo=True), private=True
        )
        wait_ready(watch)
        fleet.start_when_ready(paths.socket)
        wait_for_faults(paths.socket)
        asyncio.run(take_all(config, paths.socket))
    except CannotTake as problem:
        print(f"screenshots: {problem}", file=sys.stderr)
        return 1
    finally:
        fleet.close()
    return 0


def wait_for_faults(socket: Path) -> None:
    """Until the analyst has found all of them. Raises :class:`CannotTake`."""
    deadline = time.monotonic() + FAULTS_S
    with Connection(socket, "cli") as watch:
        while missing := FAULTS - findings(watch):
            if time.monotonic() > deadline:
                raise CannotTake(f"not found within {FAULTS_S:g} s: {', '.join(sorted(missing))}")
            time.sleep(1.0)


def findings(watch: Connection) -> set[str]:
    """Ids of what is wrong now."""
    (outcome,) = watch.invoke("problems", args={"limit": 500}).outcomes
    return {row["id"] for row in outcome.data["rows"]}


# --- the pictures ----------------------------------------------------------------------------------------


async def take_all(config: Config, socket: Path) -> None:
    """Every picture of the folder."""
    async with opened(config, socket) as console:
        await console.take("overview")
        await console.point_at("crawler")
        await console.press("e")
        await console.take("explain", "no progress")
        await console.press("escape", "R")
        await console.take("confirm", "leaves everything as it is")
        await console.press("escape", "question_mark")
        await console.take("help", "keys of the agents pane")
        await console.press("escape", "p")
        await console.take("analysis", "indexer", "crawler", "notifier", "cleaner")
        await console.press("p", "2", "z")
        await console.take("queue", "items")
        await console.press("z", "3", "z")
        await console.take("gpu", "simulated")
    async with opened(config, socket, theme="light") as console:
        await console.take("light")
    async with opened(config, socket, SMALL) as console:
        await console.take("small")


class Desk:
    """A console at work and the keys pressed on it."""

    def __init__(self, app: WatchfloorApp, pilot: Pilot[None]) -> None:
        self._app, self._pilot = app, pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def point_at(self, agent: str) -> None:
        """Put the cursor on the row of an agent."""
        table = self._app.floor.panes.agents.table
        await self.press("1", "home")
        for _ in range(20):
            if table.cursor_id == agent:
                return
            await self.press("down")
        raise CannotTake(f"no row of {agent}")

    async def until(self, holds: Callable[[str], bool], what: str) -> None:
        """Until what the screen shows fulfils ``holds``."""
        deadline = time.monotonic() + SHOWN_S
        while not holds(text_of(self._app)):
            if time.monotonic() > deadline:
                raise CannotTake(f"not shown within {SHOWN_S:g} s: {what}\n{text_of(self._app)}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def take(self, name: str, *words: str) -> None:
        """Write a picture once the screen shows all ``words``."""
        await self.until(lambda shown: all(word in shown for word in words), f"{name}: {', '.join(words)}")
        await self._pilot.pause()
        svg = self._app.export_screenshot(title="watchfloor")
        if os.fspath(CHECKOUT) in html.unescape(svg):
            raise CannotTake(f"{name} would show where this checkout lies: {CHECKOUT}")
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(f"{name}.svg")


@asynccontextmanager
async def opened(
    config: Config, socket: Path, size: tuple[int, int] = WIDE, *, theme: str = "dark"
) -> AsyncIterator[Desk]:
    """A console on that watch, with every pane filled."""
    settings = replace(config, console=Console(theme=theme), keys={})  # type: ignore[arg-type]
    app = WatchfloorApp(None, settings, build_keymap(default_keys(), {}), socket)
    async with app.run_test(size=size) as pilot:
        desk = Desk(app, pilot)
        expected = ("crawler", "notifier", "leak", "deploy.sh", "simulated") if size == WIDE else ("crawler",)
        await desk.until(lambda shown: all(word in shown for word in expected), ", ".join(expected))
        yield desk


def text_of(app: WatchfloorApp) -> str:
    """What the screen shows, as text."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


if __name__ == "__main__":
    raise SystemExit(main())
