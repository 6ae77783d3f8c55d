"""What a unit has in common with others, and with itself elsewhere: rows, shifts, family, chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pullback.registry import kind_of
from pullback.units import Array
from pullback.verify.account import (
    Computed,
    expected,
    expected_of_both,
    output_names,
    own_rounding,
    run_on,
    within,
)
from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.exact import CONSTANTS, EXACT
from pullback.verify.functions import SAME, mp
from pullback.verify.mistakes import named
from pullback.verify.oracles import Unavailable, exact_value
from pullback.verify.outcome import Failed, Skipped
from pullback.verify.scalars import each_exactly


def invariants(subject: Subject) -> None:
    """Is row order of no effect, and Σdx = 0 under a shift?

    Rows permuted are results permuted; where a shift changes nothing, Σdx = 0.
    """
    for case in subject.cases():
        y, _ = case.forward()
        dy = case.cotangent(y)
        order = np.random.default_rng(3).permutation(len(y))
        permuted = replace(
            case,
            inputs=(case.inputs[0][order], *case.inputs[1:]),
            target=tuple(one[order] for one in case.target),
        )
        of_y, (dx, *rest) = permuted.both(dy[order])
        back = np.argsort(order)
        results, bounds = (of_y[back], dx[back], *rest), expected(case, dy)
        mistake = "target of another row" if case.target else ""
        within(bounds, case, results, "with the rows in another order", mistake)
        _sums_to_zero(case, dy)
        _one_hot(case, dy, bounds)


def _sums_to_zero(case: Case, dy: Array) -> None:
    """Where adding a number to a row leaves y as it is, the gradient of the row adds up to 0."""
    x = case.inputs[0]
    each = np.random.default_rng(5).uniform(0.5, 1, size=(*x.shape[:-1], 1))  # one for each row
    try:
        moved = replace(case, inputs=(EXACT.array(x) + each, *case.inputs[1:]))
        there, here = exact_value(moved), exact_value(case)
        if not all((abs(there - here) <= SAME * (1 + abs(here))).ravel()):
            return
        dx = own_rounding(case, dy)[1][0]
    except Unavailable:
        return
    total = each_exactly(case.both(dy)[1][0]).sum(axis=-1)
    allowed = dx.error.sum(axis=-1)
    for at in np.ndindex(total.shape):
        if not abs(total[at]) <= allowed[at]:
            raise Failed(f"dx of row {at} adds up to {float(total[at]):.3g}, and a shift of x is 0")


def _one_hot(case: Case, dy: Array, bounds: list[Computed]) -> None:
    """A label is its one-hot row, in a loss that takes both."""
    if not case.target or case.target[0].dtype.kind not in "iu":
        return
    labels, y = case.target[0], case.inputs[0]
    if labels.shape != y.shape[:-1] or y.shape[-1] < 2:
        return
    if hasattr(case.unit, "example_weights") and not case.unit.example_weights(labels).all():
        return  # a label that is ignored; its row is not
    rows = np.asarray(labels[..., None] == np.arange(y.shape[-1]), dtype=y.dtype)
    hot = replace(case, target=(rows,))
    try:
        value, _ = hot.forward()
    except UnitError:
        return
    results = (value, *hot.both(dy)[1])
    within(bounds, case, results, "with a one-hot row in the place of its label")


def family(subject: Subject) -> None:
    """Is it equal to the other members of its family?

    The same y and the same gradients.
    """
    others = subject.relatives()
    if not others:
        raise Skipped("its family has no other member")
    for name, unit in others:
        for case in subject.cases():
            equal(case, replace(case, unit=unit), name)


def chain(subject: Subject) -> None:
    """Is it equal to its stages, one after the other?

    Those that it names, or that a member of its family names.
    """
    units = {"its stages": subject.unit}
    units |= {f"the stages of {name}": unit for name, unit in subject.relatives()}
    named_by = {name: unit.stages for name, unit in units.items() if hasattr(unit, "stages")}
    if not named_by:
        raise Skipped("it names no stages that it stands for, and nor does its family")
    name, stages = next(iter(named_by.items()))
    for case in subject.cases():
        equal(case, replace(case, unit=Chain(list(stages.values()))), name)


class Chain:
    """Units one after the other as one unit.

    What is given beside x is the target of the loss at its end, or the parameters of its first.
    """

    def __init__(self, units: list[Any]) -> None:
        self.units = units

    def forward(self, x: Any, *beside: Any) -> tuple[Any, list[Any]]:
        residuals = []
        for unit in self.units:
            takes = kind_of(type(unit)) == "loss" or hasattr(unit, "init")
            x, residual = unit.forward(x, *(beside if takes else ()))
            residuals.append(residual)
        return x, residuals

    def backward(self, residual: list[Any], dy: Any) -> Any:
        for unit, kept in zip(reversed(self.units), reversed(residual), strict=True):
            dy = unit.backward(kept, dy)
        return dy


def equal(case: Case, other: Case, name: str) -> None:
    """Two units give the same, in exact numbers up to the rounding of their constants."""
    dy = case.cotangent(case.forward()[0])
    try:
        ours, theirs = (run_on(CONSTANTS, one, dy) for one in (case, other))
    except Unavailable:
        y, gradients = case.both(dy)
        bounds = expected_of_both(case, other, dy)
        within(bounds, other, (y, *gradients), f"beside {name}")
        return
    pairs = zip((ours[0], *ours[1]), (theirs[0], *theirs[1]), strict=True)
    for what, (a, b) in zip(output_names(case), pairs, strict=True):
        if a.value.shape != b.value.shape:
            raise Failed(f"{what} has shape {a.value.shape}, and by {name} {b.value.shape}")
        for at in np.ndindex(a.value.shape):
            near = a.error[at] + b.error[at] + SAME * (1 + abs(b.value[at]))
            if mp.isfinite(b.value[at]) and not abs(a.value[at] - b.value[at]) <= near:
                raise Failed(
                    f"{what} at {at} is {float(a.value[at]):.9g}, and by {name} "
                    f"{float(b.value[at]):.9g}",
                    input=what,
                    place=at,
                    found=float(a.value[at]),
                    expected=float(b.value[at]),
                    **named("" if what.startswith("d") else "another function than its family's"),
                )
