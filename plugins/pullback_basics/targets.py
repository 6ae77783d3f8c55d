"""Targets as every loss on classes takes them: labels or rows, with PyTorch's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class ClassTargets:
    """T = w ∘ ((1 − ε) t + ε / C), the weight of each class in each row's ℓ = −Σ T log ŷ.

    t is the one-hot row of an integer label, or a soft row as it is given. Options, with PyTorch's
    meaning: ``weight``, w, one number for each class (none: all 1); ``ignore_index``, the label
    whose rows count for nothing; ``label_smoothing``, ε.

    Raises ValueError for a label out of range, a shape that does not fit, a negative weight, an ε
    outside 0 … 1.
    """

    targets = "classes"

    weight: tuple[float, ...] = ()
    ignore_index: int = -100
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if any(not w >= 0 for w in self.weight):
            raise ValueError(f"weight must not be negative, and it is {list(self.weight)}")
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be from 0 to 1, not {self.label_smoothing}")

    def example_weights(self, target: Array) -> Array:
        """What each row counts for in a mean: w of its label, 0 if ignored; 1 for a soft row."""
        if not is_labels(target):
            return np.ones(target.shape[:-1])
        counted: Array = target != self.ignore_index
        if not self.weight:
            return counted.astype(float)
        return np.where(counted, np.take(self.weight, target, mode="clip"), 0.0)

    def target_rows(self, target: Array, y: Array) -> Array:
        """T: (..., N, C) for predictions y: (..., N, C), in the real type of y."""
        target, classes = np.asarray(target), y.shape[-1]
        if self.weight and len(self.weight) != classes:
            raise ValueError(f"weight has {len(self.weight)} numbers for {classes} classes")
        dtype = y.real.dtype if y.dtype.kind in "fc" else y.dtype
        if is_labels(target):
            counted = self._counted(target, y.shape)
            rows: Array = (target[..., None] == np.arange(classes)).astype(dtype)
        else:
            fits = target.ndim > 1 and target.shape == y.shape[-target.ndim :]
            if not fits or target.dtype.kind not in "fO":
                raise ValueError(_no_target(target, y.shape))
            counted, rows = None, target.astype(dtype)
        if self.label_smoothing:
            rows = rows * (1 - self.label_smoothing) + self.label_smoothing / classes
        if self.weight:
            rows = rows * np.asarray(self.weight, dtype=dtype)
        return rows if counted is None else np.where(counted[..., None], rows, 0)

    def _counted(self, labels: Array, shape: tuple[int, ...]) -> Array | None:
        """Which rows are not ignored; None for all. Refuses what is no label of C classes."""
        if labels.ndim == 0 or labels.shape != shape[-1 - labels.ndim : -1]:
            raise ValueError(_no_target(labels, shape))
        if labels.size == 0 or (labels.min() >= 0 and labels.max() < shape[-1]):
            return None if not 0 <= self.ignore_index < shape[-1] else labels != self.ignore_index
        wrong = (labels != self.ignore_index) & ((labels < 0) | (labels >= shape[-1]))
        if wrong.any():
            at = np.argwhere(wrong)[0].tolist()
            raise ValueError(
                f"the target of row {at[-1]} is {labels[tuple(at)]}, and there are {shape[-1]} "
                f"classes: labels go from 0 to {shape[-1] - 1}"
            )
        return np.asarray(labels != self.ignore_index)


def is_labels(target: Array) -> bool:
    """Integers are labels; numbers with a point are rows."""
    return np.asarray(target).dtype.kind in "iub"


def _no_target(target: Array, shape: tuple[int, ...]) -> str:
    return (
        f"predictions of shape {shape} need integer labels of shape {shape[:-1]} or rows of shape "
        f"{shape}; the target is {target.dtype} of shape {target.shape}"
    )


def weighted(rows: Array, values: Array) -> Array:
    """T ∘ values, with 0 where T is 0: an infinite value of another class is none of this row's."""
    product: Array = rows * np.where(rows == 0, 0, values)
    return product
