"""Elementwise layers, compiled: tanh, sigmoid, ReLU. Each is called as the plain one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pullback_basics.activations import Relu, Sigmoid, Tanh, TanhExact
from pullback_numba.compiling import as_row, contiguous, flat, into, kernel, room_for, scalar
from pullback_numba.functions import exp, tanh

if TYPE_CHECKING:
    from pullback.units import Array


class _Elementwise:
    """What the units below share: their blocks, run over a whole array as over one feature."""

    blocks: Any

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Any]:
        (x,) = contiguous(x)
        y = room_for(out, x)
        self.blocks[0](as_row(x), (), as_row(y))
        return into(out, y), (x, y)

    def backward(self, residual: Any, dy: Array, out: Array | None = None) -> Array:
        x, y, dy = contiguous(*residual, dy)
        dx = room_for(out, x)
        self.blocks[1](as_row(x), as_row(y), as_row(dy), (), as_row(dx), ())
        return into(out, dx)


@scalar
def tanh_slope(y: Any, dy: Any) -> Any:
    return (type(y)(1) - y * y) * dy


@kernel
def tanh_block(x: Array, params: Any, y: Array) -> None:
    x, y = flat(x), flat(y)
    for i in range(x.size):
        y[i] = tanh(x[i])


@kernel
def tanh_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    x, y, dy, dx = flat(x), flat(y), flat(dy), flat(dx)
    for i in range(x.size):
        dx[i] = tanh_slope(y[i], dy[i])


@dataclass(frozen=True)
class TanhNumba(_Elementwise, Tanh):
    """y = tanh x;  dx = (1 − y²) dy. ``tanh``, compiled.

    x, y: any shape, float32 or float64. Keeps x and y.

    Source: ``tanh``. Raises TypeError for another dtype.
    Loses digits: y is within 3 ulp; dx as in ``tanh``.
    """

    blocks = (tanh_block, tanh_back_block)


@kernel
def tanh_exact_back_block(
    x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any
) -> None:
    one, four, minus_two = x.dtype.type(1), x.dtype.type(4), x.dtype.type(-2)
    x, y, dy, dx = flat(x), flat(y), flat(dy), flat(dx)
    for i in range(x.size):
        u = exp(minus_two * abs(x[i]))
        dx[i] = four * u / ((one + u) * (one + u)) * dy[i]


@dataclass(frozen=True)
class TanhExactNumba(_Elementwise, TanhExact):
    """y = tanh x;  dx = 4u / (1 + u)² dy with u = e^(−2|x|). ``tanh_exact``, compiled.

    x, y: any shape, float32 or float64. Keeps x and y.

    Source: ``tanh_exact``. Raises TypeError for another dtype.
    Loses no digits beyond rounding; y is within 3 ulp.
    """

    blocks = (tanh_block, tanh_exact_back_block)


@kernel
def sigmoid_block(x: Array, params: Any, y: Array) -> None:
    one = x.dtype.type(1)
    x, y = flat(x), flat(y)
    for i in range(x.size):
        u = exp(-abs(x[i]))
        y[i] = (one if x[i] > 0 else u) / (one + u)


@kernel
def sigmoid_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    one = x.dtype.type(1)
    x, y, dy, dx = flat(x), flat(y), flat(dy), flat(dx)
    for i in range(x.size):
        u = exp(-abs(x[i]))
        dx[i] = u / ((one + u) * (one + u)) * dy[i]


@dataclass(frozen=True)
class SigmoidNumba(_Elementwise, Sigmoid):
    """y = 1 / (1 + e^−x);  dx = u / (1 + u)² dy with u = e^−|x|. ``sigmoid``, compiled.

    x, y: any shape, float32 or float64. Keeps x and y.

    Source: ``sigmoid``. Raises TypeError for another dtype.
    Loses no digits beyond rounding.
    """

    family = "sigmoid"
    blocks = (sigmoid_block, sigmoid_back_block)


@scalar
def relu(x: Any) -> Any:
    return type(x)(0) if x < 0 else x


@kernel
def relu_block(x: Array, params: Any, y: Array) -> None:
    x, y = flat(x), flat(y)
    for i in range(x.size):
        y[i] = relu(x[i])


@scalar
def relu_slope(y: Any, dy: Any) -> Any:
    return dy if y > 0 else type(dy)(0)


@kernel
def relu_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    x, y, dy, dx = flat(x), flat(y), flat(dy), flat(dx)
    for i in range(x.size):
        dx[i] = relu_slope(y[i], dy[i])


@dataclass(frozen=True)
class ReluNumba(_Elementwise, Relu):
    """y = max(x, 0);  dx = dy where x > 0, else 0. ``relu``, compiled.

    x, y: any shape, float32 or float64. Keeps x and y.

    Source: ``relu``, whose choice at the kink is this one's. Raises TypeError for another dtype.
    No digit is lost.
    """

    family = "relu"
    blocks = (relu_block, relu_back_block)
