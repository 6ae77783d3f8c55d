"""Every registered layer and loss by its law, the losses by PyTorch, the digits by mpmath.

The units come from the registry, so that a new one is tested as soon as it is announced. Each
check is a function that raises AssertionError, and the wrong units at the end show that it does.

The tolerance. Complex steps give J, the derivative of a unit's own forward, to about the last bit.
A gradient is g_j = Σ_i dy_i J_ij. A backward that forms its terms with a few roundings each and
adds them up is off by a few ulps of K_j = Σ_i |dy_i J_ij|; where a term is itself a difference
(1 − y², ŷ − t), by a few ulps of what it is a difference of, which is of the size of the largest
of J, or of 1. So the error of g_j may be ULPS · eps · (K_j + max|dy| · max(1, max|J|)), and that of
y_i, whose inputs are exact and whose steps are not, ULPS · eps · (|y_i| + Σ_j |J_ij x_j| + 1). A
sum here has at most 5 terms: 4 additions and some 4 roundings of each term make 8 ulps (the shipped
units stay below 1). One rounding to float32 is 3e8 of them.
"""

import json
import pickle
import zlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from pullback import registry
from pullback.net import loss_and_cotangent, loss_value, takes
from pullback.options import build, options_of

ULPS = 8
H = 1e-200  # the complex step: its square is 0
N, FEATURES = 4, 3  # FEATURES is the number of classes of a loss, too
GAP = 25.0  # by which a confident row is ahead, or behind

UNITS = [(kind, name) for kind in ("layer", "loss") for name in registry.names(kind)]


# The cases of a unit: options, inputs, a target.


@dataclass(frozen=True)
class Case:
    """A unit and what forward takes: inputs, which have a gradient each, and a loss's target."""

    label: str
    unit: Any
    inputs: tuple[Any, ...]
    target: tuple[Any, ...] = ()

    def forward(self, **options):
        with_target = (*self.inputs, *self.target)
        return carried_out(self.unit.forward, *with_target, **options)

    def backward(self, residual, dy, **options):
        """The gradients, a tuple of one for each input."""
        result = carried_out(self.unit.backward, residual, dy, **options)
        gradients = result if len(self.inputs) > 1 else (result,)
        assert isinstance(gradients, tuple), "one gradient for each of several inputs, in a tuple"
        assert len(gradients) == len(self.inputs), "one gradient for each input"
        return gradients

    def cotangent(self, like, seed=1):
        """Random numbers; all ones would hide what the rows of J add up to."""
        return np.random.default_rng(seed).normal(size=np.shape(like)).astype(like.dtype)

    def astype(self, dtype):
        target = (one if one.dtype.kind in "iu" else one.astype(dtype) for one in self.target)
        inputs = tuple(value.astype(dtype) for value in self.inputs)
        return replace(self, inputs=inputs, target=tuple(target))


def carried_out(method, *arguments, **options):
    try:
        return method(*arguments, **options)
    except Exception as error:
        raise AssertionError(f"{method.__name__} raised {type(error).__name__}: {error}") from error


def cases(kind, cls, seed=0):
    """Normal and confident inputs, or the unit's samples; with each option of a loss on classes."""
    rng = np.random.default_rng([seed, zlib.crc32(cls.__name__.encode())])
    found = []
    for options in option_sets(cls):
        unit = cls(**required(cls), **options)
        of_kind = layer_cases if kind == "layer" else loss_cases
        found += [
            replace(case, label=f"{case.label} {options or ''}") for case in of_kind(unit, rng)
        ]
    return found


def required(cls):
    values = {int: 5, float: 0.5, bool: True, str: "x"}
    return {option.name: values[option.type] for option in options_of(cls) if option.required}


CLASS_OPTIONS = {"weight": (0.5, 2.0, 1.25), "ignore_index": 1, "label_smoothing": 0.2}


def option_sets(cls):
    """The defaults; each option of a loss on classes, and all of them."""
    if not takes_class_options(cls):
        return [{}]
    return [{}, *({name: value} for name, value in CLASS_OPTIONS.items()), CLASS_OPTIONS]


def takes_class_options(cls):
    return set(CLASS_OPTIONS) <= {one.name for one in fields(cls)}


def predictions(rng):
    """Random rows; then a number of the first is far ahead, and one of the second far behind."""
    x = rng.normal(size=(N, FEATURES))
    confident = x.copy()
    confident[0, 0] += GAP
    confident[1, 1] -= GAP
    return {"normal": x, "confident": confident}


def sampled(unit, rng):
    samples = unit.samples(rng)
    return samples if isinstance(samples, tuple) else (samples,)


def layer_cases(unit, rng):
    if hasattr(unit, "samples"):
        inputs = {"its samples": sampled(unit, rng)}
    else:
        inputs = {label: (x,) for label, x in predictions(rng).items()}
    for label, (x, *given) in inputs.items():
        drawn = unit.init(rng, x.shape[1:]) if hasattr(unit, "init") and not given else {}
        params = given or [value + rng.normal(size=value.shape) for value in drawn.values()]
        yield Case(label, unit, (x, *params))


def loss_cases(unit, rng):
    """Labels of every class, the first far ahead and the second far behind; rows with Σt ≠ 1."""
    if hasattr(unit, "samples"):
        y, target = sampled(unit, rng)
        yield Case("its samples", unit, (y,), (target,))
        rows = rng.uniform(0.1, 1, size=y.shape)
        if target.dtype.kind in "iu" and takes_rows(unit, y, rows):
            yield Case("its samples, rows", unit, (y,), (rows,))
        return
    labels = np.array([0, 1, 2, rng.integers(FEATURES)])
    rows = rng.dirichlet(np.ones(FEATURES), size=N) * rng.uniform(0.5, 2, size=(N, 1))
    for label, y in predictions(rng).items():
        yield Case(f"{label}, labels", unit, (y,), (labels,))
        if takes_rows(unit, y, rows):
            yield Case(f"{label}, rows", unit, (y,), (rows,))


