"""The law of a unit as checks, a function each; :data:`CHECKS` has those of each kind.

A check takes a subject and returns the decimal digits it certifies, or None where it measures none.
It raises :class:`Failed`, :class:`Skipped` with the reason, or :class:`Inconclusive`. No check
knows a unit, and none takes a tolerance: what may be lost to rounding follows from the unit's own
code (:mod:`pullback.verify.exact`), and everything else is bit for bit. The first line of its
docstring is what it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from pullback.verify.cases import Subject
from pullback.verify.laws import conduct, derivative, optimizers, reach, relations

Check: TypeAlias = Callable[[Subject], "float | None"]

OF_A_BACKWARD: Sequence[Check] = (
    derivative.pullback,
    derivative.large,
    derivative.options,
    derivative.kinks,
    derivative.linear,
    conduct.shapes,
    conduct.dtypes,
    conduct.pure,
    conduct.layout,
    conduct.out,
    conduct.stacked,
    conduct.deterministic,
    reach.sizes,
    reach.extremes,
    reach.precision,
    relations.invariants,
    relations.family,
    relations.chain,
)

CHECKS: dict[str, Sequence[Check]] = {
    "layer": OF_A_BACKWARD,
    "loss": (*OF_A_BACKWARD, conduct.at_once),
    "optimizer": optimizers.CHECKS,
}
