"""The aggregated frame for people: in the terminal and as Markdown; for machines, as CSV.

People read one unit to a column, and the digits that mean something. The CSV has every digit, in
seconds and bytes, and an accuracy of 1 where people read 100 %.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pullback.compare.frame import NOTHING, label_of, option_text, section

if TYPE_CHECKING:
    from rich.table import Table

_TERMINAL = 80
_FOLDED = 16  # columns of a long name, before it is worth a metric less

# In full, and for the terminal.
_LABELS = {
    "step_seconds": ("time per step", "{unit} per\nstep"),
    "step_peak_bytes": ("peak memory", "peak\n{unit}"),
    "gradient_difference": ("largest gradient difference", "gradient\noff by"),
}
# By the last word of a metric's name: the digits that mean something, the decimals at most.
_DIGITS = {"loss": (4, 4), "accuracy": (4, 1), "seconds": (3, 2), "bytes": (3, 2), "step": (3, 0)}
_UNITS = {
    "accuracy": ((0.01, "%"),),
    "seconds": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
}


@dataclass(frozen=True)
class Column:
    """``heading`` in full, ``brief`` for the terminal; numbers stand to the right."""

    heading: str
    brief: str
    cells: list[str]
    number: bool = True

    @property
    def width(self) -> int:
        return max(len(line) for line in (*self.brief.splitlines(), *self.cells))


def columns(aggregated: pd.DataFrame, metrics: Sequence[str] | None = None) -> list[Column]:
    """The columns of a table: options, the number of runs, metrics.

    The number of runs is left out where it is the same for all. ``metrics`` chooses; without it,
    the loss and the accuracy of the test part (where there is none, of the validation or the
    training part), the time of a step, its memory, and the largest gradient difference are shown.
    """
    options = section(aggregated, "option")
    shown = [_option(str(name), options[name]) for name in options]
    if _number_of_runs(aggregated) is None:
        shown.append(Column("runs", "runs", _runs(aggregated)))
    chosen = default_metrics(aggregated) if metrics is None else metrics
    return shown + [_metric(name, section(aggregated, name)) for name in chosen]


def caption(aggregated: pd.DataFrame) -> str:
    """Of how many runs the numbers are."""
    number = _number_of_runs(aggregated)
    if number == 1:
        return "One run each."
    runs = "the complete runs" if number is None else f"{number} runs each"
    return f"Mean ± sample standard deviation over {runs}."


def render(
    aggregated: pd.DataFrame, metrics: Sequence[str] | None = None, *, numbered: bool = False
) -> Table:
    """A table for the terminal. Numbers are never cut off; text is folded where it must be.

    ``numbered``, its rows count from 1, for :func:`render_paired` to name them so.
    """
    from rich.text import Text

    shown = columns(aggregated, metrics)
    if numbered:
        shown.insert(0, Column("#", "#", [str(i + 1) for i in range(len(aggregated))]))
    table = _bare(caption(aggregated), airy=_width(shown, gap=2) <= _TERMINAL)
    for column in shown:
        table.add_column(
            Text(column.brief),
            justify="right" if column.number else "left",
            vertical="bottom",
            overflow="fold",
            no_wrap=column.number,
            min_width=column.width if column.number else None,
        )
    for row in _rows(shown):
        table.add_row(*map(Text, row))
    return table


def _bare(caption: str, *, airy: bool = True) -> Table:
    """A table with a line below its head, and its caption below."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0) if airy else 0,
        caption=Text(caption),
        caption_justify="left",
    )


def default_metrics(aggregated: pd.DataFrame) -> list[str]:
    """Those that the table shows where nobody chose: the first is the loss that matters most."""
    known = [
        str(name)
        for name in aggregated.columns.unique(0)
        if name not in ("option", "runs") and aggregated[name, "max"].notna().any()
    ]
    parts = ("test", "validation", "train")
    part = next((part for part in parts if f"{part}_loss" in known), "train")
    wanted = (f"{part}_loss", f"{part}_accuracy", *_LABELS)
    return [name for name in wanted if name in known]


