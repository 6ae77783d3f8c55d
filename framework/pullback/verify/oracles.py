"""Independent ways to dy J, each with a bound on its own error.

An oracle takes a case and a cotangent and gives, for each input, the interval that the gradient
lies in. It asks forward alone, never backward. At a kink the interval is that between the one-sided
derivatives, and every number in it is right; so is one between those at points beside it
(:func:`hull`). The strongest one that a unit's forward can be run through decides:

``50 digits``
    forward on numbers of 110 digits, one-sided differences with a step of 1e-55. Where forward is
    smooth the two sides agree to more than 50 digits; where it has a kink they are its two slopes.
    Of a unit that takes floats alone (a compiled kernel) it asks the plain one of its family that
    it is derived from; that both compute the same is for the check ``family`` to see.
``complex step``
    Im f(x + ih) / h with h = 1e-200, of float64: a derivative to about the last bit, for analytic
    forwards. It is left aside where it contradicts the differences.
``differences``
    Ridders' extrapolation of central differences of float64, with its error estimate; for a
    forward that can take neither. Some 9 to 11 digits.

A symbolic oracle belongs beside them: any function from a case and a cotangent to intervals.

Sources: Squire and Trapp, Using complex variables to estimate derivatives of real functions, 1998;
Ridders, Accurate computation of F'(x) and F'(x) F''(x), 1982; Clarke, Optimization and nonsmooth
analysis, 1983, 2.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback.units import Array
from pullback.verify.cases import Case, UnitError
from pullback.verify.exact import EXACT
from pullback.verify.functions import DIGITS, mp
from pullback.verify.scalars import each_exactly, exactly, values

STEP = mp.mpf(10) ** -55
NOISE = mp.mpf(10) ** (3 - DIGITS)  # of a function of 110 digits, relative, with room
BESIDE = mp.mpf(10) ** -40  # how far from a kink its neighbours are
NEIGHBOURS = 24  # of a kink, in random directions
H = 1e-200  # the complex step: its square is 0
ROUNDINGS = 8  # of a term of a gradient and of its sum, where they cannot be counted
EPS = float(np.finfo(float).eps)


class Unavailable(Exception):
    """An oracle that this unit cannot be asked by, and why."""


@dataclass(frozen=True)
class Derivative:
    """What an oracle knows of the gradient of one input: low ≤ dy J ≤ high, up to ``bound``.

    ``size`` is Σ|dy J| and the largest term, which an error of rounding is measured by.
    """

    oracle: str
    low: Array
    high: Array
    bound: Array
    size: Array

    @property
    def middle(self) -> Array:
        """The interval's middle as floats: the derivative itself, away from kinks."""
        return np.asarray((self.low + self.high) / 2, dtype=float)


Places = list[list[tuple[int, ...]]]  # the coordinates of each input that are asked for
Oracle = Callable[[Case, Array, "Places | None"], list[Derivative]]


def all_places(case: Case) -> Places:
    return [list(np.ndindex(value.shape)) for value in case.inputs]


def fifty_digits(case: Case, dy: Array, places: Places | None = None) -> list[Derivative]:
    """One-sided differences of forward in 110 digits, coordinate by coordinate."""
    base, cotangent = _exactly(case), each_exactly(dy)
    noise = (abs(cotangent) * (abs(base) + 1)).sum() * NOISE / STEP
    found = []
    for place, value in enumerate(case.inputs):
        low = np.full(value.shape, mp.ninf, dtype=object)
        high, bound = -low, np.full(value.shape, noise, dtype=object)
        columns = np.zeros((*value.shape, *base.shape))
        for at in (places or all_places(case))[place]:
            slopes = [_slope(case, place, at, sign, base) for sign in (1, -1)]
            below, above = np.minimum(*slopes), np.maximum(*slopes)
            ends = cotangent * below, cotangent * above
            low[at] = np.minimum(*ends).sum() + mp.zero
            high[at] = np.maximum(*ends).sum() + mp.zero
            columns[at] = (below + above).astype(float) / 2
        found.append(Derivative("50 digits", low, high, bound, _size(columns, dy)))
    return found


