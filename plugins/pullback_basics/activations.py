"""Elementwise layers: identity, tanh, sigmoid, ReLU. x, y: any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class Identity:
    """y = x;  dx = dy.

    x, y: any shape. Keeps nothing. No digit is lost.
    """

    def forward(self, x: Array) -> tuple[Array, None]:
        return x, None

    def backward(self, residual: None, dy: Array) -> Array:
        return dy


@dataclass(frozen=True)
class Tanh:
    """y = tanh x;  dx = (1 − y²) dy.

    x, y: any shape. Keeps y.

    Source: the founding question, (2).
    Loses digits: 1 − y² cancels where |x| is large, for y itself was rounded to a number near 1: in
    float64 the derivative is 4 % off at x = 18 and 0 from x = 19.1 on. ``tanh_exact`` does not.
    """

    family = "tanh"

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Array]:
        y = np.tanh(x, out=out)
        return y, y

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        slope: Array = np.multiply(residual, residual, out=out)
        slope = np.subtract(1, slope, out=out)
        return np.multiply(slope, dy, out=out)


@dataclass(frozen=True)
class TanhExact(Tanh):
    """y = tanh x;  dx = 4u / (1 + u)² dy with u = e^(−2|x|), which is dy / cosh² x.

    x, y: any shape. Keeps x.

    Source: cosh x = (e^x + e^−x) / 2, with the larger exponential taken out.
    Loses no digits beyond rounding, where ``tanh`` loses all for |x| > 19 in float64. It costs an
    exponential on the way back.
    """

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Array]:
        return np.tanh(x, out=out), x

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        u = _decaying(residual, 2, out)
        return _slope(u, 4, dy, out)


@dataclass(frozen=True)
class Sigmoid:
    """y = 1 / (1 + e^−x);  dx = y (1 − y) dy = u / (1 + u)² dy with u = e^−|x|.

    x, y: any shape. Keeps u.

    Source: the logistic function; both branches are its own form with the larger exponential taken
    out, so that nothing overflows.
    Loses no digits beyond rounding; the textbook's y (1 − y) loses all of them for x > 37 in
    float64.
    """

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Array]:
        u = _decaying(x)
        above = np.maximum(u, x > 0, out=out)  # 1 where x > 0, else u, which is never more
        return np.divide(above, 1 + u, out=out), u

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        return _slope(residual, 1, dy, out)


@dataclass(frozen=True)
class Relu:
    """y = max(x, 0);  dx = dy where x > 0, else 0.

    x, y: any shape. Keeps y.

    Source: Nair, Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
    At the kink, x = 0, any number from 0 to 1 is a subgradient; this is 0, as in PyTorch and JAX.
    No digit is lost; dy = ±∞ gives NaN where x ≤ 0, for 0 · ∞ has no value.
    """

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Array]:
        y = np.maximum(x, 0, out=out)
        return y, y

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        return np.multiply(dy, residual > 0, out=out)


def _decaying(x: Array, rate: int = 1, out: Array | None = None) -> Array:
    """e^(−rate |x|); the smaller of x and −x, for |x| is not analytic."""
    u = np.minimum(x, np.negative(x, out=out), out=out)
    u = np.multiply(u, rate, out=out) if rate != 1 else u
    return np.asarray(np.exp(u, out=out))


def _slope(u: Array, factor: int, dy: Array, out: Array | None) -> Array:
    """factor u / (1 + u)² dy; ``out`` may be u."""
    below = 1 + u
    below = np.multiply(below, below, out=below)
    slope: Array = np.multiply(u, factor, out=out) if factor != 1 else u
    slope = np.divide(slope, below, out=out)
    return np.multiply(slope, dy, out=out)
