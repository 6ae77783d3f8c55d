"""The mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.targets import is_labels

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class MSE:
    """ℓ = (1/K) Σ (y − t)²;  dy = (2/K) (y − t) dℓ.

    y, t: (..., N, K), ℓ: (..., N). Integer targets (..., N) are labels, and t their one-hot rows; a
    target (..., N) of numbers is taken for K = 1. Keeps y − t.

    Source: ``torch.nn.functional.mse_loss``, whose mean over all entries is the mean of ℓ.
    Raises: ValueError for targets that do not fit.
    Loses digits: in y − t, where the prediction is near the target, and these belong to y and t.
    """

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        difference = y - _rows(np.asarray(target), y.shape).astype(y.real.dtype, copy=False)
        return (difference * difference).sum(axis=-1) / y.shape[-1], difference

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        slope: Array = residual * 2 / residual.shape[-1]
        return np.multiply(slope, dl[..., None], out=out)


def _rows(target: Array, shape: tuple[int, ...]) -> Array:
    if is_labels(target) and shape[-1] > 1 and target.shape == shape[-1 - target.ndim : -1]:
        if target.size and not 0 <= target.min() <= target.max() < shape[-1]:
            raise ValueError(f"labels go from 0 to {shape[-1] - 1} for {shape[-1]} outputs")
        return np.asarray(target[..., None] == np.arange(shape[-1]))
    if shape[-1] == 1 and target.shape == shape[-1 - target.ndim : -1]:
        target = target[..., None]
    if target.ndim < 2 or target.shape != shape[-target.ndim :]:
        raise ValueError(
            f"predictions of shape {shape} need targets of that shape; these are {target.shape}"
        )
    return target
