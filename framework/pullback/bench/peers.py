"""What PyTorch and JAX have for a family, as contenders: ``--baseline torch,jax``.

Each computes what a unit of the family does, forward and backward, with its own gradient, on as
many threads as its process has cores. A peer is judged as any variant is before it is timed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pullback.bench.race import Contender, Trial
from pullback.bench.trials import Inputs, Workload, inputs_of, unit_of
from pullback.errors import ConfigError
from pullback.units import Array

PEERS = ("torch", "jax")

# A family's function in each of them: of x and parameters, or of logits and a target.
_TORCH: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "tanh": lambda torch: torch.tanh,
    "sigmoid": lambda torch: torch.sigmoid,
    "relu": lambda torch: torch.relu,
    "softmax": lambda torch: partial(torch.softmax, dim=-1),
    "log_softmax": lambda torch: partial(torch.log_softmax, dim=-1),
    "affine": lambda torch: lambda x, W, b: torch.addmm(b, x, W),
    "cross_entropy": lambda torch: partial(torch.nn.functional.cross_entropy, reduction="none"),
}
_JAX: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "tanh": lambda jax: jax.numpy.tanh,
    "sigmoid": lambda jax: jax.nn.sigmoid,
    "relu": lambda jax: jax.nn.relu,
    "softmax": lambda jax: partial(jax.nn.softmax, axis=-1),
    "log_softmax": lambda jax: partial(jax.nn.log_softmax, axis=-1),
    "affine": lambda jax: lambda x, W, b: jax.numpy.matmul(x, W) + b,
    "cross_entropy": lambda jax: _jax_cross_entropy(jax),
}


def contenders(names: list[str], kind: str, unit: str, family: str) -> list[Contender]:
    """Those that have the family; ConfigError for one that is unknown or not installed."""
    found = []
    for name in names:
        if name not in PEERS:
            raise ConfigError(f"there is {' and '.join(PEERS)}, and no '{name}'", "--baseline")
        if importlib.util.find_spec(name) is None:
            told = f"{name} is not installed: pip install 'pullback[bench]'"
            raise ConfigError(told, "--baseline")
        if family in (_TORCH if name == "torch" else _JAX):
            make = _of_torch if name == "torch" else _of_jax
            found.append(Contender(name, partial(make, kind, unit, family)))
    return found


class _Peer:
    """A function of a peer: ``timed`` is its value and gradient, ``found`` the same as arrays."""

    def __init__(self, timed: Callable[[], object], found: Callable[[], list[Any]]) -> None:
        self.call, self._found = timed, found

    def answer(self) -> list[Array]:
        return [np.asarray(one) for one in self._found()]

    def costs(self) -> dict[str, float]:
        return {}  # its memory is not NumPy's, whose account is taken


def _inputs(kind: str, unit: str, workload: Workload) -> Inputs:
    return inputs_of(kind, unit_of(kind, unit, workload.features), workload)


def _of_torch(kind: str, unit: str, family: str, workload: Workload) -> Trial:
    import torch

    given = _inputs(kind, unit, workload)
    f = _TORCH[family](torch)
    inputs = [torch.from_numpy(one).requires_grad_() for one in given.inputs]
    target = [torch.from_numpy(one) for one in given.target]
    dy = torch.from_numpy(given.dy)

    def call() -> Any:
        y = f(*inputs, *target)
        return y, torch.autograd.grad(y, inputs, dy)

    def found() -> list[Any]:
        y, gradients = call()
        return [y.detach(), *gradients]

    return _Peer(call, found)


def _of_jax(kind: str, unit: str, family: str, workload: Workload) -> Trial:
    import jax

    jax.config.update("jax_enable_x64", True)
    given = _inputs(kind, unit, workload)
    f = _JAX[family](jax)

    def both(inputs: Any, target: Any, dy: Any) -> Any:
        y, pullback = jax.vjp(lambda *each: f(*each, *target), *inputs)
        return y, pullback(dy)

    compiled = jax.jit(both)

    inputs, target = (
        [jax.numpy.asarray(one) for one in some] for some in (given.inputs, given.target)
    )
    dy = jax.numpy.asarray(given.dy)

    def call() -> Any:
        return jax.block_until_ready(compiled(inputs, target, dy))

    def found() -> list[Any]:
        y, gradients = call()
        return [y, *gradients]

    return _Peer(call, found)


def _jax_cross_entropy(jax: Any) -> Callable[..., Any]:
    def losses(z: Any, labels: Any) -> Any:
        at_label = jax.numpy.take_along_axis(z, labels[:, None], axis=-1)[:, 0]
        return jax.nn.logsumexp(z, axis=-1) - at_label

    return losses
