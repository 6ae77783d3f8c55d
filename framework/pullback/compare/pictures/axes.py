"""What the pictures have in common: bare axes, logarithms where they help, a figure as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def bare(axes: Axes, title: str) -> None:
    """A frame on two sides, a light grid, and what is shown above it."""
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)


def is_wide(values: Iterable[float]) -> bool:
    """Whether numbers are better told apart by their logarithms."""
    known = [value for value in values if np.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > 10 * min(known)


def fit(axes: Axes, which: Literal["x", "y"], values: Iterable[float]) -> None:
    """A logarithmic axis where the values are wide apart, with plain numbers at 1, 2 and 5, or only
    at powers of ten where these would be too many."""
    from matplotlib.ticker import LogLocator, NullLocator

    if not is_wide(values):
        return
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def svg(figure: Figure, name: str) -> str:
    """The figure as an element of a page; what it calls its parts begins with ``name``."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text[text.index("<svg") :])
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'class="{name}"', text, count=1)