def takes_rows(unit, y, rows):
    try:
        unit.forward(y, rows)
    except ValueError:
        return False
    return True


# The derivative of a unit's own forward, and what it is compared with.


def derivatives(case):
    """∂y / ∂input for each input, of shape (*input, *y), by complex steps."""
    found = []
    for place, value in enumerate(case.inputs):
        columns = []
        for at in np.ndindex(value.shape):
            stepped = value.astype(complex)
            stepped[at] += 1j * H
            inputs = (*case.inputs[:place], stepped, *case.inputs[place + 1 :])
            y = replace(case, inputs=inputs).forward()[0]
            assert y.dtype.kind == "c", "forward drops the imaginary part"
            columns.append(y.imag / H)
        found.append(np.array(columns).reshape(value.shape + y.shape))
    return found


def product(J, dy):
    return np.tensordot(J, dy, axes=dy.ndim)


def size(J, dy):
    """What an error of a gradient is measured by; see the tolerance above."""
    return product(abs(J), abs(dy)) + abs(dy).max() * max(1, abs(J).max())


def close(found, expected, sizes, eps, what):
    error = abs(found - expected) / (eps * sizes)
    assert not np.isnan(found).any(), f"{what} has a NaN"
    at = np.unravel_index(error.argmax(), error.shape)
    assert error[at] <= ULPS, (
        f"{what} is off by {error[at]:.3g} ulps of its size at {tuple(map(int, at))}: "
        f"{found[at]!r}, and by its own forward {expected[at]!r}"
    )


def same(found, expected, what):
    """Bit for bit, with the type and the shape."""
    np.testing.assert_array_equal(found, expected, err_msg=what, strict=True)


def gradient_name(place):
    return "gradient of x" if place == 0 else f"gradient of parameter {place}"


# The checks. Each takes a case and another one of the same shapes.


def check_derivative(case, other):
    """backward is the pullback of the unit's own forward, for two random cotangents."""
    y, residual = case.forward()
    J = derivatives(case)
    for seed in (1, 2):
        dy = case.cotangent(y, seed)
        for place, gradient in enumerate(case.backward(residual, dy)):
            expected, sizes = product(J[place], dy), size(J[place], dy)
            assert gradient.shape == expected.shape, f"{gradient_name(place)} has another shape"
            close(gradient, expected, sizes, np.finfo(float).eps, gradient_name(place))


def check_types_and_shapes(case, other):
    """float32 stays float32 and float64 float64, and a gradient has the shape of its value."""
    for dtype in (np.float32, np.float64):
        typed = replace(case.astype(dtype), target=case.target)  # rows of a target stay float64
        y, residual = typed.forward()
        assert y.dtype == dtype, f"forward turns {np.dtype(dtype)} into {y.dtype}"
        x = case.inputs[0]
        if case.target:
            assert y.shape == x.shape[:-1], f"a loss has one value for each row, not {y.shape}"
        assert y.shape[: x.ndim - 1] == x.shape[:-1], f"y has other rows: {y.shape}"
        gradients = typed.backward(residual, typed.cotangent(y))
        for place, (gradient, value) in enumerate(zip(gradients, typed.inputs, strict=True)):
            assert gradient.dtype == dtype, f"{gradient_name(place)} is {gradient.dtype}"
            assert gradient.shape == value.shape, f"{gradient_name(place)} has {gradient.shape}"


def check_float32(case, other):
    """In float32 the same as in float64, for inputs that both can hold, to float32's roundings."""
    narrow, eps = case.astype(np.float32), np.finfo(np.float32).eps
    wide = narrow.astype(np.float64)
    y, residual = narrow.forward()
    y_wide, residual_wide = wide.forward()
    J = derivatives(wide)
    moved = sum(product_of_inputs(one, x) for one, x in zip(J, wide.inputs, strict=True))
    close(y, y_wide, abs(y_wide) + moved + 1, eps, "y in float32")
    dy = narrow.cotangent(y)
    found = narrow.backward(residual, dy)
    expected = wide.backward(residual_wide, dy.astype(np.float64))
    for place, (gradient, shadow) in enumerate(zip(found, expected, strict=True)):
        sizes = size(J[place], dy.astype(np.float64))
        close(gradient, shadow, sizes, eps, f"{gradient_name(place)} in float32")


def product_of_inputs(J, x):
    return np.tensordot(abs(x), abs(J), axes=x.ndim)


def check_linear(case, other):
    """backward(2ⁿ dy) = 2ⁿ backward(dy) to the bit; backward(a + b) = backward(a) + backward(b)."""
    y, residual = case.forward()
    a, b = case.cotangent(y, 1), case.cotangent(y, 2)
    of_a, of_b = case.backward(residual, a), case.backward(residual, b)
    of_sum = case.backward(residual, a + b)
    for factor in (2.0**30, -(2.0**-30)):
        of_scaled = case.backward(residual, factor * a)
        for place, gradient in enumerate(of_a):
            same(of_scaled[place], factor * gradient, f"{gradient_name(place)} of {factor} dy")
    for place, J in enumerate(derivatives(case)):
        sizes = size(J, a) + size(J, b)
        expected = of_a[place] + of_b[place]
        what = f"{gradient_name(place)} of a sum"
        close(of_sum[place], expected, sizes, np.finfo(float).eps, what)


