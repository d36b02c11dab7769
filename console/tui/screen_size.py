"""How large a terminal must be, in cells. Imports nothing: it is asked before textual is loaded."""

from __future__ import annotations

#: Below this the panes are shown one at a time.
WIDE_COLUMNS, WIDE_LINES = 110, 34
#: Smaller than this nothing sensible can be shown.
MIN_COLUMNS, MIN_LINES = 60, 16
