"""Counts of rows by a word, kept up to date by the rows that change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from backends.picture import Table


class Tally:
    """How many ids stand under each word."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._word_of: dict[str, str] = {}

    def set(self, id_: str, word: str | None) -> None:
        """Count ``id_`` under ``word``; ``None`` takes it out."""
        before = self._word_of.get(id_)
        if before == word:
            return
        if before is not None:
            self.counts[before] -= 1
            if not self.counts[before]:
                del self.counts[before]
            del self._word_of[id_]
        if word is not None:
            self.counts[word] += 1
            self._word_of[id_] = word

    def reset(self, words: dict[str, str]) -> None:
        """Start anew from the word of every id."""
        self._word_of = words
        self.counts = Counter(words.values())


class TableTally:
    """A tally of all rows of one table of the Picture."""

    def __init__(self, table: Table, word: Callable[[Any], str]) -> None:
        self._table = table
        self._word = word
        self._tally = Tally()
        table.watch(self._changed)

    def counts(self) -> dict[str, int]:
        """Rows by word."""
        return dict(self._tally.counts)

    def _changed(self, ids: set[str]) -> None:
        rows = self._table.rows
        for id_ in ids:
            row = rows.get(id_)
            self._tally.set(id_, None if row is None else self._word(row))
