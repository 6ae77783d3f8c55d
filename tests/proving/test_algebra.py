"""The normal form: laws of powers, exponentials, logarithms; derivatives; what it refuses."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pullback.proving.algebra import Algebra, Undecided
from pullback.proving.calculus import RULES, SLOPES, apply, slope
from pullback.proving.symbols import Symbols, meant
from pullback.verify.functions import FUNCTIONS, mp

X, Y = mp.mpf(3) / 7, mp.mpf(5) / 4


def variables():
    algebra = Algebra()
    return algebra.variable("x", X), algebra.variable("y", Y)


def near(a, b):
    return abs(a - b) <= mp.mpf(10) ** -90 * (1 + abs(b))


IDENTITIES = {
    "e^(x+y) = e^x e^y": lambda x, y: apply("exp", x + y) - apply("exp", x) * apply("exp", y),
    "log xy = log x + log y": lambda x, y: apply("log", x * y) - apply("log", x) - apply("log", y),
    "log e^x = x": lambda x, y: apply("log", apply("exp", x)) - x,
    "e^log x = x": lambda x, y: apply("exp", apply("log", x + y)) - x - y,
    "√x √x = x": lambda x, y: apply("sqrt", x + y) * apply("sqrt", x + y) - x - y,
    "√8 = 2√2": lambda x, y: apply("sqrt", x.scaled(8)) - apply("sqrt", x.scaled(2)).scaled(2),
    "log 12 = 2 log 2 + log 3": lambda x, y: (
        apply("log", x.algebra.constant(12))
        - apply("log", x.algebra.constant(2)).scaled(2)
        - apply("log", x.algebra.constant(3))
    ),
    "(x² − y²) / (x − y) = x + y": lambda x, y: (x * x - y * y) / (x - y) - x - y,
    "tanh x = 2σ(2x) − 1": lambda x, y: (
        apply("tanh", x) - apply("expit", x.scaled(2)).scaled(2) + x.algebra.constant(1)
    ),
    "sin(x − y) once": lambda x, y: apply("sin", x - y) - apply("sin", x - (y + x) + x),
    "1/x + 1/y = (x + y)/xy": lambda x, y: x.power(-1) + y.power(-1) - (x + y) / (x * y),
    "x^(3/2) = x √x": lambda x, y: x.power(Fraction(3, 2)) - x * apply("sqrt", x),
}


@pytest.mark.parametrize("law", IDENTITIES)
def test_a_law_holds(law):
    assert IDENTITIES[law](*variables()).is_zero


@pytest.mark.parametrize("law", IDENTITIES)
def test_what_breaks_a_law_is_not_0(law):
    x, y = variables()
    for wrong in (x, x.algebra.constant(Fraction(1, 10**30)), apply("exp", y).scaled(-1)):
        assert not (IDENTITIES[law](x, y) + wrong).is_zero


SAFE = sorted({*RULES, *SLOPES} - {"sum", "arccosh", "arctanh", "psi", "gammaln"})


@pytest.mark.parametrize("name", SAFE)
def test_a_function_has_numpys_value_and_its_own_derivative(name):
    x, y = variables()
    argument = (x * y).scaled(Fraction(1, 2))
    found = apply(name, argument)
    assert near(found.value, FUNCTIONS[name](X * Y / 2))
    expected = mp.diff(lambda one: FUNCTIONS[name](one * Y / 2), X)
    assert abs(slope(found, x).value - expected) < mp.mpf(10) ** -40


def test_a_derivative_that_is_not_known_is_refused():
    x, _ = variables()
    with pytest.raises(Undecided, match="derivative of digamma"):
        slope(apply("psi", x), x)


def test_what_grows_too_large_is_refused():
    algebra = Algebra()
    whole = algebra.total(algebra.variable(f"x{n}", n + 1).terms for n in range(20))
    with pytest.raises(Undecided, match="terms"):
        whole.power(6)


@st.composite
def programs(draw):
    """What a unit's code may do to two numbers."""
    names = ["exp", "tanh", "log1p", "square", "sqrt", "expit", "+", "-", "*", "/", "max"]
    return draw(st.lists(st.sampled_from(names), min_size=1, max_size=5))


def run(program, a, b):
    for step in program:
        if step in "+-*/":
            results = {"+": a + b, "-": a - b, "*": a * b, "/": a / (b * b + 1)}
            a, b = b, results[step]
        elif step == "max":
            a, b = np.maximum(a, b), a
        else:
            argument = a * a if step in ("sqrt", "log1p") else a / 4
            a, b = (argument * argument if step == "square" else getattr(_F, step)(argument)), b
    return a + b


class _F:
    exp, tanh, log1p, sqrt = np.exp, np.tanh, np.log1p, np.sqrt

    @staticmethod
    def expit(x):
        return 1 / (1 + np.exp(-x))


@given(program=programs(), seed=st.integers(0, 1000))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_program_has_its_value_and_its_derivative(program, seed):
    """Of any: the formula's value is that of the numbers, its slope that of a difference."""
    values = np.random.default_rng(seed).normal(size=2)
    assume(abs(values[0]) > 1e-3)
    symbols = Symbols()
    x = symbols.variables("x", values)
    try:
        (y,) = symbols.formulas(run(program, x[:1], x[1:]))
    except Undecided:
        assume(False)
    assert near(y.value, run_in_digits(program, values, 0))
    step = mp.mpf(10) ** -40
    ahead, behind = (run_in_digits(program, values, sign * step) for sign in (1, -1))
    expected = (ahead - behind) / (2 * step)
    found = slope(y, symbols.formulas(x)[0]).value
    assert abs(found - expected) <= mp.mpf(10) ** -30 * (1 + abs(expected))


def run_in_digits(program, values, aside):
    from pullback.verify.exact import EXACT
    from pullback.verify.scalars import values as of

    x = EXACT.array(values)
    x[0] = EXACT.lift(x[0].value + aside)
    return of(run(program, x[:1], x[1:]))[0]


def test_a_constant_is_what_it_is_written_as():
    assert meant(0.1) == Fraction(1, 10)
    assert meant(2.0**92) == 2**92
    assert meant(0.5) == Fraction(1, 2)
    assert meant(3) == 3
    assert meant(1e-5) == Fraction(1, 100_000)


def test_a_number_decides_a_comparison_and_has_no_formula_where_it_is_infinite():
    symbols = Symbols()
    x = symbols.variables("x", np.array([1.0, -2.0]))
    assert (np.where(x > 0, x, -x) > 0).all()
    assert np.argmax(x) == 0
    infinite = 1 / (x * 0)
    assert infinite[0].value == mpmath.inf
    assert symbols.formulas(infinite)[0] is None
    assert symbols.formulas(np.where(x > 5, infinite, x))[1] is not None


def test_a_narrower_type_is_a_step_and_has_slope_0():
    symbols = Symbols()
    x = symbols.variables("x", np.array([0.1]))
    rounded = symbols.formulas(x.astype(np.float32))[0]
    assert rounded.terms == {(): meant(float(np.float32(0.1)))}