def check_pure(case, other):
    """Read-only inputs do; a second call gives the same bits; nothing is kept on unit or class."""
    inputs, target = map(frozen, case.inputs), map(frozen, case.target)
    case = replace(case, inputs=tuple(inputs), target=tuple(target))
    kept = pickle.dumps(vars(case.unit)), sorted(vars(type(case.unit)))
    y, residual = case.forward()
    dy = frozen(case.cotangent(y))
    first_y, first = y.copy(), [one.copy() for one in case.backward(residual, dy)]
    other.forward()
    for gradient, expected in zip(case.backward(residual, dy), first, strict=True):
        same(gradient, expected, "backward, after a forward of other inputs")
    again, residual = case.forward()
    same(again, first_y, "forward, for the second time")
    same(y, first_y, "y, after other calls")
    for gradient, expected in zip(case.backward(residual, dy), first, strict=True):
        same(gradient, expected, "backward, for the second time")
    now = pickle.dumps(vars(case.unit)), sorted(vars(type(case.unit)))
    assert now == kept, "forward or backward keeps something on the unit or its class"


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def check_out(case, other):
    """A method that takes out= returns that buffer, whatever was in it, and the same bits."""
    cls = type(case.unit)
    y, residual = case.forward()
    dy = case.cotangent(y)
    gradients = case.backward(residual, dy)

    def compare(found, what):
        for place, gradient in enumerate(found, start=len(gradients) - len(found)):
            same(gradient, gradients[place], f"{gradient_name(place)} {what}")

    if takes(cls, "forward", "out"):
        buffer = np.full_like(y, np.nan)
        found, residual = case.forward(out=buffer)
        assert found is buffer, "forward returns something else than its out"
        same(found, y, "forward into out")
        compare(case.backward(residual, dy), "after a forward into out")
    if takes(cls, "backward", "out"):
        buffers = tuple(np.full_like(one, np.nan) for one in gradients)
        found = case.backward(residual, dy, out=buffers if len(buffers) > 1 else buffers[0])
        returned = [one is buffer for one, buffer in zip(found, buffers, strict=True)]
        assert all(returned), "backward returns something else than its out"
        compare(found, "into out")
    if takes(cls, "backward", "needs_dx"):
        compare(case.backward(residual, dy, needs_dx=False)[1:], "without dx")


def check_stacked(case, other):
    """A leading axis over two runs is the same as one after the other, bit for bit."""
    both = [case, other]
    stacked = replace(
        case,
        inputs=tuple(map(np.stack, zip(*(one.inputs for one in both), strict=True))),
        target=tuple(map(np.stack, zip(*(one.target for one in both), strict=True))),
    )
    y, residual = stacked.forward()
    dy = stacked.cotangent(y)
    gradients = stacked.backward(residual, dy)
    for run, alone in enumerate(both):
        expected, residual = alone.forward()
        same(y[run], expected, f"y of run {run}")
        for place, gradient in enumerate(alone.backward(residual, dy[run])):
            same(gradients[place][run], gradient, f"{gradient_name(place)} of run {run}")


def check_empty(case, other):
    """No rows: nothing comes out, and the gradient of a parameter is 0."""
    x, *params = case.inputs
    target = tuple(one[:0] for one in case.target)
    empty = replace(case, inputs=(x[:0], *params), target=target)
    y, residual = empty.forward()
    assert y.shape[0] == 0, "no rows became some"
    gradients = empty.backward(residual, np.zeros_like(y))
    for place, (gradient, value) in enumerate(zip(gradients, empty.inputs, strict=True)):
        same(gradient, np.zeros_like(value), f"{gradient_name(place)} of no rows")


CHECKS = [
    check_derivative,
    check_types_and_shapes,
    check_float32,
    check_linear,
    check_pure,
    check_out,
    check_stacked,
    check_empty,
]


def carry_out(check, kind, cls):
    for case, other in zip(cases(kind, cls), cases(kind, cls, seed=1), strict=True):
        try:
            check(case, other)
        except AssertionError as error:
            error.add_note(f"{cls.__name__}, {case.label}")
            raise


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("kind", "name"), UNITS)
def test_unit(kind, name, check):
    carry_out(check, kind, registry.lookup(kind, name))


def test_the_battery_is_not_empty():
    """What a test is driven by is there: units, cases of each, and the optional arguments."""
    assert {kind for kind, _ in UNITS} == {"layer", "loss"}
    classes = {registry.lookup(kind, name): kind for kind, name in UNITS}
    assert all(cases(kind, cls) for cls, kind in classes.items())
    for method, option in (("forward", "out"), ("backward", "out"), ("backward", "needs_dx")):
        assert any(takes(cls, method, option) for cls in classes)
    assert any("rows" in case.label for cls, kind in classes.items() for case in cases(kind, cls))
    assert any(hasattr(cls, "init") for cls in classes)
    assert any(hasattr(cls, "samples") for cls in classes)


# Wrong units, and the check that must catch each.


class Elementwise:
    """What the wrong layers share: y = tanh x; they change one thing each."""

    def forward(self, x):
        y = np.tanh(x)
        return y, y

    def backward(self, residual, dy):
        return (1 - residual * residual) * dy


