"""Pictures of compared runs, each in a module of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pullback.errors import PullbackError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class NothingToDraw(PullbackError):  # noqa: N818  it is no error where others are drawn
    """These runs have nothing that such a picture could show; the message says what is missing."""


def drawn(
    frame: pd.DataFrame,
    by: str,
    over: Sequence[str] = ("seed",),
    across: tuple[str, str] | None = None,
) -> Iterator[tuple[str, Figure]]:
    """Every picture that the complete runs of a frame have something for, with its name.

    ``curves``, ``parallel``, ``heatmap`` and ``tradeoff``. ``by`` is the metric that variants are
    judged by, ``across`` the two options of the heat map. Raises PullbackError for an option or a
    metric that no run has.
    """
    from pullback.compare.pictures import curves, heatmap, parallel, tradeoff

    kinds = {
        "curves": functools.partial(curves.draw, frame, over),
        "parallel": functools.partial(parallel.draw, frame, by, over),
        "heatmap": functools.partial(heatmap.draw, frame, by, over, across),
        "tradeoff": functools.partial(tradeoff.draw, frame, over),
    }
    for name, draw in kinds.items():
        try:
            figure = draw()
        except NothingToDraw:
            continue
        yield name, figure


def save(figures: Iterable[tuple[str, Figure]], directory: Path) -> list[str]:
    """The figures as PNG files in a directory; the names of the files."""
    files = []
    for name, figure in figures:
        files.append(f"{name}.png")
        figure.savefig(directory / files[-1])
    return files
