"""A console through the lives of its watch, small terminals and its own bugs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from floor_scene import AGENTS, NOW, set_scene
from still_watch import StillWatch, console, text_of, until, until_gone, until_shown

from backends.clock import ManualClock
from backends.model import Window


async def test_a_lost_watch_is_said_and_found_again_with_the_same_views(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    app = console(tmp_path / "state" / "watch.sock", clock)
    async with StillWatch(tmp_path / "state", clock) as watch:
        set_scene(watch)
        driver = app.run_test(size=(160, 45), notifications=True)
        pilot = await driver.__aenter__()
        await until_shown(app, "builder-1")
        await pilot.press("slash", *"builder", "enter")
        await until_shown(app, "1 of 5 agents")
    await until_shown(app, "WATCH LOST", "no watch:", "OLD: no news", "builder-1")
    await pilot.press("R")
    await until_shown(app, "the watch is away")
    async with StillWatch(tmp_path / "state", clock) as watch:
        watch.put("agents", AGENTS[:2])
        await until_gone(app, "WATCH LOST", "no watch:", "OLD:")
        await until_shown(app, "1 of 2 agents")
        await driver.__aexit__(None, None, None)


async def test_without_utf8_everything_is_ascii(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with StillWatch(tmp_path / "state", clock) as watch:
        set_scene(watch)
        app = console(watch.paths.socket, clock, ascii_only=True)
        async with app.run_test(size=(160, 45), notifications=True) as pilot:
            await until_shown(app, "builder-1", "forge-01")
            for keys in (["R"], ["question_mark"], ["escape"], ["ctrl+p"], ["escape"], ["enter"], ["escape"]):
                await pilot.press(*keys)
                await pilot.pause()
                assert text_of(app).isascii(), [c for c in text_of(app) if not c.isascii()]


async def test_a_terminal_too_small_says_so_and_recovers(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with StillWatch(tmp_path / "state", clock) as watch:
        set_scene(watch)
        app = console(watch.paths.socket, clock)
        async with app.run_test(size=(160, 45)) as pilot:
            await until_shown(app, "builder-1")
            await pilot.resize_terminal(40, 8)
            await until_shown(app, "60x16 are needed")
            await pilot.resize_terminal(160, 45)
            await until_shown(app, "builder-1", "4 Drift")
            await until_gone(app, "are needed")


async def test_a_bug_in_a_pane_is_logged_and_the_others_live_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOW)
    async with StillWatch(tmp_path / "state", clock) as watch:
        set_scene(watch)
        app = console(watch.paths.socket, clock)

        def broken(window: Window) -> None:
            raise ValueError("no [/x] today")

        monkeypatch.setattr(app.floor.panes.drift, "show", broken)
        with caplog.at_level(logging.ERROR):
            async with app.run_test(size=(160, 45), notifications=True):
                await until_shown(app, "builder-1", "a bug keeps this pane from drawing: ValueError")
                app.run_worker(_fails(), name="test", exit_on_error=False)
                await until_shown(app, "a bug: RuntimeError: boom")
                await until(lambda: "showing rows of worktrees failed" in caplog.text)


async def _fails() -> None:
    raise RuntimeError("boom")