class Rows:
    """ŷ = softmax z, right as it stands."""

    def forward(self, z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def backward(self, residual, dy):
        y = residual
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


class Parameters:
    """y = x W + b, right as it stands."""

    def init(self, rng, shape):
        return {"W": rng.normal(size=(shape[0], 5)), "b": np.zeros((1, 5))}

    def forward(self, x, W, b):
        return x @ W + b, (x, W)

    def backward(self, residual, dy):
        x, W = residual
        x, W = np.swapaxes(x, -1, -2), np.swapaxes(W, -1, -2)
        return dy @ W, x @ dy, dy.sum(axis=-2, keepdims=True)


class OnLogits:
    """ℓ = log Σ eᶻ − z_label, right as it stands; target: labels."""

    def forward(self, y, target):
        t = (target[..., None] == np.arange(y.shape[-1])).astype(y.real.dtype)
        d = y - y.max(axis=-1, keepdims=True)
        e = np.exp(d)
        total = e.sum(axis=-1, keepdims=True)
        return np.log(total[..., 0]) - (t * d).sum(axis=-1), (e / total, t)

    def backward(self, residual, dl):
        y, t = residual
        return (y - t) * dl[..., None]


@dataclass(frozen=True)
class RightElementwise(Elementwise):
    pass


@dataclass(frozen=True)
class RightRows(Rows):
    pass


@dataclass(frozen=True)
class RightParameters(Parameters):
    pass


@dataclass(frozen=True)
class RightOnLogits(OnLogits):
    pass


RIGHT = [RightElementwise, RightRows, RightParameters, RightOnLogits]
WRONG: list[tuple[type, Any]] = []


def wrong(caught_by):
    """Note a class as a unit that a check must refuse."""

    def noted(cls):
        cls = dataclass(frozen=True)(cls)
        WRONG.append((cls, caught_by))
        return cls

    return noted


@wrong(check_derivative)
class SignFlipped(Elementwise):
    def backward(self, residual, dy):
        return -super().backward(residual, dy)


@wrong(check_derivative)
class SignOfTheLossFlipped(OnLogits):
    def backward(self, residual, dl):
        return -super().backward(residual, dl)


@wrong(check_derivative)
class Nothing(Rows):
    """What a cotangent of ones would not show: the rows of J add up to 0."""

    def backward(self, residual, dy):
        return np.zeros_like(dy)


@wrong(check_derivative)
class DiagonalOnly(Rows):
    def backward(self, residual, dy):
        return residual * (1 - residual) * dy


@wrong(check_derivative)
class UpstreamDropped(Elementwise):
    def backward(self, residual, dy):
        return 1 - residual * residual


@wrong(check_derivative)
class UpstreamOfTheLossDropped(OnLogits):
    def backward(self, residual, dl):
        y, t = residual
        return y - t


@wrong(check_derivative)
class FusedByConvention(Rows):
    """The gradient of a loss that is to follow, in the place of the layer's own."""

    def backward(self, residual, dy):
        return residual - dy


@wrong(check_derivative)
class WrongResidual(Elementwise):
    """1 − x² for 1 − y²."""

    def forward(self, x):
        return np.tanh(x), x


@wrong(check_derivative)
class WrongRows(Rows):
    """The sum of the product over the rows, not over the classes."""

    def backward(self, residual, dy):
        return residual * (dy - (dy * residual).sum(axis=0, keepdims=True))


@wrong(check_derivative)
class RoundedToFloat32(Rows):
    def backward(self, residual, dy):
        return super().backward(residual, dy.astype(np.float32)).astype(dy.dtype)


@wrong(check_derivative)
class TransposedWeight(Parameters):
    """W for Wᵀ, with the shapes made to fit."""

    def backward(self, residual, dy):
        _, W = residual
        transposed = np.reshape(W, (*W.shape[:-2], W.shape[-1], W.shape[-2]))
        return (dy @ transposed, *super().backward(residual, dy)[1:])


@wrong(check_derivative)
class BiasNotSummed(Parameters):
    """The gradient of the first row for that of all."""

    def backward(self, residual, dy):
        return (*super().backward(residual, dy)[:2], dy[..., :1, :])


@wrong(check_types_and_shapes)
class BiasOfEveryRow(Parameters):
    def backward(self, residual, dy):
        return (*super().backward(residual, dy)[:2], dy)


@wrong(check_derivative)
class WeightAveraged(Parameters):
    def backward(self, residual, dy):
        dx, dW, db = super().backward(residual, dy)
        return dx, dW / dy.shape[-2], db


@wrong(check_derivative)
class GradientsSwapped(Parameters):
    def backward(self, residual, dy):
        dx, dW, db = super().backward(residual, dy)
        return dx, db, dW


@wrong(check_derivative)
class GradientLeftOut(Parameters):
    def backward(self, residual, dy):
        return super().backward(residual, dy)[:2]


@wrong(check_derivative)
class MeanInTheLoss(OnLogits):
    """The engine's 1/N once more."""

    def backward(self, residual, dl):
        return super().backward(residual, dl) / len(dl)


@wrong(check_derivative)
class RowsOfSumOne(OnLogits):
    """ŷ − t for soft rows, whose sum may be another: in general it is ŷ Σt − t."""

    def forward(self, y, target):
        if target.dtype.kind in "iu":
            return super().forward(y, target)
        d = y - y.max(axis=-1, keepdims=True)
        e = np.exp(d)
        total = e.sum(axis=-1, keepdims=True)
        return (target * (np.log(total) - d)).sum(axis=-1), (e / total, target)


@wrong(check_types_and_shapes)
class TurnedToFloat64(Rows):
    """An identity matrix without a dtype."""

    def backward(self, residual, dy):
        y = residual
        J = y[..., :, None] * (np.eye(y.shape[-1]) - y[..., None, :])
        return (dy[..., None, :] @ J)[..., 0, :]


@wrong(check_types_and_shapes)
class OneLossInAColumn(OnLogits):
    def forward(self, y, target):
        value, residual = super().forward(y, target)
        return value[..., None], residual

    def backward(self, residual, dl):
        return super().backward(residual, dl[..., 0])


@wrong(check_float32)
class RoundedToFloat16(Elementwise):
    """Right in float64, and without digits in float32."""

    def backward(self, residual, dy):
        dx = super().backward(residual, dy)
        return dx.astype(np.float16).astype(dy.dtype) if dy.dtype == np.float32 else dx


@wrong(check_linear)
class Clipped(Elementwise):
    """Right for every cotangent of an ordinary size."""

    def backward(self, residual, dy):
        return np.clip(super().backward(residual, dy), -100, 100)


@wrong(check_pure)
class WritesIntoItsCotangent(Elementwise):
    def backward(self, residual, dy):
        dy *= 1 - residual * residual
        return dy


@wrong(check_pure)
class WritesIntoItsInput(Rows):
    def forward(self, z):
        z -= z.max(axis=-1, keepdims=True)
        return super().forward(z)


@wrong(check_pure)
class WritesIntoItsResidual(Elementwise):
    def forward(self, x):
        y = np.tanh(x)
        return y, y.copy()

    def backward(self, residual, dy):
        residual *= residual
        return (1 - residual) * dy


@wrong(check_pure)
class StateOnSelf(Elementwise):
    def forward(self, x):
        object.__setattr__(self, "y", np.tanh(x))
        return self.y, None

    def backward(self, residual, dy):
        return (1 - self.y * self.y) * dy


@wrong(check_pure)
class StateOnTheClass(Elementwise):
    last = None

    def forward(self, x):
        type(self).last = np.tanh(x)
        return self.last, None

    def backward(self, residual, dy):
        return (1 - self.last * self.last) * dy


@wrong(check_pure)
class AnotherEachTime(Elementwise):
    """A mask drawn in forward, from a generator that goes on."""

    rng = np.random.default_rng(0)

    def forward(self, x):
        mask = self.rng.integers(2, size=x.shape).astype(x.real.dtype)
        return mask * x, mask

    def backward(self, residual, dy):
        return residual * dy


@wrong(check_out)
class BufferLeftAlone(Elementwise):
    def backward(self, residual, dy, out=None):
        return super().backward(residual, dy)


@wrong(check_out)
class BufferAddedTo(Parameters):
    """Gradients summed into what the buffers held before."""

    def backward(self, residual, dy, out=(None, None, None)):
        gradients = super().backward(residual, dy)
        if out[0] is None:
            return gradients
        return tuple(np.add(one, g, out=one) for one, g in zip(out, gradients, strict=True))


@wrong(check_out)
class BufferRead(Elementwise):
    """y is in out, and out is overwritten before y was used."""

    def forward(self, x, out=None):
        return np.tanh(x, out=out), x if out is None else out

    def backward(self, residual, dy):
        return (1 - np.tanh(residual) ** 2) * dy


@wrong(check_out)
class OtherGradientsWithoutDx(Parameters):
    def backward(self, residual, dy, needs_dx=True):
        dx, dW, db = super().backward(residual, dy)
        return (dx, dW, db) if needs_dx else (None, dW, 0 * db)


@wrong(check_stacked)
class GlobalMaximum(Rows):
    """The largest of all rows taken out of each."""

    def forward(self, z):
        e = np.exp(z - z.max())
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y


@wrong(check_stacked)
class FirstAxis(Parameters):
    """.T and axis 0 in the place of the last axes."""

    def backward(self, residual, dy):
        x, W = residual
        return dy @ W.T, x.T @ dy, dy.sum(axis=0, keepdims=True)


@wrong(check_empty)
class MeanOfNoRows(Parameters):
    """Divided by the number of rows and multiplied again: a bias of 0 / 0."""

    def backward(self, residual, dy):
        dx, dW, _ = super().backward(residual, dy)
        return dx, dW, dy.mean(axis=-2, keepdims=True) * dy.shape[-2]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", RIGHT)
def test_right_units_pass(cls, check):
    """What the wrong ones are made from, so that a wrong one is refused for what it does wrong."""
    carry_out(check, registry.kind_of(cls), cls)


@pytest.mark.parametrize(("cls", "check"), WRONG)
def test_wrong_units_are_caught(cls, check):
    with pytest.raises(AssertionError):
        carry_out(check, registry.kind_of(cls), cls)


def test_every_check_catches_something():
    assert {check for _, check in WRONG} == set(CHECKS)


# Families.


def families():
    """The families of more than one member: the names that share a forward."""
    found = {}
    for kind, name in UNITS:
        family = registry.family(registry.lookup(kind, name), name)
        found.setdefault((kind, family), []).append(name)
    return [(kind, family, names) for (kind, family), names in found.items() if len(names) > 1]


def test_there_are_families():
    assert [family for _, family, _ in families()] == ["softmax", "tanh", "cross_entropy"]


@pytest.mark.parametrize(("kind", "family", "names"), families())
def test_members_of_a_family_agree(kind, family, names):
    """y and every gradient of each member are those of the first, on the first's own cases."""
    first, *others = (registry.lookup(kind, name) for name in names)
    eps = np.finfo(float).eps
    for case in cases(kind, first):
        y, residual = case.forward()
        dy, J = case.cotangent(y), derivatives(case)
        gradients = case.backward(residual, dy)
        options = {one.name: getattr(case.unit, one.name) for one in fields(first)}
        moved = sum(product_of_inputs(one, x) for one, x in zip(J, case.inputs, strict=True))
        for cls in others:
            member = replace(case, unit=cls(**options))
            what = f"{cls.__name__}, {case.label}: "
            y_member, residual = member.forward()
            close(y_member, y, abs(y) + moved + 1, eps, f"{what}y")
            for place, gradient in enumerate(member.backward(residual, dy)):
                close(
                    gradient, gradients[place], size(J[place], dy), eps, what + gradient_name(place)
                )


# Losses on classes: the options, one by one.


def class_losses():
    names = registry.names("loss")
    return [name for name in names if takes_class_options(registry.lookup("loss", name))]


class_loss = pytest.mark.parametrize("name", class_losses())
LABELS = np.array([2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]
DL = np.array([0.5, -1.5, 0.7, 0.3])


def distributions(seed=5):
    """Probabilities, which are also what a loss on logits or on log-probabilities takes."""
    return np.random.default_rng(seed).dirichlet(np.ones(3), size=4)


def both_ways(name, target, y=None, **options):
    loss = build("loss", {"name": name, **options})
    value, residual = loss.forward(distributions() if y is None else y, target)
    return value, loss.backward(residual, DL)


def test_there_are_losses_on_classes():
    assert len(class_losses()) >= 2


@class_loss
@pytest.mark.parametrize("ignore_index", [2, -100, 7])
def test_ignored_rows_count_for_nothing(name, ignore_index):
    """Also an index that is no class; and whatever the prediction of an ignored row holds."""
    labels = np.where(LABELS == 2, ignore_index, LABELS)
    y = distributions()
    y[LABELS == 2] = [1.0, 0.0, 0.0]
    value, gradient = both_ways(name, labels, y, ignore_index=ignore_index)
    ignored = labels == ignore_index
    assert (value[ignored] == 0).all()
    assert (gradient[ignored] == 0).all()
    plain_value, plain_gradient = both_ways(name, LABELS)
    same(value[~ignored], plain_value[~ignored], "ℓ of the others")
    same(gradient[~ignored], plain_gradient[~ignored], "gradient of the others")


@class_loss
def test_weights_multiply_the_rows_of_their_class(name):
    """Powers of two, so that they multiply every digit."""
    weight = (0.5, 4.0, 2.0)
    value, gradient = both_ways(name, LABELS, weight=weight)
    plain_value, plain_gradient = both_ways(name, LABELS)
    w = np.array(weight)[LABELS]
    same(value, w * plain_value, "ℓ")
    same(gradient, w[:, None] * plain_gradient, "gradient")


@class_loss
def test_weights_of_soft_rows_multiply_their_entries(name):
    rows, weight = distributions(6), (0.5, 0.0, 2.0)
    found = both_ways(name, rows, weight=weight)
    for one, expected in zip(found, both_ways(name, rows * weight), strict=True):
        same(one, expected, "weighted rows")


@class_loss
@pytest.mark.parametrize("smoothing", [0.25, 1.0])
def test_label_smoothing_mixes_the_target_with_equal_parts(name, smoothing):
    for target, rows in ((LABELS, ONE_HOT), (distributions(6),) * 2):
        found = both_ways(name, target, label_smoothing=smoothing)
        expected = both_ways(name, rows * (1 - smoothing) + smoothing / 3)
        for one, other in zip(found, expected, strict=True):
            same(one, other, "smoothed")


@class_loss
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_a_label_is_its_one_hot_row(name, dtype):
    for one, other in zip(
        both_ways(name, LABELS.astype(dtype)), both_ways(name, ONE_HOT), strict=True
    ):
        same(one, other, "one-hot")


@class_loss
def test_labels_and_rows_are_shared_by_stacked_runs(name):
    """A target without the leading axis of the predictions is that of every run."""
    y = np.stack([distributions(7), distributions(8)])
    loss = build("loss", name)
    for target in (LABELS, distributions(6)):
        value, residual = loss.forward(y, target)
        gradient = loss.backward(residual, np.stack([DL, DL]))
        for run in range(2):
            alone = both_ways(name, target, y[run])
            same(value[run], alone[0], "ℓ")
            same(gradient[run], alone[1], "gradient")


@class_loss
def test_example_weights(name):
    labels = np.array([2, 0, -100, 1])
    rows = distributions()

    def weights(target, **options):
        return build("loss", {"name": name, **options}).example_weights(target).tolist()

    assert weights(labels) == [1, 1, 0, 1]
    assert weights(labels, ignore_index=0) == [1, 0, 1, 1]
    assert weights(labels, weight=(0.5, 2, 1.25)) == [1.25, 0.5, 0, 2]
    assert weights(labels, weight=(0.5, 2, 1.25), label_smoothing=0.3) == [1.25, 0.5, 0, 2]
    assert weights(rows) == [1, 1, 1, 1]
    assert weights(rows, weight=(0.5, 2, 1.25), ignore_index=1) == [1, 1, 1, 1]


BAD_TARGETS = [
    (
        np.array([0, 1, 3, 2]),
        "the target of row 2 is 3, and there are 3 classes: labels go from 0 to 2",
    ),
    (np.array([0, -1, 0, 2]), "the target of row 1 is -1, and there are 3 classes"),
    (np.array([-100, 0, 0, 5]), "the target of row 3 is 5, and there are 3 classes"),
    (
        np.array([0, 1]),
        r"need integer labels of shape \(4,\) or rows of shape \(4, 3\); the target ",
    ),
    (np.array([0.0, 1.0, 2.0, 0.0]), r"the target is float64 of shape \(4,\)"),
    (np.array([0.2, 0.3, 0.5]), r"the target is float64 of shape \(3,\)"),
    (np.ones((4, 2)), r"the target is float64 of shape \(4, 2\)"),
    (np.ones((4, 3), dtype=int), r"the target is int64 of shape \(4, 3\)"),
    (np.ones((4, 1)), r"the target is float64 of shape \(4, 1\)"),
    (np.array(1), r"the target is int64 of shape \(\)"),
    (np.array(1.0), r"the target is float64 of shape \(\)"),
    (np.array(["a", "b", "c", "a"]), r"the target is <U1 of shape \(4,\)"),
    (np.ones((4, 3), dtype=complex), r"the target is complex128 of shape \(4, 3\)"),
]


@class_loss
@pytest.mark.parametrize(("target", "message"), BAD_TARGETS)
def test_a_target_that_does_not_fit_is_refused(name, target, message):
    with pytest.raises(ValueError, match=message):
        build("loss", name).forward(distributions(), target)


@class_loss
def test_a_square_batch_does_not_take_numbers_for_a_row(name):
    """As many rows as classes: (3,) numbers are neither labels nor the row of every example."""
    with pytest.raises(ValueError, match=r"the target is float64 of shape \(3,\)"):
        build("loss", name).forward(distributions()[:3], np.array([0.0, 1.0, 2.0]))


@class_loss
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weight": (1.0, -0.5, 1.0)},
            r"weight must not be negative, and it is \[1.0, -0.5, 1.0\]",
        ),
        ({"weight": (1.0, float("nan"), 1.0)}, "weight must not be negative"),
        ({"label_smoothing": 1.5}, "label_smoothing must be from 0 to 1, not 1.5"),
        ({"label_smoothing": -0.1}, "label_smoothing must be from 0 to 1, not -0.1"),
    ],
)
def test_an_option_out_of_range_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        registry.lookup("loss", name)(**options)


