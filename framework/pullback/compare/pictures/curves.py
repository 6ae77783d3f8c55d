"""How the loss of each variant falls, and where it ends, seed by seed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pullback.compare.frame import distinguishing, label_of, section, variants
from pullback.compare.pictures import NothingToDraw, axes
from pullback.compare.runs import curve
from pullback.compare.table import axis_label
from pullback.tracking.journal import COMPLETE
from pullback.tracking.pictures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABEL_WIDTH = 34
_DASH = 4.0


@dataclass(frozen=True)
class Variant:
    """``final`` has a number a run; ``mean``, ``low`` and ``high`` are columns of ``curve``."""

    label: str
    final: pd.Series[float]
    curve: pd.DataFrame


def draw(frame: pd.DataFrame, over: Sequence[str] = ("seed",)) -> Figure:
    """The complete runs of a frame.

    Left, the validation loss (where there is none, the training loss) over the steps: the mean
    over the runs of a variant, and a band from the least to the largest. Right, the loss that each
    run ended with, and their mean. Where the variants are more than the colours that can be told
    apart, those that ended lowest are drawn. Raises NothingToDraw where no run has a loss.
    """
    complete = frame[frame["run", "status"].isin(COMPLETE)]
    metric = next(
        (
            name
            for name in ("validation_loss", "train_loss")
            if ("metric", name) in complete and complete["metric", name].notna().any()
        ),
        None,
    )
    if metric is None:
        raise NothingToDraw("no complete run has a loss that could be drawn")
    shown, number = _variants(complete, metric, over)

    labels = [textwrap.fill(variant.label, _LABEL_WIDTH) for variant in shown]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure = axes.new(11, max(4.2, 1.4 + 0.27 * lines))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_curves(left, shown)
    _draw_ends(right, shown, labels)
    name = axis_label(metric)
    left.set(xlabel="step", ylabel=name)
    right.set(xlabel=f"{name} at the end")
    which = f"the {len(shown)} lowest of {number} variants: " if number > len(shown) else ""
    axes.bare(left, f"{which}mean of the runs, and their range")
    axes.bare(right, "each run, and the mean")
    return figure


def _variants(
    complete: pd.DataFrame, metric: str, over: Sequence[str]
) -> tuple[list[Variant], int]:
    """The variants to draw, in order of appearance, and how many there are."""
    names = distinguishing(complete, over)
    options = section(complete, "option")[names]
    variant = variants(options)
    means = complete["metric", metric].groupby(variant).mean()
    lowest = means.nsmallest(len(COLOURS))
    shown = []
    for number in sorted(lowest.index):
        runs = complete[variant == number]
        label = label_of(options.loc[runs.index[0]])
        curves = [curve(directory, metric) for directory in runs["run", "directory"]]
        shown.append(Variant(label, runs["metric", metric], _common(curves)))
    return shown, len(means)


def _common(curves: list[dict[int, float]]) -> pd.DataFrame:
    """The mean of some runs over the steps that all of them reached, and the least and the largest.

    A run that was measured at other steps than the rest is taken to be straight in between.
    """
    known = [pd.Series(points, dtype=float) for points in curves if points]
    runs = pd.DataFrame(dict(enumerate(known)))
    runs = runs.sort_index().interpolate(method="index", limit_area="inside").dropna()
    return pd.DataFrame(
        {"mean": runs.mean(axis=1), "low": runs.min(axis=1), "high": runs.max(axis=1)}
    )


def _draw_curves(place: Axes, shown: list[Variant]) -> None:
    for variant, colour in zip(shown, COLOURS, strict=False):
        band = variant.curve
        place.fill_between(band.index, band["low"], band["high"], color=colour, alpha=0.15, lw=0)
        # Variants that compute the same lie on one another: they take turns, so that all show.
        alike = [other for other in shown if _coincide(variant.curve, other.curve)]
        turn = next(number for number, other in enumerate(alike) if other is variant)
        dashes = (-_DASH * turn, (_DASH, _DASH * (len(alike) - 1))) if len(alike) > 1 else "-"
        width = 3 if len(alike) > 1 else 1.8
        place.plot(
            band.index, band["mean"], color=colour, lw=width, ls=dashes, dash_capstyle="butt"
        )
    curves = pd.concat([variant.curve for variant in shown])
    axes.fit(place, "y", (curves["low"].min(), curves["high"].max()))


def _coincide(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one.index.equals(other.index) and np.allclose(one["mean"], other["mean"], rtol=0.01)


def _draw_ends(place: Axes, shown: list[Variant], labels: list[str]) -> None:
    for row, (variant, colour) in enumerate(zip(shown, COLOURS, strict=False)):
        place.plot(variant.final, [row] * len(variant.final), "o", color=colour, alpha=0.75)
        place.plot(variant.final.mean(), row, "|", color="black", markersize=18)
    place.set_yticks(range(len(shown)), labels, parse_math=False)
    place.set_ylim(len(shown) - 0.4, -0.6)
    axes.fit(place, "x", pd.concat([variant.final for variant in shown]))
