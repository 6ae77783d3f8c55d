"""exp, tanh and a maximum as arithmetic, so that loops vectorise, for float32 and float64.

exp and tanh are one reduction: x = n ln 2 + r with |r| ≤ ½ ln 2, and e^r − 1 = r + r² q(r), with q
Taylor's series economised (Lanczos, *Applied Analysis*, 1956, VII), whose remainder is a tenth of
an ulp. n is the rounded x log₂ e, read off the lowest bits of a sum with 1.5 · 2^digits; ln 2 is
taken in two parts (Cody and Waite, *Software manual for the elementary functions*, 1980). exp is
within 1.1 ulp and tanh within 3, in both types, as is measured in
``tests/plugins/test_compiled.py``. NaN stays NaN; what overflows or underflows does so as in NumPy.
A maximum of floats is that of their bits as integers, for a loop over the floats themselves does
not vectorise; of negative numbers alone it is the minimum.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.polynomial import chebyshev


def _functions(
    real: type, whole: type, digits: int, degree: int, ln2: tuple[float, float]
) -> tuple[Any, Any, Any, Any]:
    """The functions of one type: ``digits`` of its fraction, ``degree`` of q (below)."""
    log2e, high, low = real(1 / math.log(2)), real(ln2[0]), real(ln2[1])
    shift, bias = whole(digits), whole(np.finfo(real).maxexp - 1)
    magic = real(1.5 * 2.0**digits + bias)
    origin = whole(magic.view(whole)) - bias
    least = real(math.log(np.finfo(real).smallest_subnormal) - 1)
    least_normal = real(math.log(np.finfo(real).tiny))
    most = real(math.log(np.finfo(real).max) + 1)
    zero, one, half, two = real(0), real(1), whole(1), real(2)
    most_tanh = real(0.75 * digits)  # beyond, 1 − tanh is less than half an ulp
    q_of = tuple(map(real, _economised(degree)))

    @njit(inline="always")
    def power(n):  # type: ignore[no-untyped-def]
        return whole((n + bias) << shift).view(real)

    @njit(fastmath={"contract"})
    def reduced(x):  # type: ignore[no-untyped-def]
        """n + bias in the lowest bits of a sum, and e^r − 1."""
        sum_ = x * log2e + magic
        n = sum_ - magic
        r = (x - n * high) - n * low
        q = q_of[0]
        for c in q_of[1:]:
            q = q * r + c
        return real(sum_).view(whole), r + (r * r) * q

    @njit(fastmath={"contract"})
    def exp(x):  # type: ignore[no-untyped-def]
        x = least if x < least else x
        x = most if x > most else x
        bits, p = reduced(x)
        n = whole(bits - origin) - bias
        first = n >> half  # 2^n in two factors: it may be no number where e^x is one
        return (one + p) * power(first) * power(n - first)

    @njit(fastmath={"contract"})
    def exp_of_difference(x):  # type: ignore[no-untyped-def]
        bits, p = reduced(x)
        scale = whole(bits << shift).view(real)
        return zero if x < least_normal else scale + scale * p

    @njit(fastmath={"contract"})
    def tanh(x):  # type: ignore[no-untyped-def]
        size = abs(x)
        size = most_tanh if size > most_tanh else size
        bits, p = reduced(two * size)
        scale = whole(bits << shift).view(real)
        e = scale * p + (scale - one)  # e^2|x| − 1
        return np.copysign(e / (e + two), x)

    least_bits, most_bits = whole(np.iinfo(whole).min), whole(np.iinfo(whole).max)

    @njit
    def largest(x):  # type: ignore[no-untyped-def]
        bits = x.view(whole)
        top = least_bits
        for i in range(bits.size):
            top = max(top, bits[i])
        if top < 0:  # every number has a sign, and so the other order
            top = most_bits
            for i in range(bits.size):
                top = min(top, bits[i])
        return whole(top).view(real)

    return exp, tanh, largest, exp_of_difference


def _economised(degree: int) -> Any:
    """q(r) ≈ (e^r − 1 − r) / r² on |r| ≤ ½ ln 2, the highest power first.

    Chebyshev's polynomials are left out of the series where powers of r would be.
    """
    powers = (math.log(2) / 2) ** np.arange(degree + 8)
    series = powers / [math.factorial(k + 2) for k in range(degree + 8)]
    kept = chebyshev.poly2cheb(series)[: degree + 1]
    return (chebyshev.cheb2poly(kept) / powers[: degree + 1])[::-1]


# The integer of the same size, the digits of the fraction, the degree of q, ln 2 in two parts.
_KINDS = {
    np.float32: (np.int32, 23, 4, (0.693359375, -2.12194440e-4)),
    np.float64: (np.int64, 52, 10, (6.93145751953125e-1, 1.42860682030941723212e-6)),
}


@functools.cache
def _of(real: Any) -> tuple[Any, Any, Any, Any]:
    return _functions(real, *_KINDS[real])


def exp(x: Any) -> Any:
    """e^x, within 1.1 ulp; x: a number of NumPy's, or of a kernel."""
    return _of(x.dtype.type)[0](x)


def tanh(x: Any) -> Any:
    """tanh x = (e^2x − 1) / (e^2x + 1), within 3 ulp; x: as for exp."""
    return _of(x.dtype.type)[1](x)


def largest(x: Any) -> Any:
    """The maximum of a vector of one number at least; of one with a NaN, any or the NaN."""
    return _of(x.dtype.type)[2](x)


def exp_of_difference(x: Any) -> Any:
    """e^x for x ≤ 0, half as costly: 0 where e^x is no normal number."""
    return _of(x.dtype.type)[3](x)


def _by_type(place: int) -> Callable[[Any], Any]:
    def choose(x):  # type: ignore[no-untyped-def]  # Numba compares the signatures
        number = getattr(x, "dtype", x)
        if number not in (types.float32, types.float64):
            return None
        chosen = _of(np.float32 if number == types.float32 else np.float64)[place]
        return lambda x: chosen(x)

    return choose


for _place, _function in enumerate((exp, tanh, largest, exp_of_difference)):
    overload(_function)(_by_type(_place))
