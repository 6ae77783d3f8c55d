"""Medians of rounds with their intervals, exponents of growth, and where two variants cross.

The interval of a median is the bootstrap's, by percentiles: what 95 % of the medians of as many
rounds are, drawn with replacement from those that were run. An exponent p is the slope of log y
over log C in the upper half of the sizes, where what a call costs at all has become small.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from pullback.units import Array

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES, _BOUNDS = 2000, (2.5, 97.5)
_FEWEST_SIZES = 3


def interval(values: Array) -> tuple[float, float, float]:
    """The median of some rounds, and from where to where it may be: 95 %."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(len(values), size=(_RESAMPLES, len(values)))]
    low, high = np.percentile(np.median(drawn, axis=1), _BOUNDS)
    return float(np.median(values)), float(low), float(high)


def exponents(frame: pd.DataFrame) -> pd.DataFrame:
    """``time`` and ``memory``: the p of C^p of each variant, with the sizes ``first`` to ``last``.

    A line for each N, dtype and variant that has three sizes C.
    """
    import pandas as pd

    lines = []
    timed = frame.dropna(subset="seconds")
    for (rows, dtype, variant), mine in timed.groupby(["N", "dtype", "variant"], sort=False):
        mine = mine.sort_values("C")
        if len(mine) < _FEWEST_SIZES:
            continue
        upper = mine.iloc[len(mine) // 2 - (len(mine) <= _FEWEST_SIZES) :]
        line = {"N": rows, "dtype": dtype, "variant": variant}
        line |= {"first": int(upper["C"].min()), "last": int(upper["C"].max())}
        for name, column in (("time", "seconds"), ("memory", "peak_bytes")):
            line[name] = _slope(upper["C"].to_numpy(float), upper[column].to_numpy(float))
        lines.append(line)
    columns = ["N", "dtype", "variant", "first", "last", "time", "memory"]
    return pd.DataFrame(lines, columns=columns)


def _slope(x: Array, y: Array) -> float:
    if not (y > 0).all():
        return math.nan
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def crossings(frame: pd.DataFrame) -> list[tuple[int, str, str, str, float]]:
    """(N, dtype, a, b, C): from about C on b is faster than a, which was faster before.

    Told only where their intervals are apart on both sides.
    """
    found: list[tuple[int, str, str, str, float]] = []
    timed = frame.dropna(subset="seconds")
    for (rows, dtype), some in timed.groupby(["N", "dtype"], sort=False):
        low, middle, high = (
            some.pivot(index="C", columns="variant", values=column).sort_index()
            for column in ("low", "seconds", "high")
        )
        for a, b in itertools.permutations(middle.columns, 2):
            sizes = middle.index.to_numpy(float)
            lead = np.log(middle[b].to_numpy() / middle[a].to_numpy())  # > 0: a is the faster
            leads = (high[a] < low[b]).to_numpy(), (high[b] < low[a]).to_numpy()
            for i in range(len(sizes) - 1):
                if leads[0][i] and leads[1][i + 1]:
                    share = lead[i] / (lead[i] - lead[i + 1])
                    c = sizes[i] ** (1 - share) * sizes[i + 1] ** share
                    found.append((int(rows), str(dtype), a, b, float(c)))  # type: ignore[call-overload]
    return found
