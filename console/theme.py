"""The themes: dark, light, the terminal's own sixteen colours, and one that is safe for colour-blind eyes.

Widgets name meanings (see :mod:`widgets.palette`); the variables here give each meaning its colour. Most of
the screen is muted; the status colours are for what matters, and every state has a glyph besides.
"""

from __future__ import annotations

from textual.theme import Theme


def _theme(name: str, *, dark: bool, ansi: bool = False, **colours: str) -> Theme:
    """A theme from the meanings; Textual's own names follow from them."""
    return Theme(
        name=name,
        dark=dark,
        ansi=ansi,
        primary=colours["accent"],
        secondary=colours["dim"],
        accent=colours["accent"],
        foreground=colours["plain"],
        background=colours["background"],
        surface=colours["background"],
        panel=colours["panel"],
        boost=colours["panel"],
        success=colours["ok"],
        warning=colours["warn"],
        error=colours["crit"],
        variables={
            "ansi-background": "ansi_default",
            "ansi-foreground": "ansi_default",
            "text-plain": colours["plain"],
            "text-strong": colours["strong"],
            "text-dim": colours["dim"],
            "text-accent": colours["accent"],
            "status-ok": colours["ok"],
            "status-warn": colours["warn"],
            "status-crit": colours["crit"],
            "status-stale": colours["stale"],
            "gauge": colours["gauge"],
            "track": colours["track"],
            "row-cursor": colours["cursor"],
            "row-cursor-blurred": colours["cursor_blurred"],
            "border": colours["border_focus"],
            "border-blurred": colours["border"],
            "pane-border": colours["border"],
            "pane-border-focus": colours["border_focus"],
            "pane-border-problem": colours["warn"],
            "block-cursor-background": colours["accent"],
            "block-cursor-foreground": colours["background"],
            "block-cursor-blurred-background": colours["cursor_blurred"],
            "block-cursor-blurred-foreground": colours["plain"],
            "input-cursor-background": colours["strong"],
            "input-cursor-foreground": colours["background"],
            "input-selection-background": colours["cursor"],
            "scrollbar": colours["track"],
            "scrollbar-background": colours["background"],
            "footer-key-foreground": colours["accent"],
        },
    )


DARK = _theme(
    "dark",
    dark=True,
    background="#0f1318",
    panel="#171d24",
    plain="#b4bdc6",
    strong="#e8edf2",
    dim="#6d7884",
    stale="#56606b",
    ok="#6fb3a2",
    warn="#e0af68",
    crit="#f0766f",
    accent="#7aa7dc",
    gauge="#4f769f",
    track="#2c3540",
    cursor="#203247",
    cursor_blurred="#182029",
    border="#28313b",
    border_focus="#5d88ba",
)

LIGHT = _theme(
    "light",
    dark=False,
    background="#fbfaf7",
    panel="#f0eee9",
    plain="#3c434b",
    strong="#101418",
    dim="#7b828a",
    stale="#9aa0a6",
    ok="#1d7566",
    warn="#935c00",
    crit="#b3261e",
    accent="#275e9f",
    gauge="#8fb0d6",
    track="#dcd9d2",
    cursor="#d6e4f4",
    cursor_blurred="#eeece6",
    border="#d3d0c8",
    border_focus="#4d82bd",
)

# Only the sixteen names: the terminal's palette decides how they look, on dark and on light backgrounds.
ANSI = _theme(
    "ansi",
    dark=True,
    ansi=True,
    background="ansi_default",
    panel="ansi_default",
    plain="ansi_default",
    strong="ansi_default",
    dim="ansi_bright_black",
    stale="ansi_bright_black",
    ok="ansi_green",
    warn="ansi_yellow",
    crit="ansi_red",
    accent="ansi_cyan",
    gauge="ansi_cyan",
    track="ansi_bright_black",
    cursor="ansi_blue",
    cursor_blurred="ansi_default",
    border="ansi_bright_black",
    border_focus="ansi_cyan",
)

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): sky blue, yellow and vermilion stay apart for
# every common kind of colour blindness, in hue and in brightness.
COLOUR_BLIND = _theme(
    "colour-blind",
    dark=True,
    background="#101214",
    panel="#1a1d20",
    plain="#bfc4c9",
    strong="#f2f4f6",
    dim="#767d84",
    stale="#5c6268",
    ok="#56b4e9",
    warn="#f0e442",
    crit="#e8752a",
    accent="#cc9fd0",
    gauge="#8d7f96",
    track="#30353a",
    cursor="#2c3340",
    cursor_blurred="#1c2024",
    border="#2c3136",
    border_focus="#8a93a0",
)

THEMES: tuple[Theme, ...] = (DARK, LIGHT, ANSI, COLOUR_BLIND)
DEFAULT = DARK.name
