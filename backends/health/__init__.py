"""How well the floor is: what hosts are short of, what ails GPUs, and one score with its reasons."""

from __future__ import annotations

from backends.health.gpus import Ailment, ailments
from backends.health.hosts import Strain, strains
from backends.health.score import ABSENT, score

__all__ = ["ABSENT", "Ailment", "Strain", "ailments", "score", "strains"]
