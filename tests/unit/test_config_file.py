"""The configuration: strict decoding, layers, provenance, and changing one value."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from console.config.decode import ConfigError, leaf_paths, to_toml
from console.config.edit import render, set_value, settings
from console.config.layers import Loaded, check_file, load
from console.config.paths import packaged_config
from console.config.settings import Config


class Files:
    """A system file, a user file and an environment, all of the test's own."""

    def __init__(self, root: Path) -> None:
        self.system = root / "etc" / "config.toml"
        self.user = root / "xdg" / "watchfloor" / "config.toml"
        self.environ = {"XDG_CONFIG_HOME": str(root / "xdg"), "HOME": str(root)}
        for file in (self.system, self.user):
            file.parent.mkdir(parents=True)

    def load(self, explicit: Path | None = None, **flags: object) -> Loaded:
        keys = {key.replace("__", "."): value for key, value in flags.items()}
        return load(explicit, environ=self.environ, flags=keys, system_file=self.system)

    def problems(self, text: str) -> list[str]:
        self.user.write_text(text)
        with pytest.raises(ConfigError) as caught:
            self.load()
        return str(caught.value).replace(str(self.user), "config.toml").splitlines()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


# --- the packaged file -------------------------------------------------------------------------------


def test_packaged_file_equals_the_defaults_and_names_every_key(tmp_path: Path) -> None:
    text = packaged_config().read_text()
    assert tomllib.loads(text) == to_toml(Config())
    loaded = load(packaged_config(), environ={"HOME": str(tmp_path)}, system_file=tmp_path / "none")
    assert loaded.config == Config()


def test_examples_in_the_packaged_file_are_valid(files: Files) -> None:
    lines = packaged_config().read_text().splitlines()
    start = lines.index("# [[agents.declared]]")
    examples = [line[2:] for line in lines[start:] if line.startswith("# ")]
    end = next(i for i, line in enumerate(examples) if line.startswith('team = "ml"'))
    files.user.write_text("\n".join(examples[: end + 1]))
    agents = files.load().config.agents
    assert agents.declared[0].start == ["python", "-m", "indexer"]
    assert agents.declared[0].env == {"LOG_LEVEL": "info"}
    assert agents.discover[0].team == "ml"


# --- strictness --------------------------------------------------------------------------------------


def test_unknown_key_names_file_line_and_nearest_key(files: Files) -> None:
    assert files.problems("\n\n[watch]\n# a comment\nidle_facter = 3\n") == [
        "config.toml:5: unknown key 'idle_facter' in [watch]; did you mean 'idle_factor'?"
    ]


def test_unknown_section(files: Files) -> None:
    assert files.problems("[wacth]\nsocket = ''\n") == [
        "config.toml:1: unknown key 'wacth'; did you mean 'watch'?"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[queue]\nmax_attempts = '5'",
            "config.toml:2: queue.max_attempts: expected a whole number, got text",
        ),
        (
            "[console]\nread_only = 1",
            "config.toml:2: console.read_only: expected true or false, got a whole number",
        ),
        ("[drift]\nroots = '~'", "config.toml:2: drift.roots: expected an array, got text"),
        ("[queue]\nlease = 60", "config.toml:2: queue.lease: a duration is text with a unit"),
        ("[queue]\nlease = '60'", "config.toml:2: queue.lease: '60' is not a duration"),
        ("queue.lease = '60 s'", "config.toml:1: queue.lease: '60 s' is not a duration"),
        ("watch = 3", "config.toml:1: watch must be a table, not a number"),
        ("[keys]\nretry = 3", "config.toml:2: keys.retry: expected text or an array"),
        ("[console]\nstartup_pane = 'x'", "config.toml:2: console.startup_pane: not one of the choices: 'x'"),
        ("[thresholds]\ncpu = { warm = 70 }", "unknown key 'warm' in [thresholds.cpu]; did you mean 'warn'?"),
        ("[watch.intervals]\ngpu = '10ms'", "config.toml:2: [watch.intervals] gpu must be at least 100 ms"),
        ("thresholds.cpu.warn = 99", "config.toml:1: [thresholds.cpu] 0 < warn <= critical <= 100 must hold"),
        ("[watch]\na = ,", "config.toml:2: not TOML: Invalid value in column 5"),
        ("[watch]\na = ", "config.toml:2: not TOML: Invalid value"),
        ("a = 1\na = 2", "config.toml:2: not TOML: Cannot overwrite a value"),
    ],
)
def test_wrong_values(files: Files, text: str, message: str) -> None:
    (problem,) = files.problems(text)
    assert message in problem


