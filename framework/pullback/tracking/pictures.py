"""Pictures of one run: its loss curve and, for two features, its decision boundary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback.data import Data
from pullback.net import Net

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by everyone.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def figure(title: str, width: float = 7, height: float = 4.2) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=110)
    axes = made.subplots(gridspec_kw={"left": 0.12, "right": 0.97, "top": 0.92, "bottom": 0.12})
    axes.set_title(title, fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return made, axes


def loss_curve(lines: list[dict[str, Any]], title: str, path: Path) -> None:
    """Training and validation loss over the steps, logarithmic where all are positive."""
    made, axes = figure(title)
    shown: list[float] = []
    for key, label, colour in (
        ("train_loss", "training", COLOURS[0]),
        ("validation_loss", "validation", COLOURS[1]),
    ):
        points = [(line["step"], line[key]) for line in lines if key in line]
        if points:
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, color=colour, linewidth=1.6, label=label)
            shown += values
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    if shown and min(shown) > 0 and all(np.isfinite(shown)):
        axes.set_yscale("log")
    axes.grid(alpha=0.25, which="both", linewidth=0.5)
    axes.legend(frameon=False)
    made.savefig(path)


def decision_boundary(net: Net, data: Data, title: str, path: Path) -> None:
    """Where the prediction changes class, with the training points, in the units of the data."""
    from matplotlib.colors import to_rgb

    made, axes = figure(title, 5.6, 5)
    x = data.train.x * data.scale + data.mean
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.08 * np.where(high > low, high - low, 1)
    across, up = (np.linspace(low[i] - margin[i], high[i] + margin[i], 240) for i in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    labels = net(data.standardise(grid.reshape(-1, 2))).argmax(axis=-1).reshape(grid.shape[:2])
    classes = data.classes or 1
    colours = [COLOURS[c % len(COLOURS)] for c in range(classes)]
    axes.imshow(
        np.array([to_rgb(colour) for colour in colours])[labels],
        extent=(across[0], across[-1], up[0], up[-1]),
        origin="lower",
        aspect="auto",
        alpha=0.18,
    )
    for c in range(classes):
        mine = data.train.t == c
        across_c, up_c = x[mine].T
        axes.scatter(across_c, up_c, s=14, color=colours[c], linewidths=0, label=f"class {c}")
    axes.set_xlabel("feature 0")
    axes.set_ylabel("feature 1")
    axes.legend(frameon=False, loc="upper right")
    made.savefig(path)
