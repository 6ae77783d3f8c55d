"""Arrays of numbers with 110 digits that keep account of an error: what a unit is run on.

A unit's own, unchanged code runs on them, for NumPy calls the elements' arithmetic. In
:data:`EXACT` they only carry digits, and differences with a step of 1e-55 give a derivative to more
than 50 of them. In :func:`rounding` each number also carries a bound on how far a computation in
float64, float32 or float16 may be from it: every operation adds its own rounding to what it passes
on (running error analysis: Wilkinson; Higham, Accuracy and stability of numerical algorithms, 3.3).
So the code itself says how many digits it keeps at a point, and nobody has to guess a tolerance.

The bound counts an arithmetic operation with half an ulp, a function such as exp or tanh with four
(which is what NumPy tests its own to), a result that underflows with the smallest number, and is
infinite where a result may overflow. Sums are bounded in the order they are carried out in here;
``SAFETY`` covers other orders and the terms of second order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
from mpmath import libmp
from numpy.typing import DTypeLike

from pullback.units import Array
from pullback.verify.functions import FUNCTIONS, TESTS, exp, log, mp, quotient

HIDDEN = 32  # roundings that a constant may have behind it: (1 − ε) / C, and a sum of these
FUNCTION_ULPS = 4

low = mpmath.MPContext()  # errors need an exponent of any size, and few digits
low.prec = 30

ZERO = low.zero
NO_BOUND = low.inf
SAFETY = low.mpf(2)


@dataclass(eq=False)
class Arithmetic:
    """What each operation, and each constant of the code, adds to the error of its result.

    A constant with few binary digits, such as 0.5, is exact, unless ``suspicious``: beside a
    rounded constant it may have been rounded, too, as 0.8 · 1.25 is to 1. ``rounded`` says whether
    one was met.
    """

    roundoff: Any = ZERO  # of an operation, relative: half an ulp
    constant: Any = ZERO  # of a constant that is no short binary fraction, relative
    underflow: Any = ZERO  # of an operation, absolute
    largest: Any = NO_BOUND
    suspicious: bool = False
    rounded: bool = field(default=False, init=False)

    def array(self, values: Any) -> Numbers:
        """Numbers with these values, which are exact."""
        return self.view(_each(lambda one: Number(exactly(one), ZERO, self), values))

    def view(self, objects: Array) -> Numbers:
        numbers = objects.view(Numbers)
        numbers.arithmetic = self
        return numbers

    def lift(self, value: Any) -> Number:
        """A number, or a constant of the code, as a number of this arithmetic."""
        if isinstance(value, Number):
            return value
        number = Number(exactly(value), ZERO, self)
        if self.constant and isinstance(value, float | np.floating):
            short = _is_short(float(value))
            self.rounded |= not short
            if self.suspicious or not short:
                number.error = low.mpf(self.constant * abs(number.value))
        return number

    @functools.cached_property
    def lift_each(self) -> Any:
        """:meth:`lift` as a ufunc."""
        return np.frompyfunc(self.lift, 1, 1)

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


EXACT = Arithmetic()
CONSTANTS = Arithmetic(constant=HIDDEN * low.mpf(2) ** -53)


@functools.cache
def rounding(dtype: DTypeLike) -> Arithmetic:
    """The arithmetic whose errors are those of float64, float32 or float16."""
    info = np.finfo(dtype)
    half_ulp = low.mpf(float(info.eps)) / 2
    return Arithmetic(
        roundoff=half_ulp,
        constant=HIDDEN * half_ulp,
        underflow=low.mpf(float(info.smallest_subnormal)),
        largest=low.mpf(float(info.max)),
    )


def exactly(value: Any) -> Any:
    """A float, an integer, a truth value or a number as an mpf, without rounding."""
    if isinstance(value, float | np.floating):
        return mp.make_mpf(libmp.from_float(float(value)))
    if isinstance(value, mp.mpf):
        return value
    if isinstance(value, Number):
        return value.value
    if isinstance(value, int | np.integer | np.bool_):
        return mp.mpf(int(value))
    raise TypeError(f"{type(value).__name__} is no real number")


def each_exactly(values: Any) -> Array:
    """The same of an array: an array of mpf."""
    return _each(exactly, values)


def _each(f: Callable[[Any], Any], values: Any) -> Array:
    """f of every element: an array of objects."""
    values = np.asarray(values)
    found = np.empty(values.size, dtype=object)
    found[:] = [f(one) for one in values.ravel().tolist()]
    return found.reshape(values.shape)


def _is_short(value: float) -> bool:
    """Whether a constant is a fraction with few binary digits, such as 0.5 or 3."""
    mantissa, _ = math.frexp(value)
    return not math.isfinite(value) or (mantissa * 2**20).is_integer()


class Number:
    """One number: its value to 110 digits, and how far a rounded computation may be from it."""

    __slots__ = ("arithmetic", "error", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, error: Any, arithmetic: Arithmetic) -> None:
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

    __radd__ = __add__

    def __sub__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        return self.arithmetic.step(
            self.value - b.value, _plus(self.error, b.error), underflows=False
        )

    def __rsub__(self, other: Any) -> Number:
        return self.arithmetic.lift(other) - self

    def __mul__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        passed_on = _plus(_times(self.value, b.error), _times(b.value, self.error))
        passed_on = _plus(passed_on, _times(self.error, b.error))
        return self.arithmetic.step(self.value * b.value, passed_on)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        value = quotient(self.value, b.value)
        passed_on = _plus(self.error, _times(value, b.error))
        if passed_on or b.error:
            room = low.mpf(abs(b.value)) - b.error
            passed_on = passed_on / room if room > 0 else NO_BOUND if b.value else passed_on
        return self.arithmetic.step(value, passed_on)

    def __rtruediv__(self, other: Any) -> Number:
        return self.arithmetic.lift(other) / self

    def __pow__(self, other: Any) -> Number:
        b = self.arithmetic.lift(other)
        if b.value == int(b.value) if mp.isfinite(b.value) else False:
            exponent = int(b.value)
            return self.apply(lambda x: x**exponent)
        return (b * self.apply(log)).apply(exp)

    def __rpow__(self, other: Any) -> Number:
        return self.arithmetic.lift(other) ** self

    def _other(self, other: Any) -> Any:
        """The value that this one is compared with: a branch is the one that exact numbers take."""
        return exactly(other)

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < self._other(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= self._other(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > self._other(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= self._other(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == self._other(other))

    def __ne__(self, other: object) -> bool:
        return bool(self.value != self._other(other))

    def __neg__(self) -> Number:
        return Number(-self.value, self.error, self.arithmetic)

    def __pos__(self) -> Number:
        return self

    def __abs__(self) -> Number:
        return Number(abs(self.value), self.error, self.arithmetic)

    def __bool__(self) -> bool:
        return bool(self.value != 0)

    def apply(self, f: Callable[[Any], Any]) -> Number:
        """f of this number; the error is what f does to both ends of the interval."""
        value = _real(f, self.value)
        passed_on = ZERO
        if self.error:
            ends = [_real(f, self.value + sign * self.error) for sign in (1, -1)]
            known = all(mp.isfinite(end) for end in ends)
            passed_on = max(low.mpf(abs(end - value)) for end in ends) if known else NO_BOUND
        return self.arithmetic.step(value, passed_on, 2 * FUNCTION_ULPS)


def _plus(a: Any, b: Any) -> Any:
    """The sum of two errors, most of which are :data:`ZERO` itself."""
    return a if b is ZERO else b if a is ZERO else a + b


def _times(a: Any, b: Any) -> Any:
    """|a| b for an error b, which is 0 where b is, whatever a is."""
    return ZERO if b is ZERO or not b else abs(low.mpf(a)) * b


def _real(f: Callable[[Any], Any], x: Any) -> Any:
    """f(x), NaN where it is not real, ±∞ at a pole."""
    try:
        found = f(x)
    except ZeroDivisionError:
        return mp.inf
    except (ValueError, libmp.ComplexResult):
        return mp.nan
    return found if isinstance(found, mp.mpf) else mp.nan


def _method(f: Callable[[Any], Any]) -> Callable[[Number], Number]:
    return lambda number: number.apply(f)


for _name, _f in FUNCTIONS.items():
    setattr(Number, _name, _method(_f))


def _logaddexp(a: Number, b: Number) -> Number:
    largest = a if a.value >= b.value else b
    return largest + ((a - largest).apply(exp) + (b - largest).apply(exp)).apply(log)


def _largest(a: Number, b: Number) -> Number:
    """The larger, which in floats may be the other one, if that is as near as its error."""
    if mp.isnan(a.value) or mp.isnan(b.value):
        return a if mp.isnan(a.value) else b
    larger, other = (a, b) if a.value >= b.value else (b, a)
    if other.error is ZERO or larger.value == other.value == mp.inf:
        return larger
    error = max(larger.error, other.error - low.mpf(larger.value - other.value))
    return Number(larger.value, error, a.arithmetic)


PAIRS: dict[str, Callable[[Number, Number], Number]] = {
    "maximum": _largest,
    "minimum": lambda a, b: -_largest(-a, -b),
    "logaddexp": _logaddexp,
    "hypot": lambda a, b: (a * a + b * b).apply(mp.sqrt),
    "xlogy": lambda a, b: a * b.apply(log) if a else a,
    "copysign": lambda a, b: abs(a) if b >= 0 else -abs(a),
}


class Numbers(np.ndarray):
    """An array of numbers. Every constant that meets it becomes one of them."""

    arithmetic: Arithmetic = EXACT

    def __array_finalize__(self, other: Any) -> None:
        self.arithmetic = getattr(other, "arithmetic", EXACT)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arithmetic = next(one.arithmetic for one in inputs if isinstance(one, Numbers))
        operands = [_lifted(arithmetic, one) for one in inputs]
        out = options.pop("out", None)
        options.pop("dtype", None)
        if options.get("where") is True:
            del options["where"]
        if out is not None and any(one is not None for one in out):
            options["out"] = tuple(None if one is None else np.asarray(one) for one in out)
        result = _calculated(ufunc, method, operands, options)
        if "out" in options:
            return out[0] if len(out) == 1 else out
        return _wrapped(arithmetic, result)

    def __array_function__(self, function: Any, kinds: Any, args: Any, options: Any) -> Any:
        result = super().__array_function__(function, kinds, args, options)
        return _wrapped(self.arithmetic, result)

    def astype(self, dtype: Any, *_args: Any, **_options: Any) -> Any:
        """Itself for float64 and wider; rounded for a narrower type; integers and truth values."""
        kind = np.dtype(dtype)
        if kind.kind == "f" and kind.itemsize < 8:
            narrow = np.vectorize(lambda one: float(kind.type(float(one.value))), otypes=[object])
            return self.arithmetic.view(_lifted(self.arithmetic, narrow(self)))
        if kind.kind in "iub":
            return np.vectorize(lambda one: int(one.value), otypes=[kind])(self)
        if kind.kind == "c":
            raise TypeError("these numbers are real")
        return self.copy()


def _lifted(arithmetic: Arithmetic, operand: Any) -> Any:
    """An operand whose constants are numbers; integers of an index and masks stay what they are."""
    array = np.asarray(operand)
    if array.dtype.kind not in "Ofiub":
        raise TypeError(f"an array of {array.dtype} beside exact numbers")
    if set(map(type, array.ravel().tolist())) <= {Number}:
        return array
    found = np.empty(array.shape, dtype=object)
    found[...] = arithmetic.lift_each(array.astype(object, copy=False))
    return found


def _calculated(ufunc: Any, method: str, operands: list[Any], options: dict[str, Any]) -> Any:
    name, single = ufunc.__name__, method == "__call__"
    if single and name in TESTS:
        test = TESTS[name]
        return np.frompyfunc(lambda one: test(one.value), 1, 1)(*operands).astype(bool)
    if single and name in FUNCTIONS:
        return np.frompyfunc(_method(FUNCTIONS[name]), 1, 1)(*operands, **options)
    if name in PAIRS:
        return getattr(_pairwise(name), method)(*operands, **options)
    return getattr(ufunc, method)(*operands, **options)


@functools.cache
def _pairwise(name: str) -> Any:
    return np.frompyfunc(PAIRS[name], 2, 1, identity=None)


def _wrapped(arithmetic: Arithmetic, result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(_wrapped(arithmetic, one) for one in result)
    if isinstance(result, list):
        return [_wrapped(arithmetic, one) for one in result]
    if isinstance(result, np.ndarray) and result.dtype == object:
        return arithmetic.view(result)
    return result


def values(numbers: Any) -> Array:
    """The values, an array of mpf; TypeError where the computation has left the numbers."""
    array = np.asarray(numbers)
    if array.dtype.kind == "f":
        raise TypeError(f"the result is an array of {array.dtype}")
    return each_exactly(array)


def errors(numbers: Any) -> Array:
    """The bounds on the errors, an array of mpf, with the safety factor."""
    return _each(lambda one: SAFETY * one.error if isinstance(one, Number) else ZERO, numbers)
