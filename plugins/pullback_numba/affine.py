"""The affine layer, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from pullback_basics.affine import Affine
from pullback_numba.compiling import contiguous, kernel, scalar, summing

if TYPE_CHECKING:
    from pullback.units import Array

FEW = 4  # features up to which loops over them beat BLAS


@scalar
def itself(z: Any) -> Any:
    return z


@numba.njit(inline="always")
def row_of_few(weights: Any, x: Array, last: Any, y: Array, then: Any) -> None:
    """y = then(weights x + last), of which x has few rows; ``affine`` adds its bias last, too."""
    one = weights[0]
    if x.shape[0] == 1:
        for r in range(y.size):
            y[r] = then(one * x[0, r] + last)
        return
    two = weights[1]
    if x.shape[0] == 2:
        for r in range(y.size):
            y[r] = then(one * x[0, r] + two * x[1, r] + last)
        return
    for r in range(y.size):
        y[r] = one * x[0, r] + two * x[1, r]
    for k in range(2, x.shape[0]):
        weight = weights[k]
        for r in range(y.size):
            y[r] += weight * x[k, r]
    for r in range(y.size):
        y[r] = then(y[r] + last)


@numba.njit(inline="always")
def affine_then(x: Array, params: Any, y: Array, then: Any) -> None:
    """y = then(Wᵀ x + b), number by number: a loop of its own over a row does not vectorise."""
    W, b = params
    few = W.shape[0] <= FEW
    if not few:
        np.dot(W.T, x, y)
    for j in range(y.shape[0]):
        if few:
            row_of_few(W[:, j], x, b[0, j], y[j], then)
        else:
            bias = b[0, j]
            for r in range(y.shape[1]):
                y[j, r] = then(y[j, r] + bias)


@numba.njit(inline="always")
def affine_back_after(
    x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any, slope: Any
) -> None:
    """The way back of ``affine_then``: dz = slope(y, dy) lies over dy."""
    W, _ = params
    dW, db = dparams
    for j in range(dy.shape[0]):
        total = x.dtype.type(0)
        for r in range(dy.shape[1]):
            dz = slope(y[j, r], dy[j, r])
            dy[j, r] = dz
            total += dz
        db[0, j] = total
    np.dot(x, dy.T, dW)
    if dx.shape[0] and dy.shape[0] > FEW:
        np.dot(W, dy, dx)
    else:
        for k in range(dx.shape[0]):
            row_of_few(W[k], dy, x.dtype.type(0), dx[k], itself)


@scalar
def dy_itself(y: Any, dy: Any) -> Any:
    return dy


@kernel
def affine_block(x: Array, params: Any, y: Array) -> None:
    """x: (F, rows), W: (F, K), y: (K, rows)."""
    affine_then(x, params, y, itself)


@summing
def affine_back_block(x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any) -> None:
    affine_back_after(x, y, dy, params, dx, dparams, dy_itself)


@kernel
def add_bias(y: Array, b: Array) -> None:
    for n in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[n, j] += b[0, j]


@kernel
def affine_rows(x: Array, W: Array, b: Array, y: Array) -> None:
    """y = x W + b while a row is in the first cache, for few features; b is added last."""
    few = x.shape[1]
    for n in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[n, j] = x[n, 0] * W[0, j]
        for k in range(1, few - 1):
            for j in range(y.shape[1]):
                y[n, j] += x[n, k] * W[k, j]
        if few == 1:
            for j in range(y.shape[1]):
                y[n, j] += b[0, j]
        else:
            for j in range(y.shape[1]):
                y[n, j] = y[n, j] + x[n, few - 1] * W[few - 1, j] + b[0, j]


@kernel
def column_sums(dy: Array, db: Array) -> None:
    for j in range(dy.shape[1]):
        db[0, j] = 0
    for n in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            db[0, j] += dy[n, j]


@dataclass(frozen=True)
class AffineNumba(Affine):
    """y = x W + b;  dx = dy Wᵀ,  dW = xᵀ dy,  db = Σ dy over the rows. ``affine``, compiled.

    x: (..., N, F), W: (..., F, width), b: (..., 1, width), y: (..., N, width), float32 or float64.
    Keeps x and W. The products are BLAS's; what is compiled are the passes beside them.

    Source: ``affine``. Loses digits where it does.
    Raises: ValueError as ``affine`` does, TypeError for another dtype.
    """

    family = "affine"
    blocks = (affine_block, affine_back_block)

    def forward(self, x: Array, W: Array, b: Array, out: Array | None = None) -> tuple[Array, Any]:
        x, W, b = contiguous(x, W, b)
        y = np.empty((*_leading(x, W), x.shape[-2], self.width), x.dtype) if out is None else out
        few = 0 < W.shape[-2] <= FEW
        if not few:
            np.matmul(x, W, out=y)
        for each in np.ndindex(y.shape[:-2]):
            bias = _part(b, each)
            if few:
                affine_rows(_part(x, each), _part(W, each), bias, y[each])
            else:
                add_bias(y[each], bias)
        return y, (x, W)

    def backward(
        self, residual: Any, dy: Array, out: Any = (None, None, None), needs_dx: bool = True
    ) -> tuple[Array | None, Array, Array]:
        x, W = residual
        (dy,) = contiguous(dy)
        dx = np.matmul(dy, np.swapaxes(W, -1, -2), out=out[0]) if needs_dx else None
        dW = np.matmul(np.swapaxes(x, -1, -2), dy, out=out[1])
        db = np.empty((*dy.shape[:-2], 1, self.width), dy.dtype) if out[2] is None else out[2]
        for each in np.ndindex(dy.shape[:-2]):
            column_sums(dy[each], db[each])
        return dx, dW, db


def _leading(x: Array, W: Array) -> tuple[int, ...]:
    """The axes before those of one product."""
    return np.broadcast_shapes(x.shape[:-2], W.shape[:-2])


def _part(array: Array, each: tuple[int, ...]) -> Array:
    """An array's own part for a place on the leading axes, of which it may have none."""
    part: Array = array[each] if array.ndim > 2 else array
    return part
