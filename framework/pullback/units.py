"""What a layer, a loss, an optimizer, a schedule, an initializer and a dataset are.

A unit is a frozen dataclass whose fields are its options. It keeps nothing on itself and writes to
none of its inputs, so that it can be called twice, stacked on a leading axis, traced and checked.
Nothing here has to be imported by a plugin: whatever has these methods is a unit.

Four things are optional, and the engine asks the signature or the attribute for them:

``out=``
    NumPy's own: a method that takes it may be handed a buffer of its result (a tuple of buffers
    where it returns a tuple) and must fill and return it.
``needs_dx=``
    on the backward of a layer with parameters: the engine passes False to the first stage, whose
    input is data, and the layer may then return None in the place of dx.
``family``
    a class attribute: the name shared by units with the same forward. Its default is the unit's
    own.
``blocks``
    an attribute: kernels of a layer or a loss for the compiled step, see :mod:`pullback.blocks`,
    or of an optimizer for many steps at once, see :mod:`pullback.stretches`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
State: TypeAlias = dict[str, Array]


@runtime_checkable
class Layer(Protocol):
    """y = f(x; parameters), and its pullback.

    ``forward(x, *params) -> (y, residual)`` and ``backward(residual, dy) -> dx``, or
    ``(dx, *dparams)`` where the layer has parameters. x: (..., N, features); every gradient has the
    shape of its value. The residual is whatever backward needs, and any value will do.

    A layer with parameters also has ``init(rng, shape) -> {name: array}`` where ``shape`` is that
    of one example; forward takes the arrays in this order. ``weights``, a class attribute, names
    those an L2 penalty applies to (those called ``W`` or ``weight``, if it is absent).
    """

    @property
    def forward(self) -> Callable[..., tuple[Array, Any]]: ...

    @property
    def backward(self) -> Callable[..., Any]: ...


@runtime_checkable
class Loss(Protocol):
    """ℓ = one value for each example, of a prediction and a target, and its pullback.

    ``forward(y, target) -> (ℓ, residual)`` with y: (..., N, C) and ℓ: (..., N);
    ``backward(residual, dℓ) -> dy``. The engine takes the mean, so that dℓ = 1/N.

    ``example_weights(target) -> (..., N)`` is optional: what each example counts for in that mean
    (1 if it is absent). The mean is then Σℓ / Σweights, as PyTorch has it for labels.
    ``targets = "classes"``, a class attribute, is optional: the loss takes labels, or rows of
    probabilities, and no numbers to be predicted.
    ``value_and_gradient(y, target, dℓ) -> (ℓ, dy)`` is optional: both at once, where that costs
    less than one after the other. Training calls it in their place.
    """

    @property
    def forward(self) -> Callable[..., tuple[Array, Any]]: ...

    @property
    def backward(self) -> Callable[..., Array]: ...


@runtime_checkable
class Optimizer(Protocol):
    """θ, state ← step(θ, g, state, lr): one update of one flat vector.

    ``lr`` is also the option that a schedule scales. ``init(theta) -> state`` gives the arrays that
    are carried between steps (and kept in a checkpoint). ``step`` takes NumPy's ``out=`` as
    ``(theta, state)``, which may be its own inputs.
    """

    @property
    def lr(self) -> float: ...

    def init(self, theta: Array) -> State: ...

    @property
    def step(self) -> Callable[..., tuple[Array, State]]: ...


@runtime_checkable
class Schedule(Protocol):
    """The factor on the optimizer's learning rate at step ``step`` (from 0) of ``steps``."""

    def factor(self, step: int, steps: int) -> float: ...


@runtime_checkable
class Initializer(Protocol):
    """The first value of a parameter. A weight's shape is (fan in, fan out)."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array: ...


@runtime_checkable
class Dataset(Protocol):
    """Examples and targets: x (N, features) and t, integer labels (N,) or numbers (N,) or (N, K).

    A generator draws from ``rng``; a stored data set ignores it.
    """

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]: ...


KINDS: Mapping[str, type] = {
    "layer": Layer,
    "loss": Loss,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "initializer": Initializer,
    "dataset": Dataset,
}


@functools.cache
def takes(unit: type, method: str, option: str) -> bool:
    """Whether a unit's method has that optional argument, ``out`` or ``needs_dx``."""
    return option in inspect.signature(getattr(unit, method)).parameters
