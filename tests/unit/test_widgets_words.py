"""What rows are called."""

from __future__ import annotations

import pytest

from backends.model import Finding, Gpu, GpuProcess, Severity, Worktree
from widgets.analysis import about
from widgets.columns import Now
from widgets.drift import state_of
from widgets.gpu_page import gpu_lines


@pytest.mark.parametrize(
    ("ahead", "behind", "word"), [(1, 0, "ahead"), (0, 1, "behind"), (1, 1, "diverged"), (0, 0, "clean")]
)
def test_a_worktree_that_is_ahead_and_behind_has_diverged(ahead: int, behind: int, word: str) -> None:
    tree = Worktree(
        id="/a", repository="/a", name="a", ahead=ahead, behind=behind, staged=0, dirty=0, untracked=0
    )
    assert state_of(tree)[2] == word


def test_a_finding_is_about_the_name_of_a_worktree() -> None:
    finding = Finding("drift:/src/site", Severity.INFO, "drift", "worktree", "/src/site", "diverged")
    assert about(finding) == "site"


_HELD = (GpuProcess(7, None, agent="trainer"),)


def test_a_gpu_says_nothing_where_nothing_is_known_and_unknown_vram_is_not_zero() -> None:
    gpu = Gpu(id="g", host="h", index=0, name="S", simulated=True, processes=_HELD)
    text = "\n".join("".join(cell.text for cell in line) for line in gpu_lines(gpu, 60, Now(0)))
    assert "MHz" not in text
    assert "VRAM" in text
    assert "7 — — trainer" in " ".join(text.split())
    assert "container" not in text
