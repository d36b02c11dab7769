"""What has drifted: git worktrees, and identical scripts in more than one place."""

from backends.drift.reader import DriftReader

__all__ = ["DriftReader"]
