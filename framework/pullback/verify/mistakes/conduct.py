"""What was written to, kept, assumed of shapes and memory, or said of itself."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.registry import kind_of, name_of
from pullback.units import takes
from pullback.verify.cases import Subject
from pullback.verify.mistakes.catalogue import behaviour, gradients
from pullback.verify.mistakes.planting import (
    Call,
    Gradients,
    every,
    need,
    of,
    planted,
    with_backward,
    with_forward,
)


def _arrays(value: Any, change: Callable[[Any], Any]) -> Any:
    """A residual with each of its arrays changed."""
    if isinstance(value, tuple | list):
        return type(value)(_arrays(one, change) for one in value)
    if isinstance(value, dict):
        return {key: _arrays(one, change) for key, one in value.items()}
    return change(value) if isinstance(value, np.ndarray) else value


def swap(residual: Any, x: Any, y: Any) -> Any:
    """A residual with input and output in each other's places."""
    swapped: list[bool] = []

    def change(array: Any) -> Any:
        for one, other in ((x, y), (y, x)):
            if array.shape == one.shape == other.shape and _equal(array, one):
                swapped.append(True)
                return other
        return array

    found = _arrays(residual, change)
    need(swapped)
    return found


def _equal(a: Any, b: Any) -> bool:
    return a is b or (a.dtype == b.dtype and np.array_equal(a, b))


@behaviour(
    "wrong residual",
    "the input was kept where backward wants the output, or the output where it wants the input",
    shows=True,
)
def _residual(unit: Any) -> Any | None:
    if kind_of(type(unit)) == "loss" or hasattr(unit, "init"):
        return None

    def forward(right: Any, x: Any) -> Any:
        y, residual = right(x)
        return y, swap(residual, x, y)

    return with_forward(unit, forward)


@behaviour(
    "damage in place",
    "backward writes into the cotangent or the residual, or forward into its input: whoever reads "
    "it next reads something else",
)
def _damage(unit: Any) -> Any:
    def backward(right: Any, residual: Any, dy: Any) -> Any:
        found = right(residual, dy * 1)
        dy *= 0
        return found

    return with_backward(unit, backward)


@behaviour(
    "input written to", "forward changes the array that it was given, for every later reader"
)
def _input(unit: Any) -> Any:
    def forward(right: Any, x: Any, *rest: Any) -> Any:
        y, residual = right(x.copy(), *rest)
        x *= 1
        return y, residual

    return with_forward(unit, forward)


@behaviour("residual used up", "backward changes the residual: a second call gives another result")
def _used(unit: Any) -> Any:
    def forward(right: Any, *arguments: Any) -> Any:
        y, residual = right(*arguments)
        return y, [residual, 0]

    def backward(right: Any, residual: Any, dy: Any) -> Any:
        residual[1] += 1
        found = right(residual[0], dy)
        found = found if isinstance(found, tuple) else (found,)
        return tuple(one * residual[1] for one in found)

    return with_backward(with_forward(unit, forward), backward)


@behaviour(
    "stale state on self",
    "forward keeps something on the unit for backward: a second forward in between replaces it",
)
def _stale(unit: Any) -> Any:
    def forward(self: Any, *arguments: Any) -> Any:
        y, residual = type(unit).forward(self, *arguments)
        object.__setattr__(self, "_kept", residual)
        return y, None

    def backward(self: Any, _residual: Any, dy: Any) -> Any:
        return type(unit).backward(self, self._kept, dy)

    return planted(unit, forward=_named_as(forward, unit), backward=backward)


def _named_as(method: Any, unit: Any) -> Any:
    """The signature of the right forward, without its out."""
    signature = inspect.signature(type(unit).forward)
    kept = [one for name, one in signature.parameters.items() if name != "out"]
    method.__signature__ = signature.replace(parameters=kept)
    return method


@behaviour(
    "scratch shared by threads",
    "a buffer of the module is used by every call: two threads at once read each other's numbers",
)
def _shared(unit: Any) -> Any:
    scratch: list[Any] = [None]

    def backward(right: Any, residual: Any, dy: Any) -> Any:
        scratch[0] = dy
        time.sleep(0)
        return right(residual, scratch[0] if scratch[0].shape == dy.shape else dy)

    return with_backward(unit, backward)


@behaviour(
    "random order of summation",
    "the last digit differs from call to call: terms are added in an order that changes",
)
def _random(unit: Any) -> Any:
    rng = np.random.default_rng()

    def backward(right: Any, residual: Any, dy: Any) -> Any:
        found = right(residual, dy)
        found = found if isinstance(found, tuple) else (found,)
        if dy.dtype.kind != "f":
            return found
        ulp = np.finfo(dy.dtype).eps
        return tuple(
            (one * (1 + ulp * rng.integers(0, 2, size=one.shape))).astype(one.dtype)
            for one in found
        )

    return with_backward(unit, backward)


@gradients(
    "float64 constant",
    "an array made without a dtype is float64 and turns float32 into float64: np.eye, np.ones and "
    "np.zeros need the dtype of the input",
)
def _eye(call: Call) -> Gradients:
    return every(lambda g: g if g.dtype == object else g * np.ones(g.shape), call)


@gradients("classes in one byte", "classes from 128 on have no gradient: an index was an int8")
def _byte(call: Call) -> Gradients:
    first, *rest = call.gradients
    return (first * (np.arange(first.shape[-1]) < 128), *rest)


