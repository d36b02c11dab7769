"""The panes with pushed data: hostile text, small screens, ASCII, old data, bugs that stay where they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Region

from backends.model import (
    Activity,
    Agent,
    CopyGroup,
    Disk,
    Evidence,
    Finding,
    Gpu,
    GpuProcess,
    Host,
    MigInstance,
    Noun,
    Pressure,
    Process,
    ProcessRef,
    Proposal,
    Reach,
    Severity,
    Window,
    WorkItem,
    WorkState,
    Worktree,
)
from backends.text import UNSAFE
from console.tui.theme import DARK, LIGHT
from widgets.agents import AgentsPane
from widgets.analysis import AnalysisPane
from widgets.columns import Cell, Column, Now
from widgets.drift import DriftPane
from widgets.gpu import GpuPane
from widgets.lines import LineView
from widgets.output_filter import OutputFilter
from widgets.pane import Noun as Called
from widgets.pane import Pane
from widgets.queue import QueuePane
from widgets.table import LiveTable

NOW = 1_700_000_000_000
GIB = 1 << 30
SIZES = [(80, 24), (160, 45)]

AGENT = Agent(
    id="builder-1",
    name="builder-1",
    host="forge-01",
    reach=Reach.LIVE,
    activity=Activity.STALLED,
    cause="no-progress",
    urgency=60,
    team="core",
    layer="build",
    sources=("registered", "discovered"),
    work_id="w1",
    work_title="Build the images",
    work_pct=41.0,
    progress_at=NOW - 16 * 60_000,
    heartbeat_at=NOW - 4_000,
    cpu_pct=12.0,
    rss_bytes=3 * GIB,
    restarts=2,
)
ITEM = WorkItem(
    id="w1",
    queue="default",
    kind="build",
    title="Build the images",
    state=WorkState.LEASED,
    priority=7,
    created_at=NOW - 3_600_000,
    holder="builder-1",
    attempt=2,
    lease_until=NOW + 40_000,
    lease_ms=300_000,
    progress_pct=41.0,
    last_error="exit status 1",
    unblocks=3,
)
GPU = Gpu(
    id="forge-01:0",
    host="forge-01",
    index=0,
    name="NVIDIA H200",
    status_reason="power is capped by the operator",
    driver="570.86",
    memory_total_bytes=141 * GIB,
    memory_used_bytes=110 * GIB,
    utilisation_pct=93,
    power_w=612.0,
    power_limit_w=700.0,
    temperature_c=71,
    sm_clock_mhz=1755,
    throttle=("power cap",),
    recovery_action="drain and reset",
    xid_code=79,
    xid_text="GPU has fallen off the bus",
    xid_at=NOW - 60_000,
    mig=True,
    mig_instances=(MigInstance("MIG-1", "1g.18gb"),),
    processes=(GpuProcess(4711, 71 * GIB, user="svc", command="vllm serve", agent="vllm-70b"),),
    unaccounted_bytes=GIB,
    utilisation_history=(10.0, None, 90.0) * 30,
    simulated=True,
)
HOST = Host(
    id="forge-01",
    reach=Reach.LIVE,
    boot_at=NOW - 86_400_000,
    system="Linux 6.1 x86_64",
    cores=16,
    cpu_pct=37.0,
    memory_used_bytes=41 * GIB,
    memory_total_bytes=64 * GIB,
    pressure=Pressure(1.0, 0.0, 0.0, 14.0, 2.0),
    disks=(Disk("/data", 88 * GIB, 90 * GIB),),
    cpu_history=(10.0, 50.0) * 20,
)
PROCESS = Process(
    id="forge-01:1:1",
    host="forge-01",
    ref=ProcessRef(4711, 1),
    parent_pid=1,
    name="python",
    command="python train.py",
    user="ana",
    state="R",
    started_at=NOW - 60_000,
    cpu_pct=99.0,
    rss_bytes=GIB,
    observed_at=NOW,
    agent="trainer",
)
TREE = Worktree(id="/src/a", repository="/src/a", name="payments", branch="main", ahead=3, behind=12, dirty=4)
COPIES = CopyGroup(
    id="b1", name="deploy.sh", size_bytes=4312, paths=("/src/a/deploy.sh", "/src/b/deploy.sh"), repositories=2
)
FINDING = Finding(
    id="hung-agent:builder-1",
    severity=Severity.CRITICAL,
    category="hung-agent",
    subject_kind="agent",
    subject="builder-1",
    statement="builder-1 has not moved for 16 minutes",
    evidence=(Evidence("progress", "41% for 16m", NOW - 1000),),
    proposal=Proposal("restart", "builder-1", {"reason": "hung"}, "It burns a core."),
    since_at=NOW - 960_000,
)


class FloorApp(App[None]):
    """All five panes, one shown at a time, as on a small screen."""

    CSS = "FloorApp Pane { height: 1fr; }"

    def __init__(self, shown: str = "agents", *, ascii_only: bool = False) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.shown = shown
        self.agents = AgentsPane(ascii_only=ascii_only)
        self.queue = QueuePane(ascii_only=ascii_only)
        self.gpus = GpuPane(ascii_only=ascii_only)
        self.drift = DriftPane(ascii_only=ascii_only)
        self.analysis = AnalysisPane(ascii_only=ascii_only)

    @property
    def panes(self) -> list[Pane]:
        return [self.agents, self.queue, self.gpus, self.drift, self.analysis]

    def compose(self) -> ComposeResult:
        for pane in self.panes:
            pane.display = pane.id == self.shown
            yield pane

    def feed(self, change: Any = lambda noun: noun) -> None:
        """Push one row into every table, each passed through ``change``."""
        self.agents.show(window("agents", change(AGENT)))
        self.queue.show(window("work", change(ITEM), counts={"leased": 1, "dead": 2}))
        self.gpus.show(window("gpus", change(GPU)))
        self.drift.show(window("worktrees", change(TREE)))
        self.drift.show_copies(window("copies", change(COPIES)))
        self.analysis.show(window("findings", change(FINDING), counts={"critical": 1}))
        for pane in self.panes:
            pane.set_now(NOW)

    def segments(self) -> Iterator[Segment]:
        for strip in self.screen._compositor.render_strips():
            yield from strip

    def text(self) -> str:
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())


def window(table: str, *rows: Any, counts: dict[str, int] | None = None, **more: Any) -> Window:
    return Window(table, 0, rows, len(rows), counts=counts or {}, observed_at=NOW, **more)


class Expected(NamedTuple):
    pane: str
    words: tuple[str, ...]


EXPECTED = [
    Expected("agents", ("1 Agents", "stalled", "builder-1", "no-progress", "41%", "16m", "1 agent")),
    Expected("queue", ("2 Work", "leased", "Build the images", "builder-1", "40s", "2 dead", "1 leased")),
    Expected(
        "gpus", ("GPU 0", "simulated", "78%", "power cap", "79 GPU has fallen", "vllm-70b", "drain and reset")
    ),
    Expected("drift", ("dirty", "payments", "main", "12", "1 group of identical scripts", "deploy.sh")),
    Expected("analysis", ("has not moved for 16 minutes", "41% for 16m", ":restart builder-1 --reason hung")),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.pane)
async def test_a_pane_says_what_matters(expected: Expected, size: tuple[int, int], ascii_only: bool) -> None:
    app = FloorApp(expected.pane, ascii_only=ascii_only)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        app.feed()
        await pilot.pause()
        text = app.text()
        for word in expected.words:
            assert word in text
        assert {strip.cell_length for strip in app.screen._compositor.render_strips()} == {size[0]}
        if ascii_only:
            assert text.isascii()


HOSTILE = [
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;x\x1b\\",
    "\x9b31m\x85",
    "\u202eevil\u2066",
    "[/x]",
    "[@click=app.bell]b[/]",
]


def poisoned(value: Any, poison: str) -> Any:
    """The same noun with every free text in it replaced."""
    if isinstance(value, Noun):
        fields = {
            field: poisoned(getattr(value, field), poison)
            for field in value.__struct_fields__
            if field not in ("status",)
        }
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(poisoned(item, poison) for item in value)
    if isinstance(value, dict):
        return {poison: poison} if value else {}
    return poison if type(value) is str else value


@pytest.mark.parametrize("pane", [expected.pane for expected in EXPECTED])
async def test_hostile_text_in_every_field_is_drawn_as_it_is(pane: str) -> None:
    app = FloorApp(pane)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        shown = app.query_one(f"#{pane}", Pane)
        for poison in HOSTILE:
            app.feed(lambda noun, poison=poison: poisoned(noun, poison))
            shown.set_view(poison, poison, True)
            shown.set_problem(poison)
            if pane == "analysis":
                app.analysis.set_checked([poison])
                app.analysis.begin_answer(poison)
                app.analysis.append_answer(poison)
                app.analysis.end_answer(poison)
            await pilot.pause()
            assert_harmless(app, poison)


async def test_hostile_text_in_the_host_is_drawn_as_it_is() -> None:
    app = FloorApp("gpus")
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        app.gpus.show(window("gpus"))
        for poison in HOSTILE:
            app.gpus.show_host(poisoned(HOST, poison), poison)
            app.gpus.show_processes(window("processes", poisoned(PROCESS, poison)))
            await pilot.pause()
            assert_harmless(app, poison)


def assert_harmless(app: FloorApp, poison: str) -> None:
    text = app.text()
    assert UNSAFE.search(text) is None
    visible = UNSAFE.sub("", poison)[:4]
    assert visible in UNSAFE.sub("", text.replace("␛", "").replace("␇", "").replace("\ufffd", ""))
    for segment in app.segments():
        assert not segment.control
        assert segment.style is None or (not segment.style.meta.get("@click") and segment.style.link is None)


async def test_without_a_gpu_the_host_is_shown_and_the_reason_said() -> None:
    app = FloorApp("gpus")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.gpus.show(window("gpus"))
        app.gpus.show_host(HOST, "no NVIDIA driver is loaded")
        app.gpus.show_processes(window("processes", PROCESS))
        app.gpus.set_now(NOW)
        await pilot.pause()
        text = app.text()
        for word in (
            "no NVIDIA driver is loaded",
            "forge-01",
            "37%",
            "/data",
            "98%",
            "disk 14%",
            "python train.py",
        ):
            assert word in text
        app.gpus.show(window("gpus", GPU))
        await pilot.pause()
        assert "GPU 0" in app.text()
        assert "python train.py" not in app.text()


async def test_unknown_values_are_never_drawn_as_zero() -> None:
    app = FloorApp("gpus")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.gpus.show(window("gpus", Gpu(id="g", host="h", index=0, name="NVIDIA H200")))
        await pilot.pause()
        text = "".join(line.strip("│┃ ") for line in app.text().splitlines()[2:-1])
        assert "0" not in text
        assert "—" in text
        assert "processes cannot be read" in text


async def test_nothing_wrong_says_what_was_checked() -> None:
    app = FloorApp("analysis")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "nothing is wrong" not in app.text()  # before the first reading nobody knows
        app.analysis.show(window("findings", table_total=0))
        app.analysis.set_checked(["13 agents", "disk space"])
        await pilot.pause()
        assert "✓ nothing is wrong" in app.text()
        assert "checked: 13 agents, disk space" in app.text()


async def test_the_selected_finding_is_shown_in_full() -> None:
    other = msgspec.structs.replace(FINDING, id="x", statement="the disk is full", evidence=(), proposal=None)
    app = FloorApp("analysis")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.analysis.show(window("findings", FINDING, other))
        app.analysis.table.focus()
        await pilot.press("j")
        await pilot.pause()
        assert app.analysis.page.lines[0][1].text == "the disk is full"


async def test_an_answer_is_followed_only_by_a_reader_at_its_end() -> None:
    app = FloorApp("analysis")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.analysis.show(window("findings", FINDING))
        app.analysis.begin_answer("why?")
        await pilot.pause()
        answer = app.analysis.answer
        answer.append("line\n" * 60)
        answer.end("local answer")
        assert answer.is_at_end
        answer.action_scroll_ends(-1)
        answer.append("more\n" * 5)
        answer.end("stopped")
        assert answer.scroll_offset.y == 0
        assert answer.text.count("\n") == 65
        app.analysis.clear_answer()
        assert not app.analysis.has_answer


async def test_a_problem_is_said_in_one_line_and_taken_away() -> None:
    app = FloorApp("agents")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.agents.show(
            window("agents", AGENT, problem="processes: permission denied for /proc; run as root")
        )
        await pilot.pause()
        assert "▲ processes: permission denied" in app.text()
        app.agents.show(window("agents", AGENT))
        await pilot.pause()
        assert "permission denied" not in app.text()


async def test_old_data_is_labelled_with_its_age() -> None:
    app = FloorApp("agents")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.feed()
        assert app.agents.subtitle == "1 agent"
        app.agents.set_now(NOW + 25_000)
        assert app.agents.subtitle == "1 agent · read 20s ago"
        app.agents.set_view("!idle", "cpu", True)
        assert app.agents.subtitle == "1 agent · /!idle · by cpu ▼ · read 20s ago"
        app.agents.set_stale(NOW)
        assert app.agents.subtitle.startswith("OLD: no news for 20s")
        assert app.agents.has_class("-stale")
        app.agents.set_stale(None)
        assert not app.agents.subtitle.startswith("OLD")


async def test_a_new_count_repaints_the_cells_of_its_label_only(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FloorApp("agents")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.feed()
        await pilot.pause()
        app.agents._exchange_repaint_regions()
        app.agents.set_view("idle")
        assert app.agents.subtitle == "1 agent · /idle"
        assert app.agents._exchange_repaint_regions() == {Region(59, 23, 21, 1)}
        await pilot.pause()
        assert app.text().splitlines()[23].endswith("─ 1 agent · /idle ─╯")


def _broken(row: Any, now: Now) -> Cell:
    raise ValueError("no [/x] today")


async def test_a_bug_in_a_pane_is_shown_there_and_the_app_lives_on(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenPane(Pane):
        def compose_body(self) -> ComposeResult:
            yield LiveTable((Column("a", "A", 5, _broken),), id="broken-table")
            yield LineView(lambda width, now: [1 / 0], id="broken-page")  # type: ignore[list-item]

    class BrokenApp(App[None]):
        def compose(self) -> ComposeResult:
            yield BrokenPane(1, "Broken", Called("row", "rows"), id="broken")
            yield AgentsPane(2)

    app = BrokenApp()
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.pause()
        with caplog.at_level(logging.ERROR):
            app.query_one("#broken-table", LiveTable).show(window("agents", AGENT))
            app.query_one("#agents", AgentsPane).show(window("agents", AGENT))
            await pilot.pause()
        pane = app.query_one("#broken", BrokenPane)
        assert "ValueError: no [/x] today" in pane.problem or "ZeroDivisionError" in pane.problem
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "a bug keeps this pane from drawing" in text
        assert "this page cannot be drawn: ZeroDivisionError" in text
        assert "builder-1" in text
        assert any("no [/x] today" in (record.exc_text or "") for record in caplog.records)


async def test_the_output_filter_stops_what_was_never_cleaned() -> None:
    from textual.widgets import Static

    class LeakyApp(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("a\x1b]52;c;aGk=\x07b\x9b31m", markup=False)

        def get_line_filters(self) -> list[Any]:
            return [*super().get_line_filters(), OutputFilter()]

    app = LeakyApp()
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.pause()
        text = "".join(strip.text for strip in app.screen._compositor.render_strips())
        assert UNSAFE.search(text) is None
        assert "a␛]52;c;aGk=" in text


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (12, 4), (30, 8), (240, 60)], ids=str)
@pytest.mark.parametrize("pane", [expected.pane for expected in EXPECTED])
async def test_no_size_of_terminal_breaks_a_pane(pane: str, size: tuple[int, int]) -> None:
    app = FloorApp(pane)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        app.feed()
        app.gpus.show_host(HOST, "no driver")
        app.analysis.begin_answer("why is it slow?")
        app.analysis.end_answer("local answer")
        await pilot.press("j", "G", "g", "right", "left", "pagedown", "pageup")
        assert {strip.cell_length for strip in app.screen._compositor.render_strips()} == {size[0]}


async def test_a_new_theme_repaints_everything_in_its_own_colours() -> None:
    app = FloorApp("agents")
    app.register_theme(LIGHT)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.feed()
        await pilot.pause()

        def colours() -> set[str]:
            return {
                part.triplet.hex
                for segment in app.segments()
                if segment.style is not None
                for part in (segment.style.color, segment.style.bgcolor)
                if part is not None and part.triplet is not None
            }

        assert DARK.variables["text-plain"] in colours()
        app.theme = LIGHT.name
        await pilot.pause()
        await pilot.pause()
        assert LIGHT.variables["text-plain"] in colours()
        assert DARK.variables["text-plain"] not in colours()
        assert (DARK.background or "") not in colours()


def body(pane: Pane) -> str | None:
    return None if pane.body is None else pane.body.id


async def test_the_widget_that_takes_the_keys_is_the_one_in_view() -> None:
    app = FloorApp("gpus")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.agents.table.text_of(AGENT).split("\t")[2] == "builder-1"
        app.gpus.show(window("gpus", GPU))
        assert body(app.gpus) == app.gpus.page.id
        app.gpus.show(window("gpus"))
        app.gpus.show_host(HOST, "no driver")
        assert body(app.gpus) == app.gpus.table.id
        app.analysis.show(window("findings"))
        assert body(app.analysis) == app.analysis.page.id
        app.analysis.show(window("findings", FINDING))
        assert body(app.analysis) == app.analysis.table.id
        app.analysis.begin_answer("why?")
        assert body(app.analysis) == app.analysis.answer.id


async def test_emoji_sequences_keep_every_line_whole() -> None:
    app = FloorApp("agents")
    family, flag, heart = "👩‍👩‍👧" * 9, "🇩🇪" * 20, "❤️" * 20
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        rows = [
            msgspec.structs.replace(AGENT, id=text, name=text, work_title=text)
            for text in (family, flag, heart)
        ]
        app.agents.show(window("agents", *rows))
        app.agents.table.focus()
        await pilot.press("j", "j")
        assert {strip.cell_length for strip in app.screen._compositor.render_strips()} == {80}
