"""Starting a declared agent so that it lives on without us."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.fleet import process_ref, start_abandonable
from backends.model import ProcessRef

EXIT_CODES_KEPT = 1000


class StartFailed(Exception):
    """The program could not be started; nothing runs. The text says why and what to change."""


_exit_codes: OrderedDict[ProcessRef, int] = OrderedDict()


def start_command(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | Path | None, log_path: str | Path
) -> ProcessRef:
    """Start ``argv`` in a session of its own: no terminal, no input, output appended to ``log_path``.

    ``env`` is added to our own environment. The log is made readable to its owner only. The process
    survives us; while we live, we collect its exit code (:func:`exit_code_of`). Raises :class:`StartFailed`.
    """
    if not argv:
        raise StartFailed("the start command is empty")
    log = Path(log_path)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartFailed(f"cannot write the log {log}: {error.strerror}") from None
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={**os.environ, **env},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise StartFailed(_in_words(argv, cwd, error)) from None
    finally:
        os.close(output)
    ref = process_ref(child.pid)  # even if it ended at once: it stays a zombie until it is waited for
    assert ref is not None
    start_abandonable(lambda: _remember(ref, child.wait()), f"exit of {child.pid}")
    return ref


def exit_code_of(ref: ProcessRef) -> int | None:
    """How a process that we started ended; negative: the signal. ``None``: it runs, or is not known."""
    return _exit_codes.get(ref)


def _remember(ref: ProcessRef, code: int) -> None:
    _exit_codes[ref] = code
    while len(_exit_codes) > EXIT_CODES_KEPT:
        _exit_codes.popitem(last=False)


def _in_words(argv: Sequence[str], cwd: str | Path | None, error: OSError | ValueError) -> str:
    command = shlex.join(argv)
    if cwd is not None and not os.path.isdir(cwd):
        return f"cannot start {command}: its folder {cwd} does not exist"
    if isinstance(error, FileNotFoundError):
        return f"cannot start {command}: {argv[0]} is not found; give its full path or correct PATH"
    if isinstance(error, PermissionError):
        return f"cannot start {command}: {argv[0]} may not be executed; check its mode and owner"
    return f"cannot start {command}: {error}"
