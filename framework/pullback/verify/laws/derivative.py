"""Whether backward is the derivative of forward: everywhere, and with all options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pullback.units import Array
from pullback.verify.account import agree, run_on
from pullback.verify.cases import Case, Subject
from pullback.verify.exact import CONSTANTS
from pullback.verify.functions import SAME
from pullback.verify.gradients import certify, hold, hold_along, hold_block
from pullback.verify.laws.bits import needs_free_shapes
from pullback.verify.mistakes import named
from pullback.verify.oracles import Unavailable, exact_value
from pullback.verify.outcome import Failed, Skipped
from pullback.verify.scalars import each_exactly

FACTORS = (2.0**30, -1.0, 0.0)  # of a cotangent
LARGE = (5, 20)  # rows and features of the largest case


def pullback(subject: Subject) -> float:
    """Is backward the pullback of its own forward?

    In every coordinate of every input, ordinary and confident.
    """
    return min(certify(case, case.cotangent(case.forward()[0])) for case in subject.cases())


def large(subject: Subject) -> None:
    """Is backward right for many rows and features?

    Along random directions, and in single places.
    """
    needs_free_shapes(subject)
    large_one = subject.sized(*LARGE)
    if not large_one.fits():
        raise Skipped(f"forward takes no inputs of {LARGE[0]} × {LARGE[1]}")
    case = large_one.case(1)
    dy = case.cotangent(case.forward()[0])
    hold_along(case, dy, 2, 3)
    hold_block(case, dy, 4)


def options(subject: Subject) -> None:
    """Is backward right with other values of the options?

    Each alone, and crossed.
    """
    variants = subject.variants()
    if not variants:
        raise Skipped("it has no option that can be varied")
    for label, unit in variants:
        case = replace(subject.with_unit(unit).case(), label=label)
        dy = case.cotangent(case.forward()[0])
        try:
            hold_along(case, dy, 2)
        except Failed as failed:
            failed.message = f"with {label}: {failed.message}"
            if _alike(case, replace(case, unit=subject.unit), dy):
                failed.facts |= named("option forgotten on the way back")
            raise


def _alike(case: Case, other: Case, dy: Array) -> bool:
    """Whether the gradients are the same, bit for bit."""
    return all(map(np.array_equal, case.both(dy)[1], other.both(dy)[1]))


def kinks(subject: Subject) -> float:
    """Is the gradient a subgradient at zeros and ties?

    It lies between the one-sided derivatives.
    """
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
    """Is backward linear in the cotangent?

    Of a sum, and of a multiple.
    """
    for case in subject.cases():
        y, _ = case.forward()
        a, b = case.cotangent(y, 1), case.cotangent(y, 2)
        try:
            _is_linear(case, a, b)
        except Unavailable:
            _scales(case, a)


def _is_linear(case: Case, a: Array, b: Array) -> None:
    """In exact numbers; and floats follow these for a large cotangent, too."""
    exact_a, exact_b = each_exactly(a), each_exactly(b)
    of_a, of_b, of_both = (
        run_on(CONSTANTS, case, one)[1] for one in (exact_a, exact_b, exact_a + exact_b)
    )
    for name, one, other, both in zip(case.names, of_a, of_b, of_both, strict=True):
        apart = abs(both.value - one.value - other.value)
        near = one.error + other.error + both.error + SAME * (1 + abs(both.value))
        _require(apart <= near, f"d{name} of a + b", "the sum of those of a and b")
    for factor in FACTORS:
        scaled = run_on(CONSTANTS, case, factor * exact_a)[1]
        for name, one, other in zip(case.names, of_a, scaled, strict=True):
            apart = abs(other.value - factor * one.value)
            near = other.error + abs(factor) * one.error + SAME * (1 + abs(other.value))
            right = f"{factor:.3g} times that of a"
            _require(apart <= near, f"d{name} of {factor:.3g} a", right, "gradient clipped")
    large = FACTORS[0] * a
    y, gradients = case.both(large)
    agree(case, large, (y, *gradients), f"for {FACTORS[0]:.3g} times the cotangent")


def _scales(case: Case, a: Array) -> None:
    """In floats a power of two is a factor without rounding, away from the smallest numbers."""
    of_a = case.both(a)[1]
    smallest = float(np.finfo(a.dtype).tiny) * FACTORS[0] ** 2
    for factor in FACTORS:
        for name, one, scaled in zip(case.names, of_a, case.both(factor * a)[1], strict=True):
            right = (scaled == factor * one) | (abs(one) <= smallest)
            told = f"{factor:.3g} times that of a"
            _require(right, f"d{name} of {factor:.3g} a", told, "gradient clipped")


def _require(holds: Array, found: str, right: str, mistake: str = "") -> None:
    if not holds.all():
        at = tuple(int(i) for i in np.argwhere(~holds.astype(bool))[0])
        raise Failed(f"{found} is not {right}, at {at}", place=at, **named(mistake))
