"""The themes, as Textual wants them: see :mod:`console.tui.colours` for what they are made of.

Widgets name meanings (see :mod:`widgets.palette`); the variables here give each meaning its colour.
"""

from __future__ import annotations

from textual.theme import Theme

from console.tui.colours import ALL, Colours


def _theme(colours: Colours) -> Theme:
    """A theme from the meanings; Textual's own names follow from them."""
    return Theme(
        name=colours.name,
        dark=colours.is_dark,
        ansi=colours.is_ansi,
        primary=colours.accent,
        secondary=colours.dim,
        accent=colours.accent,
        foreground=colours.plain,
        background=colours.background,
        surface=colours.background,
        panel=colours.panel,
        boost=colours.panel,
        success=colours.ok,
        warning=colours.warn,
        error=colours.crit,
        variables={
            "ansi-background": "ansi_default",
            "ansi-foreground": "ansi_default",
            "text-plain": colours.plain,
            "text-strong": colours.strong,
            "text-dim": colours.dim,
            "text-accent": colours.accent,
            "status-ok": colours.ok,
            "status-warn": colours.warn,
            "status-crit": colours.crit,
            "status-stale": colours.stale,
            "gauge": colours.gauge,
            "track": colours.track,
            "row-cursor": colours.cursor,
            "row-cursor-blurred": colours.cursor_blurred,
            "border": colours.border_focus,
            "border-blurred": colours.border,
            "pane-border": colours.border,
            "pane-border-focus": colours.border_focus,
            "pane-border-problem": colours.warn,
            "block-cursor-background": colours.accent,
            "block-cursor-foreground": colours.background,
            "block-cursor-blurred-background": colours.cursor_blurred,
            "block-cursor-blurred-foreground": colours.plain,
            "input-cursor-background": colours.strong,
            "input-cursor-foreground": colours.background,
            "input-selection-background": colours.cursor,
            "scrollbar": colours.track,
            "scrollbar-background": colours.background,
            "footer-key-foreground": colours.accent,
        },
    )


THEMES: tuple[Theme, ...] = tuple(_theme(colours) for colours in ALL)
DARK, LIGHT, ANSI, COLOUR_BLIND = THEMES
DEFAULT = DARK.name
