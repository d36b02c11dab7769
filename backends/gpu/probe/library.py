"""Open the driver's library, and say exactly why when that fails."""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import sys
from types import ModuleType
from typing import Any

SONAME = "libnvidia-ml.so.1"

#: Where the library also lives when the loader does not know of it: WSL, NixOS, some container images.
ELSEWHERE = (
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/local/nvidia/lib64",
)

#: A file to load instead of what the loader finds.
LIBRARY_VARIABLE = "WATCHFLOOR_NVML_LIBRARY"

#: Names that the ``nvidia-ml-py`` binding has and the unrelated, older ``pynvml`` distribution lacks.
_BINDING_HAS = ("nvmlInitWithFlags", "nvmlDeviceGetFieldValues", "_nvmlGetFunctionPointer")


class Trouble(Exception):
    """The probe cannot go on. ``why`` is a fixed word, ``details`` goes to the parent as it is."""

    def __init__(self, why: str, **details: str | int | None) -> None:
        super().__init__(why)
        self.why = why
        self.details = details


def load(path: str | None, elsewhere: tuple[str, ...] = ELSEWHERE) -> ctypes.CDLL:
    """The driver's library: ``path`` if given, else wherever it is.

    Raises :class:`Trouble` ``no-library`` when there is none, ``bad-library`` when ``path`` cannot be loaded.
    """
    if path:
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            raise Trouble("bad-library", path=path, detail=str(error)) from None
    for candidate in (SONAME, *(f"{folder}/{SONAME}" for folder in elsewhere)):
        try:
            return ctypes.CDLL(candidate)
        except OSError:
            continue
    raise Trouble("no-library")


def bind(library: ctypes.CDLL) -> Any:
    """The ``pynvml`` module, working on ``library``.

    Raises :class:`Trouble` ``no-binding`` or ``wrong-binding``.
    """
    try:
        pynvml = _import_binding()
    except ImportError as error:
        raise Trouble("no-binding", detail=str(error)) from None
    if not all(hasattr(pynvml, name) for name in _BINDING_HAS):
        raise Trouble("wrong-binding", path=getattr(pynvml, "__file__", None))
    pynvml.nvmlLib = library  # the binding would look for the soname alone
    return pynvml


def _import_binding() -> Any:
    """Import ``pynvml`` without ``ctypes.util``, which it names and never uses.

    That module drags in subprocess, shutil and tempfile: 2 MB of a process that has 12.
    """
    stand_in = ModuleType("ctypes.util")
    stand_in.find_library = None  # type: ignore[attr-defined]
    borrowed = sys.modules.setdefault("ctypes.util", stand_in) is stand_in
    try:
        return importlib.import_module("pynvml")
    finally:
        if borrowed:
            del sys.modules["ctypes.util"]


def initialise(nvml: Any, root: str) -> None:
    """``nvmlInit``. Raises :class:`Trouble` ``nvml`` with the driver's return code and both versions."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise Trouble(
            "nvml", code=int(error.value), kernel=kernel_module_version(root), library=library_version()
        ) from None


def kernel_module_version(root: str = "/") -> str | None:
    """Version of the NVIDIA kernel module that is loaded now."""
    try:
        with open(
            os.path.join(root, "proc/driver/nvidia/version"), encoding="utf-8", errors="replace"
        ) as file:
            return parse_kernel_module_version(file.read(4096))
    except OSError:
        return None


def parse_kernel_module_version(text: str) -> str | None:
    """``NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  ...`` gives ``550.54.15``."""
    found = re.search(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)", text)
    return found.group(1) if found else None


def library_version() -> str | None:
    """Version of the driver's library that this process has mapped, by its real file name."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            for line in file:
                if found := re.search(r"/libnvidia-ml\.so\.(\d+\.\d[\d.]*)", line):
                    return found.group(1)
    except OSError:
        pass
    return None
