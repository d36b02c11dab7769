"""The filter and command lines: completion, history, and leaving without a trace."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import App, ComposeResult

from widgets.filter_bar import CommandBar, Completion, FilterBar, PromptBar

COMMANDS = ("restart", "release", "retry", "stop")


def complete(text: str, cursor: int) -> Sequence[Completion]:
    if not text:
        return ()
    return [Completion(name, f"{name} [/x]") for name in COMMANDS if name.startswith(text[:cursor])]


class PromptApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []
        self.entered = ["list-work", "status"]
        self.commands = CommandBar(complete=complete, history=lambda: self.entered)
        self.filters = FilterBar(check=lambda text: f"no column {text!r}" if text == "x:" else "")

    def compose(self) -> ComposeResult:
        yield self.commands
        yield self.filters

    def on_prompt_bar_changed(self, event: PromptBar.Changed) -> None:
        self.said.append(("changed", event.value))

    def on_prompt_bar_submitted(self, event: PromptBar.Submitted) -> None:
        self.said.append(("submitted", event.value))

    def on_prompt_bar_cancelled(self, event: PromptBar.Cancelled) -> None:
        self.said.append(("cancelled", event.before))

    def text(self) -> str:
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())


async def test_tab_walks_through_what_can_be_completed_and_escape_brings_the_text_back() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.commands.open()
        await pilot.press("r", "e")
        assert [offer.text for offer in app.commands.completions] == ["restart", "release", "retry"]
        await pilot.press("tab")
        assert app.commands.value == "restart"
        assert "restart [/x]" in app.text()
        await pilot.press("tab")
        assert app.commands.value == "release"
        await pilot.press("shift+tab")
        assert app.commands.value == "restart"
        await pilot.press("escape")
        assert app.commands.value == "re"
        assert app.commands.is_open
        await pilot.press("escape")
        assert not app.commands.is_open
        assert app.said[-1] == ("cancelled", "")


async def test_a_single_completion_is_taken_for_good() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.commands.open()
        await pilot.press("s", "tab", "enter")
        assert app.said[-1] == ("submitted", "stop")
        assert not app.commands.is_open


async def test_up_and_down_walk_through_what_was_entered_before() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.commands.open()
        await pilot.press("z", "up")
        assert app.commands.value == "status"
        await pilot.press("up", "up")
        assert app.commands.value == "list-work"
        await pilot.press("down", "down")
        assert app.commands.value == "z"


async def test_typing_in_the_middle_of_history_starts_from_there() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.commands.open()
        await pilot.press("up", "!", "enter")
        assert app.said[-1] == ("submitted", "status!")


async def test_text_with_a_problem_is_not_submitted_and_the_problem_is_said() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.filters.open()
        await pilot.press("x", ":", "enter")
        assert app.filters.is_open
        assert "no column 'x:'" in app.text()
        await pilot.press("a", "enter")
        assert app.said[-1] == ("submitted", "x:a")


async def test_the_filter_can_be_changed_while_typing_and_escape_restores_it() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.filters.open("!idle")
        await pilot.press("x")
        assert app.said[-1] == ("changed", "!idlex")
        await pilot.press("escape")
        assert app.said[-1] == ("cancelled", "!idle")


async def test_an_open_line_does_not_blink() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.filters.open()
        await pilot.pause()
        assert not app.filters._input.cursor_blink
