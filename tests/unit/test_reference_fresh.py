"""docs/commands.md says what the registry says."""

from __future__ import annotations

from pathlib import Path

from console.cli.reference import EXIT_CODES, reference
from console.commands import REGISTRY
from console.commands.arguments import parameters
from console.commands.registry import Place
from console.exit_codes import ExitCode

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "docs/commands.md is stale: run `make docs`"


def test_every_listed_command_and_every_parameter_is_in_it() -> None:
    sections = {section.split("\n", 1)[0]: section for section in reference().split("### ")[1:]}
    for command in REGISTRY:
        if command.hidden and command.place is not Place.WATCH:
            continue
        section = sections[command.id]
        for parameter in parameters(command):
            assert parameter.name.upper() in section or parameter.name.replace("_", "-") in section
        if command.key:
            assert f"`{command.key}`" in section
        assert command.danger.value in section


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(ExitCode)
