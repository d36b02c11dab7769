"""Keys from the registry and from [keys]: names, overrides, and every mistake named."""

from __future__ import annotations

import string

import pytest

from console.config.decode import ConfigError
from console.config.keymap import DefaultKeys, Keymap, KeyNameError, build_keymap, key_name

DEFAULTS = [
    DefaultKeys("quit", ("q",)),
    DefaultKeys("help", ("?",)),
    DefaultKeys("problems", ("p",)),
    DefaultKeys("retry", ("R",), "queue"),
    DefaultKeys("cancel", ("x",), "queue"),
    DefaultKeys("stop-agent", ("x",), "agents"),
    DefaultKeys("pause", ("p",), "agents"),
    DefaultKeys("list-work", ()),
]


def build(**overrides: str | tuple[str, ...]) -> Keymap:
    given = {name.replace("_", "-"): keys for name, keys in overrides.items()}
    return build_keymap(DEFAULTS, given, lambda command: f"config.toml:{len(command)}")


def problem(**overrides: str | tuple[str, ...]) -> str:
    with pytest.raises(ConfigError) as caught:
        build(**overrides)
    (only,) = caught.value.problems
    return str(only)


def test_defaults() -> None:
    keymap = build()
    assert keymap.keys_of("help") == ("question_mark",)
    assert keymap.keys_of("list-work") == ()
    assert keymap.command_at("x", "queue") == "cancel"
    assert keymap.command_at("x", "agents") == "stop-agent"
    assert keymap.command_at("x", "gpu") is None
    assert keymap.command_at("p", "agents") == "pause"
    assert keymap.command_at("p", "queue") == "problems"


def test_override_with_one_key_several_keys_and_none() -> None:
    keymap = build(retry=("f2", "ctrl+r"), cancel="", list_work="w")
    assert keymap.keys_of("retry") == ("f2", "ctrl+r")
    assert keymap.keys_of("cancel") == ()
    assert keymap.keys_of("list-work") == ("w",)


def test_a_freed_key_can_be_taken() -> None:
    assert build(cancel="c", retry="x").command_at("x", "queue") == "retry"


def test_unknown_command_names_the_nearest() -> None:
    assert problem(retri="r") == "config.toml:5: unknown command 'retri'; did you mean 'retry'?"


def test_clash_in_a_scope_names_both() -> None:
    message = problem(retry="x")
    assert message.startswith("config.toml:5: retry: the key 'x' already runs 'cancel'")


def test_same_key_in_two_panes_is_no_clash() -> None:
    assert build(pause="R").command_at("R", "agents") == "pause"


def test_user_must_not_hide_a_global_key_in_one_pane() -> None:
    assert "already runs 'help'" in problem(retry="?")
    assert "already runs 'retry'" in problem(help="R")


@pytest.mark.parametrize(
    "key", ["ctrl+c", "ctrl+z", "ctrl+s", "ctrl+q", "ctrl+b", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+H"]
)
def test_unusable_only_key_is_refused_with_a_reason(key: str) -> None:
    assert f"'{key.lower()}' cannot be its only key: " in problem(retry=key)
    assert build(retry=(key, "r")).keys_of("retry") == (key.lower(), "r")


def test_quit_keeps_a_key_and_nobody_takes_it() -> None:
    assert "no way out" in problem(quit="")
    assert "already runs 'quit'" in problem(retry="q")
    assert build(quit="Q").keys_of("quit") == ("Q",)


def test_two_defaults_on_one_key_of_one_scope_are_an_error() -> None:
    with pytest.raises(ConfigError, match="already runs"):
        build_keymap([DefaultKeys("a", ("k",), "s"), DefaultKeys("b", ("k",), "s")], {})


def test_every_mistake_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        build(retri="r", cancel="ctrl+foo", quit="")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("?", "question_mark"), ("question_mark", "question_mark"), ("/", "slash"), (":", "colon"),
        ("-", "minus"), ("+", "plus"), ("_", "underscore"), ("@", "at"), ("a", "a"), ("A", "A"), ("7", "7"),
        ("esc", "escape"), ("Enter", "enter"), ("PgDn", "pagedown"), (" ", "space"), ("F5", "f5"),
        ("ctrl+R", "ctrl+r"), ("Ctrl+alt+x", "alt+ctrl+x"), ("shift+tab", "shift+tab"),
        ("ctrl++", "ctrl+plus"),
        ("alt+?", "alt+question_mark"), ("ctrl+\\", "ctrl+backslash"),
    ],
)  # fmt: skip
def test_key_names(text: str, name: str) -> None:
    assert key_name(text) == name
    assert key_name(name) == name


def test_key_names_are_those_of_textual() -> None:
    from textual.keys import _character_to_key

    for character in string.punctuation:
        assert key_name(character) == _character_to_key(character)


@pytest.mark.parametrize("text", ["", "foo", "f25", "ctrl+", "crtl+a", "shift+a", "\x1b", "ctrl+foo", "++a"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(KeyNameError):
        key_name(text)


def test_misspelt_key_gets_a_hint() -> None:
    with pytest.raises(KeyNameError, match="did you mean 'escape'"):
        key_name("escap")
