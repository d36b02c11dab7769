"""The GPU pane: every GPU with its processes, or the host where there is no GPU."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widget import Widget

from backends.model import Gpu, Host, Process, Window
from widgets.columns import Cell, Column, Now
from widgets.gpu_page import gpu_lines
from widgets.host_page import host_lines
from widgets.lines import LineView, PageLine
from widgets.pane import Noun, Pane, fit_height
from widgets.quantities import UNKNOWN, age, percent, size
from widgets.table import LiveTable
from widgets.wrapping import wrap


def _cpu(process: Process, now: Now) -> Cell:
    return Cell(percent(process.cpu_pct), "dim" if process.cpu_pct is None else "")


def _rss(process: Process, now: Now) -> Cell:
    return Cell(size(process.rss_bytes), "dim" if process.rss_bytes is None else "")


def _state(process: Process, now: Now) -> Cell:
    return Cell(process.state, "warn" if process.state in ("D", "Z", "T") else "dim")


PROCESS_COLUMNS: tuple[Column, ...] = (
    Column(
        "pid", "PID", 7, lambda process, now: Cell(str(process.ref.pid), "dim"), align="right", priority=0
    ),
    Column("cpu", "CPU", 5, _cpu, align="right", priority=0),
    Column("rss", "RSS", 4, _rss, align="right", priority=1),
    Column("state", "S", 1, _state, priority=5),
    Column("user", "USER", 10, lambda process, now: Cell(process.user, "dim"), min_width=6, priority=3),
    Column("agent", "AGENT", 14, lambda process, now: Cell(process.agent or ""), min_width=8, priority=2),
    Column(
        "command",
        "COMMAND",
        24,
        lambda process, now: Cell(process.command or process.name),
        min_width=12,
        grow=True,
        priority=0,
    ),
    Column("age", "AGE", 4, lambda process, now: Cell(age(process.started_at, now.ms), "dim"), align="right"),
)


_GPUS = Noun("GPU", "GPUs")
_PROCESSES = Noun("process", "processes")


class GpuPane(Pane):
    """GPUs, or the host, its top processes and one line saying why there is no GPU."""

    DEFAULT_CSS = """
    GpuPane > LiveTable { display: none; }
    GpuPane.-host > LiveTable { display: block; }
    """

    def __init__(self, number: int = 3, *, ascii_only: bool = False, id: str | None = "gpus") -> None:
        super().__init__(number, "GPUs", _GPUS, ascii_only=ascii_only, id=id)
        self._gpus: tuple[Gpu, ...] | None = None
        self._host: Host | None = None
        self._why_no_gpu = ""
        self._gpu_window: Window | None = None
        self._process_window: Window | None = None
        self.page = LineView(self._draw, ascii_only=ascii_only, id="gpus-page")
        self.table = LiveTable(
            PROCESS_COLUMNS,
            view="processes",
            id="processes-table",
            empty="no process can be seen",
            ascii_only=ascii_only,
        )

    def compose_body(self) -> ComposeResult:
        yield self.page
        yield self.table

    def show(self, window: Window) -> None:
        """Replace the GPUs. None of them: the host is shown instead."""
        self._gpus = window.rows
        self._gpu_window = window
        if self.shows_host:
            self._why_no_gpu = self._why_no_gpu or window.problem
        self._redraw()

    def show_host(self, host: Host | None, why_no_gpu: str) -> None:
        """The host, and why there is no GPU in one line; used while there is none."""
        self._host, self._why_no_gpu = host, why_no_gpu
        self._redraw()

    def show_processes(self, window: Window) -> None:
        """The top processes, shown below the host."""
        self.table.show(window)
        self._process_window = window
        self._summarise_shown()

    @property
    def shows_host(self) -> bool:
        """There is no GPU to show."""
        return not self._gpus and (self._gpus is not None or bool(self._why_no_gpu))

    @property
    def body(self) -> Widget:
        return self.table if self.shows_host else self.page

    def _redraw(self) -> None:
        shows_host = self.shows_host
        if shows_host != self.has_class("-host"):
            self.set_class(shows_host, "-host")
            self.set_heading(
                ("no GPU | this host" if self.ascii_only else "no GPU · this host") if shows_host else ""
            )
        self._summarise_shown()
        if self.is_mounted:
            self.page.redraw()
            self._fit_page()

    def _summarise_shown(self) -> None:
        """The lower border speaks of what is shown: processes below the host, or GPUs."""
        self.noun, window = (
            (_PROCESSES, self._process_window) if self.shows_host else (_GPUS, self._gpu_window)
        )
        if window is not None:
            self.summarise(window)

    def _fit_page(self) -> None:
        """Above a table the page is as tall as what it says, and leaves the table at least four lines."""
        room = max(3, self.content_size.height - 4)
        fit_height(self.page, min(room, max(1, len(self.page.lines))) if self.shows_host else None)

    def on_resize(self) -> None:
        self._fit_page()

    def set_now(self, ms: int) -> None:
        super().set_now(ms)
        self._fit_page()

    def _draw(self, width: int, now: Now) -> list[PageLine]:
        lines: list[PageLine] = []
        if self._gpus:
            for gpu in self._gpus:
                lines.extend(gpu_lines(gpu, width, now))
                lines.append(())
            return lines[:-1]
        if not self.shows_host:
            return [(Cell(" waiting for the first reading", "dim"),)]
        reason = self._why_no_gpu or "no GPU was found on this machine"
        lead = " - " if now.ascii else " – "
        lines = [
            (Cell(lead if index == 0 else "   ", "dim"), Cell(text, "dim"))
            for index, text in enumerate(wrap(reason, width - 4))
        ]
        if self._host is None:
            return [*lines, (Cell(f"   host {UNKNOWN}", "dim"),)]
        return [*lines, *host_lines(self._host, width, now)]
