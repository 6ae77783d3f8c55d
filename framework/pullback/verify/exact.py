"""Numbers with 110 digits that keep account of an error: what a unit is run on.

In :data:`EXACT` they only carry digits, and differences with a step of 1e-55 give a derivative to
more than 50 of them. In :func:`rounding` each number also carries a bound on how far a computation
in float64, float32 or float16 may be from it: every operation adds its own rounding to what it
passes on (running error analysis: Wilkinson; Higham, Accuracy and stability of numerical
algorithms, 3.3). So the code itself says how many digits it keeps at a point, and nobody has to
guess a tolerance.

The bound counts an arithmetic operation with half an ulp, a function such as exp or tanh with four
(which is what NumPy tests its own to), a result that underflows with the smallest number, and is
infinite where a result may overflow. Sums are bounded in the order they are carried out in here;
``SAFETY`` covers other orders and the terms of second order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
from numpy.typing import DTypeLike

from pullback.units import Array
from pullback.verify.functions import FUNCTIONS, STEPS, mp, quotient, real
from pullback.verify.scalars import Arithmetic, Scalar, each, exactly, is_short

HIDDEN = 32  # roundings that a constant may have behind it: (1 − ε) / C, and a sum of these
FUNCTION_ULPS = 4

low = mpmath.MPContext()  # errors need an exponent of any size, and few digits
low.prec = 30

ZERO = low.zero
NO_BOUND = low.inf
SAFETY = low.mpf(2)


class Number(Scalar):
    """One number: its value to 110 digits, and how far a rounded computation may be from it."""

    __slots__ = ("error",)

    arithmetic: Rounding

    def __init__(self, value: Any, error: Any, arithmetic: Rounding) -> None:
        self.value = value
        self.error = error
        self.arithmetic = arithmetic

    def __repr__(self) -> str:
        return f"{mp.nstr(self.value, 6)} ± {low.nstr(self.error, 2)}"

    def __add__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        return self.arithmetic.step(
            self.value + b.value, _plus(self.error, b.error), underflows=False
        )

    def __sub__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        return self.arithmetic.step(
            self.value - b.value, _plus(self.error, b.error), underflows=False
        )

    def __mul__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        passed_on = _plus(_times(self.value, b.error), _times(b.value, self.error))
        passed_on = _plus(passed_on, _times(self.error, b.error))
        return self.arithmetic.step(self.value * b.value, passed_on)

    def __truediv__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        value = quotient(self.value, b.value)
        passed_on = _plus(self.error, _times(value, b.error))
        if passed_on or b.error:
            room = low.mpf(abs(b.value)) - b.error
            passed_on = passed_on / room if room > 0 else NO_BOUND if b.value else passed_on
        return self.arithmetic.step(value, passed_on)

    def __neg__(self) -> Number:
        return Number(-self.value, self.error, self.arithmetic)

    def power(self, exponent: int) -> Number:
        return self._at_both_ends(lambda x: x**exponent)

    def apply(self, name: str) -> Number:
        found = self._at_both_ends(FUNCTIONS[name])
        if name in STEPS:
            self.arithmetic.decide(found.value)
        return found

    def _at_both_ends(self, f: Callable[[Any], Any]) -> Number:
        """f of this number; the error is what f does to both ends of the interval."""
        value = real(f, self.value)
        passed_on = ZERO
        if self.error:
            ends = [real(f, self.value + sign * self.error) for sign in (1, -1)]
            known = all(mp.isfinite(end) for end in ends)
            passed_on = max(low.mpf(abs(end - value)) for end in ends) if known else NO_BOUND
        return self.arithmetic.step(value, passed_on, 2 * FUNCTION_ULPS)

    def larger(self, other: Number) -> Number:
        """The larger, which in floats may be the other one, if that is as near as its error."""
        first = super().larger(other)
        second = other if first is self else self
        both_infinite = first.value == second.value == mp.inf
        if second.error is ZERO or mp.isnan(first.value) or both_infinite:
            return first
        error = max(first.error, second.error - low.mpf(first.value - second.value))
        return Number(first.value, error, self.arithmetic)


def _plus(a: Any, b: Any) -> Any:
    """The sum of two errors, most of which are :data:`ZERO` itself."""
    return a if b is ZERO else b if a is ZERO else a + b


def _times(a: Any, b: Any) -> Any:
    """|a| b for an error b, which is 0 where b is, whatever a is."""
    return ZERO if b is ZERO or not b else abs(low.mpf(a)) * b


@dataclass(eq=False)
class Rounding(Arithmetic):
    """What each operation, and each constant of the code, adds to the error of its result.

    A constant with few binary digits, such as 0.5, is exact, unless ``suspicious``: beside a
    rounded constant it may have been rounded, too, as 0.8 · 1.25 is to 1. ``rounded`` says whether
    one was met.
    """

    scalar = Number

    roundoff: Any = ZERO  # of an operation, relative: half an ulp
    constant: Any = ZERO  # of a constant that is no short binary fraction, relative
    underflow: Any = ZERO  # of an operation, absolute
    largest: Any = NO_BOUND
    suspicious: bool = False
    rounded: bool = field(default=False, init=False)

    def exact(self, value: Any) -> Number:
        return Number(exactly(value), ZERO, self)

    def lift(self, value: Any) -> Number:
        if isinstance(value, Number):
            return value
        number = self.exact(value)
        if self.constant and isinstance(value, float | np.floating):
            short = is_short(float(value))
            self.rounded |= not short
            if self.suspicious or not short:
                number.error = low.mpf(self.constant * abs(number.value))
        return number

    def step(self, value: Any, passed_on: Any, ulps: int = 1, underflows: bool = True) -> Number:
        """The result of an operation whose inputs pass on that much of their errors.

        A sum does not underflow, and what is exactly 0 has not.
        """
        if passed_on is ZERO and self.roundoff is ZERO:
            return Number(value, ZERO, self)
        error = low.mpf(passed_on + ulps * self.roundoff * abs(value))
        if underflows and value:
            error += self.underflow
        if not mp.isfinite(value) or not error + abs(value) <= self.largest:
            error = NO_BOUND if mp.isfinite(value) else ZERO
        return Number(value, error, self)


EXACT = Rounding()
CONSTANTS = Rounding(constant=HIDDEN * low.mpf(2) ** -53)


@functools.cache
def rounding(dtype: DTypeLike) -> Rounding:
    """The arithmetic whose errors are those of float64, float32 or float16."""
    info = np.finfo(dtype)
    half_ulp = low.mpf(float(info.eps)) / 2
    return Rounding(
        roundoff=half_ulp,
        constant=HIDDEN * half_ulp,
        underflow=low.mpf(float(info.smallest_subnormal)),
        largest=low.mpf(float(info.max)),
    )


def errors(numbers: Any) -> Array:
    """The bounds on the errors, an array of mpf, with the safety factor."""
    return each(lambda one: SAFETY * one.error if isinstance(one, Number) else ZERO, numbers)
