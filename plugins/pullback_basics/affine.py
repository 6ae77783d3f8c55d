"""The affine layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.initializers import ScaledNormal, Zeros

if TYPE_CHECKING:
    from pullback.units import Array, Initializer


@dataclass(frozen=True)
class Affine:
    """y = x W + b;  dx = dy Wᵀ,  dW = xᵀ dy,  db = Σ dy over the rows.

    x: (..., N, F), W: (..., F, width), b: (..., 1, width), y: (..., N, width). Keeps x and W.

    Source: the founding question, (1) and (3); Goodfellow, Bengio, Courville, Deep Learning, 6.5.
    Loses digits: where the products of a row cancel in its sum, as in every inner product.
    Raises: ValueError where width < 1, or where an example is not one row of features.

    Options: ``width``, the features of y; ``W`` and ``b``, the initializers of the two parameters.
    """

    width: int
    W: Initializer = ScaledNormal()
    b: Initializer = Zeros()

    weights = ("W",)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, not {self.width}")

    def init(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Array]:
        if len(shape) != 1:
            raise ValueError(f"affine takes one row of features, not an example of shape {shape}")
        return {
            "W": self.W.draw(rng, (shape[0], self.width)),
            "b": self.b.draw(rng, (1, self.width)),
        }

    def forward(self, x: Array, W: Array, b: Array, out: Array | None = None) -> tuple[Array, Any]:
        y = np.matmul(x, W, out=out)
        return np.add(y, b, out=out), (x, W)

    def backward(
        self, residual: Any, dy: Array, out: Any = (None, None, None), needs_dx: bool = True
    ) -> tuple[Array | None, Array, Array]:
        x, W = residual
        dx = np.matmul(dy, np.swapaxes(W, -1, -2), out=out[0]) if needs_dx else None
        dW = np.matmul(np.swapaxes(x, -1, -2), dy, out=out[1])
        db = np.sum(dy, axis=-2, keepdims=True, out=out[2])
        return dx, dW, db
