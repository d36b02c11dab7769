"""The watch process: one per state directory, headless, ends cleanly on TERM in under a second."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from backends.clock import SystemClock
from backends.coordination import StoreError
from console.commands import REGISTRY
from console.config.decode import ConfigError
from console.config.layers import Loaded, load
from console.config.paths import StateDirError, StatePaths, state_paths
from console.exit_codes import ExitCode
from console.logs import open_log
from console.watch.dispatch import Dispatcher
from console.watch.doors import MAX_DOORS, Door
from console.watch.house import House

log = logging.getLogger(__name__)

#: Whoever asks whether a watch runs holds its lock for a moment; a new watch waits that long.
LOCK_TRIES, LOCK_PAUSE_S = 10, 0.02


#: After this long what was loaded is there to stay: the collector need not walk through it again and again.
SETTLED_S = 10.0


class StartError(Exception):
    """The watch cannot start; the message says why and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def hold_state(paths: StatePaths) -> int:
    """Take the state directory for this process alone. The lock goes with the process, however it ends."""
    fd = os.open(paths.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S)
        else:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            return fd
    pid = os.read(fd, 32).decode("ascii", "replace").strip()
    os.close(fd)
    raise StartError(
        f"another watch (pid {pid}) runs on {paths.root}; attach with `watchfloor`, "
        "end it with `watchfloor stop`, or use --state for a second one",
        ExitCode.CONFLICT,
    )


def make_way(path: Path) -> None:
    """Remove the socket of a dead watch. Raises :class:`StartError` for anything else in its place."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path} is not a socket; it is left alone: move it away or change watch.socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise StartError(
        f"another program listens on {path}; end it, or give this watch another watch.socket",
        ExitCode.CONFLICT,
    )


async def listen(path: Path, house: House, dispatcher: Dispatcher) -> tuple[asyncio.Server, set[Door]]:
    """Open the socket, mode 0600. A socket file left by a dead watch is replaced."""
    doors: set[Door] = set()
    make_way(path)
    before = os.umask(0o177)
    try:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: Door(house, dispatcher, doors), os.fspath(path), backlog=MAX_DOORS
        )
    except OSError as error:
        raise StartError(f"cannot open the socket {path}: {error.strerror or error}") from None
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
        dispatcher = Dispatcher(REGISTRY, house)
        server, doors = await listen(paths.socket, house, dispatcher)
        house.doors = doors
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work, name=name) for name, work in house.work()]
                if private:
                    tasks.append(group.create_task(_until_parent_leaves(stop), name="parent"))
                print("ready", flush=True)
                loop.call_later(SETTLED_S, gc.freeze)
                log.info("watch ready, pid %d, state %s", os.getpid(), paths.root)
                await stop.wait()
                log.info("watch ends")
                for task in tasks:
                    task.cancel()
        finally:
            server.close()
            paths.socket.unlink(missing_ok=True)
            await dispatcher.close()
            for door in tuple(doors):
                door.close()
    finally:
        await house.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; a bug that ends the watch is in its log."""
    try:
        asyncio.run(work)
    except (StoreError, StartError, OSError):
        raise
    except Exception:
        log.exception("the watch ends")
        raise StartError("the watch ended because of a bug; see watch.jsonl among its logs") from None


def _code_of(error: Exception) -> ExitCode:
    if isinstance(error, ConfigError):
        return ExitCode.USAGE
    return error.code if isinstance(error, StartError) else ExitCode.FAILED


def main(argv: list[str] | None = None) -> int:
    """``python -m console.watch.process --state DIR [--config FILE] [--set K=V] [--private] [--demo]``."""
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
            _run(serve(loaded, paths, private=options.private, demo=options.demo))
    except (ConfigError, StateDirError, StoreError, StartError, OSError) as error:
        print(" ".join(str(error).split()), flush=True)
        return int(_code_of(error))
    finally:
        if lock >= 0:
            os.close(lock)
    return int(ExitCode.OK)


if __name__ == "__main__":
    raise SystemExit(main())
