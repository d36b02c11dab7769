"""One process of the demo: ``python -m console.demo.worker NAME --home DIR --socket PATH [--repair]``.

Standard library only, so that a whole fleet of them costs little.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from console.demo.agent import Agent
from console.demo.cast import member
from console.demo.door import Door, WatchGone
from console.demo.home import Home
from console.demo.roles import CRASH_AFTER_S, ROLES

#: An operator's restart waits this long for the process it replaces.
REPLACE_S = 5.0


def main(argv: list[str]) -> int:
    """Run one member of the cast until its process or the watch ends."""
    name, home, path = argv[0], Home(Path(argv[2])), Path(argv[4])
    is_repair = "--repair" in argv[5:]
    if is_repair:
        home.settings(name).write_text(member(name).repaired)
    if not home.take(name, REPLACE_S if is_repair else 0):
        print(f"{name} runs already", flush=True)
        return 0
    agent = Agent(member(name), home, Door(path))
    try:
        agent.register()
        agent.log(f"{name} joined as process {os.getpid()}")
        settings = read_settings(agent, home.settings(name))
        ROLES[agent.member.role](agent, settings)
    except WatchGone as gone:
        agent.log(f"ends: {gone}")
    except KeyboardInterrupt:
        agent.log("interrupted")
    return 0


def read_settings(agent: Agent, file: Path) -> dict[str, object]:
    """What is in its settings file. A file that is not JSON ends the process, after a moment of trying."""
    try:
        settings: dict[str, object] = json.loads(file.read_text())
    except ValueError:
        agent.say("starting", note=f"reading {file.name}")
        agent.rest(CRASH_AFTER_S)
        raise
    return settings


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
