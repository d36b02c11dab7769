"""Ending a demo: its watch, every process it started, and its folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from console.demo.home import Home

if TYPE_CHECKING:
    from backends.model import ProcessRef

#: A worker that does not end on TERM within this is killed.
GRACE_S = 1.0


def end_demo(home: Home) -> None:
    """End what still runs of the demo and remove its folder. Does nothing the second time."""
    if not home.root.exists():
        return
    # the watch first, or a restart an operator has just asked for could start one more worker
    _end_watch(home)
    refs = workers_of(home)
    if refs:
        _terminate(refs)
    shutil.rmtree(home.root, ignore_errors=True)


def workers_of(home: Home) -> list[ProcessRef]:
    """The worker processes of this demo, whoever started them: recognised by the folder they were given."""
    import psutil

    from backends.fleet import process_ref

    refs = []
    for process in psutil.process_iter(["cmdline"]):
        argv = process.info["cmdline"] or []
        if argv[1:3] == ["-m", "console.demo.worker"] and os.fspath(home.root) in argv[3:]:
            ref = process_ref(process.pid)
            if ref is not None and process.is_running():
                refs.append(ref)
    return refs


def _end_watch(home: Home) -> None:
    from console.cli.lifecycle import LifecycleError, stop
    from console.config.paths import state_paths

    with contextlib.suppress(LifecycleError):  # it does not run, or is stuck: then nothing more can be done
        stop(state_paths(os.fspath(home.state), environ={}))


def _terminate(refs: list[ProcessRef]) -> None:
    import asyncio

    from backends.clock import SystemClock
    from backends.recovery import terminate

    async def end_all() -> None:
        clock = SystemClock()
        # a refusal says that it has ended by itself meanwhile
        await asyncio.gather(*(terminate(ref, clock, GRACE_S) for ref in refs), return_exceptions=True)

    asyncio.run(end_all())
