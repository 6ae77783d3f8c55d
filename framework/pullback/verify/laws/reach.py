"""How far a unit reaches: sizes, numbers far out, the digits of each float type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pullback.units import Array
from pullback.verify.account import expected, output_names, own_rounding, too_far, within
from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.functions import SAME, mp
from pullback.verify.gradients import MOST, hold, hold_in_floats
from pullback.verify.laws.bits import (
    needs_free_shapes,
    same,
    shapes_of,
)
from pullback.verify.mistakes import named
from pullback.verify.oracles import Unavailable, exact_value
from pullback.verify.outcome import Failed, Skipped
from pullback.verify.scalars import exactly

NARROWER = {8: "float32", 4: "float16"}  # than a type of so many bytes
MANY_CLASSES = 300  # more than a byte counts


def sizes(subject: Subject) -> None:
    """Is it right for no row, one row, one and many classes?"""
    _no_rows(subject.case())
    if subject.has_samples:
        raise Skipped("samples() gives the shapes; of others, only no row was tried, and is right")
    for rows, features in ((1, 3), (4, 1), (1, 1), (2, MANY_CLASSES)):
        sized = subject.sized(rows, features)
        if not sized.fits():
            continue
        case = replace(sized.case(), label=f"{rows} × {features}")
        y, residual = case.forward()
        dy = case.cotangent(y)
        shapes_of(case, case.backward(residual, dy))
        if features == MANY_CLASSES:
            hold_in_floats(case, dy, 2)
        else:
            hold(case, dy)


def _no_rows(case: Case) -> None:
    empty = replace(case.with_rows(slice(0)), label="no row")
    try:
        y, residual = empty.forward()
    except UnitError as error:
        if isinstance(error.__cause__, ValueError):
            return  # it says that it takes none
        raise
    if y.shape[0] != 0:
        raise Failed(f"no row became {y.shape[0]}")
    gradients = empty.backward(residual, np.zeros_like(y))
    for name, gradient, value in zip(case.names, gradients, empty.inputs, strict=True):
        same(gradient, np.zeros_like(value), f"d{name} of no row", "0/0 for no row")


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
    """Is it finite and right far out, and is NaN passed on?

    Wherever the exact result is finite; NaN comes out where NaN went in.
    """
    _nan(subject.case())
    needs_free_shapes(subject)
    case = subject.sized(2, subject.features).case()
    try:
        for label, row in EXTREMES.items():
            for dtype in (np.float64, np.float32):
                far = replace(case, label=label).with_inputs(np.copy)
                far.inputs[0][0] = (*row, *[0.0] * subject.features)[: subject.features]
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
            finite = mp.isfinite(right.value[at]) and abs(right.value[at]) < largest
            if finite and not np.isfinite(one[at]):
                raise Failed(
                    f"{what}: {name} at {at} is {float(one[at])}, "
                    f"50 digits {float(right.value[at]):.6g}",
                    input=name,
                    place=at,
                    found=float(one[at]),
                    expected=float(right.value[at]),
                    oracle="50 digits",
                    **named(_overflow(case, at[0])),
                )
        beyond = too_far(one, right)
        if beyond is not None:
            place, value, exact = beyond
            raise Failed(f"{what}: {name} at {place} is {value:.9g}, 50 digits {exact:.9g}")


def _overflow(case: Case, row: int) -> str:
    """The name of the mistake where y of a row of finite numbers is not: alone, it may be well."""
    if not np.isfinite(case.inputs[0][row]).all() or np.isfinite(case.forward()[0][row]).all():
        return ""
    alone, _ = case.with_rows(slice(row, row + 1)).forward()
    return "maximum of the whole batch" if np.isfinite(alone).all() else "maximum not taken out"


def _nan(case: Case) -> None:
    """NaN comes out where it goes in; of one row, it is seen in no other row."""
    clean, _ = case.forward()
    moved, _ = case.with_inputs(lambda one: one * 1.5).forward()
    everywhere, _ = _with(case, np.nan, slice(None)).forward()
    if np.isfinite(everywhere).all() and not np.array_equal(moved, clean):
        raise Failed("NaN goes into every row, and none comes out", **named("NaN swallowed"))
    if not _mixes_rows(case):
        y, _ = _with(case, np.nan, 0).forward()
        told = "y of the rows beside one with a NaN"
        same(y[1:], clean[1:], told, "maximum of the whole batch")


def _mixes_rows(case: Case) -> bool:
    """Whether another first row changes y of the others: in exact numbers, for in floats a weight
    of 1e-20 does not show, and in the middle of the range, for there it is larger."""
    x = case.inputs[0]
    tame = _with(case, x / (1 + abs(x).max(initial=0)), slice(None))
    return any(map(_first_row_matters, (case, tame)))


def _first_row_matters(case: Case) -> bool:
    both = case, _with(case, 1.5 * case.inputs[0][0], 0)
    try:
        y, moved = map(exact_value, both)
    except Unavailable:
        y, moved = (one.forward()[0] for one in both)
        return not np.array_equal(y[1:], moved[1:])
    return bool((abs(moved - y) > SAME * (1 + abs(y)))[1:].any())


def _with(case: Case, value: Any, rows: Any) -> Case:
    x = case.inputs[0].copy()
    x[rows] = value
    return replace(case, inputs=(x, *case.inputs[1:]))


def precision(subject: Subject) -> float:
    """Is no more lost than the rounding of its own steps?

    In float64, float32 and float16, which a compiled unit may refuse with a TypeError.
    """
    digits = MOST
    for case in subject.cases():
        for dtype in (np.float64, np.float32, np.float16):
            typed = case.astype(dtype)
            try:
                y, residual = typed.forward()
            except UnitError as error:
                if dtype is np.float16 and isinstance(error.__cause__, TypeError):
                    continue
                raise
            dy = typed.cotangent(y).astype(dtype)
            results = (y, *typed.backward(residual, dy))
            bounds = expected(typed, dy)
            within(bounds, typed, results, str(np.dtype(dtype)), _narrowed(*results))
            if dtype is np.float64:
                digits = min(digits, _digits(results, bounds))
    return digits


def _narrowed(y: Array, *gradients: Array) -> str:
    """The name of the mistake where every number of a result is one of a narrower type."""
    for one in gradients:
        if one.dtype.itemsize > 2 and _is_one_of(one, NARROWER[one.dtype.itemsize]):
            return f"{NARROWER[one.dtype.itemsize]} in the middle"
    single = y.dtype == np.float64 and _is_one_of(y, "float32")
    return "float32 in the middle of forward" if single else ""


def _is_one_of(numbers: Array, dtype: str) -> bool:
    return bool((numbers.astype(dtype).astype(numbers.dtype) == numbers).all())


def _digits(found: tuple[Any, ...], right: list[Any]) -> float:
    """Decimal digits of the worst entry, relative to the largest of its array."""
    digits = float(-np.log10(np.finfo(float).eps / 2))
    for one, exact in zip(found, right, strict=True):
        places = [at for at in np.ndindex(exact.value.shape) if mp.isfinite(exact.value[at])]
        scale = max((abs(exact.value[at]) for at in places), default=0)
        error = max((abs(exactly(one[at]) - exact.value[at]) for at in places), default=0)
        if scale and error:
            digits = min(digits, float(-mp.log10(mp.mpf(error) / scale)))
    return max(digits, 0.0)
