"""Acts on processes and units: guarded before, verified after."""

from backends.recovery.act import Act, Refused
from backends.recovery.signals import pause, resume, signal_process, terminate
from backends.recovery.start import StartFailed, exit_code_of, start_command
from backends.recovery.tree import children_of, family_of
from backends.recovery.units import run_unit, systemctl_argv

__all__ = [
    "Act",
    "Refused",
    "StartFailed",
    "children_of",
    "exit_code_of",
    "family_of",
    "pause",
    "resume",
    "run_unit",
    "signal_process",
    "start_command",
    "systemctl_argv",
    "terminate",
]
