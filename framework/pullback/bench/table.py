"""The comparison as tables, in 80 columns, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pullback.bench.measure import AGAIN, COPY
from pullback.bench.statistics import crossings, exponents

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_HEADINGS = ("time", "× fastest", "× copy", "peak", "needed", "digits")


def show(frame: pd.DataFrame, console: Console) -> None:
    """A table for each workload, then how they grow, where they cross, and what was not timed."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for title, rows in _workloads(frame):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(title, overflow="fold")
        for heading in _HEADINGS:
            table.add_column(heading, justify="right", no_wrap=True)
        for style, cells in rows:
            table.add_row(*(Text(one, style) for one in cells))
        console.print(table)
        console.print()
    for line in notes(frame):
        console.print(Text(line))
        console.print()


def markdown(frame: pd.DataFrame) -> str:
    """The same tables for a description in MLflow."""
    parts = []
    for title, rows in _workloads(frame):
        lines = [[title, *_HEADINGS], ["---"] * (len(_HEADINGS) + 1), *(cells for _, cells in rows)]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*parts, *notes(frame)])


def _workloads(frame: pd.DataFrame) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """A title, and a style and the cells of each row."""
    for (n, c, dtype), lines in frame.groupby(["N", "C", "dtype"], sort=False):
        timed = lines.dropna(subset="seconds")
        rows = [(_style(one), _cells(one)) for one in records(timed)]
        yield f"{n} × {c} {dtype}", rows


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Its lines, by the names of its columns."""
    return [dict(zip(frame.columns, one, strict=True)) for one in frame.itertuples(index=False)]


def _style(line: dict[str, Any]) -> str:
    if line["fastest"]:
        return "bold"
    return "dim" if line["variant"] == COPY or line["variant"].endswith(AGAIN) else ""


def _cells(line: dict[str, Any]) -> list[str]:
    mark = " !" if line["problem"] else ""
    return [
        line["variant"] + mark,
        seconds(line["seconds"]),
        "1" if line["fastest"] else _with_interval(line),
        _times(line["copies"]),
        memory(line["peak_bytes"]),
        memory(line["computed_bytes"]),
        _or_nothing(line["digits"], ".1f"),
    ]


def seconds(value: float) -> str:
    """1.23 µs, 45.6 ms, 7.89 s."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def memory(value: float) -> str:
    """0 B, 1.2 kB, 3.4 MB."""
    if math.isnan(value):
        return ""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


def _with_interval(line: dict[str, Any]) -> str:
    """2.41 ±0.02: half of its interval."""
    if math.isnan(line["ratio"]):
        return ""
    half = (line["ratio_high"] - line["ratio_low"]) / 2
    return f"{_times(line['ratio'])} ±{_times(half)}"


def _times(value: float) -> str:
    return _or_nothing(value, ".2f" if abs(value) < 10 else ".0f" if value >= 100 else ".1f")


def _or_nothing(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"


def notes(frame: pd.DataFrame) -> list[str]:
    """What is to be said beside the tables."""
    told = [_LEGEND, *_noise(frame)]
    told += ["\n".join(some) for some in (_growth(frame), _crossings(frame)) if some]
    told += [
        f"{'not timed' if math.isnan(line['seconds']) else '!'}: {line['variant']} at "
        f"{line['N']} × {line['C']} {line['dtype']}: {line['problem']}"
        for line in records(frame[frame["problem"] != ""])
    ]
    return told


_LEGEND = (
    "time: the median of the rounds, of forward and backward or of a step. × fastest: within the "
    "rounds, ± half of the interval that its median lies in at 95 %. "
    f"{COPY}: x copied to where dx goes. peak: the most bytes held beyond the inputs; needed: "
    "those of y, residual and gradients. digits: right ones, the fewest of y and gradients."
)


def _noise(frame: pd.DataFrame) -> list[str]:
    again = frame[frame["variant"].str.endswith(AGAIN)].dropna(subset="ratio")
    if again.empty:
        return []
    between = dict.fromkeys(f"{again['ratio'].agg(which):.2f}" for which in ("min", "max"))
    return [
        f"noise: {again['variant'].iloc[0]} is the same code in another process, and took "
        f"{' to '.join(between)} times as long as itself: less than that tells nothing apart."
    ]


def _growth(frame: pd.DataFrame) -> list[str]:
    lines: dict[str, None] = {}
    for line in records(exponents(_variants(frame))):
        where = f"C {line['first']}–{line['last']}, N {line['N']}, {line['dtype']}"
        memory = "" if math.isnan(line["memory"]) else f", memory C^{line['memory']:.2f}"
        lines |= {f"growth, {where}:": None}
        lines |= {f"  {line['variant']}: time C^{line['time']:.2f}{memory}": None}
    return list(lines)


def _crossings(frame: pd.DataFrame) -> list[str]:
    return [
        f"{b} is faster than {a} from about C = {c:.0f} on (N {n}, {dtype})"
        for n, dtype, a, b, c in crossings(_variants(frame))
    ]


def _variants(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the copy and the control."""
    return frame[(frame["variant"] != COPY) & ~frame["variant"].str.endswith(AGAIN)]
