"""Labels as kernels take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pullback_basics.targets import ClassTargets, is_labels
from pullback_numba.compiling import DTYPES, kernel

if TYPE_CHECKING:
    from pullback.units import Array


@kernel
def are_labels(labels: Array, classes: int, ignored: int = 0) -> bool:
    """Whether each is one of C classes, or what is ignored; 0 is one of them."""
    right = True
    for label in labels:
        right &= label == ignored or 0 <= label < classes
    return right


class KernelTargets(ClassTargets):
    """Which targets there are kernels for, and these as they take them."""

    @property
    def counts_each(self) -> bool:
        """Whether every label that is one of C classes counts, for one: blocks know no options."""
        return not (self.weight or self.label_smoothing or self.ignore_index >= 0)

    def rows(self, y: Array, target: Array) -> tuple[Array, Array] | None:
        """The logits as (rows, C) and a label for each; None where there is no kernel for these.

        Whether the labels are of C classes is seen by the kernel. Raises TypeError for another
        dtype.
        """
        if y.dtype not in DTYPES:
            raise TypeError(f"compiled for float32 and float64, not for {y.dtype}")
        labels = np.asarray(target)
        if self.weight or self.label_smoothing or not (y.size and is_labels(labels)):
            return None
        if labels.shape != y.shape[:-1]:
            self._counted(labels, y.shape)
            labels = np.broadcast_to(labels, y.shape[:-1])
        z = np.ascontiguousarray(y).reshape(-1, y.shape[-1])
        return z, np.ascontiguousarray(labels.reshape(-1), np.int64)
