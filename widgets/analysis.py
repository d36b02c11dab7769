"""The analysis pane: what is wrong now, the most urgent first, with its evidence and a proposed command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.widget import Widget

from backends.model import Finding, Proposal, Window
from widgets.answer import AnswerView
from widgets.columns import Cell, Column, Now
from widgets.glyphs import SEVERITIES
from widgets.lines import LineView, PageLine
from widgets.pane import Noun, Pane, fit_height
from widgets.quantities import age, plural
from widgets.table import LiveTable
from widgets.table_messages import CursorMoved
from widgets.wrapping import wrap


def _severity(finding: Finding, now: Now) -> Cell:
    mark = SEVERITIES[finding.severity]
    return Cell(mark.show(now.ascii), mark.style)


def about(finding: Finding) -> str:
    """What a finding is about, as the drift pane names it where it is a worktree's path."""
    if finding.subject_kind == "worktree":
        return finding.subject.rstrip("/").rpartition("/")[2] or finding.subject
    return finding.subject


COLUMNS: tuple[Column, ...] = (
    Column("severity", "", 1, _severity, priority=0),
    Column(
        "statement", "FINDING", 40, lambda row, now: Cell(row.statement), min_width=34, grow=True, priority=0
    ),
    Column("subject", "ABOUT", 16, lambda row, now: Cell(about(row), "dim"), min_width=16, priority=2),
    Column("category", "KIND", 14, lambda row, now: Cell(row.category, "dim"), min_width=10, priority=3),
    Column(
        "since", "FOR", 4, lambda row, now: Cell(age(row.since_at, now.ms), "dim"), align="right", priority=1
    ),
)


def proposal_text(proposal: Proposal) -> str:
    """A proposed command as it would be typed on the ``:`` line."""
    words = [proposal.command, *([shlex.quote(proposal.target)] if proposal.target else [])]
    words += [
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in proposal.args.items()
    ]
    return ":" + " ".join(words)


def finding_lines(finding: Finding, width: int, now: Now) -> list[PageLine]:
    """One finding in full: the statement, each piece of evidence, and the proposed command."""
    mark = SEVERITIES[finding.severity]
    lines: list[PageLine] = []
    for index, text in enumerate(wrap(finding.statement, width - 4)):
        lead = mark.show(now.ascii) if index == 0 else " "
        lines.append((Cell(f" {lead} ", mark.style), Cell(text, "strong")))
    for evidence in finding.evidence:
        lead = "* " if now.ascii else "• "
        source = f"{evidence.source}, {age(evidence.observed_at, now.ms)}: "
        for index, text in enumerate(wrap(source + evidence.says, width - 6)):
            shown = (Cell(source, "dim"), Cell(text[len(source) :])) if index == 0 else (Cell(text),)
            lines.append((Cell("   " + (lead if index == 0 else "  "), "dim"), *shown))
    if finding.proposal is not None:
        arrow = "> " if now.ascii else "→ "
        lines.append((Cell("   " + arrow, "accent"), Cell(proposal_text(finding.proposal), "accent")))
        if finding.proposal.reason:
            lines.extend(
                (Cell("     "), Cell(text, "dim")) for text in wrap(finding.proposal.reason, width - 6)
            )
    return lines


def calm_lines(checked: Sequence[str], width: int, now: Now) -> list[PageLine]:
    """Nothing is wrong, and what that rests on."""
    tick = "+" if now.ascii else "✓"
    lines: list[PageLine] = [(Cell(f" {tick} ", "ok"), Cell("nothing is wrong"))]
    if checked:
        text = "checked: " + ", ".join(checked)
        lines.extend((Cell("   "), Cell(line, "dim")) for line in wrap(text, width - 4))
    return lines


class AnalysisPane(Pane):
    """Findings, the selected one in full, and the answer to a question while there is one."""

    DEFAULT_CSS = """
    AnalysisPane > #findings-table { height: 1fr; }
    AnalysisPane > #finding-page { height: 1fr; margin-top: 1; }
    AnalysisPane > AnswerView { height: 2fr; display: none; }
    AnalysisPane.-calm > #findings-table { display: none; }
    AnalysisPane.-calm > #finding-page { margin-top: 0; }
    AnalysisPane.-answer > AnswerView { display: block; margin-top: 1; }
    AnalysisPane.-answer > #finding-page { display: none; }
    """

    def __init__(self, number: int = 5, *, ascii_only: bool = False, id: str | None = "analysis") -> None:
        super().__init__(number, "Analysis", Noun("finding", "findings"), ascii_only=ascii_only, id=id)
        self._checked: tuple[str, ...] = ()
        self._known = False
        self.table = LiveTable(
            COLUMNS, view="findings", id="findings-table", empty="no finding matches", ascii_only=ascii_only
        )
        self.page = LineView(self._draw, ascii_only=ascii_only, id="finding-page")
        self.answer = AnswerView(ascii_only=ascii_only, id="answer")

    def compose_body(self) -> ComposeResult:
        yield self.table
        yield self.page
        yield self.answer

    def show(self, window: Window) -> None:
        """Replace the findings."""
        self._known = True
        self.summarise(window)
        self.table.show(window)
        nothing = not (window.total if window.table_total is None else window.table_total)
        self.set_class(nothing, "-calm")
        worst = [
            f"{plural(window.counts[name], name, name)}"
            for name in ("critical", "warning")
            if window.counts.get(name)
        ]
        self.set_heading((" | " if self.ascii_only else " · ").join(worst))
        self._fit_table()
        self.page.redraw()

    def _fit_table(self) -> None:
        """The list is as tall as it needs to be, and leaves half of the pane to the finding in full."""
        room = max(4, self.content_size.height // 2)
        fit_height(self.table, min(room, 1 + max(2, self.table.total)))

    def on_resize(self) -> None:
        self._fit_table()

    def set_checked(self, checked: Sequence[str]) -> None:
        """What was looked at, in words; said when nothing is wrong."""
        self._checked = tuple(checked)
        self.page.redraw()

    # --- the answer to a question -----------------------------------------------------------------------

    def begin_answer(self, question: str) -> None:
        """Open the answer area for a question."""
        self.answer.begin(question)
        self.set_class(True, "-answer")

    def append_answer(self, text: str) -> None:
        """More of the answer; painted at most 20 times a second."""
        self.answer.append(text)

    def end_answer(self, note: str = "") -> None:
        """The answer is complete, or stopped for the reason in ``note``."""
        self.answer.end(note)

    def clear_answer(self) -> None:
        """Close the answer area."""
        self.set_class(False, "-answer")

    @property
    def has_answer(self) -> bool:
        """The answer area is open."""
        return self.has_class("-answer")

    @property
    def body(self) -> Widget:
        if self.has_answer:
            return self.answer
        return self.page if self.has_class("-calm") else self.table

    def on_live_table_cursor_moved(self, event: CursorMoved) -> None:
        self.page.redraw()

    def _draw(self, width: int, now: Now) -> Sequence[PageLine]:
        finding = self.table.cursor_row
        if finding is not None:
            return finding_lines(finding, width, now)
        return calm_lines(self._checked, width, now) if self._known and self.table.total == 0 else ()
