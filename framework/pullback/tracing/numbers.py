"""Numbers of a trace as text: few digits, and of long rows the first and the last."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.units import Array

DIGITS = 4
EDGE = 3  # numbers at each end of a row that is too long, if there is room for them
MOST = 8  # numbers in a row, and rows, that are shown whole


def number(value: float) -> str:
    """With four digits; −0 is 0."""
    return f"{value + 0.0:.{DIGITS}g}"


def shape(value: Array) -> str:
    """1×500; nothing of a single number."""
    return "×".join(map(str, value.shape))


def lines(value: Array, width: int) -> list[str]:
    """A line for each row, of no more characters than that; dots stand for what is left out."""
    if value.ndim == 0:
        return [number(float(value))]
    for edge in range(EDGE, 0, -1):
        found = _written(value, edge)
        if max(map(len, found)) <= width:
            break
    return found


def _written(value: Array, edge: int) -> list[str]:
    whole = max(value.shape) <= MOST and edge == EDGE
    text = np.array2string(
        value,
        threshold=value.size if whole else 0,
        edgeitems=edge,
        max_line_width=10_000,
        formatter=FORMATTER,
    )
    plain = text.replace("...", "…").replace("[", " ").replace("]", "")
    return [line[value.ndim :].rstrip() for line in plain.splitlines() if line.strip()]


def _padded(value: float) -> str:
    return f"{number(float(value)):>10}"


FORMATTER: Any = {"float_kind": _padded, "int_kind": _padded}  # NumPy's type has other functions