def default_metric(aggregated: pd.DataFrame) -> str:
    """The first of them; '' where no run has any."""
    return next(iter(default_metrics(aggregated)), "")


def render_paired(found: pd.DataFrame, aggregated: pd.DataFrame | None = None) -> Table:
    """Comparisons of :func:`pullback.compare.statistics.paired` for the terminal.

    Variants have their names, or the numbers of the rows of a table that was shown numbered.
    """
    from rich.text import Text

    table = _bare(paired_caption(found))
    what = axis_label(str(found.attrs["metric"]))
    for heading in ("variant\n− another", f"{what}\ndifference", "effect", "pairs", "finding"):
        number = heading in ("effect", "pairs") or heading.endswith("difference")
        justify: Literal["right", "left"] = "right" if number else "left"
        table.add_column(Text(heading), justify=justify, vertical="bottom", no_wrap=number)
    options = None if aggregated is None else section(aggregated, "option")
    rows = () if options is None else enumerate(options.iterrows(), 1)
    numbers = {label_of(row): f"#{number}" for number, (_, row) in rows}
    between = "\n− " if options is None else " − "
    for variant, other, *cells in paired_cells(found):
        both = (numbers.get(variant, variant), numbers.get(other, other))
        table.add_row(*map(Text, (between.join(both), *cells)))
    return table


def paired_caption(found: pd.DataFrame) -> str:
    """Of what the differences are, and how sure."""
    together = found.attrs["together"]
    many = f", {together} intervals at once" if together > 1 else ""
    return f"Mean of the differences at the same seed, with its 95 % interval{many}."


