"""Words for the driver's numbers: what happened, whose fault it usually is, and what to do next.

Codes are those of NVIDIA's NVML reference (return codes, clock event reasons, field 230) and XID catalogue.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A short status for the column, and a sentence with the next step."""

    status: str
    reason: str


# --- why a GPU does not answer -----------------------------------------------------------------------

_GPU_ERRORS = {
    4: Words(
        "no permission", "the driver denies access to this GPU: run as a user who may open /dev/nvidia*"
    ),
    15: Words(
        "lost",
        "the GPU fell off the bus (often XID 79): values are the last ones read; "
        "check power, cooling and `dmesg`, then reset the GPU or reboot the host",
    ),
    16: Words("reset required", "the driver wants this GPU reset: stop its processes, then `nvidia-smi -r`"),
    17: Words("blocked", "the operating system blocks this GPU (cgroup or IOMMU): check the device rules"),
    28: Words("lost", "the driver no longer finds this GPU: values are the last ones read; check `dmesg`"),
}

ASLEEP = Words("asleep", "powered down to save energy; not asked, because any question would wake it")
RESTING = Words("resting", "idle and allowed to sleep: asked once a minute so that it can")
GONE = Words("lost", "the driver no longer lists this GPU: values are the last ones read; check `dmesg`")
HUNG = Words("hung", "a driver call does not return: values are the last ones read")
MIG = "MIG is on: the driver gives no utilisation for the whole GPU; memory is shown for each instance"


def gpu_error(code: int) -> Words:
    """What NVML return code ``code`` means for one GPU."""
    return _GPU_ERRORS.get(code) or Words("error", f"the driver answers with error {code} for this GPU")


# --- why there is no driver to ask ---------------------------------------------------------------------

_DRIVER_ERRORS = {
    4: Words(
        "no permission",
        "the driver denies access: run as a user who may open /dev/nvidiactl and /dev/nvidia*",
    ),
    9: Words("driver not loaded", "the library is there, the kernel module is not: `modprobe nvidia`"),
    15: Words("GPU lost", "the driver cannot start because a GPU fell off the bus: reboot the host"),
    17: Words("blocked", "the operating system blocks the GPUs (cgroup or IOMMU): check the device rules"),
}


def trouble(
    why: str,
    *,
    code: int | None = None,
    kernel: str | None = None,
    library: str | None = None,
    path: str | None = None,
    detail: str | None = None,
) -> Words:
    """Why the probe ended, from what it said last. The arguments are the details of its ``trouble`` line."""
    if why == "no-library":
        return Words("no driver", "no NVIDIA driver library (libnvidia-ml.so.1) on this machine")
    if why == "bad-library":
        return Words("no driver", f"the configured library cannot be loaded: {detail or path}")
    if why == "no-binding":
        return Words(
            "no nvidia-ml-py", "the driver is there, its Python binding is not: pip install nvidia-ml-py"
        )
    if why == "wrong-binding":
        return Words(
            "wrong pynvml",
            f"{path or 'another package'} shadows nvidia-ml-py: "
            "pip uninstall pynvml, then pip install --force-reinstall nvidia-ml-py",
        )
    if why == "nvml" and code == 18:
        return Words(
            "driver mismatch",
            f"kernel module {kernel or 'of unknown version'}, library {library or 'of unknown version'}: "
            "reboot, or reload the nvidia modules",
        )
    if why == "nvml" and code is not None:
        return _DRIVER_ERRORS.get(code) or Words("driver error", f"the driver does not start: error {code}")
    return Words("probe failed", f"the GPU probe ended: {detail or why}")


NO_GPUS = Words("no GPUs", "the driver is there and lists no GPU")


def stale(silent_ms: int, *, greeted: bool) -> Words:
    """The probe missed its deadline but may yet answer."""
    seconds = silent_ms // 1000
    if not greeted:
        return Words("stale", f"the driver has been starting for {seconds} s")
    return Words("stale", f"no answer from the driver for {seconds} s: values are the last ones read")


def hung(pid: int | None) -> Words:
    """The probe was given up."""
    return Words(
        "hung",
        f"a driver call does not return; probe {pid} was abandoned; next try in a minute; see `dmesg`",
    )


def still_hung(pid: int | None) -> Words:
    """The abandoned probe has not even died, so no second one is started."""
    return Words(
        "hung",
        f"probe {pid} still waits inside the driver and cannot be killed: "
        "check `dmesg`; a reset of the GPU or a reboot frees it",
    )


def died(exit_code: int | None, last_words: str) -> Words:
    """The probe ended without saying why."""
    if exit_code is not None and exit_code < 0:
        how = f"it was killed by signal {-exit_code}"
    else:
        how = f"it ended with code {exit_code}"
    return Words("probe failed", f"the GPU probe ended: {how}{': ' + last_words if last_words else ''}")


