"""Every theme gives every meaning a colour that can be read and told apart."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from console.tui.theme import ANSI, DEFAULT, THEMES

MEANINGS = ("status-ok", "status-warn", "status-crit")


def colour(theme: Theme, name: str) -> Color:
    return Color.parse(theme.variables[name])


def luminance(colour: Color) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(one: Color, other: Color) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_default_is_one_of_them_and_all_define_the_same_variables() -> None:
    assert DEFAULT in {theme.name for theme in THEMES}
    assert len({frozenset(theme.variables) for theme in THEMES}) == 1


@pytest.mark.parametrize("theme", [theme for theme in THEMES if not theme.ansi], ids=lambda theme: theme.name)
def test_text_and_states_are_readable(theme: Theme) -> None:
    background = Color.parse(theme.background or "")
    for name in (*MEANINGS, "text-plain", "text-strong", "text-accent"):
        assert contrast(colour(theme, name), background) >= 4.5, name
    assert contrast(colour(theme, "text-dim"), background) >= 3
    for name in (*MEANINGS, "text-strong"):
        assert contrast(colour(theme, name), colour(theme, "row-cursor")) >= 3, name


def test_the_terminal_theme_names_only_the_sixteen_colours() -> None:
    assert all(value.startswith("ansi_") for value in ANSI.variables.values())