@class_loss
@pytest.mark.parametrize("target", [LABELS, ONE_HOT], ids=["labels", "rows"])
def test_as_many_weights_as_classes(name, target):
    loss = build("loss", {"name": name, "weight": (1.0, 2.0)})
    with pytest.raises(ValueError, match="weight has 2 numbers for 3 classes"):
        loss.forward(distributions(), target)


def test_a_chain_consists_of_what_it_says():
    """Its forward and gradient are those of the units by hand, bit for bit."""
    chains = {"cross_entropy_vjp": "softmax", "cross_entropy_jacobian": "softmax_jacobian"}
    for name, softmax in chains.items():
        stages = build("loss", name).stages
        assert list(stages) == ["ŷ", "l", "PL"]
        units = [build("layer", softmax), build("layer", "log"), build("loss", "nll")]
        assert [type(one) for one in stages.values()] == [type(one) for one in units]
        y, residuals = distributions(), []
        for unit in units[:-1]:
            y, residual = unit.forward(y)
            residuals.append(residual)
        value, residual = units[-1].forward(y, LABELS)
        gradient = DL
        for unit, kept in zip(reversed(units), reversed([*residuals, residual]), strict=True):
            gradient = unit.backward(kept, gradient)
        same(both_ways(name, LABELS)[0], value, name)
        same(both_ways(name, LABELS)[1], gradient, name)


