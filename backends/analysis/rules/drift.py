"""Working trees that need a hand: conflicts, diverged branches, old uncommitted work.

No registered command mends a working tree, so these findings propose none and say what to do in words.
"""

from __future__ import annotations

from collections.abc import Iterable

from backends.analysis.rules.inputs import Inputs
from backends.model import Evidence, Finding, Severity, Worktree
from backends.units import count_words, duration_words

CHECKED = ("conflicts, diverged branches and forgotten changes in git working trees",)

#: Uncommitted work on top of a commit this old was probably forgotten.
FORGOTTEN_MS = 7 * 86_400_000
LISTED = 20


def check(inputs: Inputs, now: int) -> Iterable[Finding]:
    """All findings about working trees; at most :data:`LISTED` of each kind."""
    for rule in (_conflict, _diverged, _forgotten):
        found = (rule(worktree, now) for worktree in inputs.rows("worktrees"))
        yield from [finding for finding in found if finding is not None][:LISTED]


def _conflict(worktree: Worktree, now: int) -> Finding | None:
    if not worktree.conflicted:
        return None
    says = f"{count_words(worktree.conflicted, 'file')} with conflicts"
    return _finding(
        "drift-conflict", Severity.WARNING, worktree, f"{says}; resolve or abort the merge", says, now
    )


def _diverged(worktree: Worktree, now: int) -> Finding | None:
    if not worktree.ahead or not worktree.behind:
        return None
    says = f"{worktree.ahead} ahead of and {worktree.behind} behind {worktree.upstream or 'its upstream'}"
    statement = f"{worktree.branch or 'its branch'} diverged: {says}; rebase or merge before it grows"
    return _finding("drift-diverged", Severity.INFO, worktree, statement, says, now)


def _forgotten(worktree: Worktree, now: int) -> Finding | None:
    changed = (worktree.dirty or 0) + (worktree.staged or 0)
    if not changed or worktree.committed_at is None or now - worktree.committed_at < FORGOTTEN_MS:
        return None
    age = duration_words(now - worktree.committed_at)
    says = f"{count_words(changed, 'changed file')} on a commit {age} old"
    return _finding("drift-forgotten", Severity.INFO, worktree, f"{says}; commit or stash them", says, now)


def _finding(
    category: str, severity: Severity, worktree: Worktree, statement: str, says: str, now: int
) -> Finding:
    evidence = (Evidence("git", f"{says} ({worktree.id})", worktree.observed_at or now, won=True),)
    return Finding(
        f"{category}:{worktree.id}", severity, category, "worktree", worktree.id,
        f"{worktree.name}: {statement}", evidence, None, None, now,
    )  # fmt: skip
