"""Wrong gradients: of what arrives, of the Jacobian, of parameters, of targets."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any

import numpy as np

from pullback.registry import kind_of
from pullback.verify.mistakes.catalogue import behaviour, gradients
from pullback.verify.mistakes.planting import (
    Call,
    Gradients,
    every,
    need,
    same_shape,
    with_forward,
    with_gradients,
)
from pullback.verify.scalars import Numbers


def _basis(call: Call) -> list[Any]:
    """The cotangents that have dy in one column and 0 in the others."""
    columns = np.arange(call.dy.shape[-1])
    return [call.dy * (columns == i) for i in columns]


@gradients(
    "upstream gradient dropped",
    "the gradient that arrives is a factor of every stage: dx = J · dy, and never J alone "
    "(dŷ = (1/ŷ) ∘ dl, not 1/ŷ)",
)
def _upstream(call: Call) -> Gradients:
    return call.of(np.ones_like(call.dy))


@gradients(
    "factor of the logarithm missing",
    "the derivative of log x is 1/x: dx = (1/x) ∘ dy, and this is x times as much",
)
def _log_factor(call: Call) -> Gradients:
    need(call.gradients[0].shape == call.x.shape and len(call.case.inputs) == 1)
    found = call.x * call.gradients[0]
    need(call.case.target or (found.shape == call.dy.shape and _near(found, call.dy)))
    return (found,)


@gradients(
    "Jacobian skipped",
    "the gradient that arrives was passed through as it is; a stage multiplies it by the "
    "derivative of what it does",
)
def _skipped(call: Call) -> Gradients:
    if call.case.target:
        return (np.ones_like(call.x) * call.dy[..., None],)
    same_shape(call)
    return (call.dy * 1,)


@gradients(
    "already ŷ − y",
    "ŷ − y is the gradient of the softmax and the loss together; a softmax alone does not know "
    "that a loss will follow, and gives dŷ J",
)
def _already(call: Call) -> Gradients:
    same_shape(call)
    return (call.y - call.dy,)


@gradients(
    "sign", "the gradient points the other way: a minus is missing, or there is one too many"
)
def _sign(call: Call) -> Gradients:
    return every(lambda g: -g, call)


@gradients("factor 2 too many", "every entry is twice what it should be: a ½, or a mean of two")
def _twice(call: Call) -> Gradients:
    return every(lambda g: g * 2, call)


@gradients("factor 2 missing", "every entry is half of what it should be: (x²)′ is 2x")
def _half(call: Call) -> Gradients:
    return every(lambda g: g / 2, call)


@gradients(
    "mean taken twice",
    "the gradient is divided by the number of rows, and dℓ = 1/N has done so already, at the last "
    "stage; no other stage averages",
)
def _mean(call: Call) -> Gradients:
    need(call.rows > 0)
    return every(lambda g: g / call.rows, call)


@gradients(
    "mean missing",
    "the gradient is N times too large: dℓ = 1/N arrives, and nothing may undo it",
)
def _no_mean(call: Call) -> Gradients:
    need(call.rows > 0)
    return every(lambda g: g * call.rows, call)


@gradients(
    "the Jacobian itself",
    "each row's Jacobian is C × C, and it is not the gradient: dz is the product dŷ J, a row times "
    "a matrix, and has the shape of z, 1 × C",
)
def _jacobian(call: Call) -> Gradients:
    same_shape(call)
    columns = np.arange(call.dy.shape[-1])
    ones = np.ones_like(call.dy)
    return (np.stack([call.of(ones * (columns == i))[0] for i in columns], axis=-2),)


@gradients(
    "diagonal only",
    "only the diagonal of the Jacobian was used, dz_i = ŷ_i (1 − ŷ_i) dŷ_i; every ŷ_j depends on "
    "every z_i, and dz_i is a sum over all j",
)
def _diagonal(call: Call) -> Gradients:
    same_shape(call)
    columns = np.arange(call.dy.shape[-1])
    terms = [call.of(one)[0] * (columns == i) for i, one in enumerate(_basis(call))]
    return (sum(terms[1:], terms[0]),)


@gradients(
    "transposed Jacobian",
    "dx_i is Σ_j dy_j ∂y_j/∂x_i; this is Σ_j ∂y_i/∂x_j dy_j, the other index summed",
)
def _transposed(call: Call) -> Gradients:
    same_shape(call)
    columns = np.arange(call.dy.shape[-1])
    ones = np.ones_like(call.dy)
    rows = [(call.of(ones * (columns == i))[0] * call.dy).sum(axis=-1) for i in columns]
    return (np.stack(rows, axis=-1),)


@gradients(
    "constant instead of derivative",
    "the derivative at 0 was taken everywhere; it depends on the input",
)
def _constant(call: Call) -> Gradients:
    need(not call.case.target and len(call.case.inputs) == 1)
    found = call.at(call.x * 0)
    need(all(np.isfinite(one).all() for one in found))
    return found


@gradients(
    "derivative taken at the output",
    "the derivative belongs at the input, f′(x), and this is f′(y): the output was used where the "
    "input belongs",
)
def _at_output(call: Call) -> Gradients:
    same_shape(call)
    found = call.at(call.y)
    need(all(np.isfinite(one).all() for one in found))
    return found


@gradients(
    "sum over the wrong axis",
    "the sum runs over the rows of the batch, and each row is an example of its own: it runs over "
    "the last axis",
)
def _axis(call: Call) -> Gradients:
    same_shape(call)
    need(call.x.ndim > 1)
    turned = replace(call.case, inputs=(np.swapaxes(call.x, -1, -2),))
    return (np.swapaxes(call.right(turned, np.swapaxes(call.dy, -1, -2))[0], -1, -2),)


@gradients(
    "sum over the rows",
    "dz = ŷ ∘ (dŷ − Σ dŷ ŷ) sums over the classes of one row, the last axis; this sum runs over "
    "the rows of the batch",
)
def _over_rows(call: Call) -> Gradients:
    same_shape(call)
    need(call.x.ndim > 1)
    along, down = ((call.dy * call.y).sum(axis=axis, keepdims=True) for axis in (-1, -2))
    need(_near(call.y * (call.dy - along), call.gradients[0]))
    return (call.y * (call.dy - down),)


@gradients("one unit dropped", "one column has no gradient: a range that ends one too early")
def _dropped(call: Call) -> Gradients:
    first, *rest = call.gradients
    need(first.shape[-1:] > (1,))
    return (first * (np.arange(first.shape[-1]) < first.shape[-1] - 1), *rest)


def _parameters(call: Call) -> None:
    need(len(call.case.inputs) > 1)


@gradients(
    "transposed weight",
    "y = x W sends dy back through Wᵀ: dx = dy Wᵀ. W itself was used, made to fit",
)
def _weight(call: Call) -> Gradients:
    _parameters(call)
    x, W, *rest = call.case.inputs
    need(W.ndim >= 2 and min(W.shape[-2:]) > 1)
    as_it_is = W.reshape(*W.shape[:-2], W.shape[-1], W.shape[-2])
    return (call.at(x, np.swapaxes(as_it_is, -1, -2), *rest)[0], *call.gradients[1:])


@gradients(
    "transposed gradient",
    "a gradient has the shape of its value, and this one is its transpose: dW = xᵀ dy, not dyᵀ x",
)
def _turned(call: Call) -> Gradients:
    _parameters(call)
    first, dW, *rest = call.gradients
    need(dW.ndim >= 2 and dW.shape[-1] != dW.shape[-2])
    return (first, np.swapaxes(dW, -1, -2), *rest)


@gradients(
    "not summed over the rows",
    "every row used the same bias, so that its gradient is the sum over the rows: db = Σ dy, of "
    "the shape of b",
)
def _unsummed(call: Call) -> Gradients:
    _parameters(call)
    *first, last = call.gradients
    need(last.shape[-2:-1] == (1,) and last.shape[-1] == call.dy.shape[-1])
    return (*first, call.dy * 1)


@gradients(
    "first row only",
    "the gradient of a bias is the sum over all rows, and this is that of the first",
)
def _first_row(call: Call) -> Gradients:
    _parameters(call)
    only = np.arange(call.dy.shape[-2])[:, None] == 0
    return (*call.gradients[:-1], call.of(call.dy * only)[-1])


@gradients(
    "gradients of parameters swapped",
    "backward returns the gradients in the order in which forward takes the inputs",
)
def _swapped(call: Call) -> Gradients:
    need(len(call.case.inputs) > 2)
    first, *rest = call.gradients
    return (first, *reversed(rest))


@gradients(
    "mean of the rows in a weight",
    "the gradient of the weight is divided by the number of rows, and the others are not; dℓ = 1/N "
    "has done so already",
)
def _weight_mean(call: Call) -> Gradients:
    _parameters(call)
    need(call.rows > 0)
    first, dW, *rest = call.gradients
    return (first, dW / call.rows, *rest)


@gradients(
    "mean of the rows in all parameters",
    "dW and db are divided by the number of rows, as where no 1/N arrives; dℓ = 1/N does, and no "
    "other stage averages",
)
def _parameters_mean(call: Call) -> Gradients:
    _parameters(call)
    need(call.rows > 0)
    return (call.gradients[0], *(one / call.rows for one in call.gradients[1:]))


@gradients("0/0 for no row", "a sum taken as the mean times N is 0/0 where the batch has no row")
def _no_row(call: Call) -> Gradients:
    _parameters(call)
    n = float(call.rows)
    if isinstance(call.dy, Numbers):
        return call.gradients
    with np.errstate(all="ignore"):
        return (call.gradients[0], *(one * np.float32(n) / n for one in call.gradients[1:]))


def _classes(call: Call) -> Any:
    """The target of a loss on classes, as rows."""
    need(call.case.target)
    target = np.asarray(call.case.target[0])
    labels = target.dtype.kind in "iu" and target.shape == call.x.shape[:-1]
    need(labels or target.shape == call.x.shape)
    if labels:
        return np.asarray(target[..., None] == np.arange(call.x.shape[-1]), dtype=float)
    return target


@gradients(
    "ŷ − y where Σy ≠ 1",
    "dz = ŷ Σy − y; it is ŷ − y only where the target adds up to 1",
)
def _sum_one(call: Call) -> Gradients:
    rows = _classes(call)
    need(not np.array_equal(rows.sum(axis=-1), np.ones(rows.shape[:-1])))
    first = np.asarray(np.arange(rows.shape[-1]) == 0, dtype=float) + 0 * rows
    probabilities = (
        call.right(replace(call.case, target=(first,)), np.ones_like(call.dy))[0] + first
    )
    right = (probabilities * rows.sum(axis=-1, keepdims=True) - rows) * call.dy[..., None]
    need(_near(right, call.gradients[0]))
    return ((probabilities - rows) * call.dy[..., None],)


def _near(a: Any, b: Any) -> bool:
    if isinstance(a, Numbers) or isinstance(b, Numbers):
        return True  # it was decided in floats
    return bool(np.allclose(a, b, rtol=1e-2, atol=1e-3))


@gradients(
    "prediction used for the target",
    "the gradient is that of the class the model predicts, not of the one it should",
)
def _predicted(call: Call) -> Gradients:
    _classes(call)
    return call.with_target(np.asarray(np.argmax(call.x, axis=-1)).astype(int))


@gradients(
    "soft target made hard",
    "the gradient is that of the most likely class of the target; a soft target counts all",
)
def _hard(call: Call) -> Gradients:
    rows = _classes(call)
    need(np.asarray(call.case.target[0]).dtype.kind in "fO")
    top = rows.argmax(axis=-1)[..., None] == np.arange(rows.shape[-1])
    return call.with_target(np.asarray(top, dtype=rows.dtype))


@behaviour(
    "target of another row",
    "rows and their targets have come apart by one: forward and backward agree, about the wrong "
    "example",
    shows=True,
)
def _rolled(unit: Any) -> Any | None:
    if kind_of(type(unit)) != "loss":
        return None

    def forward(right: Any, y: Any, target: Any) -> Any:
        axis = -1 if np.ndim(target) < np.ndim(y) else -2
        return right(y, np.roll(target, 1, axis=axis))

    return with_forward(unit, forward)


@behaviour(
    "option forgotten on the way back",
    "forward follows the option and backward does not: the gradient is that of the default",
    shows=True,
)
def _forgotten(unit: Any) -> Any | None:
    defaults = {
        one.name: one.default
        for one in fields(unit)
        if one.default is not MISSING and isinstance(one.default, bool | int | float | tuple | str)
    }
    if not defaults:
        return None
    plain = replace(unit, **defaults)

    def backward_of(call: Call) -> Gradients:
        return call.right(replace(call.case, unit=plain), call.dy)

    return with_gradients(unit, backward_of)
