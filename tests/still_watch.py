"""A real watch in this process whose senses are still: tests put in what it should know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backends.clock import ManualClock
from backends.model import SourceState
from backends.picture import Reading
from console.commands import REGISTRY
from console.config.keymap import build_keymap
from console.config.paths import state_paths
from console.config.settings import Config, Console
from console.tui.app import WatchfloorApp
from console.tui.key_defaults import default_keys
from console.watch.dispatch import Dispatcher
from console.watch.doors import Door
from console.watch.house import House
from console.watch.process import listen

PATIENCE_S = 5.0


class StillWatch:
    """Serves a real socket from a real store. Use as an async context manager."""

    def __init__(self, root: Path, clock: ManualClock | None = None, *, read_only: bool = False) -> None:
        self.clock = clock or ManualClock()
        self.paths = state_paths(str(root), create=True)
        self._config = Config(console=Console(read_only=read_only))
        self.house: House
        self.doors: set[Door] = set()

    async def __aenter__(self) -> Self:
        self.house = await House.open(self._config, self.paths, self.clock)
        self._server, self.doors = await listen(
            self.paths.socket, self.house, Dispatcher(REGISTRY, self.house)
        )
        self.house.doors = self.doors
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for door in tuple(self.doors):
            door.close()
        await self.house.close()
        self.paths.socket.unlink(missing_ok=True)

    def put(self, table: str, rows: Sequence[Any]) -> None:
        """All rows of a table."""
        self.house.picture[table].replace("test", rows)

    def source(self, source: str, *, ok: bool = True, reason: str = "") -> None:
        """How a reader is doing."""
        state = SourceState(self.house.host, source, ok, observed_at=self.clock.now_ms(), reason=reason)
        self.house.picture.apply(Reading(state))


def console(
    socket: Path,
    clock: ManualClock,
    *,
    ascii_only: bool = False,
    theme: str = "dark",
    read_only: bool = False,
    settings_file: Path | None = None,
    history_file: Path | None = None,
    keys: dict[str, str | tuple[str, ...]] | None = None,
) -> WatchfloorApp:
    """A console of ``socket`` as ``watchfloor`` would open it, without a terminal."""
    settings = Console(theme=theme, read_only=read_only)  # type: ignore[arg-type]
    return WatchfloorApp(
        None,
        Config(console=settings),
        build_keymap(default_keys(), keys or {}),
        socket,
        ascii_only=ascii_only,
        settings_file=settings_file,
        history_file=history_file,
        clock=clock,
    )


def text_of(app: WatchfloorApp) -> str:
    """What the screen shows."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(condition: Callable[[], object], what: Callable[[], str] = lambda: "") -> None:
    """Let the event loop run until ``condition`` holds; fails after some patience."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not condition():
        assert loop.time() < deadline, f"still waiting; {what()}"
        await asyncio.sleep(0.002)


async def until_shown(app: WatchfloorApp, *words: str) -> None:
    """Until the screen shows all ``words``."""
    await until(lambda: all(word in text_of(app) for word in words), lambda: f"{words}\n{text_of(app)}")


async def until_gone(app: WatchfloorApp, *words: str) -> None:
    """Until the screen shows none of ``words``."""
    await until(lambda: not any(word in text_of(app) for word in words), lambda: f"{words}\n{text_of(app)}")
