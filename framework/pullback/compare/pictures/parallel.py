"""Parallel coordinates: each variant as a line through the values of its options to its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pullback.compare.frame import aggregate, section
from pullback.compare.pictures import NothingToDraw, axes
from pullback.compare.pictures.scale import Scale
from pullback.compare.table import axis_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = 8
_NAME_LENGTH = 22
_MANY = 300  # lines; more are a picture of dots within the picture, or a page would be megabytes


def draw(frame: pd.DataFrame, by: str, over: Sequence[str] = ("seed",)) -> Figure:
    """A line for each variant: an upright for each option in which they differ, and the mean of a
    metric on the last. The colour follows the metric, and who has least lies uppermost.

    Raises NothingToDraw where fewer than two options differ, or no complete run has the metric.
    """
    found = aggregate(frame, over, [by])
    means = found[by, "mean"].dropna().sort_values(ascending=False)
    options = section(found, "option").loc[means.index]
    scales = {str(name): Scale.of(options[name]) for name in options}
    scales = {name: scale for name, scale in scales.items() if len(scale) > 1}
    if len(scales) < 2:
        raise NothingToDraw("parallel coordinates are of two options or more that differ")

    figure = axes.new(max(6.0, 1.9 * (len(scales) + 1)), 4.6)
    place = figure.subplots()
    result = place.twinx()
    result.plot(np.full(len(means), len(scales)), means, ",", alpha=0)  # for its limits
    axes.fit(result, "y", means)
    _draw_lines(place, options, scales, means.to_numpy(), _heights(result, means.to_numpy()))
    _draw_uprights(place, scales)
    result.spines[["top", "left", "bottom"]].set_visible(False)
    result.spines["right"].set_position(("data", len(scales)))
    place.text(len(scales), 1.04, axis_label(by), ha="center", fontsize=9, parse_math=False)
    return figure


def _heights(result: Axes, values: np.ndarray) -> np.ndarray:
    """Where values lie on an upright, from 0 below to 1 above."""
    transform = result.yaxis.get_transform()
    low, high = transform.transform(np.array(result.get_ylim()))
    return np.asarray((transform.transform(values) - low) / (high - low))


def _draw_lines(
    place: Axes,
    options: pd.DataFrame,
    scales: dict[str, Scale],
    means: np.ndarray,
    heights: np.ndarray,
) -> None:
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    columns = [
        [scale.place(value) / (len(scale) - 1) for value in options[name]]
        for name, scale in scales.items()
    ]
    lines = np.stack([*columns, heights], axis=1)
    across = np.arange(lines.shape[1])
    ranks = pd.Series(means).rank(pct=True).to_numpy()
    place.add_collection(
        LineCollection(
            [np.column_stack([across, line]) for line in lines],
            colors=colormaps["viridis"](ranks),
            alpha=0.75 if len(lines) < _MANY else 0.35,
            linewidths=1.4,
            rasterized=len(lines) >= _MANY,
        )
    )


def _draw_uprights(place: Axes, scales: dict[str, Scale]) -> None:
    place.set(xlim=(-0.35, len(scales) + 0.05), ylim=(0, 1), xticks=[], yticks=[])
    place.spines[:].set_visible(False)
    behind = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
    for number, (name, scale) in enumerate(scales.items()):
        place.axvline(number, color="black", linewidth=0.8)
        place.text(number, 1.04, _short(name), ha="center", fontsize=9, parse_math=False)
        for i, text in scale.marks(_MARKS):
            height = i / (len(scale) - 1)
            told = place.text(
                number, height, f" {_short(text)}", va="center", fontsize=8, parse_math=False
            )
            told.set_bbox(behind)


def _short(text: str) -> str:
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"