def paired_cells(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """Variant, other, difference, effect, pairs and finding, as people read them."""
    return [
        (
            row["variant"],
            row["other"],
            _with_interval(row),
            _effect(row),
            str(row["pairs"]),
            row["finding"],
        )
        for _, row in found.iterrows()
    ]


def axis_label(metric: str) -> str:
    """``test loss`` for ``test_loss``."""
    return metric.replace("_", " ")


def _with_interval(row: pd.Series) -> str:
    """The difference and half its interval, in the same decimals."""
    half = (row["high"] - row["low"]) / 2
    if math.isnan(half) or half == 0:
        exact = row["difference"]
        return _text(exact, _decimals(exact, 3, 6) if exact else None)
    decimals = _decimals(max(abs(row["low"]), abs(row["high"])), 3, 6)
    return f"{_text(row['difference'], decimals)} ± {_text(half, decimals)}"


def _effect(row: pd.Series) -> str:
    return NOTHING if math.isnan(row["effect"]) or row["pairs"] < 2 else f"{row['effect']:.2f}"


def is_numbered(aggregated: pd.DataFrame) -> bool:
    """Whether variants are better called by numbers than by their names: those of many options."""
    return len(section(aggregated, "option").columns) > 1


def fitting(aggregated: pd.DataFrame, width: int) -> list[str]:
    """As many of the default metrics as so many columns of a terminal have room for; at least one.

    Text is folded for them where it is long.
    """
    chosen = default_metrics(aggregated)
    while len(chosen) > 1 and least_width(aggregated, chosen) > width:
        chosen = chosen[:-1]
    return chosen


def least_width(aggregated: pd.DataFrame, metrics: Sequence[str] | None = None) -> int:
    """The columns of a terminal in which :func:`render` cuts no number and folds only long text."""
    shown = columns(aggregated, metrics)
    return (
        sum(one.width if one.number else min(one.width, _FOLDED) for one in shown) + len(shown) - 1
    )


def to_markdown(aggregated: pd.DataFrame, metrics: Sequence[str] | None = None) -> str:
    """The table as GitHub reads it, with the caption below."""
    shown = columns(aggregated, metrics)
    rows = [
        [column.heading for column in shown],
        ["---:" if column.number else "---" for column in shown],
        *_rows(shown),
    ]
    lines = ["| " + " | ".join(map(_markdown, row)) + " |" for row in rows]
    return "\n".join([*lines, "", caption(aggregated), ""])


def to_csv(aggregated: pd.DataFrame) -> str:
    """The aggregated frame itself: ``loss``, ``runs_complete``, ``test_loss_mean``, and so on."""
    flat = aggregated.map(lambda value: json.dumps(value) if isinstance(value, tuple) else value)
    levels = (aggregated.columns.get_level_values(level) for level in (0, 1))
    names = [two if one == "option" else f"{one}_{two}" for one, two in zip(*levels, strict=True)]
    return flat.set_axis(names, axis=1).to_csv(index=False, lineterminator="\n")


def _width(shown: list[Column], gap: int) -> int:
    return sum(column.width + gap for column in shown) - gap


def _number_of_runs(aggregated: pd.DataFrame) -> int | None:
    """How many complete runs each variant has; None where it differs or some are not complete."""
    runs = section(aggregated, "runs")
    same = runs["complete"].nunique() == 1 and not runs[["failed", "unfinished"]].to_numpy().any()
    return int(runs["complete"].iloc[0]) if same else None


def _runs(aggregated: pd.DataFrame) -> list[str]:
    runs = section(aggregated, "runs")
    every = zip(runs["complete"], runs.sum(axis=1), strict=True)
    return [
        f"{complete}" if complete == all_ else f"{complete} of {all_}" for complete, all_ in every
    ]


def _option(name: str, values: Iterable[Any]) -> Column:
    present = [value for value in values if value is not None]
    number = all(isinstance(one, int | float) and not isinstance(one, bool) for one in present)
    brief = name.replace(".", ".\n")
    return Column(name, brief, [option_text(value) for value in values], number)


def _metric(name: str, statistics: pd.DataFrame) -> Column:
    spaced = axis_label(name)
    heading, brief = _LABELS.get(name, (spaced, "\n".join(spaced.rsplit(" ", 1)) + " {unit}"))
    if name == "gradient_difference":
        return Column(heading, brief, [_text(value, None) for value in statistics["max"]])
    kind = name.rpartition("_")[2]
    factor, unit = _unit(kind, statistics["mean"])
    scaled = statistics / factor
    if kind == "bytes":
        # The memory of a step is hardly a random quantity.
        scaled["sd"] = math.nan
    cells = [_pair(*pair, kind) for pair in zip(scaled["mean"], scaled["sd"], strict=True)]
    full = f"{heading} ({unit})" if unit else heading
    return Column(full, brief.replace("{unit}", unit).rstrip(), cells)


def _unit(kind: str, values: pd.Series[float]) -> tuple[float, str]:
    """The largest unit in which no value is below 1, so that a column has one unit."""
    units = _UNITS.get(kind, ((1.0, ""),))
    smallest = values[values > 0].min()
    return next((unit for unit in units if smallest >= unit[0]), units[-1])


def _pair(mean: float, sd: float, kind: str) -> str:
    decimals = _decimals(mean, *_DIGITS.get(kind, (3, 4)))
    text = _text(mean, decimals)
    return text if math.isnan(sd) else f"{text} ± {_text(sd, decimals)}"


def _decimals(value: float, significant: int, most: int) -> int | None:
    """How many decimals show so many digits; None where only powers of ten would."""
    if value == 0 or not math.isfinite(value):
        return most
    exponent = math.floor(math.log10(abs(value)))
    if not -4 < exponent < 6:
        return None
    return min(max(significant - 1 - exponent, 0), most)


def _text(value: float, decimals: int | None) -> str:
    if math.isnan(value):
        return NOTHING
    if value == 0 and decimals is None:
        return "0"
    return f"{value:.1e}" if decimals is None else f"{value:.{decimals}f}"


def _rows(shown: list[Column]) -> list[tuple[str, ...]]:
    return list(zip(*(column.cells for column in shown), strict=True))


def _markdown(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
