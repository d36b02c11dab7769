"""The colours of the themes by meaning, as plain data: the first frame is drawn before textual is loaded.

Most of the screen is muted; the status colours are for what matters, and every state has a glyph besides.
"""

from __future__ import annotations

from typing import NamedTuple


class Colours(NamedTuple):
    """One theme. A colour is ``#rrggbb`` or one of the terminal's own sixteen by Textual's name."""

    name: str
    background: str
    panel: str
    plain: str
    strong: str
    dim: str
    stale: str
    ok: str
    warn: str
    crit: str
    accent: str
    gauge: str
    track: str
    cursor: str
    cursor_blurred: str
    border: str
    border_focus: str
    is_dark: bool = True
    is_ansi: bool = False


DARK = Colours(
    name="dark",
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

LIGHT = Colours(
    name="light",
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
    is_dark=False,
)

# Only the sixteen names: the terminal's palette decides how they look, on dark and on light backgrounds.
ANSI = Colours(
    name="ansi",
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
    is_ansi=True,
)

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): sky blue, yellow and vermilion stay apart for
# every common kind of colour blindness, in hue and in brightness.
COLOUR_BLIND = Colours(
    name="colour-blind",
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

ALL = (DARK, LIGHT, ANSI, COLOUR_BLIND)


def colours_of(theme: str) -> Colours:
    """The colours of a theme by name; the dark one's for a name that there is not."""
    return next((colours for colours in ALL if colours.name == theme), DARK)
