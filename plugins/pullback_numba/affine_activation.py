"""An affine layer and its activation, compiled: in a block y lies over z, and dz over dy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.affine_activation import AffineRelu, AffineTanh
from pullback_numba.affine import AffineNumba, affine_back_after, affine_then
from pullback_numba.compiling import as_row, contiguous, into, kernel, scalar, summing
from pullback_numba.elementwise import (
    relu,
    relu_back_block,
    relu_slope,
    tanh_back_block,
    tanh_slope,
)
from pullback_numba.functions import tanh

if TYPE_CHECKING:
    from pullback.units import Array


@scalar
def tanh_of(z: Any) -> Any:
    return tanh(z)


@kernel
def tanh_over(y: Array) -> None:
    for i in range(y.size):  # one array alone, for what overlaps does not vectorise
        y[i] = tanh(y[i])


@kernel
def relu_over(y: Array) -> None:
    for i in range(y.size):
        y[i] = relu(y[i])


@kernel
def affine_tanh_block(x: Array, params: Any, y: Array) -> None:
    affine_then(x, params, y, tanh_of)


@summing
def affine_tanh_back_block(
    x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any
) -> None:
    affine_back_after(x, y, dy, params, dx, dparams, tanh_slope)


@kernel
def affine_relu_block(x: Array, params: Any, y: Array) -> None:
    affine_then(x, params, y, relu)


@summing
def affine_relu_back_block(
    x: Array, y: Array, dy: Array, params: Any, dx: Array, dparams: Any
) -> None:
    affine_back_after(x, y, dy, params, dx, dparams, relu_slope)


class _Then:
    """What the two units below share: the products are those of ``affine_numba``."""

    width: int
    over: Any
    slope: Any

    def forward(self, x: Array, W: Array, b: Array, out: Array | None = None) -> tuple[Array, Any]:
        room = out if out is None or out.flags.c_contiguous else None
        y, kept = AffineNumba.forward(self, x, W, b, room)  # type: ignore[arg-type]
        self.over(y.reshape(-1))
        return into(out, y), (kept, y)

    def backward(
        self, residual: Any, dy: Array, out: Any = (None, None, None), needs_dx: bool = True
    ) -> tuple[Array | None, Array, Array]:
        kept, y = residual
        y, dy = map(as_row, contiguous(y, dy))
        dz = np.empty_like(y)
        self.slope(y, y, dy, (), dz, ())
        dz = dz.reshape(residual[1].shape)
        return AffineNumba.backward(self, kept, dz, out, needs_dx)  # type: ignore[arg-type]


@dataclass(frozen=True)
class AffineTanhNumba(_Then, AffineTanh):
    """z = x W + b, y = tanh z;  dz = (1 − y²) dy, dx = dz Wᵀ, … ``affine_tanh``, compiled.

    x: (..., N, F), W: (..., F, width), b: (..., 1, width), y: (..., N, width), float32 or float64.
    Keeps x, W and y.

    Source: ``affine_tanh``. Raises: ValueError as it does, TypeError for another dtype.
    Loses digits: y is within 3 ulp of tanh z; else as ``affine_tanh``.
    """

    blocks = (affine_tanh_block, affine_tanh_back_block)
    over, slope = staticmethod(tanh_over), staticmethod(tanh_back_block)


@dataclass(frozen=True)
class AffineReluNumba(_Then, AffineRelu):
    """z = x W + b, y = max(z, 0);  dz = dy where y > 0, dx = dz Wᵀ, … ``affine_relu``, compiled.

    x: (..., N, F), W: (..., F, width), b: (..., 1, width), y: (..., N, width), float32 or float64.
    Keeps x, W and y.

    Source: ``affine_relu``. Raises: ValueError as it does, TypeError for another dtype.
    Loses digits: where ``affine_relu`` does.
    """

    blocks = (affine_relu_block, affine_relu_back_block)
    over, slope = staticmethod(relu_over), staticmethod(relu_back_block)
