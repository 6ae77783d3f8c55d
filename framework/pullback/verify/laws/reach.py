"""How far a unit reaches: sizes, numbers far out, the digits of each float type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.functions import mp
from pullback.verify.gradients import (
    MOST,
    agree,
    expected,
    hold,
    hold_in_floats,
    output_names,
    own_rounding,
    too_far,
)
from pullback.verify.laws.bits import (
    needs_free_shapes,
    same,
    shapes_of,
)
from pullback.verify.oracles import Unavailable
from pullback.verify.outcome import Failed, Skipped

MANY_CLASSES = 300  # more than a byte counts


def sizes(subject: Subject) -> None:
    """No row, one row, one class, many classes."""
    if subject.has_samples:
        _no_rows(subject.case())
        raise Skipped("samples() gives the shapes; of others, only no row was tried, and is right")
    _no_rows(subject.case())
    for rows, features in ((1, 3), (4, 1), (1, 1), (2, MANY_CLASSES)):
        case = subject.sized(rows, features).case()
        case = replace(case, label=f"{rows} × {features}")
        if _refused(case):
            continue
        y, residual = case.forward()
        dy = case.cotangent(y)
        shapes_of(case, case.backward(residual, dy))
        if features == MANY_CLASSES:
            hold_in_floats(case, dy, 2)
        else:
            hold(case, dy)


def _refused(case: Case) -> bool:
    """A forward may say, with a ValueError, that it does not take such a size."""
    try:
        case.forward()
    except UnitError as error:
        if isinstance(error.__cause__, ValueError):
            return True
        raise
    return False


def _no_rows(case: Case) -> None:
    empty = case.without_rows()
    if _refused(empty):
        return
    y, residual = empty.forward()
    if y.shape[0] != 0:
        raise Failed(f"no row became {y.shape[0]}")
    gradients = empty.backward(residual, np.zeros_like(y))
    for name, gradient, value in zip(case.names, gradients, empty.inputs, strict=True):
        same(gradient, np.zeros_like(value), f"d{name} of no row")


# Rows of inputs far out. In float32 and float16 a gap of 40 or 800 is far beyond what exp can hold.
EXTREMES: dict[str, tuple[float, ...]] = {
    "logits of ±1e4": (1e4, 0.0, -1e4),
    "all 1e4": (1e4, 1e4, 1e4),
    "a gap of 40": (40.0, 0.0, 1.0),
    "a gap of 800": (800.0, 0.0, 1.0),
    "800 behind": (-800.0, 0.0, -1.0),
    "equal logits": (3.0, 3.0, 3.0),
    "zeros": (0.0, -0.0, 0.0),
    "subnormals": (5e-324, -1e-310, 0.0),
    "minus infinity": (-np.inf, 0.0, 1.0),
    "infinity": (np.inf, 0.0, 1.0),
}


def extremes(subject: Subject) -> None:
    """Finite, and right, where the exact result is; NaN comes out where NaN went in."""
    _nan(subject.case())
    needs_free_shapes(subject)
    case = subject.sized(2, len(EXTREMES["zeros"])).case()
    try:
        for label, row in EXTREMES.items():
            for dtype in (np.float64, np.float32):
                far = replace(case, label=label).with_inputs(np.copy)
                far.inputs[0][...] = row
                _finite(far.astype(dtype))
    except Failed as failed:
        stages = getattr(subject.unit, "stages", {})
        limited = [symbol for symbol, stage in stages.items() if hasattr(stage, "samples")]
        if not limited:
            raise
        raise Skipped(
            f"its stage {limited[0]} has a domain, and far out it is left: {failed.message}"
        ) from failed


def _finite(case: Case) -> None:
    dy = case.cotangent(case.inputs[0][..., 0] if case.target else case.forward()[0])
    try:
        y, gradients = own_rounding(case, dy)
    except Unavailable as reason:
        raise Skipped(f"the truth so far out needs 50 digits: {reason}") from reason
    y_found, residual = case.forward()
    found = (y_found, *case.backward(residual, dy))
    largest = mp.mpf(float(np.finfo(case.inputs[0].dtype).max))
    what = f"{case.inputs[0].dtype} at {case.label}"
    for name, one, right in zip(output_names(case), found, [y, *gradients], strict=True):
        for at in np.ndindex(right.value.shape):
            if mp.isfinite(right.value[at]) and abs(right.value[at]) < largest:
                _is_finite(one[at], name, at, right.value[at], what)
        beyond = too_far(one, right)
        if beyond is not None:
            place, value, exact = beyond
            raise Failed(f"{what}: {name} at {place} is {value:.9g}, 50 digits {exact:.9g}")


def _is_finite(found: Any, name: str, at: tuple[int, ...], right: Any, what: str) -> None:
    if not np.isfinite(found):
        raise Failed(
            f"{what}: {name} at {at} is {float(found)}, 50 digits {float(right):.6g}",
            input=name,
            place=at,
            found=float(found),
            expected=float(right),
            oracle="50 digits",
        )


def _nan(case: Case) -> None:
    """A NaN is seen in its own row of y, and in no other row."""
    clean, _ = case.forward()
    moved = case.with_inputs(np.copy)
    moved.inputs[0][0] *= 1.5
    mixes = not np.array_equal(moved.forward()[0][1:], clean[1:])
    moved.inputs[0][0] = np.nan
    y, _ = moved.forward()
    if np.isfinite(y[0]).all():
        raise Failed("NaN goes in and none comes out: a run that has diverged would look well")
    if not mixes:
        same(y[1:], clean[1:], "y of the rows beside one with a NaN")


def precision(subject: Subject) -> float:
    """float64, float32 and float16 lose what the code's own steps lose, and no digit more."""
    digits = MOST
    for case in subject.cases():
        for dtype in (np.float64, np.float32, np.float16):
            typed = case.astype(dtype)
            y, residual = typed.forward()
            dy = typed.cotangent(y).astype(dtype)
            results = (y, *typed.backward(residual, dy))
            agree(typed, dy, results, str(np.dtype(dtype)))
            if dtype is np.float64:
                digits = min(digits, _digits(results, expected(typed, dy)))
    return digits


def _digits(found: tuple[Any, ...], right: list[Any]) -> float:
    """Decimal digits of the worst entry, relative to the largest of its array."""
    digits = float(-np.log10(np.finfo(float).eps / 2))
    for one, exact in zip(found, right, strict=True):
        places = [at for at in np.ndindex(exact.value.shape) if mp.isfinite(exact.value[at])]
        scale = max((abs(exact.value[at]) for at in places), default=0)
        error = max((abs(mp.mpf(float(one[at])) - exact.value[at]) for at in places), default=0)
        if scale and error:
            digits = min(digits, float(-mp.log10(mp.mpf(error) / scale)))
    return max(digits, 0.0)
