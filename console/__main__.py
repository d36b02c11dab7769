"""``python -m console`` is ``watchfloor``."""

from console.cli.main import main

main()
