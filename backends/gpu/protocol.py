"""What the probe may say, decoded strictly: a line of any other shape is no line at all."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

#: Longest line taken in: 64 GPUs with a hundred processes each stay well below it.
LONGEST_LINE = 4 * 1024 * 1024

_Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ProcessPart(Struct, frozen=True):
    pid: _Natural
    vram: _Natural | None = None
    kind: str = "compute"
    user: str | None = None
    command: str | None = None
    sm: _Natural | None = None


class MigPart(Struct, frozen=True):
    uuid: str
    name: str = ""
    used: _Natural | None = None
    total: _Natural | None = None


class GpuPart(Struct, frozen=True):
    """One GPU of a frame. ``error`` (an NVML code), ``asleep`` or ``resting``: there are no values."""

    index: _Natural
    uuid: str = ""
    name: str = ""
    error: int | None = None
    asleep: bool = False
    resting: bool = False
    memory_total: _Natural | None = None
    memory_used: _Natural | None = None
    memory_reserved: _Natural | None = None
    unified: bool = False
    utilisation: _Natural | None = None
    memory_busy: _Natural | None = None
    power_mw: _Natural | None = None
    power_limit_mw: _Natural | None = None
    temperature: int | None = None
    memory_temperature: int | None = None
    sm_clock: _Natural | None = None
    sm_clock_max: _Natural | None = None
    memory_clock: _Natural | None = None
    fan: _Natural | None = None
    pstate: _Natural | None = None
    reasons: _Natural | None = None
    recovery: _Natural | None = None
    ecc: _Natural | None = None
    remapped_pending: bool | None = None
    remapped_failure: bool | None = None
    mig: bool | None = None
    mig_instances: tuple[MigPart, ...] = ()
    processes: tuple[ProcessPart, ...] | None = None


class Hello(Struct, frozen=True, tag_field="k", tag="hello"):
    version: int
    driver: str = ""
    nvml: str = ""
    count: _Natural = 0


class Opening(Struct, frozen=True, tag_field="k", tag="opening"):
    index: _Natural


class Frame(Struct, frozen=True, tag_field="k", tag="frame"):
    gpus: tuple[GpuPart, ...]
    driver_us: _Natural | None = None  # time this frame spent inside the driver


class Xid(Struct, frozen=True, tag_field="k", tag="xid"):
    index: _Natural
    code: _Natural


class Trouble(Struct, frozen=True, tag_field="k", tag="trouble"):
    why: str
    code: int | None = None
    kernel: str | None = None
    library: str | None = None
    path: str | None = None
    detail: str | None = None


Message = Hello | Opening | Frame | Xid | Trouble

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def parse(line: bytes) -> Message | None:
    """The message in one line; ``None`` when it is none."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def command(**values: Any) -> bytes:
    """One command line for the probe: ``interval_s``, ``processes``, ``quit``."""
    return json.dumps(values).encode("ascii") + b"\n"


class LineBuffer:
    """Whole lines out of chunks. A line longer than ``longest`` is dropped, whatever it holds."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = bytearray()
        self._dropping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without their newline."""
        lines: list[bytes] = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            if not self._dropping and len(self._rest) + len(piece) <= self._longest:
                lines.append(bytes(self._rest) + piece)
            self._rest.clear()
            self._dropping = False
        if self._dropping or len(self._rest) + len(rest) > self._longest:
            self._rest.clear()
            self._dropping = True
        else:
            self._rest += rest
        return lines
