"""Arrays of scalars that a unit's own, unchanged code is run on, for NumPy calls their arithmetic.

A scalar has a value of 110 digits, which decides every comparison, and whatever else its kind
carries: a bound on the roundings (:mod:`pullback.verify.exact`), or a formula
(:mod:`pullback.proving.symbols`). An :class:`Arithmetic` makes the scalars of one kind from what
meets them in the code.
"""

from __future__ import annotations

import functools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from mpmath import libmp

from pullback.units import Array
from pullback.verify.functions import FUNCTIONS, TESTS, mp


class Arithmetic(ABC):
    """What numbers and constants become where they meet scalars of its kind."""

    scalar: type[Scalar]

    @abstractmethod
    def exact(self, value: Any) -> Any:
        """A number that is given, as a scalar: nothing was lost in it."""

    @abstractmethod
    def lift(self, value: Any) -> Any:
        """A scalar, or a constant of the code, as a scalar of this arithmetic."""

    def decide(self, outcome: Any) -> Any:
        """The outcome of a comparison, as the code is told it."""
        return outcome

    @functools.cached_property
    def lift_each(self) -> Any:
        """:meth:`lift` as a ufunc."""
        return np.frompyfunc(self.lift, 1, 1)

    def array(self, values: Any) -> Numbers:
        """An array with these values, which are exact."""
        return self.view(each(self.exact, values))

    def view(self, objects: Array) -> Numbers:
        numbers = objects.view(Numbers)
        numbers.arithmetic = self
        return numbers


class Scalar(ABC):
    """One number. Its value decides every branch: it is the one that exact numbers take."""

    __slots__ = ("arithmetic", "value")
    __hash__ = None  # type: ignore[assignment]

    arithmetic: Any
    value: Any

    @abstractmethod
    def __add__(self, other: Any) -> Self: ...

    @abstractmethod
    def __sub__(self, other: Any) -> Self: ...

    @abstractmethod
    def __mul__(self, other: Any) -> Self: ...

    @abstractmethod
    def __truediv__(self, other: Any) -> Self: ...

    @abstractmethod
    def __neg__(self) -> Self: ...

    @abstractmethod
    def power(self, exponent: int) -> Self:
        """Its integer power."""

    @abstractmethod
    def apply(self, name: str) -> Self:
        """A function of it, by NumPy's or SciPy's name."""

    def rounded(self, dtype: np.dtype[Any]) -> float:
        """What a narrower type makes of it: a constant, for rounding is a step."""
        return float(dtype.type(float(self.value)))

    def larger(self, other: Self) -> Self:
        """The larger of the two; the one that is no number, if one is not."""
        first = mp.isnan(self.value) or self.value >= other.value
        return self if self.arithmetic.decide(first) else other

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __rsub__(self, other: Any) -> Any:
        return self.arithmetic.lift(other) - self

    def __rtruediv__(self, other: Any) -> Any:
        return self.arithmetic.lift(other) / self

    def __pow__(self, other: Any) -> Any:
        exponent = self.arithmetic.lift(other)
        if mp.isint(exponent.value):
            return self.power(int(exponent.value))
        return (self.apply("log") * exponent).apply("exp")

    def __rpow__(self, other: Any) -> Any:
        return self.arithmetic.lift(other) ** self

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    def __bool__(self) -> bool:
        return bool(self.arithmetic.decide(self.value != 0))

    def __lt__(self, other: Any) -> bool:
        return bool(self.arithmetic.decide(self.value < exactly(other)))

    def __le__(self, other: Any) -> bool:
        return bool(self.arithmetic.decide(self.value <= exactly(other)))

    def __gt__(self, other: Any) -> bool:
        return bool(self.arithmetic.decide(self.value > exactly(other)))

    def __ge__(self, other: Any) -> bool:
        return bool(self.arithmetic.decide(self.value >= exactly(other)))

    def __eq__(self, other: object) -> bool:
        return bool(self.arithmetic.decide(self.value == exactly(other)))

    def __ne__(self, other: object) -> bool:
        return bool(self.arithmetic.decide(self.value != exactly(other)))


for _name in FUNCTIONS:  # NumPy calls them where a scalar has got into a plain array
    setattr(Scalar, _name, functools.partialmethod(Scalar.apply, _name))


def exactly(value: Any) -> Any:
    """A float, an integer, a truth value or a scalar as an mpf, without rounding."""
    if isinstance(value, float | np.floating):
        return mp.make_mpf(libmp.from_float(float(value)))
    if isinstance(value, mp.mpf):
        return value
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, int | np.integer | np.bool_):
        return mp.mpf(int(value))
    raise TypeError(f"{type(value).__name__} is no real number")


def is_short(value: float) -> bool:
    """Whether a number is a fraction with few binary digits, such as 0.5 or 3."""
    mantissa, _ = math.frexp(value)
    return not math.isfinite(value) or (mantissa * 2**20).is_integer()


def each_exactly(values: Any) -> Array:
    """The same of an array: an array of mpf."""
    return each(exactly, values)


def each(f: Callable[[Any], Any], values: Any) -> Array:
    """f of every element: an array of objects."""
    values = np.asarray(values)
    found = np.empty(values.size, dtype=object)
    found[:] = [f(one) for one in values.ravel().tolist()]
    return found.reshape(values.shape)


def _logaddexp(a: Any, b: Any) -> Any:
    largest = a if a.value >= b.value else b
    return largest + ((a - largest).apply("exp") + (b - largest).apply("exp")).apply("log")


# NumPy's functions of two numbers that are no operators.
PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "maximum": lambda a, b: a.larger(b),
    "minimum": lambda a, b: -(-a).larger(-b),
    "logaddexp": _logaddexp,
    "hypot": lambda a, b: (a * a + b * b).apply("sqrt"),
    "xlogy": lambda a, b: a * b.apply("log") if a else a,
    "copysign": lambda a, b: abs(a) if b >= 0 else -abs(a),
}


class Numbers(np.ndarray):
    """An array of scalars. Every constant that meets it becomes one of them."""

    arithmetic: Arithmetic

    def __array_finalize__(self, other: Any) -> None:
        if isinstance(other, Numbers):
            self.arithmetic = other.arithmetic

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
            narrow = each(lambda one: one.rounded(kind), self)
            return self.arithmetic.view(_lifted(self.arithmetic, narrow))
        if kind.kind in "iub":
            return np.vectorize(lambda one: int(one.value), otypes=[kind])(self)
        if kind.kind == "c":
            raise TypeError("these numbers are real")
        return self.copy()


def _lifted(arithmetic: Arithmetic, operand: Any) -> Any:
    """An operand whose constants are scalars; integers of an index and masks stay what they are."""
    array = np.asarray(operand)
    if array.dtype.kind not in "Ofiub":
        raise TypeError(f"an array of {array.dtype} beside exact numbers")
    if set(map(type, array.ravel().tolist())) <= {arithmetic.scalar}:
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
        return np.frompyfunc(operator.methodcaller("apply", name), 1, 1)(*operands, **options)
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
