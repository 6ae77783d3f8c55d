"""The cross-entropy of logits, compiled: the fused form, for labels.

With soft rows, weights or smoothing it is the plain unit that it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.cross_entropy import CrossEntropyFused
from pullback_numba.compiling import contiguous, into, kernel, room_for, summing
from pullback_numba.functions import exp, exp_of_difference, largest
from pullback_numba.targets import KernelTargets, are_labels

if TYPE_CHECKING:
    from pullback.units import Array

FEW = 16  # classes up to which rows side by side are faster than one after the other
TILE = 2048  # numbers of a row at once: they stay in the first cache


@summing
def fused_rows(z: Array, labels: Array, ignored: int, losses: Array, sums: Array) -> bool:
    """ℓ and Σ e^(z − m) of each row, whose maximum m so far grows on the way through its tiles.

    False where a label is none of C classes, and the rest is not done.
    """
    if not are_labels(labels, z.shape[1], ignored):
        return False
    for n in range(z.shape[0]):
        row = z[n]
        m, total = row.dtype.type(np.finfo(row.dtype).min), row.dtype.type(0)
        for start in range(0, row.size, TILE):
            tile = row[start : start + TILE]
            top = largest(tile)
            if top > m:
                total *= exp(m - top)
                m = top
            part = row.dtype.type(0)
            for c in range(tile.size):
                part += exp_of_difference(tile[c] - m)
            total += part
        sums[n] = total
        counts = labels[n] != ignored
        losses[n] = np.log(total) - (row[labels[n]] - m) if counts else row.dtype.type(0)
    return True


@summing
def fused_rows_at_once(
    z: Array, labels: Array, ignored: int, dl: Array, losses: Array, dz: Array, in_place: bool
) -> bool:
    """ℓ and dz of a row while it is in cache; ``dz`` may be ``z``, and then says so.

    False where a label is none of C classes, and nothing is done.
    """
    real = z.dtype.type
    if not are_labels(labels, z.shape[1], ignored):
        return False
    for n in range(z.shape[0]):
        logits, row = z[n], dz[n]
        counts = labels[n] != ignored
        label = labels[n] if counts else 0
        m = largest(logits)
        ahead = logits[label] - m
        total = real(0)
        if in_place:
            for c in range(row.size):  # one array alone, for what overlaps does not vectorise
                e = exp_of_difference(row[c] - m)
                row[c] = e
                total += e
        else:
            for c in range(row.size):
                e = exp_of_difference(logits[c] - m)
                row[c] = e
                total += e
        losses[n] = np.log(total) - ahead if counts else real(0)
        scale = dl[n] / total if counts else real(0)
        at_label = (row[label] / total - real(1)) * dl[n]
        for c in range(row.size):
            row[c] *= scale
        if counts:
            row[label] = at_label
    return True


@kernel
def fused_back_rows(
    z: Array, labels: Array, ignored: int, sums: Array, dl: Array, dz: Array, in_place: bool
) -> None:
    """dz = (ŷ − t) dℓ from the logits and their sums; ``dz`` may be ``z``, and then says so."""
    one = z.dtype.type(1)
    for n in range(z.shape[0]):
        m = largest(z[n])
        label = labels[n]
        counts = label != ignored
        scale = dl[n] / sums[n] if counts else z.dtype.type(0)
        at_label = (exp(z[n, label] - m) / sums[n] - one) * dl[n] if counts else z.dtype.type(0)
        row, logits = dz[n], z[n]
        if in_place:
            for c in range(row.size):  # one array alone, for what overlaps does not vectorise
                row[c] = exp_of_difference(row[c] - m) * scale
        else:
            for c in range(row.size):
                row[c] = exp_of_difference(logits[c] - m) * scale
        if counts:
            row[label] = at_label


@summing
def fused_columns(
    z: Array, labels: Array, dl: Array, losses: Array, dz: Array, room: Array
) -> bool:
    """ℓ and dz of columns of logits, z: (C, rows), of which there are as many as labels.

    False where a label is none of C classes, and nothing is done.
    """
    if not are_labels(labels, z.shape[0]):
        return False
    m, total, at_label = room[0], room[1], room[2]
    for r in range(m.size):
        m[r] = z[0, r]
    total[:] = 0
    for c in range(1, z.shape[0]):
        for r in range(z.shape[1]):
            m[r] = max(m[r], z[c, r])
    for c in range(z.shape[0]):
        for r in range(z.shape[1]):
            dz[c, r] = exp(z[c, r] - z.dtype.type(m[r]))
            total[r] += dz[c, r]
    for r in range(labels.size):
        losses[r] = np.log(total[r]) - (z[labels[r], r] - m[r])
        at_label[r] = (dz[labels[r], r] / total[r] - 1) * dl[r]
        total[r] = dl[r] / total[r]
    total[labels.size :] = 0
    for c in range(z.shape[0]):
        for r in range(z.shape[1]):
            dz[c, r] = dz[c, r] * z.dtype.type(total[r])
    for r in range(labels.size):
        dz[labels[r], r] = at_label[r]
    return True


@summing
def fused_block(z: Array, labels: Array, scale: float, dz: Array, room: Array) -> float:
    """Σ ℓ, and dz = scale (ŷ − t); z: (C, rows), of which there are as many as labels."""
    losses, dl = room[3], room[4]
    dl[:] = scale
    if not fused_columns(z, labels, dl, losses, dz, room):
        return np.nan
    total = 0.0
    for r in range(labels.size):
        total += losses[r]
    return total


def lies_over(out: Array | None, z: Array) -> bool:
    """Whether what is written to the one is read from the other."""
    return out is not None and np.may_share_memory(out, z)


@dataclass(frozen=True)
class CrossEntropyFusedNumba(KernelTargets, CrossEntropyFused):
    """ℓ = log Σ eᶻ − z_t;  dz = (ŷ − t) dℓ. ``cross_entropy_fused``, compiled.

    z: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N); float32 or float64.
    Keeps z, the labels and one number for each row, Σ e^(z − m). ``value_and_gradient`` takes one
    exponential of each number, in the place of two. dz may be written over z, with ``out=z``:
    beyond z and the labels there is then one number for each row.

    Source: ``cross_entropy_fused``; the maximum that grows on the way: Milakov and Gimelshein,
    "Online normalizer calculation for softmax" (arXiv:1805.02867).
    Raises: ValueError for targets that do not fit, TypeError for another dtype.
    Loses digits: where ``cross_entropy_fused`` does.
    """

    @property
    def blocks(self) -> Any:
        return (fused_block,) if self.counts_each else None

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        rows = self.rows(y, target)
        if rows is None:
            return super().forward(y, target)
        z, labels = rows
        losses, sums = np.empty(len(z), z.dtype), np.empty(len(z), z.dtype)
        if not fused_rows(z, labels, self.ignore_index, losses, sums):
            return super().forward(y, target)  # it says which label is wrong
        return losses.reshape(y.shape[:-1]), (z, labels, sums)

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        if len(residual) == 2:
            return super().backward(residual, dl, out=out)
        z, labels, sums = residual
        _, dl = contiguous(z, dl)
        dz = room_for(out, z)
        slopes = dl.reshape(-1)
        fused_back_rows(z, labels, self.ignore_index, sums, slopes, dz, lies_over(dz, z))
        return into(out, dz.reshape(*dl.shape, -1))

    def value_and_gradient(
        self, y: Array, target: Array, dl: Array, out: Array | None = None
    ) -> tuple[Array, Array]:
        rows = self.rows(y, target)
        if rows is not None:
            z, labels = rows
            _, slopes = contiguous(z, dl)
            losses = np.empty(len(z), z.dtype)
            given = z, labels, slopes.reshape(-1), losses
            few = z.shape[1] <= FEW and self.counts_each and not lies_over(out, z)
            dz = of_columns(*given) if few else of_rows(*given, self.ignore_index, out)
            if dz is not None:
                return losses.reshape(y.shape[:-1]), into(out, dz.reshape(y.shape))
        losses, residual = self.forward(y, target)  # no kernel takes it, or a label is wrong
        return losses, self.backward(residual, dl, out=out)


def of_rows(
    z: Array, labels: Array, dl: Array, losses: Array, ignored: int, out: Array | None
) -> Array | None:
    """ℓ into ``losses``, and dz; None where a label is not one of the classes."""
    dz = room_for(out, z)
    done = fused_rows_at_once(z, labels, ignored, dl, losses, dz, lies_over(dz, z))
    return dz if done else None


def of_columns(z: Array, labels: Array, dl: Array, losses: Array) -> Array | None:
    """The same of few classes, of which a row fills no vector."""
    columns = np.ascontiguousarray(z.T)
    dz, room = np.empty_like(columns), np.empty((3, len(z)))
    return dz.T if fused_columns(columns, labels, dl, losses, dz, room) else None
