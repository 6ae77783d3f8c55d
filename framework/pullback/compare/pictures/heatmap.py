"""A heat map: a metric over the values of two options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pullback.compare.frame import distinguishing, full_name, section, shortened
from pullback.compare.pictures import NothingToDraw, axes
from pullback.compare.pictures.scale import Scale
from pullback.compare.table import axis_label
from pullback.tracking.journal import COMPLETE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WRITTEN = 12  # a side: of more cells, the numbers could not be read
_MARKS = 12


def draw(
    frame: pd.DataFrame,
    by: str,
    over: Sequence[str] = ("seed",),
    across: tuple[str, str] | None = None,
) -> Figure:
    """The mean of a metric over all complete runs that have the two values; a cell without a run
    is left empty.

    Without a choice, the two options are those of most values, numbers before names; the first is
    drawn upwards. Raises NothingToDraw where fewer than two options differ, PullbackError for an
    option that no run has.
    """
    complete = frame[frame["run", "status"].isin(COMPLETE)]
    options = section(complete, "option")
    chosen = across or _chosen(options, distinguishing(complete, over))
    up, right = (full_name(name, options) for name in chosen)
    rows, columns = Scale.of(options[up]), Scale.of(options[right])
    values = _means(complete["metric", by], rows, options[up], columns, options[right])
    if np.isnan(values).all():
        raise NothingToDraw(f"no complete run has a {by}")

    width = min(12.0, max(5.5, 2.4 + 0.75 * len(columns)))
    figure = axes.new(width, min(8.0, max(3.2, 1.4 + 0.45 * len(rows))))
    place = figure.subplots()
    norm = "log" if axes.is_wide(values.ravel()) else "linear"
    image = place.imshow(values, cmap="viridis", aspect="auto", origin="lower", norm=norm)
    if max(values.shape) <= _WRITTEN:
        _write(place, values, np.ma.filled(image.norm(values), 0.0))
    names = shortened([up, right])
    for which, scale, name in (("y", rows, up), ("x", columns, right)):
        at, texts = zip(*scale.marks(_MARKS), strict=True)
        place.set(
            **{f"{which}label": names[name], f"{which}ticks": at, f"{which}ticklabels": texts}
        )
    figure.colorbar(image, label=axis_label(by))
    axes.bare(place, "mean over all runs with these values")
    place.grid(visible=False)
    return figure


def _chosen(options: pd.DataFrame, names: Sequence[str]) -> tuple[str, str]:
    """Two options of most values, numbers before names."""
    scales = {name: Scale.of(options[name]) for name in names}
    differ = [name for name in names if len(scales[name]) > 1]
    if len(differ) < 2:
        raise NothingToDraw("a heat map is over two options that differ")
    ranked = sorted(differ, key=lambda name: (scales[name].is_of_numbers, len(scales[name])))
    return ranked[-2], ranked[-1]


def _means(
    metric: pd.Series[float], rows: Scale, up: pd.Series, columns: Scale, right: pd.Series
) -> np.ndarray:
    table = metric.groupby([up.map(rows.place), right.map(columns.place)]).mean().unstack()
    whole = table.reindex(index=range(len(rows)), columns=range(len(columns)))
    return np.asarray(whole, dtype=float)


def _write(place: Axes, values: np.ndarray, shades: np.ndarray) -> None:
    """The numbers themselves, light on dark and dark on light."""
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if shades[row, column] < 0.6 else "black"
            place.text(column, row, f"{value:.3g}", ha="center", va="center", color=colour)
