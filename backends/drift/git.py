"""Asking git about repositories that may be slow, broken or hostile.

A repository's own configuration can name programs for git to run. Of what these questions would run,
the file-system monitor, hooks and transports are switched off, nothing asks a terminal, and no optional
lock is taken, so an agent's own git is never in the way. Clean filters (such as LFS) stay: without them
git would call clean files changed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from backends.clock import Clock
from backends.fleet import run_command
from backends.text import clean

_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null")

STATUS = ("status", "--porcelain=v2", "--branch", "--show-stash", "-z", "--ignore-submodules=dirty")


class GitError(Exception):
    """Git could not answer; the text says why, in words for an operator."""


class GitTimeout(GitError):
    """Git took longer than it may."""


class Git:
    """Runs git, at most ``at_once`` at a time, each for at most ``timeout_s``."""

    def __init__(self, clock: Clock, timeout_s: float = 10, at_once: int = 2, program: str = "git") -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._turn = asyncio.Semaphore(at_once)
        self._program = program
        self._env = environment(os.environ)

    async def ask(self, folder: bytes, *arguments: str | bytes) -> bytes:
        """What ``git -C folder arguments`` prints. Raises :class:`GitError`; ``OSError`` without a git."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        argv = [self._program, "-C", folder, "--no-optional-locks", *settings, *arguments]
        async with self._turn:
            result = await run_command(argv, self._clock, self._timeout_s, self._env)
        if result.ended == "timeout":
            raise GitTimeout(f"git {_text(arguments[0])} did not answer within {self._timeout_s:g}s")
        if result.ended == "too much output":
            raise GitError(f"git {_text(arguments[0])} printed more than can be taken in")
        if result.code != 0:
            raise GitError(in_words(result.stderr, result.code))
        return result.stdout


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Git's environment: ours, without what a hook or shell may have set about *another* repository."""
    env = {name: value for name, value in ours.items() if not name.startswith("GIT_")}
    return env | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "none",  # a partial clone must not fetch
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }


def in_words(stderr: bytes, code: int | None) -> str:
    """The reason for a failure, with the next step where there is one."""
    if b"dubious ownership" in stderr:
        return (
            "git refuses it: it belongs to another user; if you trust it, run "
            "`git config --global --add safe.directory` with its path"
        )
    lines = [line for line in stderr.splitlines() if line.startswith((b"fatal:", b"error:"))]
    lines = lines or stderr.strip().splitlines()
    return clean(lines[0], limit=200) if lines else f"git ended with code {code}"


def _text(argument: str | bytes) -> str:
    return clean(argument, limit=40)


def status_arguments(partial: bool) -> Sequence[str]:
    """The one question for a worktree; ``partial`` leaves out what makes it slow in huge repositories."""
    return (*STATUS, "--no-ahead-behind", "-uno") if partial else (*STATUS, "-unormal")
