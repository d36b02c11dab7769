"""The drift pane: working trees, and groups of identical scripts across them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from backends.model import CopyGroup, Window, Worktree
from widgets.columns import Cell, Column, Now
from widgets.pane import Noun, Pane, fit_height
from widgets.quantities import UNKNOWN, age, plural, size
from widgets.table import LiveTable


def state_of(tree: Worktree) -> tuple[str, str, str, str]:
    """Glyph, ASCII glyph, word and meaning of a working tree's state."""
    if tree.error is not None:
        return "✖", "X", "unreadable", "crit"
    if tree.conflicted:
        return "✖", "X", "conflict", "crit"
    if tree.prunable:
        return "⊘", "/", "prunable", "warn"
    changes = (tree.staged, tree.dirty, tree.untracked)
    if all(change is None for change in changes):
        return "?", "?", UNKNOWN, "stale"
    if any(changes):
        return "◆", "*", "dirty", "warn"
    if tree.ahead and tree.behind:
        return "◇", "%", "diverged", "warn"
    if tree.behind:
        return "▽", "v", "behind", "warn"
    if tree.ahead:
        return "△", "^", "ahead", ""
    return "●", "+", "clean", "ok"


def _state(tree: Worktree, now: Now) -> Cell:
    glyph, plain, word, style = state_of(tree)
    return Cell(f"{plain if now.ascii else glyph} {word}", style)


def _branch(tree: Worktree, now: Now) -> Cell:
    if tree.error is not None:
        return Cell(tree.error, "crit")
    if tree.branch is None:
        return Cell(f"at {tree.head[:9]}" if tree.head else UNKNOWN, "dim")
    return Cell(tree.branch)


def _figure(value: int | None, style: str) -> Cell:
    """A number that is quiet when it is zero."""
    if value is None:
        return Cell(UNKNOWN, "dim")
    return Cell(str(value), style) if value else Cell("0", "dim")


WORKTREE_COLUMNS: tuple[Column, ...] = (
    Column("state", "STATE", 12, _state, min_width=10, priority=0),
    Column(
        "name",
        "WORKTREE",
        18,
        lambda tree, now: Cell(tree.name, "strong"),
        min_width=14,
        grow=True,
        priority=0,
    ),
    Column("branch", "BRANCH", 18, _branch, min_width=15, grow=True, priority=1),
    Column("ahead", "AHEAD", 5, lambda tree, now: _figure(tree.ahead, ""), align="right", priority=2),
    Column("behind", "BEHIND", 6, lambda tree, now: _figure(tree.behind, "warn"), align="right", priority=2),
    Column("staged", "STAGED", 6, lambda tree, now: _figure(tree.staged, ""), align="right", priority=6),
    Column("dirty", "DIRTY", 5, lambda tree, now: _figure(tree.dirty, "warn"), align="right", priority=3),
    Column("untracked", "NEW", 4, lambda tree, now: _figure(tree.untracked, ""), align="right", priority=4),
    Column("stashes", "STASH", 5, lambda tree, now: _figure(tree.stashes, ""), align="right", priority=7),
    Column(
        "age",
        "AGE",
        4,
        lambda tree, now: Cell(age(tree.committed_at, now.ms), "dim"),
        align="right",
        priority=5,
    ),
)

COPY_COLUMNS: tuple[Column, ...] = (
    Column(
        "name", "SAME SCRIPT", 18, lambda group, now: Cell(group.name), min_width=10, grow=True, priority=0
    ),
    Column("copies", "COPIES", 6, lambda group, now: Cell(str(len(group.paths))), align="right", priority=0),
    Column(
        "repositories",
        "REPOS",
        5,
        lambda group, now: Cell(str(group.repositories), "dim"),
        align="right",
        priority=1,
    ),
    Column(
        "size", "SIZE", 5, lambda group, now: Cell(size(group.size_bytes), "dim"), align="right", priority=2
    ),
    Column("paths", "WHERE", 30, lambda group, now: _where(group), min_width=14, grow=True, priority=3),
)


def _where(group: CopyGroup) -> Cell:
    return Cell("  ".join(group.paths), "dim")


class DriftPane(Pane):
    """Working trees above, identical scripts below."""

    CURRENT_MS = 90_000  # they are read every half minute

    DEFAULT_CSS = """
    DriftPane > .drift--section { height: 1; padding: 0 1; color: $foreground 55%; display: none; }
    DriftPane > #copies-table { display: none; }
    DriftPane.-copies > .drift--section { display: block; }
    DriftPane.-copies > #copies-table { display: block; }
    """

    def __init__(self, number: int = 4, *, ascii_only: bool = False, id: str | None = "drift") -> None:
        super().__init__(number, "Drift", Noun("worktree", "worktrees"), ascii_only=ascii_only, id=id)
        self.table = LiveTable(
            WORKTREE_COLUMNS,
            view="worktrees",
            id="worktrees-table",
            empty="no git repository under the configured roots (drift.roots in config.toml)",
            ascii_only=ascii_only,
        )
        self.copies = LiveTable(COPY_COLUMNS, view="copies", id="copies-table", ascii_only=ascii_only)
        self._section = Static("", classes="drift--section", markup=False)

    def compose_body(self) -> ComposeResult:
        yield self.table
        yield self._section
        yield self.copies

    def show(self, window: Window) -> None:
        """Replace the working trees."""
        self.summarise(window)
        self.table.show(window)

    def show_copies(self, window: Window) -> None:
        """Replace the groups of identical scripts; the section is there while there is one."""
        self.set_class(window.total > 0, "-copies")
        rule = "-- " if self.ascii_only else "── "
        self._section.update(f"{rule}{plural(window.total, 'group')} of identical scripts", layout=False)
        self.copies.show(window)
        self._fit_copies()

    def _fit_copies(self) -> None:
        """The groups take what they need, up to a third of the pane."""
        room = max(3, self.content_size.height // 3)
        fit_height(self.copies, min(room, 1 + max(1, self.copies.total)))

    def on_resize(self) -> None:
        self._fit_copies()
