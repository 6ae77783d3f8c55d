"""What a loss says of rows: one value for each, L for all of them, and the gradient dL/dy."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from pullback.errors import ConfigError, RunError
from pullback.registry import name_of
from pullback.units import Array, Loss, takes

Reduction = Literal["mean", "sum", "none"]


def loss_and_cotangent(
    loss: Loss,
    y: Array,
    target: Array,
    reduction: Reduction = "mean",
    room: tuple[Array, Array] | None = None,
) -> tuple[float, Array]:
    """L = Σℓ / Σweights (mean) or Σℓ (sum), and dL/dy: stage (7), dℓ = 1/N, and the loss's own.

    ``room`` is where dy and dℓ may lie.
    """
    count = divisor(loss, target, y.shape[:-1], reduction)
    dy, dl = room or (None, np.empty(y.shape[:-1], y.dtype))
    dl.fill(1 / count)
    way = "value_and_gradient" if hasattr(loss, "value_and_gradient") else "backward"
    options = {"out": dy} if dy is not None and takes(type(loss), way, "out") else {}
    if way == "backward":
        losses, residual = _pair(loss, "forward", y, target)
        dy = _called(loss, way, residual, dl, **options)
    else:
        losses, dy = _pair(loss, way, y, target, dl, **options)
    if not isinstance(dy, np.ndarray):
        raise RunError(f"{name_of(loss)}: {way} returned {type(dy).__name__}, no array")
    if dy.shape != y.shape:
        raise RunError(
            f"{name_of(loss)}: {way} returned a gradient of shape {dy.shape} for a prediction "
            f"of shape {y.shape}; a gradient has the shape of its value"
        )
    return mean(losses, count), dy


def loss_value(loss: Loss, y: Array, target: Array, reduction: Reduction = "mean") -> Any:
    """L alone: a number, or one for each row where the reduction is ``none``."""
    losses, _ = _pair(loss, "forward", y, target)
    if reduction == "none":
        return losses
    return mean(losses, divisor(loss, target, y.shape[:-1], reduction))


def example_weights(loss: Loss, target: Array) -> Array | None:
    """What each row counts for in a mean; None where every row counts for one."""
    weighs = hasattr(loss, "example_weights")
    return _called(loss, "example_weights", target) if weighs else None


def divisor(
    loss: Loss, target: Array, rows: tuple[int, ...], reduction: Reduction = "mean"
) -> float:
    """What Σℓ is divided by: N, or Σweights, for a mean; RunError where that is 0."""
    if reduction not in ("mean", "sum"):
        raise ConfigError(f"a gradient needs one number: reduction mean or sum, not '{reduction}'")
    if reduction == "sum":
        return 1.0
    weights = example_weights(loss, target)
    count = float(math.prod(rows) if weights is None else weights.sum())
    if count == 0:
        raise RunError("no row counts: every target of the batch is ignored or has weight 0")
    return count


def mean(losses: Array, count: float) -> float:
    """L = Σℓ / count, added up in float64."""
    return float(losses.sum(dtype=np.float64)) / count


def _pair(loss: Loss, way: str, y: Array, *rest: Any, **options: Any) -> tuple[Array, Any]:
    """ℓ, and what is returned beside it; RunError where that is not one value for each row."""
    pair = _called(loss, way, y, *rest, **options)
    if not (isinstance(pair, tuple) and len(pair) == 2):
        other = "residual" if way == "forward" else "gradient"
        told = f"{way} returned {type(pair).__name__}, and not (ℓ, {other})"
        raise RunError(f"{name_of(loss)}: {told}")
    losses, beside = pair
    if not isinstance(losses, (np.ndarray, np.generic)):
        raise RunError(f"{name_of(loss)}: {way} returned {type(losses).__name__}, no array")
    if losses.shape != y.shape[:-1]:
        raise RunError(
            f"{name_of(loss)}: {way} returned shape {losses.shape} for a prediction of shape "
            f"{y.shape}; a loss returns one value for each row, {y.shape[:-1]}"
        )
    return np.asarray(losses), beside


def _called(loss: Loss, way: str, *arguments: Any, **options: Any) -> Any:
    """What a method of the loss returns; RunError, with both their names, where it raises."""
    try:
        return getattr(loss, way)(*arguments, **options)
    except Exception as error:
        told = f"loss {name_of(loss)}: {way} raised {type(error).__name__}: {error}"
        raise RunError(told) from error
