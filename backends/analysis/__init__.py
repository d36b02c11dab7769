"""What is wrong and why: rules that need no model; the model client; redaction."""

from __future__ import annotations

from backends.analysis.analyst import analyse, checked
from backends.analysis.rules.inputs import Inputs

__all__ = ["Inputs", "analyse", "checked"]
