"""NumPy's and SciPy's functions of one number of 110 digits, as IEEE has them at the edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath

DIGITS = 110

mp = mpmath.MPContext()
mp.dps = DIGITS


def quotient(a: Any, b: Any) -> Any:
    """a / b as IEEE has it: 1 / 0 is infinite and 0 / 0 is no number."""
    if b != 0:
        return a / b
    return mp.nan if a == 0 or mp.isnan(a) else mp.sign(a) * mp.inf


def log(x: Any) -> Any:
    return mp.ninf if x == 0 else mp.log(x)


def _sign(x: Any) -> Any:
    return mp.mpf(int(x > 0) - int(x < 0))


def _expit(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


# What NumPy's and SciPy's functions of that name are on one number. Arithmetic, comparisons,
# maxima and minima are done by the operators above.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "log": log,
    "log2": lambda x: log(x) / mp.ln2,
    "log10": lambda x: log(x) / mp.ln10,
    "log1p": lambda x: mp.ninf if x == -1 else mp.log1p(x),
    "sqrt": mp.sqrt,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "square": lambda x: x * x,
    "reciprocal": lambda x: quotient(mp.one, x),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "sign": _sign,
    "floor": mp.floor,
    "ceil": mp.ceil,
    "rint": mp.nint,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "expit": _expit,
    "log_expit": lambda x: -mp.log1p(mp.exp(-x)) if x > 0 else x - mp.log1p(mp.exp(x)),
    "gammaln": mp.loggamma,
    "digamma": mp.digamma,
    "psi": mp.digamma,
}
TESTS: dict[str, Callable[[Any], bool]] = {
    "isfinite": lambda x: bool(mp.isfinite(x)),
    "isnan": lambda x: bool(mp.isnan(x)),
    "isinf": lambda x: bool(mp.isinf(x)),
    "signbit": lambda x: bool(x < 0),
}
