"""Time, memory and cross-over against C, in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback.bench.measure import AGAIN, COPY

if TYPE_CHECKING:
    import pandas as pd

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
_MARKERS = "os^Dv<>X"


def picture(frame: pd.DataFrame, path: Path | str, title: str) -> None:
    """A row of three pictures for each N and dtype."""
    from matplotlib.figure import Figure

    timed = frame.dropna(subset="seconds")
    timed = timed[~timed["variant"].str.endswith(AGAIN)]
    groups = list(timed.groupby(["N", "dtype"], sort=False))
    figure = Figure(figsize=(14, 0.8 + 4.2 * len(groups)), dpi=110, layout="constrained")
    grid = figure.subplots(len(groups), 3, squeeze=False)
    names = sorted(timed["variant"].unique(), key=lambda name: name == COPY)
    for ((rows, dtype), mine), axes in zip(groups, grid, strict=True):
        _lines(axes[0], mine, names, "seconds", "seconds a call")
        axes[0].set_title(f"time, N = {rows}, {dtype}", loc="left")
        _lines(axes[1], mine, names, "peak_bytes", "bytes beyond the inputs")
        axes[1].set_title("peak memory", loc="left")
        _lines(axes[2], mine, names, "ratio", "times the fastest")
        axes[2].axhline(1, color="0.5", linewidth=0.8)
        axes[2].set_title("cross-over: the fastest is at 1", loc="left")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    figure.suptitle(title, x=0.01, ha="left")
    figure.savefig(path)


def _lines(axes: Any, mine: pd.DataFrame, names: list[str], column: str, label: str) -> None:
    bounds = {"seconds": ("low", "high"), "ratio": ("ratio_low", "ratio_high")}.get(column)
    for place, name in enumerate(names):
        line = mine[mine["variant"] == name].dropna(subset=column).sort_values("C")
        line = line[line[column] > 0]
        if line.empty:
            continue
        colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
        if name == COPY:
            style = {"color": "0.6", "linestyle": "--"}
        axes.plot(line["C"], line[column], label=name, **style)
        if bounds:
            low, high = (line[one] for one in bounds)
            band = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
            axes.fill_between(line["C"], low, high, **band)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("C")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
