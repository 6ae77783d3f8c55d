"""What a net does on a part of the data: its mean loss, and its accuracy where there are labels."""

from __future__ import annotations

import math

from pullback.data import Part
from pullback.loss import example_weights, loss_value
from pullback.net import Net
from pullback.units import Array, Loss

Metrics = dict[str, float]

_ROWS_AT_ONCE = 4096


def evaluate(net: Net, part: Part, loss: Loss, *, labels: bool) -> Metrics:
    """The mean loss over a part, in the loss's own weighting, and the accuracy for labels."""
    total = count = right = 0.0
    for start in range(0, len(part), _ROWS_AT_ONCE):
        x, target = part.x[start : start + _ROWS_AT_ONCE], part.t[start : start + _ROWS_AT_ONCE]
        y, _ = net.forward(x)
        weights = example_weights(loss, target)
        total += float(loss_value(loss, y, target, "sum"))
        count += len(x) if weights is None else float(weights.sum())
        right += accuracy(y, target) * len(x) if labels else 0.0
    found = {"loss": total / count if count else math.nan}
    return found | ({"accuracy": right / len(part)} if labels else {})


def accuracy(y: Array, target: Array) -> float:
    """The share of rows whose largest prediction is at their label."""
    return float((y.argmax(axis=-1) == target).mean())
