"""The roster: which sources are one agent, what is remembered, and that only what changed is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backends.agents import Changes, DeclaredAgent, DiscoverPattern, Limits, Match, Roster
from backends.agents.facts import ProbeReport, Session, Unit
from backends.agents.schedule import Schedule
from backends.model import (
    Activity,
    Gpu,
    GpuProcess,
    Process,
    ProcessRef,
    Reach,
    Registration,
    WorkItem,
    WorkState,
)
from backends.picture import Table

NOW = 1_700_000_000_000
S = 1000
INIT = (1, 0)


def process(
    pid: int,
    parent: int = 1,
    command: str = "python worker.py",
    *,
    started: int = NOW - 60 * S,
    rss: int = 10 << 20,
    state: str = "S",
    name: str = "python",
) -> Process:
    return Process(
        f"h:{pid}:{started}",
        "h",
        ProcessRef(pid, started),
        parent,
        name,
        command,
        "u",
        state,
        started,
        0.0,
        rss,
        NOW,
    )


def registration(id_: str, pid: int | None = None, at: int = NOW, **changes: object) -> Registration:
    values: dict[str, object] = {
        "id": id_,
        "host": "h",
        "pid": pid,
        "registered_at": NOW - 30 * S,
        "heartbeat_at": at,
        "ttl_ms": 15 * S,
    }
    return Registration(**{**values, **changes})  # type: ignore[arg-type]


def lease(id_: str, holder: str, at: int = NOW) -> WorkItem:
    return WorkItem(
        id_, "q", "k", "t", WorkState.LEASED, 5, at, holder=holder, claimed_at=at, lease_until=at + 60 * S
    )


def see(roster: Roster, now: int, *processes: Process) -> Changes:
    """One look at the process table, as the watch makes it; process 1 is always there."""
    roster.set_processes([process(1, 0, "init", name="init"), *processes], now)
    return roster.tick(now)


def report(
    name: str, *pids: int, at: int = NOW, running: bool = True, unit: Unit | None = None
) -> ProbeReport:
    return ProbeReport(name, at, running, pids=pids, unit=unit)


# --- one agent from several sources ------------------------------------------------------------------


def test_registered_and_discovered_are_one_row_when_they_name_one_process() -> None:
    roster = Roster("h")
    roster.update_registration(registration("writer", pid=50), NOW)
    see(roster, NOW, process(50, command="claude", name="claude"))
    assert list(roster.rows) == ["writer"]
    assert roster.rows["writer"].sources == ("registered", "discovered")
    assert roster.rows["writer"].kind == "claude-code"


def test_registered_and_declared_merge_by_name_and_by_process() -> None:
    roster = Roster("h")
    roster.set_declared(
        [DeclaredAgent(name="api", match=Match(port=80)), DeclaredAgent(name="unit-b", match=Match(unit="b"))]
    )
    roster.update_registration(registration("api"), NOW)
    roster.update_registration(registration("b-1", pid=60), NOW)
    roster.set_probes([report("api"), report("unit-b", 60)])
    see(roster, NOW, process(60))
    assert {id_: row.sources for id_, row in roster.rows.items()} == {
        "api": ("registered", "declared"),
        "b-1": ("registered", "declared"),
    }
    assert roster.rows["b-1"].can_start


def test_a_merged_agent_stays_one_row_when_its_process_ends() -> None:
    roster = Roster("h")
    roster.set_declared([DeclaredAgent(name="unit-b", match=Match(command="worker.py"))])
    roster.update_registration(registration("b-1", pid=60), NOW)
    roster.set_probes([report("unit-b", 60)])
    see(roster, NOW, process(60))
    roster.set_probes([report("unit-b", running=False)])
    see(roster, NOW + S)
    assert list(roster.rows) == ["b-1"]
    assert roster.rows["b-1"].activity is Activity.CRASHED


def test_registered_child_of_a_declared_wrapper_is_the_same_agent() -> None:
    roster = Roster("h")
    roster.set_declared([DeclaredAgent(name="svc", match=Match(unit="svc"))])
    roster.update_registration(registration("svc-agent", pid=71), NOW)
    roster.set_probes([report("svc", 70)])
    see(roster, NOW, process(70, command="sh -c x", name="sh"), process(71, 70))
    assert list(roster.rows) == ["svc-agent"]


def test_a_reused_pid_is_not_the_registered_agent() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50), NOW)
    see(roster, NOW, process(50, started=NOW - 60 * S))
    assert roster.rows["a"].processes
    see(roster, NOW + S, process(50, started=NOW))
    assert roster.rows["a"].activity is Activity.CRASHED
    assert roster.rows["a"].processes == ()


def test_start_ticks_name_the_process_beyond_doubt() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50, pid_start_ticks=NOW - 1), NOW)
    see(roster, NOW, process(50, started=NOW - 60 * S))
    assert roster.rows["a"].processes == ()


def test_agents_do_not_count_each_others_processes() -> None:
    roster = Roster("h")
    roster.update_registration(registration("boss", pid=50), NOW)
    roster.update_registration(registration("hand", pid=51), NOW)
    see(
        roster,
        NOW,
        process(50, rss=100),
        process(51, 50, rss=10),
        process(52, 51, rss=1),
        process(53, 50, rss=1000),
    )
    assert (roster.rows["boss"].rss_bytes, roster.rows["hand"].rss_bytes) == (1100, 11)
    assert roster.owners == {50: "boss", 51: "hand", 52: "hand", 53: "boss"}


def test_a_cycle_of_parents_belongs_to_nobody() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50), NOW)
    see(roster, NOW, process(50), process(60, 61), process(61, 60))
    assert roster.owners == {50: "a"}


def test_ray_is_one_agent_and_servers_are_one_each() -> None:
    roster = Roster("h")
    see(
        roster,
        NOW,
        process(50, command="/x/ray/core/src/ray/raylet/raylet --x", name="raylet"),
        process(51, command="/x/ray/core/src/ray/gcs/gcs_server --x", name="gcs_server"),
        process(52, 50, command="ray::IDLE", name="ray::IDLE"),
        process(60, command="/usr/bin/ollama serve", name="ollama"),
        process(61, 60, command="/usr/bin/ollama runner --port 1", name="ollama"),
        process(70, command="llama-server -m /models/tiny.gguf", name="llama-server"),
    )
    rows = {row.kind: row for row in roster.rows.values()}
    assert set(rows) == {"ray", "ollama", "llama.cpp"}
    assert [ref.pid for ref in rows["ray"].processes] == [50, 51, 52]
    assert [ref.pid for ref in rows["ollama"].processes] == [60, 61]
    assert rows["llama.cpp"].name == "llama.cpp tiny.gguf"


def test_session_file_counts_only_for_the_very_process() -> None:
    roster = Roster("h")
    claude = process(50, command="claude", name="claude")
    roster.set_sessions([Session(50, claude.ref.start_ticks, "busy", NOW, cwd="/home/u/site")])
    see(roster, NOW, claude)
    row = roster.rows["claude-code-50"]
    assert (row.activity, row.name) == (Activity.WORKING, "claude-code site")
    roster.set_sessions([Session(50, claude.ref.start_ticks + 1, "busy", NOW)])
    roster.tick(NOW)
    assert roster.rows["claude-code-50"].activity is None


def test_vram_is_summed_over_the_tree() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50), NOW)
    holders = (GpuProcess(51, 5), GpuProcess(50, 1), GpuProcess(99, 7), GpuProcess(50, None))
    roster.set_gpus(
        [Gpu("h:g", "h", 0, "G", processes=holders), Gpu("o:g", "other", 0, "G", processes=holders)]
    )
    see(roster, NOW, process(50), process(51, 50), process(52, 50))
    assert roster.rows["a"].vram_bytes == 6


def test_a_holder_nobody_registered_has_a_row() -> None:
    roster = Roster("h")
    roster.set_leases({"ghost": [lease("w1", "ghost")]})
    roster.tick(NOW)
    assert roster.rows["ghost"].work_id == "w1"
    assert roster.rows["ghost"].sources == ("holder",)
    roster.set_leases({})
    assert roster.tick(NOW).discard == ["ghost"]


def test_patterns_from_config_find_agents() -> None:
    roster = Roster("h", ignore_pids=[51])
    roster.set_patterns([DiscoverPattern(name="crawler", command=r"crawl\.py", kind="spider", team="web")])
    see(roster, NOW, process(50, command="python crawl.py"), process(51, command="python crawl.py"))
    row = roster.rows["spider-50"]
    assert (row.kind, row.team, row.sources) == ("spider", "web", ("discovered",))
    assert len(roster.rows) == 1


# --- what time and change do -------------------------------------------------------------------------


def test_gone_needs_a_look_after_the_registration() -> None:
    roster = Roster("h")
    see(roster, NOW - 40 * S)
    roster.update_registration(registration("a", pid=50), NOW)
    roster.tick(NOW)
    assert roster.rows["a"].activity is Activity.IDLE, "the table was read before it registered"
    see(roster, NOW + S)
    assert (roster.rows["a"].activity, roster.rows["a"].cause) == (Activity.CRASHED, "pid-gone")


def test_hidden_processes_are_not_gone() -> None:
    """With hidepid= a user sees only his own processes: absence proves nothing."""
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50), NOW)
    roster.set_processes([process(77)], NOW + S)
    roster.tick(NOW + S)
    assert roster.rows["a"].activity is Activity.IDLE


def test_pids_of_other_hosts_are_not_looked_up_here() -> None:
    roster = Roster("h")
    roster.update_registration(registration("far", pid=50, host="elsewhere"), NOW)
    see(roster, NOW, process(50))
    assert roster.rows["far"].processes == ()
    assert roster.rows["far"].activity is Activity.IDLE
    assert roster.rows["far"].host == "elsewhere"


def test_time_alone_makes_an_agent_stale_then_unreachable() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a"), NOW)
    roster.tick(NOW)
    assert roster.tick(NOW + 15 * S).put == []
    assert [row.reach for row in roster.tick(NOW + 15 * S + 1).put] == [Reach.STALE]
    assert roster.tick(NOW + 60 * S).put == []
    assert [row.reach for row in roster.tick(NOW + 60 * S + 1).put] == [Reach.UNREACHABLE]
    roster.update_registration(registration("a", at=NOW + 70 * S), NOW + 70 * S)
    assert [row.reach for row in roster.tick(NOW + 70 * S).put] == [Reach.LIVE]


def test_since_is_when_the_state_began() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a"), NOW)
    roster.tick(NOW)
    roster.update_registration(registration("a", at=NOW + 20 * S), NOW + 20 * S)
    assert roster.tick(NOW + 20 * S).put[0].since_at == NOW
    roster.set_leases({"a": [lease("w1", "a", NOW + 21 * S)]})
    assert roster.tick(NOW + 21 * S).put[0].since_at == NOW + 21 * S


@pytest.mark.parametrize(("rises", "activity"), [(3, Activity.IDLE), (4, Activity.CRASH_LOOP)])
def test_registering_again_and_again_is_a_crash_loop(rises: int, activity: Activity) -> None:
    roster = Roster("h")
    for incarnation in range(1, rises + 2):
        now = NOW + incarnation * 5 * S
        roster.update_registration(registration("a", at=now, incarnation=incarnation), now)
        roster.tick(now)
    assert roster.rows["a"].activity is activity
    assert roster.rows["a"].restarts == rises
    roster.update_registration(registration("a", at=NOW + 120 * S, incarnation=rises + 1), NOW + 120 * S)
    roster.tick(NOW + 120 * S)
    assert roster.rows["a"].activity is Activity.IDLE, "it has been calm for a minute"


def test_a_crash_loop_ends_by_itself() -> None:
    roster = Roster("h")
    for incarnation in range(1, 6):
        again = registration("a", incarnation=incarnation, ttl_ms=3_600 * S)
        roster.update_registration(again, NOW + incarnation * S)
    roster.tick(NOW + 5 * S)
    assert roster.rows["a"].activity is Activity.CRASH_LOOP
    assert roster.tick(NOW + 62 * S).put == []
    assert [row.activity for row in roster.tick(NOW + 62 * S + 1).put] == [Activity.IDLE]


def test_a_start_by_an_operator_ends_a_crash_loop_at_once() -> None:
    roster = Roster("h")
    for incarnation in range(1, 6):
        roster.update_registration(registration("a", incarnation=incarnation), NOW)
    roster.tick(NOW)
    assert roster.rows["a"].activity is Activity.CRASH_LOOP
    roster.mark_started("a")
    roster.update_registration(registration("a", at=NOW + S, incarnation=6), NOW + S)
    roster.tick(NOW + S)
    assert roster.rows["a"].activity is Activity.IDLE
    roster.mark_started("nobody")


def test_a_high_incarnation_at_first_sight_is_no_crash_loop() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", incarnation=200), NOW)
    roster.tick(NOW)
    assert roster.rows["a"].activity is Activity.IDLE


def test_a_declared_process_that_is_replaced_again_and_again_is_a_crash_loop() -> None:
    roster = Roster("h")
    roster.set_declared([DeclaredAgent(name="a", match=Match(command="worker.py"))])
    for number in range(5):
        now = NOW + number * 5 * S
        roster.set_probes([report("a", 100 + number, at=now)])
        see(roster, now, process(100 + number, started=now))
    assert roster.rows["a"].activity is Activity.CRASH_LOOP
    assert roster.rows["a"].restarts == 4


def test_systemd_counts_the_restarts_of_its_units() -> None:
    roster = Roster("h")
    roster.set_declared([DeclaredAgent(name="a", match=Match(unit="a"))])
    for restarts in (7, 12):
        unit = Unit("a", "loaded", "active", "running", 100, restarts, "exit-code", 3)
        roster.set_probes([report("a", 100, unit=unit)])
        see(roster, NOW + restarts, process(100))
    row = roster.rows["a"]
    assert (row.activity, row.cause, row.restarts) == (Activity.CRASH_LOOP, "exit-3", 12)


def test_stopped_by_an_operator_is_no_crash_until_it_runs_again() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50), NOW)
    see(roster, NOW, process(50))
    roster.mark_stopped("a", "operator", NOW + S)
    see(roster, NOW + 2 * S)
    assert (roster.rows["a"].activity, roster.rows["a"].urgency) == (Activity.STOPPED, 0)
    again = registration("a", pid=51, at=NOW + 5 * S, registered_at=NOW + 5 * S, incarnation=2)
    roster.update_registration(again, NOW + 5 * S)
    see(roster, NOW + 5 * S, process(51, started=NOW + 4 * S))
    assert roster.rows["a"].activity is Activity.IDLE
    see(roster, NOW + 6 * S)
    assert roster.rows["a"].activity is Activity.CRASHED


def test_flapping_is_noted() -> None:
    roster = Roster("h")
    for number in range(6):
        state = "T" if number % 2 else "S"
        now = NOW + number * S
        blocked = Activity.BLOCKED if number % 2 else Activity.IDLE
        roster.update_registration(registration("a", at=now, activity=blocked), now)
        see(roster, now, process(50, state=state))
    assert "flapping: 5 changes" in (roster.rows["a"].note or "")


def test_a_fast_worker_does_not_flap() -> None:
    roster = Roster("h")
    for number in range(20):
        now = NOW + number * S
        activity = Activity.WORKING if number % 2 else Activity.IDLE
        roster.update_registration(registration("a", at=now, activity=activity), now)
        roster.tick(now)
    assert roster.rows["a"].note is None


def test_memory_trend_is_kept_and_forgotten_with_the_process() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", pid=50), NOW)
    for number in range(100):
        see(roster, NOW + number * S, process(50, rss=number))
    trend = roster.rss_trend("a")
    assert [at for at, _ in trend] == [NOW + number * 5 * S for number in range(20)]
    assert [size for _, size in trend] == [number * 5 for number in range(20)]
    assert roster.rss_trends() == {"a": trend}
    again = registration("a", pid=51, registered_at=NOW + 200 * S, at=NOW + 200 * S, incarnation=2)
    roster.update_registration(again, NOW + 200 * S)
    see(roster, NOW + 200 * S, process(51, rss=3, started=NOW + 199 * S))
    assert [size for _, size in roster.rss_trend("a")] == [3]


def test_an_old_process_table_makes_discovered_agents_stale() -> None:
    roster = Roster("h")
    see(roster, NOW, process(50, command="ollama serve", name="ollama"))
    roster.tick(NOW + 15 * S + 1)
    assert roster.rows["ollama-50"].reach is Reach.STALE
    see(roster, NOW + 20 * S, process(50, command="ollama serve", name="ollama"))
    assert roster.rows["ollama-50"].reach is Reach.LIVE


def test_a_slow_cadence_is_not_stale() -> None:
    roster = Roster("h")
    ollama = process(50, command="ollama serve", name="ollama")
    see(roster, NOW, ollama)
    see(roster, NOW + 20 * S, ollama)
    roster.tick(NOW + 80 * S)
    assert roster.rows["ollama-50"].reach is Reach.LIVE
    roster.tick(NOW + 80 * S + 1)
    assert roster.rows["ollama-50"].reach is Reach.STALE


def test_explain_and_removal() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a"), NOW)
    roster.tick(NOW)
    explanation = roster.explain("a", NOW)
    assert explanation is not None
    assert explanation.verdict.startswith("idle: heard")
    assert roster.explain("nobody", NOW) is None
    roster.remove_registration("a")
    assert roster.tick(NOW).discard == ["a"]
    assert roster.rows == {}
    assert roster.tick(NOW + 3_600 * S) == Changes()


def test_changes_bring_a_table_up_to_date() -> None:
    roster, table = Roster("h"), Table("agents")
    roster.set_registrations({"a": registration("a"), "b": registration("b")}, NOW)
    roster.tick(NOW).apply(table)
    roster.set_registrations({"b": registration("b", activity=Activity.BLOCKED)}, NOW)
    roster.tick(NOW).apply(table)
    assert table.rows == roster.rows
    assert table.rows["b"].activity is Activity.BLOCKED


def test_new_limits_judge_at_once() -> None:
    roster = Roster("h")
    roster.update_registration(registration("a", ttl_ms=600 * S), NOW)
    roster.tick(NOW)
    roster.tick(NOW + 100 * S)
    roster.set_limits(Limits(unreachable_after_ttls=1))
    roster.tick(NOW + 601 * S)
    assert roster.rows["a"].reach is Reach.UNREACHABLE


# --- scale ---------------------------------------------------------------------------------------------


def test_a_hundred_thousand_agents_cost_nothing_while_nothing_changes() -> None:
    roster = Roster("h")
    many = {f"a{n}": registration(f"a{n}", pid=10**6 + n if n % 2 else None) for n in range(100_000)}
    roster.set_registrations(many, NOW)
    put = 0
    while batch := roster.tick(NOW, limit=20_000).put:
        assert len(batch) <= 20_000
        put += len(batch)
    assert put == 100_000
    began = time.process_time()
    for second in range(1, 10):
        assert roster.tick(NOW + second * S).put == []
    roster.update_registration(registration("a7", at=NOW + 9 * S), NOW + 9 * S)
    assert [row.id for row in roster.tick(NOW + 9 * S).put] == ["a7"]
    assert time.process_time() - began < 0.25, "ten ticks over 100,000 agents; a scan of all takes seconds"


def test_schedule_puts_off_what_was_moved_later() -> None:
    schedule = Schedule()
    schedule.look_at("a", 10)
    schedule.look_at("a", 30)
    schedule.look_at("b", 20)
    assert schedule.pop_due(25) == {"b"}
    schedule.look_at("a", 26)
    assert schedule.pop_due(26) == {"a"}
    assert schedule.pop_due(99) == set()
    schedule.look_at("a", 100)
    schedule.look_at("a", None)
    assert schedule.pop_due(200) == set()


class RosterMachine(RuleBasedStateMachine):
    """Whatever the order of events, the kept rows are those a fresh look at everything gives."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.roster = Roster("h", Limits(crash_loop_starts=2))
        self.roster.set_declared([DeclaredAgent(name="d", match=Match(command="d"), start=["d"])])
        self.processes: dict[int, Process] = {1: process(1, 0, "init", name="init")}
        self.leases: dict[str, list[WorkItem]] = {}
        self.registered: dict[str, Registration] = {}

    names = st.sampled_from(["a", "b", "d"])
    pids = st.sampled_from([50, 51, 52])

    @rule(
        name=names,
        pid=st.none() | pids,
        activity=st.none() | st.sampled_from(Activity),
        ttl=st.integers(1, 20),
    )
    def register(self, name: str, pid: int | None, activity: Activity | None, ttl: int) -> None:
        known = self.registered.get(name)
        new = registration(
            name,
            pid,
            self.now,
            activity=activity,
            ttl_ms=ttl * S,
            registered_at=self.now,
            incarnation=known.incarnation + 1 if known else 1,
        )
        self.registered[name] = new
        self.roster.update_registration(new, self.now)

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.registered.pop(name, None)
        self.roster.remove_registration(name)

    @rule(pid=pids, command=st.sampled_from(["claude", "python worker.py", "ollama serve"]), parent=pids)
    def start(self, pid: int, command: str, parent: int) -> None:
        self.processes[pid] = process(pid, parent, command, started=self.now, name=command.split()[0])
        self.roster.set_processes(self.processes.values(), self.now)

    @rule(pid=pids)
    def end(self, pid: int) -> None:
        self.processes.pop(pid, None)
        self.roster.set_processes(self.processes.values(), self.now)

    @rule(pid=st.none() | pids)
    def probe(self, pid: int | None) -> None:
        pids = (pid,) if pid in self.processes and pid is not None else ()
        self.roster.set_probes([report("d", *pids, at=self.now, running=bool(pids))])

    @rule(name=names, held=st.booleans())
    def hold(self, name: str, held: bool) -> None:
        self.leases[name] = [lease(f"w-{name}", name, self.now)] if held else []
        self.roster.update_leases(name, self.leases[name])

    @rule(seconds=st.integers(1, 1_000))
    def wait(self, seconds: int) -> None:
        self.now += seconds * S

    @invariant()
    def rows_are_what_the_sources_say_now(self) -> None:
        self.roster.tick(self.now)
        kept = dict(self.roster.rows)
        self.roster.set_limits(self.roster.limits)  # looks at every row again
        assert self.roster.tick(self.now).discard == []
        assert {id_: _state(row) for id_, row in kept.items()} == {
            id_: _state(row) for id_, row in self.roster.rows.items()
        }
        assert {*self.registered, *(name for name, items in self.leases.items() if items)} <= set(kept)
        assert sum("declared" in row.sources for row in kept.values()) == 1
        assert len({row.id for row in kept.values()}) == len(kept)
        _owned_once(row.processes for row in kept.values() if row.sources == ("discovered",))


def _state(row: object) -> tuple[object, ...]:
    return tuple(
        getattr(row, name) for name in ("reach", "activity", "cause", "urgency", "processes", "sources")
    )


def _owned_once(processes: Iterable[tuple[ProcessRef, ...]]) -> None:
    pids = [ref.pid for refs in processes for ref in refs]
    assert len(pids) == len(set(pids))


TestRosterMachine = RosterMachine.TestCase
TestRosterMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