@gradients("last block dropped", "rows beyond a multiple of the block size have no gradient")
def _block(call: Call) -> Gradients:
    first, *rest = call.gradients
    need(first.ndim > 1)
    rows = first.shape[-2]
    kept = np.arange(rows) < (rows // 4 * 4 if rows > 4 else rows)
    return (first * kept[:, None], *rest)


@gradients("axes of length 1 squeezed", "a batch of one row, or one class, loses its axis")
def _squeezed(call: Call) -> Gradients:
    return every(np.squeeze, call)


@gradients(
    "first axis for the last but one",
    "axis 0 is that of the rows only as long as nothing is stacked on top: use axis=-2",
)
def _first_axis(call: Call) -> Gradients:
    plain = 1 if call.case.target else 2
    if call.dy.ndim <= plain:
        return call.gradients
    return every(lambda g: np.broadcast_to(g.sum(axis=0), g.shape).copy(), call)


@behaviour(
    "loss in a column",
    "a loss has one value for each row, (N,): kept as a column, (N, 1), it meets (N,) as N × N",
    shows=True,
)
def _column(unit: Any) -> Any | None:
    if kind_of(type(unit)) != "loss":
        return None

    def forward(right: Any, y: Any, target: Any) -> Any:
        value, residual = right(y, target)
        return value[..., None], residual

    def backward(right: Any, residual: Any, dy: Any) -> Any:
        return right(residual, dy[..., 0])

    return with_backward(with_forward(unit, forward), backward)


@behaviour(
    "memory order assumed",
    "numbers are read in the order of memory, which is that of the axes only in a contiguous array",
)
def _memory(unit: Any) -> Any:
    def forward(right: Any, x: Any, *rest: Any) -> Any:
        return right(np.ravel(x, order="K").reshape(x.shape), *rest)

    return with_forward(unit, forward)


def _buffered(unit: Any, fill: Callable[[Any, Any], Any]) -> Any | None:
    cls: Any = type(unit)
    if not takes(cls, "backward", "out"):
        return None

    def backward(self: Any, residual: Any, dy: Any, out: Any = None) -> Any:
        found = cls.backward(self, residual, dy)
        return found if out is None else fill(out, found)

    return planted(unit, backward=backward)


@behaviour("added into the buffer", "out is filled, not added to: what was in it is not a gradient")
def _added(unit: Any) -> Any | None:
    def fill(out: Any, found: Any) -> Any:
        pairs = zip(out, found, strict=True) if isinstance(out, tuple) else [(out, found)]
        filled = tuple(np.add(one, g, out=one) for one, g in pairs)
        return filled if isinstance(out, tuple) else filled[0]

    return _buffered(unit, fill)


@behaviour("out ignored", "a method that takes out= must fill and return it; this returns another")
def _ignored(unit: Any) -> Any | None:
    return _buffered(unit, lambda _out, found: found)


@behaviour(
    "dℓ left out at once",
    "value_and_gradient is given dℓ, 1/N for a mean: its gradient is that of Σ dℓ ℓ, not of Σ ℓ",
)
def _at_once(unit: Any) -> Any | None:
    if kind_of(type(unit)) != "loss":
        return None
    cls: Any = type(unit)

    def value_and_gradient(self: Any, y: Any, target: Any, dl: Any) -> Any:
        losses, residual = cls.forward(self, y, target)
        return losses, cls.backward(self, residual, np.ones_like(dl))

    return planted(unit, value_and_gradient=value_and_gradient)


@behaviour(
    "other gradients left out with dx",
    "needs_dx=False spares dx alone; the gradients of the parameters are wanted",
)
def _left_out(unit: Any) -> Any | None:
    cls: Any = type(unit)
    if not takes(cls, "backward", "needs_dx"):
        return None

    def backward(self: Any, residual: Any, dy: Any, needs_dx: bool = True) -> Any:
        first, *rest = cls.backward(self, residual, dy)
        return (first, *rest) if needs_dx else (None, *(0 * one for one in rest))

    return planted(unit, backward=backward)


@behaviour(
    "another function than its family's",
    "forward and backward agree with one another and not with the other members: log₂ for log",
    shows=True,
)
def _other(unit: Any) -> Any | None:
    if not Subject(kind_of(type(unit)) or "", name_of(unit), unit).relatives():
        return None

    def forward(right: Any, *arguments: Any) -> Any:
        y, residual = right(*arguments)
        return y * 1.4375, residual

    def backward(right: Any, residual: Any, dy: Any) -> Any:
        return right(residual, dy * 1.4375)

    return with_backward(with_forward(unit, forward), backward)


@behaviour("not what its stages are", "the stages it names compute something else than it does")
def _stages(unit: Any) -> Any | None:
    if not hasattr(unit, "stages"):
        return None
    cls = type(unit)
    stages, doubled = dict(unit.stages), dict[str, Any]()
    first = next(one for one in stages.values() if kind_of(type(one)) == "layer")
    for symbol, stage in stages.items():
        doubled |= {f"{symbol}′": stage, symbol: stage} if stage is first else {symbol: stage}

    def forward(self: Any, *arguments: Any) -> Any:
        return of(cls, self).forward(*arguments)

    def backward(self: Any, residual: Any, dy: Any) -> Any:
        return of(cls, self).backward(residual, dy)

    return planted(unit, stages=doubled, forward=_named_as(forward, unit), backward=backward)
