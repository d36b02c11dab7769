"""The frame that is drawn before textual is loaded stands where the panes will stand."""

from __future__ import annotations

import pyte
import pytest
from textual.app import App, ComposeResult

from console.tui.colours import DARK, LIGHT
from console.tui.first_frame import ENTER, first_frame, frames
from console.tui.floor import Floor
from widgets.one_line import Hints


class Bare(App[None]):
    """The floor between a line above and a line below, as in the console."""

    def compose(self) -> ComposeResult:
        yield Hints(id="header")
        self.floor = Floor(ascii_only=False)
        yield self.floor
        yield Hints(id="hints")


@pytest.mark.parametrize("size", [(160, 45), (120, 40), (111, 34), (200, 50), (237, 63)])
async def test_the_frames_stand_where_the_panes_come(size: tuple[int, int]) -> None:
    app = Bare()
    async with app.run_test(size=size):
        panes = app.floor.panes
        for frame in frames(*size, focused="agents"):
            region = panes.named(frame.name).region
            assert (frame.x, frame.y, frame.width, frame.height) == tuple(region), frame.name


def shown(columns: int, lines: int, **how: bool) -> list[str]:
    screen = pyte.Screen(columns, lines)
    pyte.Stream(screen).feed(
        first_frame(columns, lines, "queue", DARK, ascii_only=how.get("ascii_only", False))
    )
    return list(screen.display)


def test_every_pane_is_named_and_nothing_else_is_claimed() -> None:
    text = "\n".join(shown(160, 45))
    for title in ("1 Agents", "2 Work", "3 GPUs", "4 Drift", "5 Analysis", "watchfloor"):
        assert text.count(title) == 1
    assert not [word for word in text.split() if word.isdigit() and word not in "12345"]


def test_a_small_screen_has_one_pane_and_ascii_only_ascii() -> None:
    lines = shown(80, 24, ascii_only=True)
    assert "2 Work" in "\n".join(lines)
    assert "1 Agents" not in "\n".join(lines)
    assert "\n".join(lines).isascii()
    assert all(len(line) == 80 for line in lines)


def test_it_enters_the_second_screen_and_takes_the_theme() -> None:
    sent = first_frame(160, 45, "agents", LIGHT, ascii_only=False)
    assert sent.startswith(ENTER)
    assert "48;2;251;250;247" in sent
