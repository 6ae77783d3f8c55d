"""Elementwise layers, compiled: tanh, sigmoid, ReLU. Each is called as the plain one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pullback_basics.activations import Relu, Sigmoid, Tanh, TanhExact

from pullback_numba.compiling import as_row, contiguous, given, kernel
from pullback_numba.functions import exp, tanh

if TYPE_CHECKING:
    from pullback.units import Array


class _Elementwise:
    """What the units below share: their blocks, run over a whole array as over one feature."""

    blocks: Any

    def forward(self, x: Array, out: Array | None = None) -> tuple[Array, Any]:
        (x,) = contiguous(x)
        y = np.empty_like(x) if out is None or not out.flags.c_contiguous else out
        self.blocks[0](as_row(x), (), as_row(y))
        return given(out, y), (x, y)

    def backward(self, residual: Any, dy: Array, out: Array | None = None) -> Array:
        x, y, dy = contiguous(*residual, dy)
        dx = np.empty_like(x) if out is None or not out.flags.c_contiguous else out
        self.blocks[1](as_row(x), as_row(y), as_row(dy), (), as_row(dx), ())
        return given(out, dx)


@kernel
def tanh_block(x: Array, params: Any, y: Array) -> None:
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            y[k, r] = tanh(x[k, r])


@kernel
def tanh_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    one = x.dtype.type(1)
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            dx[k, r] = (one - y[k, r] * y[k, r]) * dy[k, r]


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
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            u = exp(minus_two * abs(x[k, r]))
            dx[k, r] = four * u / ((one + u) * (one + u)) * dy[k, r]


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
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            u = exp(-abs(x[k, r]))
            y[k, r] = (one if x[k, r] > 0 else u) / (one + u)


@kernel
def sigmoid_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    one = x.dtype.type(1)
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            u = exp(-abs(x[k, r]))
            dx[k, r] = u / ((one + u) * (one + u)) * dy[k, r]


@dataclass(frozen=True)
class SigmoidNumba(_Elementwise, Sigmoid):
    """y = 1 / (1 + e^−x);  dx = u / (1 + u)² dy with u = e^−|x|. ``sigmoid``, compiled.

    x, y: any shape, float32 or float64. Keeps x and y.

    Source: ``sigmoid``. Raises TypeError for another dtype.
    Loses no digits beyond rounding.
    """

    family = "sigmoid"
    blocks = (sigmoid_block, sigmoid_back_block)


@kernel
def relu_block(x: Array, params: Any, y: Array) -> None:
    zero = x.dtype.type(0)
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            y[k, r] = zero if x[k, r] < zero else x[k, r]


@kernel
def relu_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    zero = x.dtype.type(0)
    for k in range(x.shape[0]):
        for r in range(x.shape[1]):
            dx[k, r] = dy[k, r] if y[k, r] > zero else zero


@dataclass(frozen=True)
class ReluNumba(_Elementwise, Relu):
    """y = max(x, 0);  dx = dy where x > 0, else 0. ``relu``, compiled.

    x, y: any shape, float32 or float64. Keeps x and y.

    Source: ``relu``, whose choice at the kink is this one's. Raises TypeError for another dtype.
    No digit is lost.
    """

    family = "relu"
    blocks = (relu_block, relu_back_block)
