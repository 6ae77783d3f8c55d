"""Softmax by its vector–Jacobian product and by its Jacobian, and its logarithm. Rows are last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class Softmax:
    """ŷ = eᶻ / Σ eᶻ;  dz = ŷ ∘ (dŷ − Σ dŷ ŷ).

    z, ŷ: (..., C), a distribution over C classes for each row. Keeps ŷ.

    The local Jacobian of a row is C × C, J = diag ŷ − ŷᵀŷ. It is never built: dz = dŷ J is 1 × C,
    and this is that product written out. ``softmax_jacobian`` builds it.

    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs,
    1990; the founding question, (4).
    Loses digits: in dŷ − Σ dŷ ŷ, where one class has nearly all the probability. ŷ underflows to
    0 for a gap of 745 between logits in float64 (104 in float32).
    """

    family = "softmax"

    def forward(self, z: Array, out: Array | None = None) -> tuple[Array, Array]:
        e = np.subtract(z, z.max(axis=-1, keepdims=True), out=out)
        e = np.exp(e, out=out)
        y = np.divide(e, e.sum(axis=-1, keepdims=True), out=out)
        return y, y

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        y = residual
        dz: Array = np.subtract(dy, (dy * y).sum(axis=-1, keepdims=True), out=out)
        return np.multiply(y, dz, out=out)


@dataclass(frozen=True)
class SoftmaxJacobian(Softmax):
    """ŷ = eᶻ / Σ eᶻ;  dz = dŷ J with J = diag ŷ − ŷᵀŷ, the C × C Jacobian of each row.

    z, ŷ: (..., C). Keeps ŷ; the way back needs N C² numbers more.

    Source: ∂ŷ_j / ∂z_i = ŷ_j (δ_ij − ŷ_i): every output depends on every input of its row, which is
    why J is 2 × 2 for two classes and dz is still 1 × 2.
    Loses digits: as ``softmax`` does, in the sum of the product.
    """

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        y = residual
        J = y[..., :, None] * (np.eye(y.shape[-1], dtype=y.dtype) - y[..., None, :])
        into = None if out is None else out[..., None, :]
        dz: Array = np.matmul(dy[..., None, :], J, out=into)[..., 0, :]
        return dz if out is None else out


@dataclass(frozen=True)
class LogSoftmax:
    """y = z − log Σ eᶻ;  dz = dy − ŷ Σ dy, with ŷ = e^y.

    z, y: (..., C). Keeps y.

    y = (z − m) − log1p(s): m is the largest logit, s the sum of e^(z − m) over the others.
    Source: y is log softmax z; its Jacobian is I − 1ᵀŷ.
    Loses digits: in y at the largest class, about one ulp for each unit of the gap, for e^(z − m)
    shows the rounding of z − m (log(softmax z) loses all of them); in dz, dy − ŷ Σ dy cancels at
    the class that has nearly all the probability.
    """

    def forward(self, z: Array, out: Array | None = None) -> tuple[Array, Array]:
        top = np.arange(z.shape[-1]) == z.argmax(axis=-1)[..., None]
        d = z - z.max(axis=-1, keepdims=True)
        others = np.where(top, 0, np.exp(d)).sum(axis=-1, keepdims=True)
        y = np.subtract(d, np.log1p(others), out=out)
        return y, y

    def backward(self, residual: Array, dy: Array, out: Array | None = None) -> Array:
        back: Array = np.exp(residual) * dy.sum(axis=-1, keepdims=True)
        return np.subtract(dy, back, out=out)
