"""What a better result costs: time and memory of a step against accuracy, or loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pullback.compare.frame import aggregate, label_of, section
from pullback.compare.pictures import NothingToDraw, axes
from pullback.compare.table import axis_label
from pullback.tracking.pictures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COSTS = (
    ("step_seconds", 1e6, "time per step, µs"),
    ("step_peak_bytes", 2.0**-10, "peak memory of a step, KiB"),
)
_NAMED = 8


def draw(frame: pd.DataFrame, over: Sequence[str] = ("seed",)) -> Figure:
    """A point for each variant, with the standard deviation over its runs; a stair joins those that
    nothing beats in both.

    Raises NothingToDraw where fewer than two variants have both a cost and a result.
    """
    found = aggregate(frame, over)
    known = {str(one) for one in found.columns.unique(0)}
    results = [f"{part}_{what}" for what in ("accuracy", "loss") for part in ("test", "validation")]
    result = next((one for one in (*results, "train_loss") if one in known), None)
    costs = [one for one in _COSTS if one[0] in known]
    shown = found[found[result, "mean"].notna()] if result else found[:0]
    if not costs or len(shown) < 2 or result is None:
        raise NothingToDraw("two variants with a cost and a result make a trade-off")

    highest, factor, unit = (True, 100.0, ", %") if "accuracy" in result else (False, 1.0, "")
    each = {
        label: pd.DataFrame(
            {
                "cost": scale * shown[cost, "mean"],
                "cost_sd": scale * shown[cost, "sd"],
                "result": factor * shown[result, "mean"],
                "result_sd": factor * shown[result, "sd"],
            }
        )
        for cost, scale, label in costs
    }
    corners = [
        number for points in each.values() for number in _front(points, highest=highest).index
    ]
    named = {number: place for place, number in enumerate(dict.fromkeys(corners), 1)}
    named = dict(list(named.items())[:_NAMED])

    figure = axes.new(5.5 * len(costs), 4.2 + 0.22 * len(named))
    places = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for place, (label, points) in zip(places, each.items(), strict=True):
        _draw_points(place, points, named, highest=highest)
        axes.bare(place, "")
        axes.fit(place, "x", points["cost"])
        place.set_xlabel(label)
    places[0].set_ylabel(f"{axis_label(result)}{unit}")
    if not highest:
        axes.fit(places[0], "y", shown[result, "mean"])
    options = section(shown, "option")
    rows = options.loc[list(named)].iterrows()
    told = [f"{place}  {label_of(row)}" for place, (_, row) in enumerate(rows, 1)]
    title = "nothing beats these in both:\n" + "\n".join(told)
    figure.supxlabel(title, x=0.02, ha="left", fontsize=9, parse_math=False)
    return figure


def _draw_points(
    place: Axes, points: pd.DataFrame, named: Mapping[int, int], *, highest: bool
) -> None:
    place.errorbar(
        points["cost"],
        points["result"],
        xerr=points["cost_sd"].fillna(0),
        yerr=points["result_sd"].fillna(0),
        fmt="o",
        color=COLOURS[0],
        ecolor="#bbb",
        elinewidth=1,
    )
    front = _front(points, highest=highest)
    place.step(front["cost"], front["result"], where="post", color=COLOURS[5], lw=1.2, zorder=1)
    for number in front.index.intersection(list(named)):
        at = (points.loc[number, "cost"], points.loc[number, "result"])
        place.annotate(str(named[number]), at, (-9, 5), textcoords="offset points", fontsize=9)


def _front(points: pd.DataFrame, *, highest: bool) -> pd.DataFrame:
    """Those that no other beats in cost and in result, from the cheapest."""
    signed = points["result"] if highest else -points["result"]
    ordered = points.assign(signed=signed).sort_values(
        ["cost", "signed"], ascending=[True, False], kind="stable"
    )
    before = ordered["signed"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["signed"] > before]