def exact_value(case: Case) -> Array:
    """y in 110 digits; Unavailable where forward does not run on exact numbers."""
    try:
        y, _ = case.exactly(EXACT.array).forward()
        return values(y)
    except (UnitError, TypeError) as error:
        raise Unavailable(f"forward does not run on numbers of 50 digits ({error})") from error


def _exactly(case: Case) -> Array:
    """The same, or that of the plain unit which this one stands for."""
    reasons = []
    for one in case.and_plain():
        try:
            return exact_value(one)
        except Unavailable as reason:
            reasons.append(str(reason))
    raise Unavailable(reasons[-1])


def _slope(case: Case, place: int, at: tuple[int, ...], sign: int, base: Array) -> Array:
    """The one-sided difference quotient of y in one coordinate of one input."""
    x = exactly(case.inputs[place][at])
    for step in (STEP * max(mp.one, abs(x)), STEP * abs(x)):  # the second stays in a domain x > 0
        moved = EXACT.array(case.inputs[place])
        moved[at] = EXACT.lift(x + sign * step)
        inputs = (*case.inputs[:place], moved, *case.inputs[place + 1 :])
        y = _exactly(replace(case, inputs=inputs))
        if not step or all(mp.isfinite(one) for one in y.ravel()):
            break
    return np.asarray((y - base) / (sign * step)) if step else y - y


def directional(
    case: Case,
    dy: Array,
    directions: tuple[Array, ...],
    base: Array,
    signs: tuple[int, ...] = (1, -1),
) -> tuple[Any, Any, Any]:
    """⟨dy, J v⟩ in 110 digits, as an interval and its bound, for one direction of all inputs.

    ``base`` is y in exact numbers. The interval is that of the sides that are asked for: one is
    enough away from a kink.
    """
    cotangent = each_exactly(dy)
    inputs = list(map(each_exactly, case.inputs))
    steps = [STEP * each_exactly(one) for one in directions]
    ends = []
    for sign in signs:
        moved = tuple(EXACT.array(x + sign * h) for x, h in zip(inputs, steps, strict=True))
        y = _exactly(replace(case, inputs=moved))
        ends.append(cotangent * ((y - base) / (sign * STEP)))
    low, high = (f(ends[0], ends[-1]).sum() + mp.zero for f in (np.minimum, np.maximum))
    bound = (abs(cotangent) * (abs(base) + 1)).sum() * NOISE / STEP
    return low, high, bound


def hull(
    case: Case, dy: Array, truth: list[Derivative], places: Places | None = None
) -> list[Derivative]:
    """The intervals of a kink, with the derivatives at points beside it.

    Where several kinks meet, as in a sort of equal numbers, the slopes along the axes are not all:
    Clarke's generalised gradient is the hull of the limits of the gradients around.
    """
    for directions in _around(case, np.random.default_rng(6)):
        aside = replace(case, inputs=tuple(map(_aside, case.inputs, directions)))
        there = fifty_digits(aside, dy, places)
        truth = [_joined(one, other) for one, other in zip(truth, there, strict=True)]
    return truth


def _around(case: Case, rng: np.random.Generator) -> Iterator[list[Array]]:
    """Random directions of all inputs, and some in which each number of x has each rank.

    Along an axis of n numbers these are the n rotations of 0 … n − 1: of the n! orders that equal
    numbers may fall into, random ones alone would miss the first place of one of them too often.
    """
    x, *params = (one.shape for one in case.inputs)
    for _ in range(NEIGHBOURS):
        yield [rng.normal(size=shape) for shape in (x, *params)]
    for axis, n in enumerate(x):
        for first in range(n):
            ranks = np.roll(np.arange(n), first).reshape(-1, *[1] * (len(x) - 1 - axis))
            yield [ranks + rng.uniform(size=x) / 2, *(rng.normal(size=shape) for shape in params)]


def _aside(value: Array, v: Array) -> Array:
    return EXACT.array(each_exactly(value) + BESIDE * each_exactly(v))


