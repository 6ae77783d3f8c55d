"""Digits that were lost, and numbers that left their range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.verify.mistakes.catalogue import behaviour, gradients
from pullback.verify.mistakes.planting import (
    Call,
    Gradients,
    every,
    same_shape,
    with_forward,
)
from pullback.verify.scalars import Numbers


@gradients(
    "float32 in the middle",
    "the error is that of one rounding to float32: some array on the way back is float32, or was",
)
def _float32(call: Call) -> Gradients:
    return every(lambda g: g.astype(np.float32).astype(g.dtype), call)


@gradients(
    "float16 in the middle",
    "float32 goes through float16 on the way back, and 4 of its 7 digits are gone",
)
def _float16(call: Call) -> Gradients:
    narrow = call.dy.dtype == np.float32
    return every(lambda g: g.astype(np.float16).astype(g.dtype) if narrow else g, call)


@behaviour(
    "float32 in the middle of forward",
    "the value of float64 inputs has the digits of float32: some array on the way is float32",
    shows=True,
)
def _value32(unit: Any) -> Any:
    def forward(right: Any, *arguments: Any) -> Any:
        y, residual = right(*arguments)
        narrow = y.dtype == np.float64
        return (y.astype(np.float32).astype(y.dtype) if narrow else y), residual

    return with_forward(unit, forward)


def _overflowing(unit: Any, reference: Callable[[Any], Any]) -> Any | None:
    """Numerator and denominator both with a factor e^shift, which is no change but to floats."""
    if hasattr(unit, "init") or hasattr(unit, "samples"):
        return None

    def forward(right: Any, x: Any, *target: Any) -> Any:
        y, residual = right(x, *target)
        if not x.size or isinstance(x, Numbers) or x.dtype == object:
            return y, residual
        scale = np.exp(x.real.max(axis=-1, keepdims=True) - reference(x.real))
        scale = scale.astype(x.real.dtype)
        return y * (scale / scale if not target else (scale / scale)[..., 0]), residual

    return with_forward(unit, forward)


@behaviour(
    "maximum of the whole batch",
    "the largest number of all rows was taken out of each: a row far below it becomes 0/0",
)
def _global(unit: Any) -> Any | None:
    return _overflowing(unit, lambda x: x.max())


@behaviour(
    "maximum not taken out",
    "e^x overflows above 709 in float64 and 88 in float32; take the largest of the row out first",
)
def _overflow(unit: Any) -> Any | None:
    return _overflowing(unit, lambda x: np.zeros_like(x.max(axis=-1, keepdims=True)))


@behaviour("NaN swallowed", "a NaN goes in and a number comes out: a diverged run looks well")
def _swallowed(unit: Any) -> Any:
    def forward(right: Any, *arguments: Any) -> Any:
        y, residual = right(*arguments)
        return np.where(np.isnan(y), 0, y).astype(y.dtype), residual

    return with_forward(unit, forward)


@gradients("gradient clipped", "the gradient of a large cotangent is cut: backward is not linear")
def _clipped(call: Call) -> Gradients:
    return every(lambda g: np.minimum(np.maximum(g, -1000), 1000).astype(g.dtype), call)


@gradients(
    "wrong at the kink",
    "at a kink any number between the two slopes is right; this is their sum and more",
)
def _kink(call: Call) -> Gradients:
    same_shape(call)
    return (call.gradients[0] + (call.x == 0) * call.dy * 3,)
