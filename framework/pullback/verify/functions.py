"""NumPy's and SciPy's functions of one number of 110 digits, as IEEE has them at the edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import libmp

DIGITS = 110

mp = mpmath.MPContext()
mp.dps = DIGITS

REACH = 64  # bits before the point
SAME = mp.mpf(10) ** -50  # relative; what is nearer, 110 digits do not tell apart


def quotient(a: Any, b: Any) -> Any:
    """a / b as IEEE has it: 1 / 0 is infinite and 0 / 0 is no number."""
    if b != 0:
        return a / b
    return mp.nan if a == 0 or mp.isnan(a) else mp.sign(a) * mp.inf


def within_reach(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f, which is at infinity from 2⁶⁴ on: e^e^e^x has more digits than there is memory."""
    return lambda x: f(x if mp.mag(x) < REACH else mp.sign(x) * mp.inf)


exp = within_reach(mp.exp)


def log(x: Any) -> Any:
    return mp.ninf if x == 0 else mp.log(x)


def _sign(x: Any) -> Any:
    return x if mp.isnan(x) else mp.mpf(int(x > 0) - int(x < 0))


def _expit(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


# What NumPy's and SciPy's functions of that name are on one number. Arithmetic and comparisons are
# operators of the number itself.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": exp,
    "exp2": within_reach(lambda x: mp.exp(x * mp.ln2)),
    "expm1": within_reach(mp.expm1),
    "log": log,
    "log2": lambda x: log(x) / mp.ln2,
    "log10": lambda x: log(x) / mp.ln10,
    "log1p": lambda x: mp.ninf if x == -1 else mp.log1p(x),
    "sqrt": mp.sqrt,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "square": lambda x: x * x,
    "reciprocal": lambda x: quotient(mp.one, x),
    "sin": within_reach(mp.sin),
    "cos": within_reach(mp.cos),
    "tan": within_reach(mp.tan),
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "sinh": within_reach(mp.sinh),
    "cosh": within_reach(mp.cosh),
    "tanh": within_reach(mp.tanh),
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "sign": _sign,
    "floor": mp.floor,
    "ceil": mp.ceil,
    "rint": mp.nint,
    "erf": within_reach(mp.erf),
    "erfc": within_reach(mp.erfc),
    "expit": within_reach(_expit),
    "log_expit": lambda x: -mp.log1p(exp(-x)) if x > 0 else x - mp.log1p(exp(x)),
    "gammaln": mp.loggamma,
    "digamma": mp.digamma,
    "psi": mp.digamma,
}
STEPS = ("sign", "floor", "ceil", "rint")  # those that are constant between their jumps
TESTS: dict[str, Callable[[Any], bool]] = {
    "isfinite": lambda x: bool(mp.isfinite(x)),
    "isnan": lambda x: bool(mp.isnan(x)),
    "isinf": lambda x: bool(mp.isinf(x)),
    "signbit": lambda x: bool(x < 0),
}


def real(f: Callable[[Any], Any], x: Any) -> Any:
    """f(x), NaN where it is not real, ±∞ at a pole."""
    try:
        found = f(x)
    except ZeroDivisionError:
        return mp.inf
    except (ValueError, libmp.ComplexResult):
        return mp.nan
    return found if isinstance(found, mp.mpf) else mp.nan
