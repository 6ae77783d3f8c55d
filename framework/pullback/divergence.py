"""Which stage first gave a number that is not finite."""

from __future__ import annotations

import numpy as np

from pullback.errors import RunError
from pullback.loss import Reduction, loss_and_cotangent
from pullback.net import Net
from pullback.registry import name_of
from pullback.units import Array, Loss


def first_not_finite(
    net: Net, x: Array, target: Array, loss: Loss, reduction: Reduction = "mean"
) -> str:
    """One sentence: the first value on the way forward, or gradient on the way back, that is not
    finite at this θ and on this batch."""
    name = name_of(loss)
    if not np.isfinite(x).all():
        return f"the batch itself is not finite: {_count(x)}"
    y, tape = x, []
    for stage in net.stages:
        for key, parameter in stage.params.items():
            if not np.isfinite(parameter).all():
                return f"the parameter {stage.name}.{key} is not finite: {_count(parameter)}"
        y, residual = stage.layer.forward(y, *stage.params.values())
        tape.append(residual)
        if not np.isfinite(y).all():
            return f"forward of the stage {stage.name} ({stage.unit}) is not finite: {_count(y)}"
    losses, _ = loss.forward(y, target)
    if not np.isfinite(losses).all():
        return f"forward of the loss {name} is not finite: {_count(losses)}"
    try:
        total, dy = loss_and_cotangent(loss, y, target, reduction)
    except RunError as error:
        return str(error)
    if not np.isfinite(total):
        return f"the sum of the loss {name} over the batch is not finite, though each row's is"
    if not np.isfinite(dy).all():
        return f"backward of the loss {name} is not finite: {_count(dy)}"
    for stage, residual in zip(reversed(net.stages), reversed(tape), strict=True):
        result = stage.layer.backward(residual, dy)
        gradients = result if stage.params else (result,)
        for key, gradient in zip(("x", *stage.params), gradients, strict=True):
            if not np.isfinite(gradient).all():
                where = f"backward of the stage {stage.name} ({stage.unit})"
                return f"{where} is not finite: d{key}, {_count(gradient)}"
        dy = gradients[0]
    return "every stage is finite, and the norm of the gradient overflows"


def _count(value: Array) -> str:
    wrong = ~np.isfinite(value)
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {value.size} numbers, the first at {first}"
