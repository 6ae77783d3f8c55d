"""What is timed of a unit: forward and backward of a layer or a loss, a step of an optimizer.

Inputs are drawn from the workload alone, so that every contender, and who judges it, has the same.
"""

from __future__ import annotations

import functools
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pullback import registry
from pullback.options import build, options_of
from pullback.units import Array, takes
from pullback.verify.cases import Case, Subject

_STEPS = 3  # of an optimizer, that its answer is had from


@dataclass(frozen=True)
class Workload:
    """So many rows of so many numbers, C; an optimizer's θ has as many as both together."""

    rows: int
    features: int
    dtype: str

    def __str__(self) -> str:
        return f"{self.rows} × {self.features} {self.dtype}"

    def shortened(self, numbers: int) -> Workload:
        """The same with so few rows that they have no more numbers than that."""
        return replace(self, rows=max(min(self.rows, numbers // self.features), 1))

    def rng(self) -> np.random.Generator:
        return np.random.default_rng([7, self.rows, self.features])

    def theta_and_g(self) -> tuple[Array, Array]:
        """What an optimizer is given."""
        rng = self.rng()
        return self.normal(rng).ravel(), self.normal(rng).ravel()

    def normal(self, rng: np.random.Generator) -> Array:
        kind = np.float32 if self.dtype == "float32" else np.float64
        return rng.standard_normal((self.rows, self.features), dtype=kind).astype(self.dtype)


@dataclass(frozen=True)
class Inputs:
    """What a call is given: x and parameters, a loss's target, and dy or dℓ."""

    inputs: tuple[Array, ...]
    target: tuple[Array, ...]
    dy: Array

    def astype(self, dtype: DTypeLike) -> Inputs:
        def cast(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
            return tuple(one if one.dtype.kind in "iub" else one.astype(dtype) for one in arrays)

        return Inputs(cast(self.inputs), cast(self.target), self.dy.astype(dtype))


def unit_of(kind: str, name: str, features: int) -> Any:
    """A unit with its defaults; a number that it must be given, such as a width, is C."""
    needed = [one.name for one in options_of(registry.lookup(kind, name)) if one.required]
    return build(kind, {"name": name, **dict.fromkeys(needed, features)})


def inputs_of(kind: str, unit: Any, workload: Workload) -> Inputs:
    """Normal numbers, or the unit's own samples repeated; labels in turn; dℓ = 1/N."""
    rng = workload.rng()
    small = Subject(kind, "", unit).fitted().case()
    x = workload.normal(rng)
    if hasattr(unit, "samples"):
        x = np.resize(small.inputs[0], x.shape).astype(workload.dtype)
    params: tuple[Array, ...] = ()
    if hasattr(unit, "init"):
        params = tuple(
            np.asarray(one, workload.dtype) for one in unit.init(rng, x.shape[1:]).values()
        )
    if kind == "layer":
        y, _ = unit.forward(x[:1], *params)
        dy = rng.standard_normal((workload.rows, *y.shape[1:])).astype(workload.dtype)
        return Inputs((x, *params), (), dy)
    if small.target[0].dtype.kind in "iu":
        target = np.arange(workload.rows) % workload.features
    else:
        target = np.resize(small.target[0], x.shape).astype(workload.dtype)
    return Inputs((x,), (target,), np.full(workload.rows, 1 / workload.rows, workload.dtype))


class UnitTrial:
    """y, gradients = forward and backward, into buffers where the unit takes ``out=``.

    A loss that gives both at once is asked for that, as it is in training.
    """

    def __init__(self, kind: str, unit: Any, given: Inputs) -> None:
        self.unit, self.given = unit, given
        self.case = Case("", unit, given.inputs, given.target)
        cls: type = type(unit)
        several = len(given.inputs) > 1
        self._at_once = hasattr(unit, "value_and_gradient")
        self._forward, self._backward = {}, {}
        if kind == "layer" and takes(cls, "forward", "out"):
            self._forward = {"out": np.empty_like(given.dy)}
        if takes(cls, "value_and_gradient" if self._at_once else "backward", "out"):
            buffers = tuple(map(np.empty_like, given.inputs))
            self._backward = {"out": buffers if several else buffers[0]}

    def call(self) -> object:
        unit, given = self.unit, self.given
        if self._at_once:
            return unit.value_and_gradient(*given.inputs, *given.target, given.dy, **self._backward)
        _, residual = unit.forward(*given.inputs, *given.target, **self._forward)
        return unit.backward(residual, given.dy, **self._backward)

    def answer(self) -> list[Array]:
        results, _ = self._fresh()
        return [np.asarray(one) for one in results]

    def _fresh(self) -> tuple[tuple[Array, ...], Any]:
        """y and the gradients in arrays of their own, and what was kept between them."""
        if self._at_once:
            return self.case.at_once(self.given.dy), ()
        y, residual = self.case.forward()
        return (y, *self.case.backward(residual, self.given.dy)), residual

    def costs(self) -> dict[str, float]:
        """The most bytes held at once beyond the inputs, and what must be held: y, residual, dx."""
        self.call()  # what is compiled or imported by the first call is not its memory
        measured = _peak(self._fresh)
        results, residual = self._fresh()
        given = (*self.given.inputs, *self.given.target)
        kept, residuals = _own_arrays((results, residual), given), _own_arrays(residual, given)
        return {
            "peak_bytes": measured,
            "computed_bytes": float(sum(one.nbytes for one in kept)),
            "residual_bytes": float(sum(one.nbytes for one in residuals)),
        }


class StepTrial:
    """θ, state ← step(θ, g, state, lr), in place where the optimizer can."""

    def __init__(self, unit: Any, workload: Workload) -> None:
        self.unit = unit
        self.theta, self.g = workload.theta_and_g()
        self.first = self.theta.copy()
        self.state = unit.init(self.theta)
        self._options = {}
        cls: type = type(unit)
        if takes(cls, "step", "out"):
            self._options = {"out": (self.theta, self.state)}

    def call(self) -> object:
        return self.unit.step(self.theta, self.g, self.state, self.unit.lr, **self._options)

    def answer(self) -> list[Array]:
        return [stepped(self.unit, self.first, self.g)]

    def costs(self) -> dict[str, float]:
        self.call()
        kept = sum(one.nbytes for one in self.state.values())
        return {"peak_bytes": _peak(self.call) + kept, "computed_bytes": float(kept)}


def stepped(unit: Any, theta: Array, g: Array) -> Array:
    """θ after a few steps of one gradient."""
    state = unit.init(theta)
    for _ in range(_STEPS):
        theta, state = unit.step(theta, g, state, unit.lr)
    return theta


class CopyTrial:
    """x copied to where dx would go: nothing that reads the one and writes the other is faster."""

    def __init__(self, workload: Workload) -> None:
        self._x = workload.normal(np.random.default_rng(7))
        self._y = np.empty_like(self._x)

    def call(self) -> object:
        np.copyto(self._y, self._x)
        return self._y

    def answer(self) -> list[Array]:
        return [self._x]

    def costs(self) -> dict[str, float]:
        return {}


def make(kind: str, name: str, files: tuple[str, ...], workload: Workload) -> Any:
    """The trial of a registered unit, in a contender's process, which loads the plugins itself."""
    _load(files)
    unit = unit_of(kind, name, workload.features)
    if kind == "optimizer":
        return StepTrial(unit, workload)
    return UnitTrial(kind, unit, inputs_of(kind, unit, workload))


@functools.cache
def _load(files: tuple[str, ...]) -> None:
    for file in files:
        registry.load_plugin(file)


def _peak(call: Any) -> float:
    tracemalloc.start()
    try:
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
        del result
    finally:
        tracemalloc.stop()
    return float(peak)


def _own_arrays(value: Any, others: tuple[Array, ...]) -> list[Array]:
    """The arrays in a value that hold memory of their own: none twice, none that was given."""
    found: list[Array] = []
    for one in _arrays(value):
        if not any(np.may_share_memory(one, other) for other in (*found, *others)):
            found.append(one)
    return found


def _arrays(value: Any) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _arrays(one)
    elif isinstance(value, dict):
        yield from _arrays(list(value.values()))
    elif hasattr(value, "__dict__"):
        yield from _arrays(vars(value))