def test_every_mistake_is_named_at_once(files: Files) -> None:
    text = "[queue]\nleese = '1s'\nmax_attempts = 'x'\n[[agents.declared]]\nname = 3\nmatch.port = 80\n"
    lines = [problem.split(":")[1] for problem in files.problems(text)]
    assert lines == ["2", "3", "5"]


def test_mistake_in_the_second_declared_agent(files: Files) -> None:
    text = """
[[agents.declared]]
name = "a"
match.command = "a+"

[[agents.declared]]
name = "b"
match = { command = "b", prot = 80 }
"""
    assert files.problems(text) == [
        "config.toml:8: unknown key 'prot' in [agents.declared[1].match]; did you mean 'port'?"
    ]


def test_declared_agent_with_an_impossible_value(files: Files) -> None:
    (problem,) = files.problems('[[agents.declared]]\nname = "a"\nmatch.port = 99999\n')
    assert problem.startswith("config.toml:3:")
    assert "99999" in problem


def test_declared_agent_without_a_name(files: Files) -> None:
    assert files.problems('[[agents.declared]]\nmatch.command = "x"\n') == [
        "config.toml:1: agents.declared[0] needs a 'name'"
    ]


def test_not_utf8(files: Files) -> None:
    files.user.write_bytes(b"[watch]\nsocket = '\xff'\n")
    with pytest.raises(ConfigError, match=r"config\.toml:2: is not UTF-8"):
        files.load()


def test_unreadable_and_absent_files(files: Files, tmp_path: Path) -> None:
    files.user.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        files.load()
    files.user.rmdir()
    with pytest.raises(ConfigError, match="there is no such file"):
        files.load(tmp_path / "absent.toml")


def test_huge_file_is_refused(files: Files) -> None:
    files.user.write_text("#" * (1 << 20) + "\n")
    with pytest.raises(ConfigError, match="larger than"):
        files.load()


def test_control_characters_in_a_key_do_not_reach_the_message(files: Files) -> None:
    (problem,) = files.problems('"\\u001b]52;c;x\\u0007" = 1')
    assert "\x1b" not in problem


# --- layers ------------------------------------------------------------------------------------------


def test_layers_in_order_with_provenance(files: Files, tmp_path: Path) -> None:
    explicit = tmp_path / "explicit.toml"
    files.system.write_text("[queue]\nlease = '1s'\nmax_attempts = 1\naging = '1s'\n[drift]\nmax_depth = 1\n")
    files.user.write_text("[queue]\nlease = '2s'\nmax_attempts = 2\naging = '2s'\n")
    explicit.write_text("[queue]\nlease = '3s'\nmax_attempts = 3\n")
    files.environ["WATCHFLOOR_QUEUE_LEASE"] = "4s"
    loaded = files.load(explicit, console__theme="light")

    assert loaded.config.drift.max_depth == 1
    assert loaded.config.queue.aging_ms == 2000
    assert loaded.config.queue.max_attempts == 3
    assert loaded.config.queue.lease_ms == 4000
    assert loaded.config.console.theme == "light"
    assert loaded.where("drift.max_depth") == f"{files.system}:6"
    assert loaded.where("queue.aging") == f"{files.user}:4"
    assert loaded.where("queue.max_attempts") == f"{explicit}:3"
    assert loaded.where("queue.lease") == "env WATCHFLOOR_QUEUE_LEASE"
    assert loaded.where("console.theme") == "flag"
    assert loaded.where("gpu.enabled") == "default"
    assert loaded.files == (files.system, files.user, explicit)


def test_keys_of_two_layers_are_merged(files: Files) -> None:
    files.system.write_text("[keys]\nretry = 'R'\ncancel = 'X'\n")
    files.user.write_text("[keys]\nretry = ['f2', 'r']\n")
    assert files.load().config.keys == {"retry": ("f2", "r"), "cancel": "X"}


def test_half_a_pair_of_limits_keeps_the_other_half(files: Files) -> None:
    files.user.write_text("[thresholds]\ncpu = { warn = 50 }")
    assert files.load().config.thresholds.cpu.warn == 50
    assert files.load().config.thresholds.cpu.critical == 95


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("WATCHFLOOR_CONSOLE_READ_ONLY", "yes", "console.read_only", True),
        ("WATCHFLOOR_CONSOLE_ASCII", "false", "console.ascii", False),
        ("WATCHFLOOR_CONSOLE_ASCII", "auto", "console.ascii", "auto"),
        ("WATCHFLOOR_QUEUE_MAX_ATTEMPTS", "7", "queue.max_attempts", 7),
        ("WATCHFLOOR_THRESHOLDS_CPU_WARN", "70.5", "thresholds.cpu.warn", 70.5),
        ("WATCHFLOOR_DRIFT_ROOTS", "/a, /b", "drift.roots", ["/a", "/b"]),
        ("WATCHFLOOR_STATE", "/s", "watch.state_dir", "/s"),
    ],
)
def test_environment(files: Files, name: str, text: str, key: str, value: object) -> None:
    files.environ[name] = text
    found = {setting.key: setting for setting in settings(files.load())}
    assert found[key].value == value
    assert found[key].where == f"env {name}"


