"""Finding agents in the process table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.agents.declared import DiscoverPattern
from backends.agents.facts import Discovery
from backends.agents.rules import WRAPPERS, Rule, model_of, read_program, recognise, rules_of
from backends.agents.trees import ancestors, topmost
from backends.model import Process


class Discoverer:
    """Recognises agents; remembers what each process is, so that a known process costs one look-up."""

    def __init__(
        self,
        patterns: Sequence[DiscoverPattern] = (),
        ignore: frozenset[int] = frozenset(),
        built_in: bool = True,
    ) -> None:
        """``ignore``: pids that are never agents, such as the watch's own. ``built_in`` False: only
        ``patterns`` count.
        """
        self._rules = rules_of(patterns, built_in)
        self._ignore = ignore
        self._known: dict[str, tuple[str, str, Rule | None]] = {}

    def find(self, processes: Mapping[int, Process]) -> list[Discovery]:
        """The agents among ``processes`` (by pid), in a stable order."""
        known: dict[str, tuple[str, str, Rule | None]] = {}
        recognised: dict[int, Rule] = {}
        for pid, process in processes.items():
            before = self._known.get(process.id)
            if before is None or before[0] != process.command or before[1] != process.name:
                before = (process.command, process.name, recognise(process, self._rules))
            known[process.id] = before
            if before[2] is not None and pid not in self._ignore and process.state != "Z":
                recognised[pid] = before[2]
        self._known = known
        return discoveries(processes, recognised)


def discoveries(processes: Mapping[int, Process], recognised: Mapping[int, Rule]) -> list[Discovery]:
    """One discovery for each agent: wrappers, helpers and children of the same kind are left to its tree."""
    chosen = _without_wrappers(processes, recognised)
    by_kind: dict[str, list[int]] = {}
    for pid, rule in chosen.items():
        by_kind.setdefault(rule.kind, []).append(pid)
    found: list[Discovery] = []
    for kind, pids in sorted(by_kind.items()):
        roots = [pid for pid in topmost(processes, pids) if not _is_absorbed(processes, chosen, pid)]
        if roots and chosen[roots[0]].one_per_host:
            found.append(Discovery(kind, kind, kind, tuple(roots), chosen[roots[0]].team, f"rule {kind}"))
            continue
        found += [_one(processes[pid], chosen[pid]) for pid in roots]
    return found


def _one(process: Process, rule: Rule) -> Discovery:
    pid = process.ref.pid
    named = rule.label or model_of(process, rule)
    name = f"{rule.kind} {pid}" if not named else f"{named} {pid}" if rule.label else f"{rule.kind} {named}"
    rule_name = f"pattern {rule.label}" if rule.pattern is not None else f"rule {rule.kind}"
    return Discovery(f"{rule.kind}-{pid}", rule.kind, name, (pid,), rule.team, rule_name)


def _without_wrappers(processes: Mapping[int, Process], recognised: Mapping[int, Rule]) -> dict[int, Rule]:
    """Drop ``sh -c "agent ..."`` when the agent it started is there itself."""
    above = {
        parent
        for pid, rule in recognised.items()
        for parent in ancestors(processes, pid)
        if parent in recognised and recognised[parent].kind == rule.kind
    }
    return {
        pid: rule
        for pid, rule in recognised.items()
        if pid not in above or read_program(processes[pid]).name not in WRAPPERS
    }


def _is_absorbed(processes: Mapping[int, Process], chosen: Mapping[int, Rule], pid: int) -> bool:
    kind = chosen[pid].kind
    return any(above in chosen and kind in chosen[above].absorbs for above in ancestors(processes, pid))
