"""This machine: its figures, its processes, and how to name one process beyond doubt."""

from backends.fleet.abandon import in_abandonable_thread, start_abandonable
from backends.fleet.command import CommandResult, run_command
from backends.fleet.host import LocalHost
from backends.fleet.identity import (
    boot_id,
    host_name,
    is_same_process,
    parent_of,
    process_ref,
    process_state,
)
from backends.fleet.processes import ProcessTable

__all__ = [
    "CommandResult",
    "LocalHost",
    "ProcessTable",
    "boot_id",
    "host_name",
    "in_abandonable_thread",
    "is_same_process",
    "parent_of",
    "process_ref",
    "process_state",
    "run_command",
    "start_abandonable",
]
