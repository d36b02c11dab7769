"""Who is whose child."""

from __future__ import annotations

from backends.model import Process, ProcessRef
from backends.recovery import children_of, family_of


def process(pid: int, parent: int, start: int) -> Process:
    return Process(
        id=f"h:{pid}:{start}",
        host="h",
        ref=ProcessRef(pid, start, "b"),
        parent_pid=parent,
        name="x",
        command="x",
        user="u",
        state="S",
        started_at=start,
        cpu_pct=None,
        rss_bytes=None,
        observed_at=0,
    )


AGENT = process(10, 1, 100)
OLDER = process(11, 10, 110)
YOUNGER = process(9, 10, 120)
GRANDCHILD = process(30, 11, 130)
STRANGER = process(40, 1, 50)
ALL = [GRANDCHILD, YOUNGER, STRANGER, OLDER, AGENT]


def pids(processes: list[Process]) -> list[int]:
    return [row.ref.pid for row in processes]


def test_children_are_the_direct_ones() -> None:
    assert sorted(pids(children_of(ALL, AGENT.ref))) == [9, 11]


def test_a_family_has_parents_before_children_and_older_before_younger() -> None:
    assert pids(family_of(ALL, AGENT.ref)) == [10, 11, 9, 30]


def test_a_process_older_than_its_parent_is_no_child_of_it() -> None:
    assert family_of([AGENT, process(12, 10, 99)], AGENT.ref) == [AGENT]


def test_a_family_that_is_not_there_is_empty() -> None:
    assert family_of(ALL, ProcessRef(10, 101, "b")) == []


def test_a_loop_of_parents_ends() -> None:
    loop = [process(10, 11, 5), process(11, 10, 5)]
    assert pids(family_of(loop, loop[0].ref)) == [10, 11]