def _joined(one: Derivative, other: Derivative) -> Derivative:
    known = np.vectorize(mp.isfinite, otypes=[bool])(other.low)  # else it was not asked for
    return replace(
        one,
        low=np.where(known, np.minimum(one.low, other.low), one.low),
        high=np.where(known, np.maximum(one.high, other.high), one.high),
        bound=one.bound + one.size * BESIDE,
    )


def complex_step(case: Case, dy: Array, places: Places | None = None) -> list[Derivative]:
    """Im f(x + ih) / h, coordinate by coordinate; the bound is that of the sum dy J."""
    jacobians = []
    for place, value in enumerate(case.inputs):
        columns = np.full((*value.shape, *np.shape(dy)), np.nan)
        for at in (places or all_places(case))[place]:
            stepped = value.astype(complex)
            stepped[at] += 1j * H
            inputs = (*case.inputs[:place], stepped, *case.inputs[place + 1 :])
            try:
                y, _ = replace(case, inputs=inputs).forward()
            except UnitError as error:
                raise Unavailable(f"forward does not run on complex numbers ({error})") from error
            if y.dtype.kind != "c":
                raise Unavailable("forward drops the imaginary part")
            columns[at] = y.imag / H
        jacobians.append(columns)
    _must_be_analytic(case, jacobians, places)
    return [_of_jacobian("complex step", J, dy, 0.0) for J in jacobians]


def _must_be_analytic(case: Case, jacobians: list[Array], places: Places | None) -> None:
    """At two coordinates of each input a difference must give what complex step does."""
    for place, J in enumerate(jacobians):
        for at in (places or all_places(case))[place][::-1][:2]:
            slope, spread = _column(case, place, at)
            if _contradict(J[at], slope, spread):
                raise Unavailable("complex step contradicts the differences: not analytic")


def _contradict(by_complex_step: Array, slope: Array, spread: Array) -> bool:
    apart = abs(by_complex_step - slope) > 4 * spread + 1e-4 * (1 + abs(slope))
    return bool((apart & np.isfinite(slope) & np.isfinite(by_complex_step)).any())


def differences(case: Case, dy: Array, places: Places | None = None) -> list[Derivative]:
    """Ridders' extrapolated central differences of float64, and his estimate of their error."""
    case, found = case.astype(np.float64), []
    for place, value in enumerate(case.inputs):
        columns = np.full((*value.shape, *np.shape(dy)), np.nan)
        spread = np.zeros(columns.shape)
        for at in (places or all_places(case))[place]:
            columns[at], spread[at] = _column(case, place, at)
        found.append(_of_jacobian("differences", columns, dy, spread))
    return found


def _column(case: Case, place: int, at: tuple[int, ...]) -> tuple[Array, Array]:
    """∂y / ∂x of one number of one input, and how far it may be off."""
    value = case.inputs[place]

    def y(x: float) -> Array:
        moved = value.copy()
        moved[at] = x
        inputs = (*case.inputs[:place], moved, *case.inputs[place + 1 :])
        try:
            return np.asarray(replace(case, inputs=inputs).forward()[0], dtype=float)
        except UnitError as error:
            raise Unavailable(str(error)) from error

    return _ridders(y, float(value[at]), _scale(value))


def _ridders(f: Callable[[float], Array], x: float, scale: float) -> tuple[Array, Array]:
    """f'(x) of every output, and an estimate of its error; ``scale`` is the size of such an x.

    Two tableaux with steps that have nothing in common must agree: beside a kink the estimate of a
    single one can be small by chance.
    """
    (best, error), (other, its_error) = (_tableau(f, x, step * scale) for step in (0.02, 0.0137))
    with np.errstate(invalid="ignore"):
        apart = abs(best - other)
    return best, np.where(np.isfinite(apart), np.maximum(error, its_error) + apart, np.inf)