def test_mse_takes_labels_rows_and_one_column():
    mse = build("loss", "mse")
    y = distributions()
    same(mse.forward(y, LABELS)[0], mse.forward(y, ONE_HOT)[0], "labels")
    column = y[:, :1]
    same(mse.forward(column, DL)[0], (column[:, 0] - DL) ** 2, "numbers")
    same(mse.forward(column, LABELS)[0], (column[:, 0] - LABELS) ** 2, "whole numbers")


@pytest.mark.parametrize(
    ("shape", "target", "message"),
    [
        ((4, 3), np.array([0, 1, 2, 3]), "labels go from 0 to 2 for 3 outputs"),
        ((4, 3), np.array([0, 1, 2, -1]), "labels go from 0 to 2 for 3 outputs"),
        ((4, 3), np.ones((4, 2)), r"\(4, 3\) need targets of that shape; these are \(4, 2\)"),
        ((4, 3), np.ones(4), r"these are \(4,\)"),
        ((3, 3), np.ones(3), r"these are \(3,\)"),
        ((4, 1), np.ones((4, 2)), r"these are \(4, 2\)"),
        ((4, 1), np.ones(3), r"these are \(3, 1\)|these are \(3,\)"),
        ((4, 3), np.array(1.0), r"these are \(\)"),
    ],
)
def test_mse_refuses_a_target_that_does_not_fit(shape, target, message):
    with pytest.raises(ValueError, match=message):
        build("loss", "mse").forward(np.zeros(shape), target)


