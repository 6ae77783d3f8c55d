"""What the steps of a unit's code give in exact numbers, and how far roundings may take them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback.units import Array
from pullback.verify.cases import Case, UnitError
from pullback.verify.exact import Rounding, errors, rounding
from pullback.verify.functions import mp
from pullback.verify.mistakes.catalogue import named
from pullback.verify.oracles import ROUNDINGS, Unavailable, derivative
from pullback.verify.outcome import Failed, Inconclusive
from pullback.verify.scalars import exactly, values


@dataclass(frozen=True)
class Computed:
    """A result and how far its own roundings may have taken it: arrays of mpf or of floats."""

    value: Array
    error: Array


def run_on(arithmetic: Rounding, case: Case, dy: Array) -> tuple[Computed, list[Computed]]:
    """y and the gradients of the unit's own code on exact numbers, with their account."""
    own = replace(arithmetic)
    found = _run_once(own, case, dy)
    return _run_once(replace(own, suspicious=True), case, dy) if own.rounded else found


def _run_once(arithmetic: Rounding, case: Case, dy: Array) -> tuple[Computed, list[Computed]]:
    try:
        exact = case.exactly(arithmetic.array)
        y, residual = exact.forward()
        gradients = exact.backward(residual, arithmetic.array(dy))
        results = [Computed(values(one), errors(one)) for one in (y, *gradients)]
    except (UnitError, TypeError) as error:
        raise Unavailable(f"does not run on numbers of 50 digits ({error})") from error
    return results[0], results[1:]


def own_rounding(case: Case, dy: Array) -> tuple[Computed, list[Computed]]:
    """What the unit's code gives in exact numbers, and how far its dtype may be from it."""
    return run_on(rounding(case.inputs[0].dtype.name), case, dy)


def agree(case: Case, dy: Array, found: tuple[Any, ...], what: str, mistake: str = "") -> None:
    """y and gradients are what the unit's code gives, up to the rounding of its own steps."""
    within(expected(case, dy), case, found, what, mistake)


def within(
    bounds: list[Computed], case: Case, found: tuple[Any, ...], what: str, mistake: str = ""
) -> None:
    """y and gradients are within their bounds; Failed with the one that is farthest outside."""
    for name, one, bound in zip(output_names(case), found, bounds, strict=True):
        beyond = too_far(one, bound)
        if beyond is not None:
            place, value, right = beyond
            raise Failed(
                f"{what}: {name} at {place} is {value:.9g}, and {right:.9g} by its own steps; "
                f"they may lose {float(bound.error[place]):.1g}",
                input=name,
                place=place,
                found=value,
                expected=right,
                **named(mistake),
            )


def output_names(case: Case) -> list[str]:
    return ["y" if not case.target else "ℓ", *(f"d{name}" for name in case.names)]


def too_far(found: Any, right: Computed) -> tuple[tuple[int, ...], float, float] | None:
    """Where a result is farthest outside of its bound, with both values; None where nowhere."""
    worst, where = mp.zero, None
    for at in np.ndindex(right.value.shape):
        value, error = right.value[at], right.error[at]
        if not (mp.isfinite(value) and mp.isfinite(error)):
            continue
        distance = abs(exactly(found[at]) - value)
        if not distance <= error and (where is None or distance > worst):
            worst, where = distance, at
    if where is None:
        return None
    return where, float(found[where]), float(right.value[where])


def expected(case: Case, dy: Array) -> list[Computed]:
    """y and the gradients with the bounds of rounding in the dtype of the case.

    Where the code does not run on exact numbers, that of the plain unit does which it stands for.
    Without one, float64 is the shadow of float32 and float16, and the condition of the point,
    Σ|dy J| and Σ|J x|, measures what roundings may do.
    """
    return account(case, dy) or _shadow(case, dy)


def account(case: Case, dy: Array) -> list[Computed] | None:
    """The same, if there is code that runs on exact numbers."""
    for one in case.and_plain():
        try:
            y, gradients = own_rounding(one, dy)
        except Unavailable:
            continue
        return [y, *gradients]
    return None


def expected_of_both(case: Case, other: Case, dy: Array) -> list[Computed]:
    """What another unit gives, with the bounds of rounding of both."""
    pairs = zip(expected(case, dy), expected(other, dy), strict=True)
    return [Computed(theirs.value, ours.error + theirs.error) for ours, theirs in pairs]


def _shadow(case: Case, dy: Array) -> list[Computed]:
    wide, eps = case.astype(np.float64), float(np.finfo(case.inputs[0].dtype).eps)
    dy = dy.astype(np.float64)
    y, gradients = wide.both(dy)
    try:
        sizes = [one.size for one in derivative(wide, dy)]
    except Unavailable as reason:
        raise Inconclusive(f"no oracle: {reason}") from reason
    of_y = abs(y) + max(float(abs(one).max(initial=1)) for one in wide.inputs)
    errors_of = [2 * ROUNDINGS * eps * one for one in (of_y, *sizes)]
    return [Computed(v, e) for v, e in zip((y, *gradients), errors_of, strict=True)]
