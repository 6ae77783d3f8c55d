"""Whether backward is the derivative of forward: everywhere, with all options, in both dtypes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pullback.units import Array
from pullback.verify.cases import Case, Subject
from pullback.verify.exact import CONSTANTS
from pullback.verify.functions import mp
from pullback.verify.gradients import (
    hold,
    hold_along,
    hold_block,
    run_on,
)
from pullback.verify.laws.bits import (
    needs_free_shapes,
    same,
)
from pullback.verify.oracles import Unavailable, exact_value
from pullback.verify.outcome import Failed, Skipped

LARGE = (5, 20)  # rows and features of the largest case


def pullback(subject: Subject) -> float:
    """backward is the pullback of its own forward: every input, every coordinate."""
    return min(hold(case, case.cotangent(case.forward()[0])) for case in subject.cases())


def large(subject: Subject) -> None:
    """It is so for many rows and features: along random directions, and in single places."""
    needs_free_shapes(subject)
    case = subject.sized(*LARGE).case(1)
    dy = case.cotangent(case.forward()[0])
    for seed in (2, 3):
        hold_along(case, dy, seed)
    hold_block(case, dy, 4)


def options(subject: Subject) -> None:
    """It is so with other values of the options, alone and crossed."""
    variants = subject.variants()
    if not variants:
        raise Skipped("it has no option that can be varied")
    for label, unit in variants:
        case = subject.with_unit(unit).case()
        try:
            hold_along(replace(case, label=label), case.cotangent(case.forward()[0]), 2)
        except Failed as failed:
            failed.message = f"with {label}: {failed.message}"
            raise


def kinks(subject: Subject) -> float:
    """At zeros and ties the gradient lies between the one-sided derivatives."""
    needs_free_shapes(subject)
    case = subject.case()
    flat = np.zeros_like(case.inputs[0])
    flat[..., :1] = 1.0
    flat[:1] = 0.0
    case = replace(case, label="zeros and ties", inputs=(flat, *case.inputs[1:]))
    try:
        exact_value(case)
    except Unavailable as reason:
        raise Skipped(f"one-sided derivatives need 50 digits: {reason}") from reason
    return hold(case, case.cotangent(case.forward()[0]))


def linear(subject: Subject) -> None:
    """backward is linear in the cotangent: 2ⁿ dy to the bit, and a + b."""
    for case in subject.cases():
        y, residual = case.forward()
        a, b = case.cotangent(y, 1), case.cotangent(y, 2)
        of_a = case.backward(residual, a)
        for factor in (2.0**30, -(2.0**-30), 0.0):
            of_scaled = case.backward(residual, factor * a)
            for name, one, scaled in zip(case.names, of_a, of_scaled, strict=True):
                same(scaled, factor * one, f"d{name} of {factor:.3g} dy")
        _adds_up(case, a, b)


def _adds_up(case: Case, a: Array, b: Array) -> None:
    try:
        both, one, other = (run_on(CONSTANTS, case, dy)[1] for dy in (a + b, a, b))
    except Unavailable:
        return
    rounding = np.finfo(float).eps * mp.mpf(float(max(abs(a).max(), abs(b).max())))
    for name, s, p, q in zip(case.names, both, one, other, strict=True):
        apart = abs(s.value - p.value - q.value)
        allowed = s.error + p.error + q.error + rounding * (1 + abs(p.value) + abs(q.value))
        if not all(apart.ravel() <= allowed.ravel()):
            raise Failed(f"d{name} of a + b is not that of a plus that of b", input=name)
