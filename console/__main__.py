"""``python -m console`` is ``watchfloor``."""

from console.cli import main

main()
