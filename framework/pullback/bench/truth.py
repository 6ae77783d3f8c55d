"""How many digits a contender's answer has, against the same computation in a wider type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pullback import registry
from pullback.bench.trials import Workload, inputs_of, stepped, unit_of
from pullback.errors import PullbackError
from pullback.units import Array
from pullback.verify.cases import Case, UnitError

WIDE = np.longdouble
JUDGED = 2**18  # numbers: of a larger workload, as many of its rows


def truth(kind: str, names: Sequence[str], workload: Workload) -> list[Array] | None:
    """y and the gradients, or θ, by the first of these units that computes in long double.

    Whose truth it is makes no difference: members of a family compute the same. None where no unit
    does, as compiled ones do not, or where long double is no wider than the dtype.
    """
    if np.finfo(WIDE).eps >= np.finfo(workload.dtype).eps:
        return None
    for name in names:
        try:
            found = _wide(kind, name, workload)
        except (PullbackError, UnitError, TypeError, ValueError):
            continue
        if all(one.dtype == WIDE for one in found):
            return found
    return None


def _wide(kind: str, name: str, workload: Workload) -> list[Array]:
    unit = unit_of(kind, name, workload.features)
    if kind == "optimizer":
        theta, g = (one.astype(WIDE) for one in workload.theta_and_g())
        return [stepped(unit, theta, g)]
    given = inputs_of(kind, unit, workload).astype(WIDE)
    y, gradients = Case("", unit, given.inputs, given.target).both(given.dy)
    return [np.asarray(y), *gradients]


def digits(found: Sequence[Array], right: Sequence[Array], dtype: str) -> float:
    """−log10 of the largest error, relative to the largest number; the worst array's.

    At most what the type has; 0 where a shape differs or something is not finite.
    """
    most = float(-np.log10(np.finfo(dtype).eps / 2))
    if [np.shape(one) for one in found] != [np.shape(one) for one in right]:
        return 0.0
    worst = most
    for mine, true in zip(found, right, strict=True):
        with np.errstate(all="ignore"):
            error = float(np.abs(mine - true).max(initial=0))
            scale = float(np.abs(true).max(initial=0)) or 1.0
        if not np.isfinite(error):
            return 0.0
        if error:
            worst = min(worst, -float(np.log10(error / scale)))
    return max(0.0, worst)


def half_of(dtype: str) -> float:
    """With fewer digits than these a variant is wrong, and not imprecise."""
    return float(-np.log10(np.finfo(dtype).eps)) / 2


def family_names(kind: str, family: str) -> list[str]:
    """The members of a family that can be imported."""
    found = []
    for name in registry.names(kind):
        try:
            if registry.family(registry.lookup(kind, name), name) == family:
                found.append(name)
        except PullbackError:
            continue
    return found
