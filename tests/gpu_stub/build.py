"""Compile the stub driver library, once per change of its source."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml_stub.c")
BUILD = Path(__file__).resolve().parents[2] / ".build" / "gpu_stub"
VERSION = "575.57.08"


def compiler() -> str | None:
    """The C compiler, or ``None`` where there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def stub_library() -> Path:
    """Path of ``libnvidia-ml.so.1``, a link to the versioned file as a driver installs it."""
    cc = compiler()
    assert cc is not None, "no C compiler: install gcc or clang to run the GPU tests"
    folder = BUILD / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = folder / "libnvidia-ml.so.1"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"unfinished.{os.getpid()}"
        arguments = [cc, "-shared", "-fPIC", "-O1", "-Wall", "-Wl,-soname,libnvidia-ml.so.1"]
        subprocess.run([*arguments, "-o", str(unfinished), str(SOURCE)], check=True)
        unfinished.replace(folder / f"libnvidia-ml.so.{VERSION}")
        link = folder / f"link.{os.getpid()}"
        link.symlink_to(f"libnvidia-ml.so.{VERSION}")
        link.replace(library)
    return library
