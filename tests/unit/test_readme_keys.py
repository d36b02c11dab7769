"""README names keys and exit codes: they are the ones the registry has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.cli.reference import EXIT_CODES
from console.commands import REGISTRY

README = (Path(__file__).parents[2] / "README.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| `([a-z-]+)` \| (.+) \|$", re.MULTILINE)
KEYS = ROW.findall(README)


def test_the_table_of_keys_is_read() -> None:
    assert len(KEYS) > 20
    assert len({key for key, _, _ in KEYS}) == len(KEYS)


@pytest.mark.parametrize(("key", "command", "meaning"), KEYS, ids=[command for _, command, _ in KEYS])
def test_a_key_in_the_readme_means_what_it_says(key: str, command: str, meaning: str) -> None:
    registered = REGISTRY.get(command)
    assert (registered.key, registered.help) == (key, meaning)


def test_the_exit_codes_are_those_of_the_reference() -> None:
    rows = re.findall(r"^\| (\d) \| (.+) \|$", README, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {
        int(code): EXIT_CODES[code] for code in EXIT_CODES
    }
