"""The same code on arrays of objects: what lets a check use 50 digits, and a proof use symbols."""

from __future__ import annotations

import operator

import mpmath
import numpy as np
import pytest
from shipped import plain_units

from pullback import build, registry

DIGITS = 50


class Number:
    """A number of 50 digits, of which a unit knows only arithmetic, order and the functions."""

    def __init__(self, value):
        self.value = mpmath.mpf(value)

    __hash__ = None


def plain(x):
    return x.value if isinstance(x, Number) else mpmath.mpf(int(x) if isinstance(x, bool) else x)


for _name in ("add", "sub", "mul", "truediv"):
    _do = getattr(operator, _name)
    setattr(Number, f"__{_name}__", lambda a, b, do=_do: Number(do(a.value, plain(b))))
    setattr(Number, f"__r{_name}__", lambda a, b, do=_do: Number(do(plain(b), a.value)))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _do = getattr(operator, _name)
    setattr(Number, f"__{_name}__", lambda a, b, do=_do: bool(do(a.value, plain(b))))
for _name in ("exp", "log", "log1p", "tanh", "sqrt"):
    _do = getattr(mpmath, _name)
    setattr(Number, _name, lambda a, do=_do: Number(do(a.value)))
Number.__neg__ = lambda a: Number(-a.value)

objects = np.vectorize(Number, otypes=[object])
floats = np.vectorize(lambda x: float(plain(x)), otypes=[float])


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(DIGITS):
        yield


def close(found, expected):
    assert found.dtype == object
    np.testing.assert_allclose(floats(found), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", [name for _, name in plain_units("layer")])
def test_layers(name):
    rng = np.random.default_rng(0)
    cls = registry.lookup("layer", name)
    unit = cls(3) if name.startswith("affine") else cls()
    x = unit.samples(rng) if hasattr(unit, "samples") else rng.normal(size=(4, 5))
    params = list(unit.init(rng, x.shape[1:]).values()) if hasattr(unit, "init") else []
    y, residual = unit.forward(x, *params)
    y_objects, residual_objects = unit.forward(objects(x), *map(objects, params))
    close(y_objects, y)
    dy = rng.normal(size=y.shape)
    gradients = unit.backward(residual, dy)
    gradients_objects = unit.backward(residual_objects, objects(dy))
    if not params:
        gradients, gradients_objects = (gradients,), (gradients_objects,)
    for found, expected in zip(gradients_objects, gradients, strict=True):
        close(found, expected)


@pytest.mark.parametrize("soft", [False, True], ids=["labels", "rows"])
@pytest.mark.parametrize("name", [name for _, name in plain_units("loss")])
def test_losses(name, soft):
    rng = np.random.default_rng(1)
    unit = build("loss", name)
    y = unit.samples(rng)[0] if hasattr(unit, "samples") else rng.normal(size=(4, 3))
    target = rng.dirichlet(np.ones(3), size=4) if soft else rng.integers(3, size=4)
    value, residual = unit.forward(y, target)
    value_objects, residual_objects = unit.forward(objects(y), target)
    close(value_objects, value)
    dl = rng.normal(size=4)
    close(unit.backward(residual_objects, objects(dl)), unit.backward(residual, dl))


def test_a_unit_that_leaves_the_objects_is_caught():
    x = objects(np.ones(3))
    with pytest.raises(AssertionError):
        close(floats(x), np.ones(3))
    with pytest.raises(TypeError):
        np.log(np.where([True, False, False], 1, x))  # an int has no logarithm