# --- clocks --------------------------------------------------------------------------------------------

_THROTTLE = (
    (0x4, "power cap"),
    (0x8, "hardware slowdown"),
    (0x20, "software thermal limit"),
    (0x40, "hardware thermal limit"),
    (0x80, "power brake"),
    (0x10, "sync boost"),
    (0x2, "clocks set by user"),
    (0x100, "display clocks"),
    (0x200, "board limit"),
    (0x400, "reliability limit"),
)
_IDLE = 0x1


def throttle(mask: int | None) -> tuple[str, ...] | None:
    """Why clocks are below their maximum, worst first. Being idle is no reason. ``None``: not known."""
    if mask is None:
        return None
    words = tuple(text for bit, text in _THROTTLE if mask & bit)
    rest = mask & ~(_IDLE | sum(bit for bit, _ in _THROTTLE))
    return (*words, f"other ({rest:#x})") if rest else words


# --- what the driver advises ---------------------------------------------------------------------------

_RECOVERY = {
    0: "none",
    1: "reset the GPU",
    2: "reboot the host",
    3: "drain peer-to-peer work",
    4: "drain, then reset the GPU",
    5: "recover the IMEX domain",
    6: "reset the bus",
    7: "reboot the system",
}


def recovery_action(code: int | None) -> str | None:
    """The driver's own advice (NVML field 230). ``None``: not known."""
    return None if code is None else _RECOVERY.get(code, f"unknown advice {code}")


# --- XID -----------------------------------------------------------------------------------------------

APPLICATION, HARDWARE, DRIVER = "application", "hardware", "driver"

_XID = {
    13: (APPLICATION, "graphics engine exception"),
    31: (APPLICATION, "GPU memory page fault"),
    32: (DRIVER, "invalid or corrupted push buffer"),
    38: (DRIVER, "driver firmware error"),
    43: (APPLICATION, "a process's GPU channel was reset"),
    44: (DRIVER, "engine fault during context switch"),
    45: (APPLICATION, "work removed after an earlier error or a kill"),
    46: (DRIVER, "GPU stopped processing"),
    48: (HARDWARE, "double-bit ECC error"),
    54: (HARDWARE, "auxiliary power not connected"),
    56: (HARDWARE, "display engine error"),
    61: (DRIVER, "internal microcontroller breakpoint"),
    62: (HARDWARE, "internal microcontroller halt"),
    63: (HARDWARE, "row remapping or page retirement recorded"),
    64: (HARDWARE, "row remapping or page retirement failed"),
    68: (APPLICATION, "video decoder exception"),
    69: (DRIVER, "graphics engine class error"),
    74: (HARDWARE, "NVLink error"),
    79: (HARDWARE, "GPU has fallen off the bus"),
    92: (HARDWARE, "high rate of single-bit ECC errors"),
    94: (HARDWARE, "contained memory error"),
    95: (HARDWARE, "uncontained memory error"),
    109: (APPLICATION, "context switch timeout"),
    119: (DRIVER, "GSP firmware does not answer"),
    120: (DRIVER, "GSP firmware error"),
    121: (HARDWARE, "chip-to-chip link error"),
    140: (HARDWARE, "unrecovered ECC error"),
    143: (DRIVER, "GPU failed to start"),
    149: (HARDWARE, "NVLink error"),
    154: (DRIVER, "the advised recovery action changed"),
    155: (HARDWARE, "NVLink failure"),
}


def xid(code: int) -> str:
    """What XID ``code`` means and whose fault it usually is: ``GPU has fallen off the bus (hardware)``."""
    if code not in _XID:
        return f"XID {code}: see NVIDIA's XID catalogue"
    usual_cause, text = _XID[code]
    return f"{text} ({usual_cause})"


def xid_class(code: int) -> str | None:
    """``application``, ``hardware`` or ``driver``; ``None`` for a code this page does not know."""
    known = _XID.get(code)
    return None if known is None else known[0]


# --- health of a GPU that answers -------------------------------------------------------------------------


def health(recovery_code: int | None, remapped_pending: bool | None, remapped_failure: bool | None) -> Words:
    """Status of a GPU that answers: ``ok``, or what the driver says must be done."""
    if recovery_code:
        advice = recovery_action(recovery_code)
        return Words("needs recovery", f"the driver advises: {advice}")
    if remapped_failure:
        return Words("failing memory", "a memory row could not be remapped: take the GPU out of service")
    if remapped_pending:
        return Words("reset pending", "a memory row waits to be remapped: reset the GPU when it is idle")
    return Words("ok", "")
