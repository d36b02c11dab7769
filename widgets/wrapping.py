"""Breaking text into screen lines by cell width. Pure functions."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """``text`` in lines of at most ``width`` cells, broken at spaces; continued lines start with ``indent``.

    Newlines are kept. A word wider than the line is broken where it must be.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.extend(_wrap_paragraph(paragraph, max(1, width), indent))
    return lines


def _wrap_paragraph(text: str, width: int, indent: str) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    if len(indent) * 2 > width:
        indent = ""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line.strip() else line + word
        if cell_len(candidate) <= width:
            line = candidate
            continue
        if line.strip():
            lines.append(line)
        line = indent + word if lines else word
        while cell_len(line) > width:
            head = chop_cells(line, width)[0]
            lines.append(head)
            line = indent + line[len(head) :]
    lines.append(line)
    return lines
