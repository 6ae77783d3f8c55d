"""Functions of formulas, by NumPy's and SciPy's names, and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from pullback.proving.algebra import Formula, Kernel, Terms, Undecided, plain, raised
from pullback.verify.functions import FUNCTIONS, STEPS, mp

HALF = Fraction(1, 2)


def _one(x: Formula) -> Formula:
    return x.algebra.constant(1)


def _number(x: Formula, c: int | Fraction) -> Formula:
    return x.algebra.constant(c)


def exp(x: Formula) -> Formula:
    return x.algebra.exp(x)


def log(x: Formula) -> Formula:
    return x.algebra.log(x)


def _sinh(x: Formula) -> Formula:
    return (exp(x) - exp(x.scaled(-1))).scaled(HALF)


def _cosh(x: Formula) -> Formula:
    return (exp(x) + exp(x.scaled(-1))).scaled(HALF)


def _tanh(x: Formula) -> Formula:
    square = exp(x.scaled(2))
    return (square - _one(x)) / (square + _one(x))


def _expit(x: Formula) -> Formula:
    return (exp(x.scaled(-1)) + _one(x)).power(-1)


def _arctanh(x: Formula) -> Formula:
    return (log(_one(x) + x) - log(_one(x) - x)).scaled(HALF)


def _sine(x: Formula) -> Formula:
    return x.algebra.function("sin", x)


def _cosine(x: Formula) -> Formula:
    return x.algebra.function("cos", x)


# What is written with exponentials, logarithms and powers.
RULES: dict[str, Callable[[Formula], Formula]] = {
    "exp": exp,
    "exp2": lambda x: exp(x * log(_number(x, 2))),
    "expm1": lambda x: exp(x) - _one(x),
    "log": log,
    "log2": lambda x: log(x) / log(_number(x, 2)),
    "log10": lambda x: log(x) / log(_number(x, 10)),
    "log1p": lambda x: log(_one(x) + x),
    "sqrt": lambda x: x.power(HALF),
    "cbrt": lambda x: x.power(Fraction(1, 3)) if x.value > 0 else _cbrt_of_negative(x),
    "square": lambda x: x * x,
    "reciprocal": lambda x: x.power(-1),
    "tan": lambda x: _sine(x) / _cosine(x),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "arctanh": _arctanh,
    "arcsinh": lambda x: log(x + (x * x + _one(x)).power(HALF)),
    "arccosh": lambda x: log(x + (x * x - _one(x)).power(HALF)),
    "erfc": lambda x: _one(x) - x.algebra.function("erf", x),
    "expit": _expit,
    "log_expit": lambda x: log(_expit(x)),
    "psi": lambda x: x.algebra.function("digamma", x),
}
# f′ of what is a kernel of its own.
SLOPES: dict[str, Callable[[Formula], Formula]] = {
    "sum": _one,
    "exp": exp,
    "log": lambda x: x.power(-1),
    "sin": _cosine,
    "cos": lambda x: _sine(x).scaled(-1),
    "arcsin": lambda x: (_one(x) - x * x).power(-HALF),
    "arccos": lambda x: (_one(x) - x * x).power(-HALF).scaled(-1),
    "arctan": lambda x: (_one(x) + x * x).power(-1),
    "erf": lambda x: (exp((x * x).scaled(-1)) * _pi(x).power(-HALF)).scaled(2),
    "gammaln": lambda x: x.algebra.function("digamma", x),
}


def _pi(x: Formula) -> Formula:
    return x.algebra.variable("π", mp.pi)


def _cbrt_of_negative(x: Formula) -> Formula:
    return x.scaled(-1).power(Fraction(1, 3)).scaled(-1)


def apply(name: str, x: Formula) -> Formula:
    """f(x), for an x where f is real and finite. Raises Undecided for what is too large."""
    value = FUNCTIONS[name](x.value)
    if name in STEPS or (not x.terms and mp.isint(value)):
        return _number(x, int(value))
    if name in RULES:
        return RULES[name](x)
    return x.algebra.function(name, x)


def slope(formula: Formula, variable: Formula) -> Formula:
    """∂ formula / ∂ variable. Raises Undecided where a derivative is not known here."""
    ((by, _),) = next(iter(variable.terms))
    algebra, found = formula.algebra, list[Terms]()
    for product, c in formula.terms.items():
        for place, exponent in product:
            inner = _slope_of_kernel(formula, place, by)
            if inner.terms:
                outer = {raised(product, place, -1): plain(c * exponent)}
                found.append(algebra.times(outer, inner.terms).terms)
    return algebra.total(found)


def _slope_of_kernel(within: Formula, place: int, by: int) -> Formula:
    algebra = within.algebra
    kernel = algebra.kernels[place]
    if kernel.argument is None:
        return algebra.constant(kernel.sign if place == by else 0)
    if (place, by) not in algebra.slopes:
        inner = slope(kernel.argument, algebra.of(by))
        outer = _outer(kernel, kernel.argument) if inner.terms else inner
        algebra.slopes[place, by] = (outer * inner).scaled(kernel.sign)
    return algebra.slopes[place, by]


def _outer(kernel: Kernel, argument: Formula) -> Formula:
    if kernel.kind not in SLOPES:
        raise Undecided(f"the derivative of {kernel.kind} is not known here")
    return SLOPES[kernel.kind](argument)
