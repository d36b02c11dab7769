"""Paths as they are shown."""

from __future__ import annotations

import hashlib

from backends.text import clean


def shown(path: bytes) -> str:
    """A path for rows and their ids: cleaned, and still different from every other path.

    What cleaning changed gets a short digest of the true bytes, so that no path can pose as another.
    """
    text = clean(path, limit=1000)
    if text.encode("utf-8", "replace") == path:
        return text
    return f"{text} ~{hashlib.sha256(path).hexdigest()[:8]}"