def test_bad_environment_value_names_the_variable(files: Files) -> None:
    files.environ["WATCHFLOOR_QUEUE_MAX_ATTEMPTS"] = "many"
    with pytest.raises(
        ConfigError, match=r"env WATCHFLOOR_QUEUE_MAX_ATTEMPTS: queue\.max_attempts: expected"
    ):
        files.load()


def test_mistyped_variable_is_a_warning_and_foreign_ones_are_not(files: Files) -> None:
    files.environ |= {"WATCHFLOOR_CONSOLE_THEM": "x", "WATCHFLOOR_AGENT": "builder", "PATH": "/bin"}
    (warning,) = files.load().warnings
    assert "did you mean 'WATCHFLOOR_CONSOLE_THEME'" in warning


def test_unknown_flag(files: Files) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'console\.them'; did you mean 'console\.theme'"):
        files.load(console__them="x")


# --- showing and changing ----------------------------------------------------------------------------


def test_render_is_toml_and_shows_every_setting(files: Files) -> None:
    files.user.write_text('[keys]\n"list-work" = ""\n[[agents.declared]]\nname = "a"\nmatch.port = 80\n')
    loaded = files.load()
    shown = render(loaded)
    data = tomllib.loads(shown)
    assert data["agents"]["declared"][0]["match"]["port"] == 80
    assert 'keys.list-work = ""' in shown
    assert f"# {files.user}:2" in shown
    for path, _ in leaf_paths():
        if path not in {("keys",), ("console", "sort")}:
            assert ".".join(map(str, path)) + " = " in shown
    files.user.write_text(shown)
    assert files.load().config == loaded.config


def test_set_value_keeps_comments_and_everything_else(files: Files) -> None:
    files.user.write_text("# mine\n[console]  # look\ntheme = 'dark' # at night\n\n[queue]\nlease = '2s'\n")
    set_value(files.user, "console.theme", "light")
    set_value(files.user, "console.tick", "1s")
    set_value(files.user, "gpu.enabled", False)
    set_value(files.user, ("console", "sort", "agents"), "-name")
    set_value(files.user, ("console", "sort", "work"), "age")
    assert files.user.read_text() == (
        '# mine\n[console]  # look\ntick = "1s"\ntheme = "light" # at night\n\n[queue]\nlease = \'2s\'\n'
        '\n[gpu]\nenabled = false\n\n[console.sort]\nwork = "age"\nagents = "-name"\n'
    )
    assert check_file(files.user) == ()


@pytest.mark.parametrize(
    "before",
    ["", "watch.socket = '/s'", "watch = { socket = '/s' }", "watch = {}", "[watch]", "# only a comment"],
)
def test_set_value_whatever_the_file_looks_like(files: Files, before: str) -> None:
    files.user.write_text(before)
    set_value(files.user, "watch.socket", '/a "quoted" one')
    set_value(files.user, "watch.idle_factor", 2)
    watch = files.load().config.watch
    assert watch.socket == '/a "quoted" one'
    assert watch.idle_factor == 2


def test_set_value_makes_the_file_private_and_keeps_links(files: Files, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.toml"
    files.user.symlink_to(target)
    set_value(files.user, "console.theme", "light")
    assert files.user.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(files.user.parent) == ["config.toml"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("console.them", "x", "did you mean 'theme'"),
        ("console.theme", 3, "expected text"),
        ("queue.lease", "soon", "not a duration"),
    ],
)
def test_set_value_refuses_and_changes_nothing(files: Files, key: str, value: object, message: str) -> None:
    files.user.write_text("[console]\n")
    with pytest.raises(ConfigError, match=message):
        set_value(files.user, key, value)
    assert files.user.read_text() == "[console]\n"


def test_set_value_does_not_touch_a_broken_file(files: Files) -> None:
    files.user.write_text("[console\n")
    with pytest.raises(ConfigError, match=r"config\.toml:1: not TOML"):
        set_value(files.user, "console.theme", "light")
    assert files.user.read_text() == "[console\n"


def test_import_is_light() -> None:
    code = (
        "import sys, console.config.layers; "
        "heavy = {'asyncio', 'textual', 'rich', 'psutil', 'tomli_w', 'anthropic', 'ssl'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0
