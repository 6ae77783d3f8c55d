"""Numbers with 110 digits that bound what a computation in floats loses: the bound holds."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.verify.exact import CONSTANTS, EXACT, errors, rounding
from pullback.verify.functions import FUNCTIONS, TESTS, mp
from pullback.verify.scalars import values

# Programs: what a unit's code does to arrays, as a list of steps on a pile of two arrays.

UNARY = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log1p of square": lambda x: np.log1p(x * x),
    "sqrt of square": lambda x: np.sqrt(x * x),
    "tanh": np.tanh,
    "negative": np.negative,
    "square": lambda x: x * x,
    "half": lambda x: x / 2,
    "tenth": lambda x: x * 0.1,
    "less its maximum": lambda x: x - x.max(axis=-1, keepdims=True),
    "over its sum": lambda x: x / (1 + np.abs(x).sum(axis=-1, keepdims=True)),
    "cumulative": lambda x: np.cumsum(x, axis=-1),
    "positive part": lambda x: np.maximum(x, 0),
    "reciprocal": lambda x: 1 / (1 + x * x),
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": lambda x, y: x / (1 + y * y),
    "matmul": lambda x, y: x @ np.swapaxes(y, -1, -2) @ x,
    "maximum": np.maximum,
    "logaddexp": np.logaddexp,
}
STEPS = st.lists(st.sampled_from([*UNARY, *BINARY]), min_size=1, max_size=6)


def run(program, x, y):
    with np.errstate(all="ignore"):
        for step in program:
            x = UNARY[step](x) if step in UNARY else BINARY[step](x, y)
    return x


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@given(program=STEPS, seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.01, 1.0, 4.0]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_computation_in_floats_is_within_the_bound(dtype, program, seed, scale):
    """Of any program: what floats give lies as near to the exact result as its account says."""
    rng = np.random.default_rng(seed)
    x, y = (scale * rng.normal(size=(2, 3, 4))).astype(dtype)
    found = run(program, x, y)
    arithmetic = rounding(dtype)
    exact = run(program, arithmetic.array(x), arithmetic.array(y))
    for at in np.ndindex(found.shape):
        value, bound = values(exact)[at], errors(exact)[at]
        if mp.isfinite(value) and mp.isfinite(bound):
            assert abs(mp.mpf(float(found[at])) - value) <= bound, (at, program)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_the_bound_is_no_excuse(dtype):
    """Of a sum of 8 products it is below 60 ulp of the largest term, and finite."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8)).astype(dtype)
    arithmetic = rounding(dtype)
    bound = errors((arithmetic.array(a) * arithmetic.array(b)).sum())[()]
    assert 0 < bound < 60 * np.finfo(dtype).eps * float(abs(a * b).max())


def test_a_cancellation_shows_in_the_bound():
    """(x + 10¹⁶) − 10¹⁶ may lose a whole unit, and 1 − y² all of a small difference."""
    x = rounding("float64").array(np.array([1.0]))
    assert errors((x + 1e16) - 1e16)[0] > 0.5
    y = np.tanh(rounding("float64").array(np.array([18.0])))
    slope = 1 - y * y
    assert errors(slope)[0] > values(slope)[0] / 100


def test_what_overflows_or_leaves_the_domain_has_no_bound():
    single = rounding("float32")
    assert errors(np.exp(single.array(np.array([89.0]))))[0] == mpmath.inf
    assert mp.isnan(values(np.log(EXACT.array(np.array([-1.0]))))[0])
    assert values(1 / EXACT.array(np.array([0.0])))[0] == mp.inf
    assert values(np.log(EXACT.array(np.array([0.0]))))[0] == mp.ninf


POINTS = {"arccosh": (1.5, 3.25), "log": (0.3, 5.0), "log2": (0.3, 5.0), "log10": (0.3, 5.0)}
POINTS |= {"sqrt": (0.3, 5.0), "gammaln": (0.3, 5.0), "digamma": (0.3, 5.0), "psi": (0.3, 5.0)}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) & set(dir(np))))
def test_a_function_is_numpys(name):
    """Each entry of the table is the function of that name, to the last bits of a float."""
    x = np.array(POINTS.get(name, (-0.75, 0.4)))
    expected = getattr(np, name)(x)
    found = values(getattr(np, name)(EXACT.array(x))).astype(float)
    np.testing.assert_allclose(found, expected, rtol=4e-15)


@pytest.mark.parametrize("name", TESTS)
def test_a_question_is_numpys(name):
    x = np.array([-1.0, 0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(getattr(np, name)(EXACT.array(x)), getattr(np, name)(x))


def test_a_constant_may_be_off_by_what_floats_make_of_it():
    """0.5 and 3 are exact; 0.1 and √2 are not what their author means, in the last digits."""
    x = CONSTANTS.array(np.ones(1))
    assert errors(x * 0.5)[0] == errors(x + 3)[0] == 0
    assert 0 < errors(x * 0.1)[0] < 1e-14
    assert abs(values(x * math.sqrt(2))[0] - mp.sqrt(2)) <= errors(x * math.sqrt(2))[0]


def test_what_leaves_the_numbers_is_refused():
    with pytest.raises(TypeError, match="array of float64"):
        values(np.ones(2))
    with pytest.raises(TypeError, match="real"):
        EXACT.array(np.ones(2)).astype(complex)
    with pytest.raises(TypeError, match="complex"):
        EXACT.array(np.ones(2) * 1j)


def test_a_narrower_type_rounds():
    """What a unit's own .astype(np.float32) does, so that no digits come out of nothing."""
    x = EXACT.array(np.array([0.1])).astype(np.float32)
    assert values(x)[0] == mp.mpf(float(np.float32(0.1)))
    assert values(EXACT.array(np.array([0.1])).astype(np.float64))[0] == mp.mpf(0.1)


def test_out_is_filled_and_returned():
    x = EXACT.array(np.array([1.0, 2.0]))
    buffer = EXACT.array(np.zeros(2))
    assert np.exp(x, out=buffer) is buffer
    assert values(buffer)[1] == mp.exp(2)
