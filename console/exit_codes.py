"""What a process of ours says when it ends. Scripts rely on these numbers; they never change meaning."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every `watchfloor` command, and ``Outcome.exit_code``."""

    OK = 0
    FAILED = 1  #: tried, and it did not work
    USAGE = 2  #: unknown command or argument, broken configuration: nothing was tried
    NOT_FOUND = 3  #: the target does not exist
    CONFLICT = 4  #: somebody else holds it, the lease is lost, or the state has changed
    UNREACHABLE = 5  #: the watch, host or service does not answer
    DENIED = 6  #: not permitted: read-only, or not your process
    UNVERIFIED = 7  #: done, but the effect could not be confirmed
