"""The cross-entropy of logits: two chains of plain stages, the textbook's fused form, an exact one.

All four compute ℓ = −Σ T log softmax z with T = w ∘ ((1 − ε) t + ε / C) from the target and the
options. They differ in the way back and in the digits they keep: the chains break when the model is
very wrong (a probability underflows, and log 0 follows), ŷ − t loses its digits when the model is
very right (1 − 1), ``cross_entropy_exact`` does neither.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.likelihood import NLL
from pullback_basics.logarithm import Log
from pullback_basics.softmax import Softmax, SoftmaxJacobian
from pullback_basics.targets import ClassTargets, weighted

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class CrossEntropyVJP(ClassTargets):
    """ŷ = softmax z, l = log ŷ, ℓ = −Σ T l;  dl = −T dℓ, dŷ = (1/ŷ) ∘ dl, dz = ŷ ∘ (dŷ − Σ dŷ ŷ).

    z: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N). Keeps ŷ and T.

    Source: the founding question, (4)–(6), one stage each; a chain of ``softmax``, ``log``,
    ``nll``.
    Raises: ValueError for targets that do not fit.
    Loses digits: in ℓ and dz for a confident row (all of them 37 ahead in float64, 16 in float32);
    NaN or ∞ as soon as one probability of a row underflows (a gap of 745, or 104).
    """

    family = "cross_entropy"

    @property
    def stages(self) -> dict[str, Any]:
        """The units of the chain by the symbol of their output; the last is a loss."""
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"ŷ": self.softmax(), "l": Log(), "ℓ": NLL(**options)}

    def softmax(self) -> Softmax:
        return Softmax()

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        *layers, loss = self.stages.values()
        residuals = []
        for layer in layers:
            y, residual = layer.forward(y)
            residuals.append(residual)
        value, residual = loss.forward(y, target)
        return value, [*residuals, residual]

    def backward(self, residual: Any, dl: Array) -> Array:
        for unit, kept in zip(reversed(self.stages.values()), reversed(residual), strict=True):
            dl = unit.backward(kept, dl)
        return dl


@dataclass(frozen=True)
class CrossEntropyJacobian(CrossEntropyVJP):
    """ŷ = softmax z, l = log ŷ, ℓ = −Σ T l;  dl = −T dℓ, dŷ = (1/ŷ) ∘ dl, dz = dŷ (diag ŷ − ŷᵀŷ).

    z: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N). Keeps ŷ and T; the way
    back needs N C² numbers more.

    Source: the founding question, (4)–(6), with the C × C Jacobian that it asks about; a chain of
    ``softmax_jacobian``, ``log``, ``nll``.
    Raises: ValueError for targets that do not fit.
    Loses digits: where ``cross_entropy_vjp`` does.
    """

    def softmax(self) -> Softmax:
        return SoftmaxJacobian()


@dataclass(frozen=True)
class CrossEntropyFused(ClassTargets):
    """ℓ = log Σ eᶻ − Σ t z;  dz = (ŷ − t) dℓ, and in general ℓ = −Σ T log ŷ, dz = (ŷ ΣT − T) dℓ.

    z: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N). Keeps ŷ and T.

    Source: the collapse of the chain: Σ_j (−T_j / ŷ_j) ŷ_j (δ_ij − ŷ_i) = ŷ_i ΣT − T_i. It is ŷ − t
    only where Σt = 1.
    Raises: ValueError for targets that do not fit.
    Loses digits: at the true class of a confident row, where ŷ − 1 cancels (all of them 37 ahead in
    float64, 17 in float32); so does ℓ. Stays finite however wrong the row is.
    """

    family = "cross_entropy"

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        rows = self.target_rows(target, y)
        d = y - y.max(axis=-1, keepdims=True)
        e = np.exp(d)
        total = e.sum(axis=-1, keepdims=True)
        return weighted(rows, np.log(total) - d).sum(axis=-1), (e / total, rows)

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        y, rows = residual
        dz: Array = np.multiply(y, rows.sum(axis=-1, keepdims=True), out=out)
        dz = np.subtract(dz, rows, out=out)
        return np.multiply(dz, dl[..., None], out=out)


SCALE = 2.0**92
FAR, SHIFT = -512.0, 64.0  # d + 64 is exact from there on
SHIFTED = 0.7941686867408406  # SCALE e^−SHIFT


@dataclass(frozen=True)
class CrossEntropyExact(ClassTargets):
    """ℓ = Σ_c T_c ((m − z_c) + log1p s), s = Σ_{j≠top} e^(z_j − m);  dz_most = −Σ_{j≠most} dz_j.

    z: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N). Keeps ŷ and T, in
    float64. m is the largest logit of the row, top its class; most is the class with more than half
    of ŷ ΣT and T together, if there is one; dz_i = (ŷ_i ΣT − T_i) dℓ for the others.

    Source: both terms of ℓ are positive, and Σ dz = 0 whatever T is, so the one entry that would
    cancel is had from the others. What z_j − m and the sums lose in rounding is put back by
    two-sums (Knuth, TAOCP 2, 4.2.2), for e^d shows it whole. What underflows is added up before it
    does: ŷ is kept 2⁹² times as large.
    Raises: ValueError for targets that do not fit.
    Loses digits: in float64, where ŷ_i ΣT and T_i of a soft or smoothed row agree, for their
    difference is good to 8 ulp of the larger, as ℓ of such a row is. With labels and one-hot rows,
    right or wrong, all is within 4 ulp. float32 and float16 are calculated in float64 and rounded
    once.
    """

    family = "cross_entropy"

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        z = y.astype(np.result_type(y, np.float64), copy=False)
        rows = self.target_rows(target, z)
        top = np.arange(z.shape[-1]) == z.argmax(axis=-1)[..., None]
        m = z.max(axis=-1, keepdims=True)
        d = z - m
        far = d < FAR
        e = np.exp(np.where(far, d + SHIFT, d)) * np.where(far, SHIFTED, SCALE)
        with np.errstate(invalid="ignore"):  # where d is infinite
            lost = np.where(e == 0, 0, _lost(z, -m, d))
        s, rest = (one / SCALE for one in _sum(np.where(top, 0, e), lost))
        value = weighted(rows, np.log1p(s + rest) - d).sum(axis=-1)
        total = 1 + s
        e = e / total
        probabilities = e + e * (lost - (_lost(1, s, total) + rest) / total)
        return value.astype(y.dtype, copy=False), (probabilities, rows, y.dtype)

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        y, rows, dtype = residual
        whole = rows.sum(axis=-1, keepdims=True)
        y, rows = y * whole, rows * SCALE
        both = y + rows
        most = (np.arange(y.shape[-1]) == both.argmax(axis=-1)[..., None]) & (both > whole * SCALE)
        dz = np.where(most, 0, y - rows)
        s, rest = _sum(dz)
        dz = np.where(most, -(s + rest), dz) * dl[..., None]
        return np.divide(dz, SCALE, out=out).astype(dtype, copy=False)


def _sum(terms: Array, errors: Array | float = 0) -> tuple[Array, Array]:
    """Σ terms (1 + errors) over the last axis, as the rounded sum and the rest that it lacks."""
    sums = np.cumsum(terms, axis=-1)
    rest = terms * errors
    rest[..., 1:] += _lost(sums[..., :-1], terms[..., 1:], sums[..., 1:])
    return sums[..., -1:], rest.sum(axis=-1, keepdims=True)


def _lost(a: Array | float, b: Array, total: Array) -> Array:
    """The exact a + b − total, where total is a + b rounded."""
    back = total - a
    lost: Array = (a - (total - back)) + (b - back)
    return lost
