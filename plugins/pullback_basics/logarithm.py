"""The logarithm, a stage of its own in the founding question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class Log:
    """y = log x;  dx = (1/x) ∘ dy.

    x, y: any shape, x > 0. Keeps x.

    Source: the founding question, (5); the factor dy is what the asker had lost.
    Loses digits: near x = 1, where log x is small and the rounding of x is not. At x = 0 the value
    is −∞ and dx is not finite: a probability that has underflowed ends a chain through this stage.
    """

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Array]:
        return np.log(x, out=out), x

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        return np.divide(dy, residual, out=out)

    def samples(self, rng: np.random.Generator) -> Array:
        """Inputs from the domain, for a check: positive, over six orders of magnitude."""
        return np.exp(rng.uniform(-7, 7, size=(4, 3)))
