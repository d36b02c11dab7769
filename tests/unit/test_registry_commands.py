"""The registry: complete, consistent, and honest about what its commands are."""

from __future__ import annotations

import re

import pytest

from backends.model import Danger
from console.commands import REGISTRY
from console.commands.arguments import TARGET_NAMES, parameters, usage
from console.commands.registry import Command, CommandError, Place, Registry
from console.exit_codes import ExitCode
from console.wire import ROW_TYPES

#: The commands a first operator expects, by the names people know.
EXPECTED = [
    "status", "health", "start", "stop", "restart", "metrics", "logs", "list-agents", "register-agent",
    "remove-agent", "heartbeat", "list-work", "add-work", "claim", "progress", "complete", "fail",
    "release", "retry", "cancel", "audit", "config", "explain", "doctor", "restart-agent", "stop-agent",
    "pause-agent", "resume-agent", "kill-process", "requeue-agent", "drain-agent", "estop", "thaw",
    "claude-stream",
]  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_first_commands_are_there(name: str) -> None:
    assert name in REGISTRY


@pytest.mark.parametrize("command", list(REGISTRY), ids=lambda command: command.id)
def test_every_command_says_what_it_is(command: Command) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", command.id)
    assert command.help
    assert not command.help.endswith(".")
    assert len(command.help) <= 70
    assert usage(command).startswith(command.id)
    assert command.acts_on in ("", *TARGET_NAMES)
    assert command.table in ("", *ROW_TYPES)
    if command.place is Place.WATCH:
        assert command.run is not None
    if command.danger is not Danger.SAFE:
        assert command.mutates
        assert command.plan is not None or command.place is Place.LOCAL
    if command.atomic:
        assert command.mutates
        assert command.verify is None
    for parameter in parameters(command):
        assert parameter.description or parameter.name in ("team", "layer")


def test_a_name_is_taken_once() -> None:
    registry = Registry()
    registry.add(Command("one", "f", "h", aliases=("uno",)))
    for taken in (
        Command("one", "f", "h"),
        Command("uno", "f", "h"),
        Command("x", "f", "h", aliases=("one",)),
    ):
        with pytest.raises(ValueError, match="registered twice"):
            registry.add(taken)


def test_an_unknown_name_is_a_usage_error_with_the_nearest_ones() -> None:
    with pytest.raises(CommandError) as error:
        REGISTRY.get("list-agent")
    assert error.value.code is ExitCode.USAGE
    assert "list-agents" in error.value.message
    with pytest.raises(CommandError, match="--help"):
        REGISTRY.get("qqqqqqq")


def test_aliases_lead_to_their_command() -> None:
    assert REGISTRY.get("kill").id == "kill-process"
    assert REGISTRY.get("register").id == "register-agent"


def test_default_keys_do_not_clash_in_their_scope() -> None:
    from console.tui.key_defaults import default_keys

    seen: dict[tuple[str, str], str] = {}
    for default in default_keys():
        for key in default.keys:
            clash = seen.setdefault((default.scope, key), default.command)
            assert clash == default.command, (default, clash)


def test_no_key_that_a_terminal_keeps_for_itself_is_the_only_one() -> None:
    kept = {f"ctrl+{letter}" for letter in "bsqzcijmh"}
    for command in REGISTRY:
        assert command.key not in kept
        assert not re.fullmatch(r"f\d+", command.key)
