"""How known agent programs look in a process table. Data, and the one function that reads it.

Command lines are hostile text: they are split by spaces, compared as words, never evaluated, and only their
first :data:`~backends.agents.pattern.SUBJECT_LIMIT` characters count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backends.agents.declared import DiscoverPattern
from backends.agents.pattern import SUBJECT_LIMIT, compile_pattern, matches
from backends.model import Process

#: Run scripts: what counts is the script or module they were given.
_INTERPRETER = re.compile(r"(?:node|nodejs|bun|deno|python|pypy|uv|ruby)[0-9.]*")
#: They start what their command line names, and are not the agent when that runs itself.
WRAPPERS = frozenset(
    {"sh", "bash", "dash", "zsh", "fish", "ksh", "sudo", "doas", "env", "nohup", "setsid", "timeout", "nice"}
    | {"ionice", "time", "xargs", "script", "tini", "init"}
)
#: They only look at, or talk to, what their command line names.
ONLOOKERS = frozenset(
    {
        "grep",
        "rg",
        "ag",
        "pgrep",
        "pkill",
        "vi",
        "vim",
        "nvim",
        "nano",
        "emacs",
        "less",
        "more",
        "tail",
        "head",
    }
    | {"cat", "man", "watch", "ssh", "scp", "rsync", "tmux", "screen", "strace", "gdb", "journalctl"}
    | {"systemctl", "watchfloor"}
)


@dataclass(frozen=True, slots=True)
class Program:
    """What a command line runs: ``python -m vllm.x serve`` is program ``vllm.x`` with ``serve``."""

    name: str  # last part of the program's or script's path
    path: str
    arguments: tuple[str, ...]
    title: str  # the whole line, cut


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of agent. A process fits when its name, path, module or title fits, and its arguments do."""

    kind: str
    names: frozenset[str] = frozenset()
    path_parts: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()  # prefixes of ``python -m`` names
    titles: tuple[str, ...] = ()  # prefixes of the whole command line
    needs: frozenset[str] = frozenset()  # one of these must be among the first arguments
    refuses: tuple[str, ...] = ()  # no argument may start with one of these
    one_per_host: bool = False  # all its processes are one agent
    absorbs: frozenset[str] = frozenset()  # kinds it starts itself: not agents of their own below it
    model_flags: tuple[str, ...] = ()  # arguments that name the model it serves
    pattern: re.Pattern[str] | None = None  # from the operator; then nothing else is looked at
    team: str = ""
    label: str = ""

    def fits(self, program: Program) -> bool:
        """True when ``program`` is this kind of agent."""
        if self.pattern is not None:
            return program.name not in ONLOOKERS and matches(self.pattern, program.title)
        is_named = (
            program.name in self.names
            or any(part in program.path for part in self.path_parts)
            or program.name.startswith(self.modules or ("\0",))
            or program.title.startswith(self.titles or ("\0",))
        )
        if not is_named or (self.needs and not self.needs.intersection(program.arguments[:4])):
            return False
        return not any(argument.startswith(self.refuses or ("\0",)) for argument in program.arguments)


BUILT_IN: tuple[Rule, ...] = (
    Rule(
        "claude-code",
        names=frozenset({"claude"}),
        path_parts=("@anthropic-ai/claude-code/", "/claude/versions/"),
        refuses=("--type=", "--version", "--help"),
    ),
    Rule(
        "codex",
        names=frozenset({"codex", "codex-x86_64-unknown-linux-musl", "codex-aarch64-unknown-linux-musl"}),
        path_parts=("@openai/codex/",),
        refuses=("--version", "--help"),
    ),
    Rule("ollama", names=frozenset({"ollama"}), needs=frozenset({"serve"}), absorbs=frozenset({"llama.cpp"})),
    Rule(
        "vllm",
        names=frozenset({"vllm"}),
        needs=frozenset({"serve"}),
        model_flags=("serve", "--model"),
    ),
    Rule("vllm", modules=("vllm.entrypoints.",), model_flags=("--model",)),
    Rule("vllm", titles=("VLLM::", "VLLM_")),
    Rule(
        "llama.cpp",
        names=frozenset({"llama-server"}),
        path_parts=("/llama.cpp/server", "/llama_cpp/server"),
        modules=("llama_cpp.server",),
        model_flags=("-m", "--model", "-hf", "--hf-repo"),
    ),
    Rule(
        "ray",
        names=frozenset({"raylet", "gcs_server"}),
        titles=("ray::",),
        path_parts=("/ray/_private/workers/", "/ray/dashboard/"),
        one_per_host=True,
    ),
)


def rules_of(patterns: Sequence[DiscoverPattern], built_in: bool = True) -> tuple[Rule, ...]:
    """The operator's patterns first, then the built-in rules unless they are not wanted."""
    own = tuple(
        Rule(
            entry.kind or entry.name,
            pattern=compile_pattern(entry.command),
            team=entry.team,
            label=entry.name,
        )
        for entry in patterns
    )
    return own + BUILT_IN if built_in else own


def read_program(process: Process) -> Program:
    """What ``process`` runs, from its command line; its short name when it has none."""
    title = process.command[:SUBJECT_LIMIT]
    words = title.split()
    if not words or process.command.startswith("["):  # a kernel thread, or nothing to read
        return Program("", "", (), "")
    path, arguments = words[0], words[1:]
    if _INTERPRETER.fullmatch(_base(path)):
        script = _script(arguments)
        if script is not None:
            path, arguments = arguments[script], arguments[script + 1 :]
    name = path if "::" in path else _base(path)
    if process.name == "claude":  # it renames itself, whatever it was started as
        name = "claude"
    return Program(name, path, tuple(arguments), title)


def recognise(process: Process, rules: Sequence[Rule]) -> Rule | None:
    """The first rule that ``process`` fits."""
    program = read_program(process)
    if not program.title or program.name in ONLOOKERS:
        return None
    return next((rule for rule in rules if rule.fits(program)), None)


def model_of(process: Process, rule: Rule) -> str:
    """The model a server was told to serve, as far as its command line says; else empty."""
    arguments = read_program(process).arguments
    for position, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in rule.model_flags:
            following = arguments[position + 1] if position + 1 < len(arguments) else ""
            found = value if equals else following
            if found and not found.startswith("-"):
                return _base(found) if found.startswith(("/", "./", "~")) else found
    return ""


def _script(arguments: Sequence[str]) -> int | None:
    """Where an interpreter's script or module stands among its arguments."""
    for position, argument in enumerate(arguments):
        if argument == "-m":
            return position + 1 if position + 1 < len(arguments) else None
        if argument in ("-c", "-e", "--eval", "-p"):
            return None
        if not argument.startswith("-") and argument != "run":
            return position
    return None


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
