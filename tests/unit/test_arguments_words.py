"""From words to targets and arguments: what the CLI and the ``:`` line share."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.commands import REGISTRY
from console.commands.arguments import parse_words, usage
from console.commands.registry import Command, CommandError
from console.exit_codes import ExitCode


def parse(line: str) -> tuple[tuple[str, ...], dict[str, object]]:
    name, *words = line.split()
    understood = parse_words(REGISTRY.get(name), words)
    return understood.targets, understood.args


@pytest.mark.parametrize(
    ("line", "targets", "args"),
    [
        ("status", (), {}),
        ("claim b1", (), {"agent": "b1"}),
        ("claim b1 --type a --type b --limit 3", (), {"agent": "b1", "type": ["a", "b"], "limit": "3"}),
        ("progress w1 50 --fence 7", ("w1",), {"percent": "50", "fence": "7"}),
        ("fail w1 broke --permanent", ("w1",), {"error": "broke", "permanent": True}),
        ("cancel a b c", ("a", "b", "c"), {}),
        ("drain-agent b1 --undo", ("b1",), {"undo": True}),
        ("logs", (), {}),
        ("logs b1 --lines=5", ("b1",), {"lines": "5"}),
        ("audit --verify", (), {"verify": True}),
        ("list-work --sort -age --limit 3", (), {"sort": "-age", "limit": "3"}),
        ("list-work --sort=-age", (), {"sort": "-age"}),
        ("extend w1 --fence 7", ("w1",), {"fence": "7"}),
        (
            "add-work build title --max-attempts 3",
            (),
            {"type": "build", "title": "title", "max_attempts": "3"},
        ),
    ],
)
def test_words_are_understood(line: str, targets: tuple[str, ...], args: dict[str, object]) -> None:
    assert parse(line) == (targets, args)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("claim", "agent"),
        ("progress w1", "percent"),
        ("cancel", "targets"),
        ("status extra", "extra"),
        ("claim b1 --nosuch 1", "--nosuch"),
        ("claim b1 --lim 1", "--lim"),  # no abbreviations: a script must not change its meaning later
        ("claim b1 --limit", "--limit"),
    ],
)
def test_mistakes_are_usage_errors_that_name_the_word_and_show_the_usage(line: str, named: str) -> None:
    with pytest.raises(CommandError) as error:
        parse(line)
    assert error.value.code is ExitCode.USAGE
    assert named in error.value.message
    assert "usage: " in error.value.message


def test_two_dashes_end_the_options() -> None:
    understood = parse_words(REGISTRY.get("fail"), ["w1", "--fence", "3", "--", "--it broke"])
    assert understood.targets == ("w1",)
    assert understood.args == {"error": "--it broke", "fence": "3"}


@given(st.sampled_from(list(REGISTRY)), st.lists(st.text(max_size=8), max_size=6))
def test_any_words_are_understood_or_refused(command: Command, words: list[str]) -> None:
    with contextlib.suppress(CommandError):
        parse_words(command, words)


def test_usage_shows_what_is_needed_first() -> None:
    assert usage(REGISTRY.get("progress")).startswith("progress ITEM ... PERCENT [--note NOTE]")
    assert usage(REGISTRY.get("logs")) == "logs [ID ...] [--lines LINES]"
