"""Recognising agent programs by their command lines, real-looking and hostile ones."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.agents.declared import DiscoverPattern
from backends.agents.discover import Discoverer
from backends.agents.facts import Discovery
from backends.agents.pattern import PATTERN_LIMIT, compile_pattern, matches
from backends.agents.rules import BUILT_IN, recognise
from backends.model import Process, ProcessRef

NOW = 1_700_000_000_000


def process(command: str, pid: int = 10, parent: int = 1, name: str = "") -> Process:
    name = name or command.split(" ")[0].rpartition("/")[2][:15]
    return Process(f"h:{pid}:1", "h", ProcessRef(pid, 1), parent, name, command, "u", "S", NOW, 0.0, 1, NOW)


def find(*processes: Process, patterns: tuple[DiscoverPattern, ...] = ()) -> list[Discovery]:
    return Discoverer(patterns).find({process.ref.pid: process for process in processes})


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("claude", "claude-code"),
        ("claude --dangerously-skip-permissions --resume abc", "claude-code"),
        ("/home/u/.local/share/claude/versions/2.1.0 --continue", "claude-code"),
        ("node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", "claude-code"),
        ("node --max-old-space-size=4096 /usr/local/bin/claude", "claude-code"),
        ("codex", "codex"),
        ("node /usr/lib/node_modules/@openai/codex/bin/codex.js exec do it", "codex"),
        ("/usr/local/bin/ollama serve", "ollama"),
        ("/usr/bin/python3 /opt/venv/bin/vllm serve org/model-7b --port 8000", "vllm"),
        ("python3.11 -m vllm.entrypoints.openai.api_server --model org/model-7b", "vllm"),
        ("VLLM::EngineCore_0", "vllm"),
        ("./build/bin/llama-server -m models/tiny.gguf -ngl 99", "llama.cpp"),
        ("python -m llama_cpp.server --model x.gguf", "llama.cpp"),
        ("/opt/ray/core/src/ray/raylet/raylet --raylet_socket_name=x", "ray"),
        ("ray::train_step", "ray"),
    ],
)
def test_agents_are_recognised(command: str, kind: str) -> None:
    rule = recognise(process(command), BUILT_IN)
    assert rule is not None
    assert rule.kind == kind


@pytest.mark.parametrize(
    "command",
    [
        "vim claude",
        "grep -r claude /home",
        "tail -f /var/log/ollama.log",
        "ssh gpu1 claude",
        "ollama run tiny",
        "ollama list",
        "claude --version",
        "/opt/claude-desktop/claude --type=renderer --no-sandbox",
        "python train.py --name claude",
        "bash -c 'echo ollama serve'",
        "cat ollama serve",
        "vllm --help",
        "[kworker/0:1-events]",
        "llama-cli -m x.gguf",
        "python -c 'import vllm.entrypoints.openai.api_server'",
        "less /usr/lib/node_modules/@openai/codex/README.md",
        "",
        " ",
    ],
)
def test_others_are_not(command: str) -> None:
    assert recognise(process(command, name="x"), BUILT_IN) is None


def test_known_programs_can_be_left_alone() -> None:
    own = Discoverer((DiscoverPattern(name="trainer", command="train"),), built_in=False)
    seen = own.find({process.ref.pid: process for process in (process("claude", 10), process("train x", 11))})
    assert [found.kind for found in seen] == ["trainer"]


def test_a_renamed_process_counts_by_its_name() -> None:
    rule = recognise(process("node --no-warnings /tmp/x", name="claude"), BUILT_IN)
    assert rule is not None
    assert rule.kind == "claude-code"


def test_wrapper_and_children_of_one_kind_are_one_agent() -> None:
    found = find(
        process("node /usr/bin/codex", 10),
        process("/usr/lib/codex/codex-x86_64-unknown-linux-musl", 11, parent=10),
        process("claude", 20),
        process("claude -p summarise", 21, parent=20),
    )
    assert [(agent.kind, agent.pids) for agent in found] == [("claude-code", (20,)), ("codex", (10,))]


def test_a_shell_that_wraps_an_agent_is_not_the_agent() -> None:
    pattern = DiscoverPattern(name="crawler", command=r"crawl\.py")
    found = find(
        process("sh -c python crawl.py", 10), process("python crawl.py", 11, 10), patterns=(pattern,)
    )
    assert [agent.pids for agent in found] == [(11,)]
    alone = find(process("sh crawl.py", 10), patterns=(pattern,))
    assert [agent.pids for agent in alone] == [(10,)]


def test_a_runner_below_ollama_is_ollamas() -> None:
    found = find(process("ollama serve", 10), process("llama-server -m x.gguf", 11, 10))
    assert [agent.kind for agent in found] == ["ollama"]


def test_names_carry_the_model() -> None:
    assert find(process("vllm serve org/model-7b"))[0].name == "vllm org/model-7b"
    assert find(process("llama-server --model=/m/tiny.gguf"))[0].name == "llama.cpp tiny.gguf"
    assert find(process("llama-server -m"))[0].name == "llama.cpp 10"


def test_a_known_process_that_becomes_an_agent_is_seen() -> None:
    discoverer = Discoverer()
    assert discoverer.find({10: process("node /x/start.js")}) == []
    assert [agent.kind for agent in discoverer.find({10: process("node /x/start.js", name="claude")})] == [
        "claude-code"
    ]


@given(st.text(max_size=600), st.text(max_size=15))
def test_no_command_line_breaks_it(command: str, name: str) -> None:
    hostile = Process("h:1:1", "h", ProcessRef(1, 1), 1, name, command, "u", "S", NOW, None, None, NOW)
    find(hostile, patterns=(DiscoverPattern(name="p", command=r"x.*y.*z$"),))


@pytest.mark.parametrize(
    "pattern",
    ["", "  ", "(", "x*", "(a+)+b", "(a|aa)+b", "(?:a*b?)*c", "(a{1,9}){1,9}b", r"(a)\1", "(?P<n>a)(?P=n)",
     "a.*b.*c.*d.*e", "x" * (PATTERN_LIMIT + 1)],
)  # fmt: skip
def test_runaway_and_useless_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|expression|matches|group|back reference|repeats"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"worker\.py --queue \w+", "(foo|bar) serve", r"[(]a+[)]+x", r"\(a+\)+", "a{3}b", r"(?i)Agent.*run"],
)
def test_ordinary_patterns_are_fine(pattern: str) -> None:
    compile_pattern(pattern)


def test_the_worst_accepted_pattern_ends_soon_on_the_worst_command_line() -> None:
    pattern = compile_pattern("a.*b.*c.*d")
    began = time.process_time()
    assert not matches(pattern, "a" * 130 + "b" * 130 + "c" * 1_000_000)
    assert time.process_time() - began < 0.5