def _tableau(f: Callable[[float], Array], x: float, step: float) -> tuple[Array, Array]:
    """Ridders' extrapolation of central differences, whose steps are halved, to step 0."""
    row = [_central(f, x, step)]
    best, error = row[0], np.full(row[0].shape, np.inf)
    for order in range(1, 7):
        step /= 2
        new = [_central(f, x, step)]
        for power in range(1, order + 1):
            factor = 4.0**power
            new.append((factor * new[-1] - row[power - 1]) / (factor - 1))
            trial = np.maximum(abs(new[-1] - new[-2]), abs(new[-1] - row[power - 1]))
            better = trial < error
            best, error = np.where(better, new[-1], best), np.where(better, trial, error)
        row = new
    roundoff = 4 * EPS * (abs(f(x)) + abs(x)) / step
    return best, np.where(np.isfinite(error), 2 * error + roundoff / 64, np.inf)


def _scale(x: Array) -> float:
    """How large its numbers are; at most 1/2, for e^x and the like change on a scale of 1."""
    return min(float(np.sqrt((x * x).mean())) if x.size else 0.5, 0.5) or 0.5


def _central(f: Callable[[float], Array], x: float, step: float) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray((f(x + step) - f(x - step)) / (2 * step))


def _of_jacobian(oracle: str, J: Array, dy: Array, spread: Any) -> Derivative:
    """dy J, whose error is that of J, Σ|dy| spread, and that of the sum; NaN where J is."""
    product = np.asarray(np.tensordot(J, dy, axes=np.ndim(dy)))
    size = _size(J, dy)
    bound = ROUNDINGS * EPS * size
    if np.ndim(spread):
        bound = bound + np.tensordot(spread, abs(dy), axes=np.ndim(dy))
    return Derivative(oracle, product, product, bound, size)


def _size(J: Array, dy: Array) -> Array:
    """Σ|dy J| and the largest dy times the largest of J, or 1: what rounding is relative to."""
    J, dy = np.nan_to_num(abs(J)), abs(dy)
    terms = np.tensordot(J, dy, axes=np.ndim(dy))
    largest = dy.max(initial=0) * max(1.0, J.max(initial=0))
    return np.asarray(terms + largest, dtype=float)


ORACLES: dict[str, Oracle] = {
    "50 digits": fifty_digits,
    "complex step": complex_step,
    "differences": differences,
}


def derivative(case: Case, dy: Array, places: Places | None = None) -> list[Derivative]:
    """By the strongest oracle that the unit's forward can be asked by; at all places, or some."""
    reasons = []
    for oracle in ORACLES.values():
        try:
            return oracle(case, dy, places)
        except Unavailable as reason:
            reasons.append(str(reason))
    raise Unavailable("; ".join(reasons))


def slope_in_floats(case: Case, dy: Array, v: tuple[Array, ...]) -> tuple[float, float]:
    """⟨dy, J v⟩ and its bound, by complex step, or by a difference where that cannot be had."""

    def along(t: float) -> Array:
        moved = [one + t * d for one, d in zip(case.inputs, v, strict=True)]
        return np.asarray(replace(case, inputs=tuple(moved)).forward()[0], dtype=float)

    slope, spread = _ridders(along, 0.0, min(map(_scale, case.inputs)))
    stepped = tuple(one + 1j * H * d for one, d in zip(case.inputs, v, strict=True))
    try:
        y = replace(case, inputs=stepped).forward()[0]
    except UnitError:
        y = np.zeros(())
    if y.dtype.kind == "c" and not _contradict(y.imag / H, slope, spread):
        slope, spread = y.imag / H, np.zeros_like(spread)
    terms = dy * slope
    rounding = ROUNDINGS * terms.size * EPS * (abs(terms).sum() + abs(dy).max(initial=0))
    return float(terms.sum()), float(rounding + (abs(dy) * spread).sum())


def in_floats(case: Case, dy: Array, places: Places | None = None) -> list[Derivative]:
    """By complex step, or else by differences: fast, and good to some 10 digits and more."""
    try:
        return complex_step(case, dy, places)
    except Unavailable:
        return differences(case, dy, places)