def test_affine_takes_one_row_of_features():
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        registry.lookup("layer", "affine")(width=0)
    with pytest.raises(ValueError, match=r"one row of features, not an example of shape \(2, 3\)"):
        build("layer", {"name": "affine", "width": 2}).init(np.random.default_rng(0), (2, 3))


# Against PyTorch.


RECORD = json.loads((Path(__file__).parent / "data/losses.json").read_text(encoding="utf-8"))


def recorded(loss):
    """The recorded cases of a loss, for each of its family that is registered."""
    names = registry.names("loss")
    members = [one for one in names if registry.family(registry.lookup("loss", one), one) == loss]
    return [(name, case) for name in members for case in RECORD["cases"] if case["loss"] == loss]


def case_id(value):
    if isinstance(value, str):
        return value
    options = " ".join(f"{key}={one}" for key, one in value["options"].items())
    return f"{value['target']} {value['reduction']} {options}"


@pytest.mark.parametrize("loss", sorted(RECORD["predictions"]))
def test_values_of_pytorch(loss):
    """Catches a mean over other rows, smoothing without the weights, an ignored row that counts."""
    assert recorded(loss)
    y = np.array(RECORD["predictions"][loss])
    for name, case in recorded(loss):
        target = np.array(RECORD["targets"][case["target"]])
        unit = build("loss", {"name": name, **case["options"]})
        what = f"{name} {case_id(case)}"
        value = loss_value(unit, y, target, case["reduction"])
        if case["reduction"] == "none":
            _, residual = unit.forward(y, target)
            gradient = unit.backward(residual, np.array(RECORD["dl"]))
        else:
            total, gradient = loss_and_cotangent(unit, y, target, case["reduction"])
            assert total == value, what
        for found, expected in ((value, case["value"]), (gradient, case["gradient"])):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=what)


def test_every_loss_is_recorded():
    families = {
        registry.family(registry.lookup("loss", name), name) for name in registry.names("loss")
    }
    assert families == set(RECORD["predictions"])


# The digits, against 60 of them.

DIGITS = mpmath.MPContext()
DIGITS.dps = 60


def ulps_off(found, expected):
    """The error in units of the last place of the exact number; 0 where that is not normal."""
    if abs(expected) < float(np.finfo(found.dtype).tiny):
        return 0.0
    place = np.spacing(found.dtype.type(abs(expected)))
    return float(abs(DIGITS.mpf(float(found)) - expected) / DIGITS.mpf(float(place)))


def exact_cross_entropy(z, label):
    """ℓ and dz of one row, every term of a sum of the same sign."""
    e = [DIGITS.exp(DIGITS.mpf(float(one)) - DIGITS.mpf(float(z[label]))) for one in z]
    others = DIGITS.fsum(one for at, one in enumerate(e) if at != label)
    dz = [one / (1 + others) for one in e]
    dz[label] = -others / (1 + others)
    return DIGITS.log1p(others), dz


