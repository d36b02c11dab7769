"""``make bench``: every figure the console must show, measured here and now, as one table."""

from __future__ import annotations

import os
import platform
import sys

from bench.figures import Figure, table
from bench.queue_socket import queue_socket
from bench.scale import scale
from bench.start_and_idle import cold_start, command_line, idle

BENCHES = {
    "start": cold_start,
    "idle": idle,
    "cli": command_line,
    "queue": queue_socket,
    "scale": scale,
}


def main(names: list[str]) -> int:
    """Run the named benches, or all. The exit code says whether every figure holds."""
    figures: list[Figure] = []
    for name in names or BENCHES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += BENCHES[name]()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(table(figures))
    return int(not all(figure.holds for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
