"""Which Watchfloor this is."""

from __future__ import annotations


def version() -> str:
    """The installed distribution's version; ``0+checkout`` when it runs from a bare tree."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("watchfloor")
    except PackageNotFoundError:
        return "0+checkout"
