"""Semantic colours, resolved once per theme.

What is drawn names a meaning ("crit", "stale"), never a colour. A theme gives each meaning a colour through
the variables ``status-ok``, ``status-warn``, ``status-crit``, ``status-stale``, ``text-dim``,
``text-strong``, ``text-plain``, ``text-accent``, ``row-cursor``, ``row-cursor-blurred``, ``gauge`` and
``track``; themes that lack them fall back to Textual's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.widget import Widget

# meaning -> (our variable, Textual's own variable, last resort)
_FOREGROUNDS = {
    "": ("text-plain", "foreground", "#d0d0d0"),
    "strong": ("text-strong", "foreground", "#ffffff"),
    "dim": ("text-dim", "foreground-darken-3", "#808080"),
    "ok": ("status-ok", "success", "#5fb3a1"),
    "warn": ("status-warn", "warning", "#e0a84e"),
    "crit": ("status-crit", "error", "#ef6f5e"),
    "stale": ("status-stale", "foreground-darken-3", "#707070"),
    "accent": ("text-accent", "primary", "#6ea8dc"),
    "gauge": ("gauge", "primary", "#4f759f"),
    "track": ("track", "panel", "#303030"),
    "title": ("text-dim", "foreground-darken-3", "#808080"),
}
_BOLD = frozenset({"strong", "crit"})


@dataclass(frozen=True, slots=True)
class Palette:
    """Rich styles by meaning, plus the backgrounds of the row under the cursor."""

    styles: dict[str, Style]
    cursor: Style
    cursor_blurred: Style

    def __getitem__(self, name: str) -> Style:
        return self.styles.get(name, self.styles[""])


def palette_of(widget: Widget) -> Palette:
    """The palette of the current theme on the background of ``widget``."""
    app = widget.app
    _, background = widget.background_colors
    return _palette(tuple(sorted(app.theme_variables.items())), background, app.native_ansi_color)


@lru_cache(maxsize=16)
def _palette(variables: tuple[tuple[str, str], ...], background: Color, ansi: bool) -> Palette:
    known = dict(variables)
    behind = background.rich_color
    styles = {
        name: Style(
            color=_on(background, _first(known, ours, theirs, fallback)).rich_color,
            bgcolor=behind,
            bold=name in _BOLD or None,
        )
        for name, (ours, theirs, fallback) in _FOREGROUNDS.items()
    }
    if ansi:  # sixteen colours hold no subtle background: reverse is readable on every terminal palette
        return Palette(styles, cursor=Style(reverse=True), cursor_blurred=Style(bold=True))
    cursor = _on(background, _first(known, "row-cursor", "primary-muted", "#283848"))
    blurred = _on(background, _first(known, "row-cursor-blurred", "surface", "#202020"))
    return Palette(styles, Style(bgcolor=cursor.rich_color), Style(bgcolor=blurred.rich_color))


def _first(known: dict[str, str], ours: str, theirs: str, fallback: str) -> Color:
    return _parse(known.get(ours) or known.get(theirs) or fallback, fallback)


def _parse(value: str, fallback: str) -> Color:
    try:
        return Color.parse(value)
    except ColorParseError:
        return Color.parse(fallback)


def _on(background: Color, colour: Color) -> Color:
    """A colour without transparency: what it looks like on ``background``."""
    if colour.ansi is not None or colour.a == 1 or background.ansi is not None:
        return colour
    return background + colour
