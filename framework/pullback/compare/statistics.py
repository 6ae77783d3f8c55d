"""Whether variants differ: compared run by run at the same seed, with an interval and an effect.

Two variants that were given the same seed saw the same data, the same first parameters and the same
batches, so their difference at each seed is free of what the seed does to both. Of these
differences d_1 … d_n, with mean d̄ and sample standard deviation s,

    interval   d̄ ± t(1 − α/2m; n − 1) s/√n        for all m comparisons together at 1 − α
    effect     (d̄/s) (1 − 3/(4n − 5))             Cohen's d_z with Hedges' correction

A difference is shown where the interval leaves out 0. The intervals are Bonferroni's, and suppose
that the mean of the differences is about normal; with few seeds they are wide, and rightly so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from pullback.compare.frame import distinguishing, label_of, section, variants
from pullback.errors import PullbackError, nearest
from pullback.tracking.journal import COMPLETE

COLUMNS = ("variant", "other", "pairs", "difference", "low", "high", "effect", "finding")
IDENTICAL, NOT_SHOWN, TOO_FEW = "identical", "no difference shown", "too few pairs"
_ALPHA = 0.05
_EVERY_PAIR = 12  # variants; of twice as many, nobody would read the 276 differences


def paired(frame: pd.DataFrame, metric: str, over: Sequence[str] = ("seed",)) -> pd.DataFrame:
    """Every two variants of a frame of runs, a row each, with the columns of :data:`COLUMNS`.

    ``difference`` is the mean of variant − other over the ``pairs`` of complete runs that agree in
    the options ``over``; ``finding`` says whether it is shown to be lower or higher, is 0 at every
    seed, is not shown, or could not be judged from one pair. ``attrs`` has the metric, and
    ``together``, the number of comparisons that the intervals allow for.

    Of more than a dozen variants, the one with the best mean is compared with each other; since it
    was chosen by the same runs, the intervals allow for every pair there is.

    Raises PullbackError where no run has the metric.
    """
    by_variant = _by_variant(frame, metric, over)
    differences = {
        (a, b): (by_variant[a] - by_variant[b]).dropna() for a, b in _pairs(by_variant, metric)
    }
    if len(by_variant) > _EVERY_PAIR:
        together = math.comb(len(by_variant), 2)
    else:
        together = sum(len(one) > 1 and bool((one != 0).any()) for one in differences.values())
    rows = [(*pair, *_compared(one, together)) for pair, one in differences.items()]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    found.attrs |= {"metric": metric, "together": together}
    return found


def _pairs(by_variant: Mapping[str, pd.Series], metric: str) -> list[tuple[str, str]]:
    if len(by_variant) <= _EVERY_PAIR:
        return list(itertools.combinations(by_variant, 2))
    means = {label: values.mean() for label, values in by_variant.items()}
    known = {label: mean for label, mean in means.items() if not math.isnan(mean)}
    if not known:
        return []
    best = (max if metric.endswith("accuracy") else min)(known, key=lambda label: known[label])
    return [(best, other) for other in by_variant if other != best]


def _by_variant(frame: pd.DataFrame, metric: str, over: Sequence[str]) -> dict[str, pd.Series]:
    """The metric of each variant by what its runs are repeated over; the last of each counts."""
    known = section(frame, "metric")
    if metric not in known:
        raise PullbackError(f"no run has a metric '{metric}'{nearest(metric, map(str, known))}")
    complete = frame[frame["run", "status"].isin(COMPLETE)]
    options = section(complete, "option")
    names = distinguishing(complete, over)
    repeated = [
        name for name in map(str, options) if name in over or name.removesuffix(".name") in over
    ]
    index = pd.Series(
        [tuple(row) for row in options[repeated].to_numpy(dtype=object)], options.index
    )
    found: dict[str, pd.Series] = {}
    for _, rows in complete.groupby(variants(options[names]), sort=False):
        values = pd.Series(rows["metric", metric].to_numpy(), pd.Index(index[rows.index]))
        label = label_of(options.loc[rows.index[0], names])
        found[label] = values[~values.index.duplicated(keep="last")]
    return found


def _compared(differences: pd.Series[float], together: int) -> tuple[float | int | str, ...]:
    """pairs, difference, low, high, effect, finding."""
    n = len(differences)
    if n == 0 or (differences == 0).all():
        nothing = (0.0, 0.0, 0.0, 0.0) if n else (math.nan,) * 4
        return n, *nothing, IDENTICAL if n else TOO_FEW
    mean = float(differences.mean())
    if n == 1:
        return n, mean, math.nan, math.nan, math.nan, TOO_FEW
    from scipy import stats

    sd = float(differences.std(ddof=1))
    half = float(stats.t.ppf(1 - _ALPHA / (2 * together), n - 1)) * sd / math.sqrt(n)
    effect = math.nan if n == 2 else math.copysign(math.inf, mean)  # of two nothing is left of it
    if n > 2 and sd > 0:
        effect = mean / sd * (1 - 3 / (4 * n - 5))
    low, high = mean - half, mean + half
    finding = "lower" if high < 0 else "higher" if low > 0 else NOT_SHOWN
    return n, mean, low, high, effect, finding