def rows_with_gaps(rng, classes, largest):
    """Random logits, the label's ahead or behind by gaps of every size."""
    gaps = np.concatenate(
        [np.linspace(-largest, largest, 13), rng.normal(0, 4, size=12), [0, 16, 37]]
    )
    spread = rng.choice([0.0, 1.0, 5.0], size=(len(gaps), 1))
    z = spread * rng.normal(size=(len(gaps), classes))
    labels = rng.integers(classes, size=len(gaps))
    z[np.arange(len(gaps)), labels] += gaps
    return z, labels


@pytest.mark.parametrize(("dtype", "largest"), [(np.float64, 700), (np.float32, 85)])
def test_exact_cross_entropy_is_within_four_ulp(dtype, largest):
    """ℓ and every entry of dz, 2 … 20 classes. dℓ is a power of two, which rounds nothing."""
    loss = build("loss", "cross_entropy_exact")
    rng = np.random.default_rng(11)
    worst = (0.0, None)
    for classes in range(2, 21):
        z, labels = rows_with_gaps(rng, classes, largest)
        z = z.astype(dtype)
        value, residual = loss.forward(z, labels)
        dl = np.exp2(rng.integers(-3, 4, size=len(z))).astype(dtype)
        dz = loss.backward(residual, dl) / dl[:, None]
        for row, label in enumerate(labels):
            exact_value, exact_dz = exact_cross_entropy(z[row], label)
            pairs = zip([value[row], *dz[row]], [exact_value, *exact_dz], strict=True)
            for place, (found, expected) in enumerate(pairs):
                gap = float(z[row, label] - np.delete(z[row], label).max())
                at = f"C = {classes}, gap {gap:.4g}, {'ℓ' if place == 0 else f'dz_{place - 1}'}"
                worst = max(worst, (ulps_off(found, expected), at))
    assert worst[0] <= 4, worst


def relative_error(found, expected):
    return float(abs((DIGITS.mpf(float(found)) - expected) / expected))


def ahead(gap, classes=10):
    """One row whose label is class 0, ahead of the others by gap, and what is right for it."""
    z = np.zeros((1, classes))
    z[0, 0] = gap
    return z, *exact_cross_entropy(z[0], 0)


@pytest.mark.parametrize(
    "name", [name for name in class_losses() if name.startswith("cross_entropy")]
)
def test_digits_of_a_confident_row(name):
    """37.43 ahead, only the exact form has a digit left: the others are wrong by 56 %."""
    z, value, dz = ahead(37.43)
    loss = build("loss", name)
    found, residual = loss.forward(z, np.array([0]))
    gradient = loss.backward(residual, np.ones(1))
    errors = [relative_error(found[0], value), relative_error(gradient[0, 0], dz[0])]
    if name == "cross_entropy_exact":
        assert max(errors) < 1e-15
    else:
        assert errors == pytest.approx([0.56, 0.56], abs=0.01)


@pytest.mark.parametrize(
    "name", [name for name in class_losses() if name.startswith("cross_entropy")]
)
@pytest.mark.parametrize(("dtype", "gap"), [(np.float64, 800), (np.float32, 120)])
def test_digits_of_a_very_wrong_row(name, dtype, gap):
    """The label far behind: the chains through a probability of 0 are no numbers any more."""
    z, value, dz = ahead(-gap)
    loss = build("loss", name)
    with np.errstate(all="ignore"):
        found, residual = loss.forward(z.astype(dtype), np.array([0]))
        gradient = loss.backward(residual, np.ones(1, dtype))
    if name in ("cross_entropy_fused", "cross_entropy_exact"):
        assert ulps_off(found[0], value) <= 4
        assert max(map(ulps_off, gradient[0], dz)) <= 4
    else:
        assert np.isinf(found[0])
        assert np.isnan(gradient).any()


def test_log_softmax_keeps_the_digits_of_a_confident_row():
    """Up to a gap of 700, 4 ulps and one for each unit of the gap: e^d shows the rounding of d."""
    layer = build("layer", "log_softmax")
    rng = np.random.default_rng(12)
    for classes in (2, 5, 20):
        z, _ = rows_with_gaps(rng, classes, 700)
        y, _ = layer.forward(z)
        for row in range(len(z)):
            exact = [-exact_cross_entropy(z[row], label)[0] for label in range(classes)]
            assert max(map(ulps_off, y[row], exact)) <= 4 + np.ptp(z[row])


def test_sigmoid_keeps_the_digits_far_out():
    x = np.array([[-700.0, -40.0, -18.0, -0.3, 0.0, 1.7, 18.0, 40.0, 700.0]])
    layer = build("layer", "sigmoid")
    y, residual = layer.forward(x)
    dx = layer.backward(residual, np.ones_like(x))
    u = [DIGITS.exp(-abs(DIGITS.mpf(float(one)))) for one in x[0]]
    exact = [(1 if one > 0 else v) / (1 + v) for one, v in zip(x[0], u, strict=True)]
    slope = [v / (1 + v) ** 2 for v in u]
    assert max(map(ulps_off, y[0], exact)) <= 4
    assert max(map(ulps_off, dx[0], slope)) <= 4


def test_tanh_far_out():
    """At x = 18 the derivative by 1 − y² is 4 % off; by e^(−2|x|) it is right."""
    x = np.array([[18.0, -18.0, 0.3, 300.0]])
    slope = [DIGITS.sech(DIGITS.mpf(float(one))) ** 2 for one in x[0]]

    def backward(name):
        layer = build("layer", name)
        return layer.backward(layer.forward(x)[1], np.ones_like(x))[0]

    assert max(map(ulps_off, backward("tanh_exact"), slope)) <= 4
    plain = backward("tanh")
    assert relative_error(plain[0], slope[0]) == pytest.approx(0.04, abs=0.01)
    assert relative_error(plain[2], slope[2]) < 1e-15
    assert plain[3] == 0
    assert slope[3] > 0
