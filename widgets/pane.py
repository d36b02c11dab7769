"""The frame of a pane: a border that carries the count, the filter, the order and the age of what is inside.

A problem with the data is said in one line inside the frame, and so is a bug in drawing it; old data is
greyed.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Static

from backends.model import Window
from backends.text import clean
from widgets.columns import fit
from widgets.lines import LineView
from widgets.quantities import count, span
from widgets.table import LiveTable
from widgets.table_messages import DrawFailed

#: Cells of a border around its label: corner, rule and blanks on both sides.
_LABEL_FRAME = 6


class Noun(NamedTuple):
    """What the rows are called."""

    one: str
    many: str


class Summary(NamedTuple):
    """What the lower border says of the rows inside."""

    total: int | None = None  # rows that match; None before the first reading
    table_total: int | None = None  # rows there are, unfiltered
    is_exact: bool = True
    filter: str = ""
    sort: str = ""
    descending: bool = False
    observed_at: int | None = None


def summary_text(
    summary: Summary, now: int, noun: Noun, ascii_only: bool = False, current_ms: int = 10_000
) -> str:
    """``12 of 340 agents · /!idle · by cpu ▼ · read 20s ago``."""
    if summary.total is None:
        return ""
    total = count(summary.total) if summary.is_exact else f"{count(summary.total)}+"
    if summary.table_total is not None and summary.table_total != summary.total:
        total = f"{total} of {count(summary.table_total)}"
    parts = [f"{total} {noun.one if total == '1' else noun.many}"]
    if summary.filter:
        parts.append("/" + clean(summary.filter, 40))
    if summary.sort:
        arrow = ("v" if summary.descending else "^") if ascii_only else "▼" if summary.descending else "▲"
        parts.append(f"by {clean(summary.sort, 20)} {arrow}")
    if summary.observed_at is not None and now - summary.observed_at >= current_ms:
        parts.append(f"read {span(now - summary.observed_at)} ago")
    return (" | " if ascii_only else " · ").join(parts)


class Pane(Vertical):
    """A bordered part of the screen. Subclasses compose its body and push rows into it."""

    #: Data younger than this is simply current; its age is said from here on.
    CURRENT_MS: ClassVar[int] = 10_000

    DEFAULT_CSS = """
    Pane {
        border: round $border-blurred;
        border-title-color: $foreground;
        border-subtitle-color: $foreground 55%;
        border-title-style: none;
        padding: 0;
    }
    Pane:focus-within { border: round $border; border-title-style: bold; }
    Pane.-ascii { border: ascii $border-blurred; }
    Pane.-ascii:focus-within { border: ascii $border; }
    Pane > .pane--problem {
        height: 1;
        padding: 0 1;
        color: $warning;
        display: none;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    Pane.-problem > .pane--problem { display: block; }
    """

    def __init__(
        self,
        number: int,
        title: str,
        noun: Noun,
        *,
        ascii_only: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.title = title
        self.noun = noun
        self.ascii_only = ascii_only
        self.now = 0
        self._summary = Summary()
        self._stale_since: int | None = None
        self._problem = ""
        self._bug = ""
        self._banner = Static("", classes="pane--problem", markup=False)
        self._heading = f"{number} {title}"
        self._labels = {"_border_title": self._heading, "_border_subtitle": ""}
        self.border_title = Content(self._heading)
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        yield self._banner
        yield from self.compose_body()

    def compose_body(self) -> ComposeResult:
        """The widgets inside the frame."""
        yield from ()

    # --- what is pushed in ---------------------------------------------------------------------------

    def set_now(self, ms: int) -> None:
        """Tell the time (ms since the epoch) to everything inside."""
        self.now = ms
        for widget in self._drawn_widgets():
            widget.set_now(ms)
        self._say_summary()

    def set_view(self, filter: str = "", sort: str = "", descending: bool = False) -> None:
        """Say what the rows are filtered and sorted by."""
        self._summary = self._summary._replace(filter=filter, sort=sort, descending=descending)
        self._say_summary()

    def summarise(self, window: Window) -> None:
        """Say how many rows there are, how old they are and what is wrong with their source."""
        self._summary = self._summary._replace(
            total=window.total,
            table_total=window.table_total,
            is_exact=window.total_is_exact,
            observed_at=window.observed_at,
        )
        self.set_problem(window.problem)
        self._say_summary()

    def set_observed(self, at_ms: int | None) -> None:
        """When the rows were last confirmed by their source, changed or not."""
        self._summary = self._summary._replace(observed_at=at_ms)
        self._say_summary()

    def set_heading(self, text: str) -> None:
        """Say something beside the title: counts by state."""
        self._label(
            "_border_title",
            f"{self._heading} {'-' if self.ascii_only else '─'} {text}" if text else self._heading,
        )

    def set_problem(self, problem: str) -> None:
        """One line inside the frame that says why the data may be old or missing; empty takes it away."""
        if problem != self._problem:
            self._problem = problem
            self._say_problem()

    def set_stale(self, since_ms: int | None) -> None:
        """Grey the pane out: its data stopped at ``since_ms``; ``None`` when it is live again."""
        if since_ms == self._stale_since:
            return
        self._stale_since = since_ms
        self.set_class(since_ms is not None, "-stale")
        for widget in self._drawn_widgets():
            widget.set_stale(since_ms is not None)
        self._say_summary()

    @property
    def problem(self) -> str:
        """What the banner says."""
        return self._bug or self._problem

    @property
    def subtitle(self) -> str:
        """What the lower border says."""
        return self._labels["_border_subtitle"]

    @property
    def body(self) -> Widget | None:
        """The widget inside that takes the keys now."""
        for widget in self.query("*"):
            if widget.focusable:
                return widget
        return None

    # --- drawing the frame -----------------------------------------------------------------------------

    def _drawn_widgets(self) -> list[LiveTable | LineView]:
        return [*self.query(LiveTable), *self.query(LineView)]

    def _say_summary(self) -> None:
        text = summary_text(self._summary, self.now, self.noun, self.ascii_only, self.CURRENT_MS)
        if self._stale_since is not None:
            frozen = f"OLD: no news for {span(self.now - self._stale_since)}"
            text = f"{frozen} {'|' if self.ascii_only else '·'} {text}" if text else frozen
        self._label("_border_subtitle", text)

    def _label(self, name: str, text: str) -> None:
        """Set a label of the border and repaint its cells only; Textual's setter repaints the pane."""
        before = self._labels[name]
        if before == text:
            return
        self._labels[name] = text
        setattr(self, name, Content(fit(text, len(text), "left", self.ascii_only)) if text else None)
        width = self.outer_size.width
        reach = min(width, max(cell_len(before), cell_len(text)) + _LABEL_FRAME)
        if name == "_border_title":
            self.refresh(Region(-1, -1, reach, 1))
        else:
            self.refresh(Region(width - 1 - reach, self.content_size.height, reach, 1))

    def _say_problem(self) -> None:
        mark = "!" if self.ascii_only else "▲"
        self._banner.update(Content(f"{mark} {clean(self.problem)}"), layout=False)
        self.set_class(bool(self.problem), "-problem")

    def on_draw_failed(self, event: DrawFailed) -> None:
        event.stop()
        self._bug = f"a bug keeps this pane from drawing: {event.error} (the log has the details)"
        self._say_problem()


def fit_height(widget: Widget, lines: int | None) -> None:
    """Make a widget ``lines`` tall, or let it take what is left; laid out again only when that changes."""
    current = widget.styles.height
    if lines is None:
        if current is not None and current.is_cells:
            widget.styles.height = "1fr"
    elif current is None or not current.is_cells or current.value != lines:
        widget.styles.height = lines
