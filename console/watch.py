"""The watch process: one per state directory, headless, ends cleanly on TERM in under a second."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from backends.clock import SystemClock
from backends.coordination import StoreError
from console.commands import REGISTRY
from console.commands.registry import Registry
from console.config_decode import ConfigError
from console.config_file import Loaded, load
from console.dispatch import Dispatcher
from console.doors import Door
from console.exit_codes import ExitCode
from console.house import House
from console.logs import open_log
from console.paths import StateDirError, StatePaths, state_paths

log = logging.getLogger(__name__)


class StartError(Exception):
    """The watch cannot start; the message says why and what to do."""


def hold_state(paths: StatePaths) -> int:
    """Take the state directory for this process alone. The lock goes with the process, however it ends."""
    fd = os.open(paths.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(fd, 32).decode("ascii", "replace").strip()
        os.close(fd)
        raise StartError(
            f"another watch (pid {pid}) runs on {paths.root}; attach with `watchfloor`, "
            "end it with `watchfloor stop`, or use --state for a second one"
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


async def listen(path: Path, house: House, registry: Registry) -> tuple[asyncio.Server, set[Door]]:
    """Open the socket, mode 0600. A socket file left by a dead watch is replaced."""
    doors: set[Door] = set()
    dispatcher = Dispatcher(registry, house)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Door(house, dispatcher, doors), os.fspath(path))
    finally:
        os.umask(before)
    return server, doors


async def _until_parent_leaves(stop: asyncio.Event) -> None:
    """Set ``stop`` when standard input ends: the console that owns this private watch has gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()


async def serve(loaded: Loaded, paths: StatePaths, *, private: bool, demo: bool) -> None:
    """Run until TERM, INT or, for a private watch, until its console leaves."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # a lost terminal is no reason to end
    house = await House.open(loaded.config, paths, SystemClock(), demo=demo)
    try:
        server, doors = await listen(paths.socket, house, REGISTRY)
        house.doors = doors
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work, name=name) for name, work in house.work()]
                if private:
                    tasks.append(group.create_task(_until_parent_leaves(stop), name="parent"))
                print("ready", flush=True)
                log.info("watch ready, pid %d, state %s", os.getpid(), paths.root)
                await stop.wait()
                log.info("watch ends")
                for task in tasks:
                    task.cancel()
        finally:
            server.close()
            for door in tuple(doors):
                door.close()
    finally:
        await house.close()
        paths.socket.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> int:
    """``python -m console.watch --state DIR [--config FILE] [--set K=V] [--private] [--demo]``."""
    import argparse

    parser = argparse.ArgumentParser(prog="watchfloor-watch")
    parser.add_argument("--state", required=True)
    parser.add_argument("--config")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--demo", action="store_true")
    options = parser.parse_args(argv)
    os.environ["WATCHFLOOR_STATE"] = options.state
    lock = -1
    try:
        flags = dict(pair.partition("=")[::2] for pair in options.set)
        loaded = load(Path(options.config) if options.config else None, flags=flags)
        paths = state_paths(options.state, loaded.config.watch.socket, create=True)
        lock = hold_state(paths)
        with contextlib.closing(open_log(paths.logs, "watch")):
            asyncio.run(serve(loaded, paths, private=options.private, demo=options.demo))
    except (ConfigError, StateDirError, StoreError, StartError, OSError) as error:
        print(" ".join(str(error).split()), flush=True)
        return int(ExitCode.USAGE if isinstance(error, ConfigError) else ExitCode.FAILED)
    finally:
        if lock >= 0:
            os.close(lock)
    return int(ExitCode.OK)


if __name__ == "__main__":
    raise SystemExit(main())
