"""An answer without a model: the findings that a question is about, with their evidence.

It never invents: each sentence is a finding, a row, or that nothing matches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backends.analysis.context import Snapshot, is_abnormal, most_urgent_first
from backends.model import Finding
from backends.text import clean

MOST_FINDINGS = 5
MOST_ROWS = 5

#: Words of a question -> the kinds of subject it is about.
_TOPICS: Mapping[str, tuple[str, ...]] = {
    word: kinds
    for words, kinds in (
        (("agent", "stalled", "hung", "crash", "idle"), ("agent",)),
        (("queue", "work", "task", "job", "dead", "lease"), ("work", "queue")),
        (("gpu", "vram", "cuda", "driver"), ("gpu",)),
        (("drift", "git", "branch", "worktree", "copies"), ("worktree", "copies")),
        (("host", "cpu", "disk", "machine", "swap"), ("host",)),
        (("memory", "leak"), ("host", "gpu", "agent")),
    )
    for word in words
}
_TELLING_FIELDS = (
    *("reach", "activity", "cause", "state", "status", "status_reason"),
    *("last_error", "note", "error"),
)
_WORD = re.compile(r"[\w.:/-]{2,80}")
_COMMON = frozenset(
    [
        *("what", "why", "is", "are", "the", "my", "on", "in", "of", "to", "it", "do", "does", "did", "how"),
        *(
            "should",
            "which",
            "wrong",
            "now",
            "me",
            "with",
            "for",
            "be",
            "has",
            "have",
            "there",
            "who",
            "when",
        ),
        *("and", "or", "this"),
    ]
)


def local_answer(question: str, findings: Sequence[Finding], picture: Snapshot) -> str:
    """What is known about ``question``, most urgent first, in plain lines."""
    words = {word.rstrip("?.,:;/").lower() for word in _WORD.findall(clean(question, 2000))} - _COMMON
    ordered = most_urgent_first(findings)
    asked_rows = _named_rows(words, picture)
    about = _about(words, ordered, {row.id for _, row in asked_rows})
    lines = [_row_line(table, row) for table, row in asked_rows[:MOST_ROWS]]
    if about:
        lines += [line for finding in about[:MOST_FINDINGS] for line in _finding_lines(finding)]
        if len(about) > MOST_FINDINGS:
            lines.append(f"... and {len(about) - MOST_FINDINGS} more findings.")
    elif asked_rows:
        lines.append("No finding is about it.")
    elif ordered:
        lines.append("No finding matches the question. The most urgent now:")
        lines += [line for finding in ordered[:MOST_FINDINGS] for line in _finding_lines(finding)]
    else:
        lines.append(_all_clear(picture))
    return "\n".join(lines)


def _about(words: set[str], findings: list[Finding], ids: set[str]) -> list[Finding]:
    """Findings the question is about: by the row it names, by topic, by words. All when it says nothing."""
    if ids and (named := [finding for finding in findings if finding.subject in ids]):
        return named
    kinds = {kind for word in words for kind in _topic(word)}
    matches = []
    for finding in findings:
        text = " ".join((finding.category, finding.subject, finding.statement)).lower()
        score = sum(word in text for word in words) + 2 * (finding.subject_kind in kinds)
        if score or not words:
            matches.append((score, finding))
    matches.sort(key=lambda pair: -pair[0])  # stable: the most urgent first among equals
    return [finding for _, finding in matches]


def _topic(word: str) -> tuple[str, ...]:
    for stem in (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ed")):
        if stem in _TOPICS:
            return _TOPICS[stem]
    return ()


def _named_rows(words: set[str], picture: Snapshot) -> list[tuple[str, Any]]:
    """Rows whose id or name is a word of the question."""
    found = []
    for name, table in sorted(picture.tables.items()):
        if name == "findings":
            continue
        for row_id, row in sorted(table.rows.items()):
            if row_id.lower() in words or str(getattr(row, "name", "")).lower() in words:
                found.append((name, row))
    return found


def _row_line(table: str, row: Any) -> str:
    facts = []
    for field in _TELLING_FIELDS:
        value = getattr(row, field, None)
        if value not in (None, "", "ok"):
            facts.append(f"{field.replace('_', ' ')} {value}")
    noun = {"gpus": "GPU", "work": "work item", "copies": "copies", "processes": "process"}
    return f"{noun.get(table, table.removesuffix('s'))} {row.id}: {', '.join(facts) or 'nothing unusual'}."


def _finding_lines(finding: Finding) -> list[str]:
    lines = [f"[{finding.severity}] {finding.statement}"]
    lines += [f"  - {evidence.source}: {evidence.says}" for evidence in finding.evidence[:4]]
    if finding.proposal is not None:
        reason = f"  ({finding.proposal.reason})" if finding.proposal.reason else ""
        lines.append(f"  :{finding.proposal.command} {finding.proposal.target}".rstrip() + reason)
    return lines


def _all_clear(picture: Snapshot) -> str:
    unread = sorted(f"{host}/{source}" for (host, source), state in picture.sources.items() if not state.ok)
    rows = {
        name: len(table.rows) for name, table in picture.tables.items() if table.rows and name != "findings"
    }
    looked = ", ".join(f"{count} {name}" for name, count in sorted(rows.items())) or "nothing yet"
    if unread:
        return f"No finding, but not everything can be read: {', '.join(unread)}. Looked at {looked}."
    if any(is_abnormal(row) for table in picture.tables.values() for row in table.rows.values()):
        return f"No rule names a cause, but some rows need attention. Looked at {looked}."
    return f"Nothing is wrong. Looked at {looked}."
