"""The driver that draws on standard output, while the process's own stderr goes to a file."""

from __future__ import annotations

import os
import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

_ENTER_SECOND_SCREEN = "\x1b[?1049h"


class TerminalDriver(LinuxDriver):
    """Textual's own draws on stderr, where anything else that is printed would garble the screen."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        assert sys.__stdout__ is not None
        self._drawn_on = self._file = os.fdopen(
            os.dup(sys.__stdout__.fileno()), "w", encoding="utf-8", newline=""
        )

    def write(self, data: str) -> None:
        # the first frame is on the second screen already; entering it again would clear it
        super().write("" if data == _ENTER_SECOND_SCREEN else data)

    def close(self) -> None:
        super().close()
        self._drawn_on.close()
