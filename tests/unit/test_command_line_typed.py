"""The ``:`` line: what was typed, what is meant, and what could come next."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.commands.registry import Command, CommandError
from console.tui.command_line import MAX_OFFERS, Offer, offers, understand


def nothing(command: Command) -> tuple[str, ...]:
    return ()


def marked(command: Command) -> tuple[str, ...]:
    return ("w1", "w2")


def rows(table: str, prefix: str) -> list[str]:
    ids = {"agents": ["builder-1", "builder 2"], "work": [f"w{number}" for number in range(100)]}
    return [id_ for id_ in ids.get(table, []) if id_.startswith(prefix)]


def offered(line: str, cursor: int, why: str = "") -> list[Offer]:
    return offers(line, cursor, rows, lambda command: ("agents", "queue"), lambda command: why)


def test_a_row_command_without_a_name_means_the_chosen_rows() -> None:
    typed = understand("cancel", marked)
    assert (typed.command.id, typed.words.targets) == ("cancel", ("w1", "w2"))
    typed = understand("progress 50 --fence 3", marked)
    assert typed.words.targets == ("w1", "w2")
    assert typed.words.args == {"percent": "50", "fence": "3"}


def test_a_named_row_is_meant_whatever_is_chosen() -> None:
    assert understand("cancel other", marked).words.targets == ("other",)
    assert understand("stop-agent 'builder 2'", marked).words.targets == ("builder 2",)


def test_a_descending_order_may_stand_apart_from_its_option() -> None:
    for line in ("list-work --sort -age --limit 3", "list-work --sort=-age --limit=3"):
        assert understand(line, nothing).words.args == {"sort": "-age", "limit": "3"}
    assert understand("progress 50 --note -5", marked).words.targets == ("w1", "w2")


def test_without_a_chosen_row_it_asks_which() -> None:
    with pytest.raises(CommandError, match="which one"):
        understand("cancel", nothing)


@pytest.mark.parametrize("line", ["", "   ", "nosuch", "cancel 'open", "claim b1 --nosuch"])
def test_what_cannot_be_understood_is_said_in_words(line: str) -> None:
    with pytest.raises(CommandError) as error:
        understand(line, nothing)
    assert error.value.message


def test_commands_options_and_rows_are_offered() -> None:
    assert [offer.text for offer in offered("list-ag", 7)] == ["list-agents"]
    assert "kill-process" in [offer.text for offer in offered("process", 7)]  # also by its middle
    assert [offer.text for offer in offered("claim b1 --li", 13)] == ["--limit"]
    found = offered("stop-agent bui", 14)
    assert [(offer.text, offer.start) for offer in found] == [("builder-1", 11), ("'builder 2'", 11)]
    assert len(offered("cancel ", 7)) == MAX_OFFERS
    assert offered("nosuch x", 8) == []


def test_a_command_that_cannot_run_says_why_beside_its_name() -> None:
    assert "read-only" in offered("cancel", 6, "read-only")[0].help


def test_a_dry_run_is_asked_for_like_in_the_shell() -> None:
    assert understand("cancel w1 --dry-run", nothing).dry_run is True
    assert understand("cancel w1", nothing).dry_run is False
    with pytest.raises(CommandError, match="changes nothing"):
        understand("status --dry-run", nothing)
    assert "--dry-run" in [offer.text for offer in offered("cancel w1 --", 12)]


@given(st.text(max_size=30), st.integers(0, 40))
def test_no_line_breaks_it(line: str, cursor: int) -> None:
    for offer in offered(line, cursor):
        assert offer.start <= len(line)
    with contextlib.suppress(CommandError):
        understand(line, marked)
