"""The cross-entropy of logits, compiled: the exact form, for labels.

With soft rows, weights or smoothing it is the plain unit that it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.cross_entropy import FAR, SCALE, SHIFT, SHIFTED, CrossEntropyExact
from pullback_numba.compiling import exactly, into
from pullback_numba.functions import exp
from pullback_numba.targets import KernelTargets, are_labels

if TYPE_CHECKING:
    from pullback.units import Array


@exactly
def lost(a: float, b: float, total: float) -> float:
    """The exact a + b − total, where total is a + b rounded."""
    back = total - a
    return (a - (total - back)) + (b - back)


@exactly
def exact_columns(z: Array, labels: Array, losses: Array, p: Array, room: Array) -> bool:
    """ℓ, and SCALE ŷ in float64, of columns of logits: see ``cross_entropy_exact``.

    False where a label is none of C classes, and nothing is done.
    """
    if not are_labels(labels, z.shape[0]):
        return False
    m, s, rest, top = room[0], room[1], room[2], room[3]
    for r in range(m.size):
        m[r] = z[0, r]
    top[:] = 0
    for c in range(1, z.shape[0]):
        for r in range(z.shape[1]):
            if z[c, r] > m[r]:
                m[r], top[r] = z[c, r], c
    s[:] = 0
    rest[:] = 0
    for c in range(z.shape[0]):
        for r in range(z.shape[1]):
            logit = np.float64(z[c, r])
            d = logit - m[r]
            far = d < FAR
            e = exp(d + SHIFT if far else d) * (SHIFTED if far else SCALE)
            p[c, r] = e
            term = 0.0 if top[r] == c else e
            total = s[r] + term
            gone = 0.0 if e == 0.0 else lost(logit, -m[r], d)
            rest[r] += term * gone + lost(s[r], term, total)
            s[r] = total
    for r in range(z.shape[1]):
        s[r] /= SCALE
        rest[r] /= SCALE
    for r in range(labels.size):
        losses[r] = np.log1p(s[r] + rest[r]) - (z[labels[r], r] - m[r])
    for c in range(z.shape[0]):
        for r in range(z.shape[1]):
            total = 1.0 + s[r]
            logit = np.float64(z[c, r])
            gone = 0.0 if p[c, r] == 0.0 else lost(logit, -m[r], logit - m[r])
            y = p[c, r] / total
            p[c, r] = y + y * (gone - (lost(1.0, s[r], total) + rest[r]) / total)
    return True


@exactly
def exact_back_columns(p: Array, labels: Array, dl: Array, dz: Array, room: Array) -> None:
    """dz_i = ŷ_i dℓ, and at the label −Σ of the others, which cancels nowhere."""
    s, rest = room[0], room[1]
    s[:] = 0
    rest[:] = 0
    for c in range(p.shape[0]):
        for r in range(labels.size):
            term = 0.0 if labels[r] == c else p[c, r]
            total = s[r] + term
            rest[r] += lost(s[r], term, total)
            s[r] = total
    for c in range(p.shape[0]):
        for r in range(labels.size):
            slope = -(s[r] + rest[r]) if labels[r] == c else p[c, r]
            dz[c, r] = slope * dl[r] / SCALE


@exactly
def exact_block(z: Array, labels: Array, scale: float, dz: Array, room: Array) -> float:
    """Σ ℓ, and dz; z: (C, rows), of which there are as many as labels."""
    rows = labels.size
    losses, dl, p = room[4], room[5], room[8:]
    if not exact_columns(z, labels, losses, p, room):
        return np.nan
    dl[:] = scale
    dz[:, rows:] = 0
    exact_back_columns(p, labels, dl, dz, room)
    total = 0.0
    for r in range(rows):
        total += losses[r]
    return total


@dataclass(frozen=True)
class CrossEntropyExactNumba(KernelTargets, CrossEntropyExact):
    """ℓ = Σ_c T_c ((m − z_c) + log1p s);  dz_t = −Σ_{j≠t} dz_j. ``cross_entropy_exact``, compiled.

    z: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N); float32 or float64.
    Keeps ŷ, in float64, and the labels.

    Source: ``cross_entropy_exact``, operation by operation; a label's entry is the one that would
    cancel.
    Raises: ValueError for targets that do not fit, TypeError for another dtype.
    Loses digits: none beyond 4 ulp with labels, as ``cross_entropy_exact``.
    """

    @property
    def blocks(self) -> Any:
        return (exact_block,) if self.counts_each else None

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        rows = self.rows(y, target)
        if rows is None or 0 <= self.ignore_index < y.shape[-1]:
            return super().forward(y, target)
        z, labels = np.ascontiguousarray(rows[0].T), rows[1]
        losses, p = np.empty(len(labels), y.dtype), np.empty(z.shape)
        if not exact_columns(z, labels, losses, p, np.empty((4, len(labels)))):
            return super().forward(y, target)  # a label that is ignored, or wrong
        return losses.reshape(y.shape[:-1]), (p, labels, y.dtype, "compiled")

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        if len(residual) == 3:
            return super().backward(residual, dl, out=out)
        p, labels, dtype, _ = residual
        dz = np.empty(p.shape, dtype)
        slopes = np.ascontiguousarray(dl).reshape(-1)
        exact_back_columns(p, labels, slopes, dz, np.empty((2, len(labels))))
        return into(out, dz.T.reshape(*dl.shape, -1))
