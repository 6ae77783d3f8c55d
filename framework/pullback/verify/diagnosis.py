"""What a wrong gradient looks like: the name of the mistake, and the smallest inputs that show it.

The right pullback is an oracle's. Every known mistake is applied to it; where the result is what
backward returned, at two cotangents, that is its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pullback.units import Array
from pullback.verify.cases import Case, UnitError
from pullback.verify.gradients import hold
from pullback.verify.mistakes.catalogue import IN_A_BACKWARD, named
from pullback.verify.mistakes.conduct import swap
from pullback.verify.mistakes.planting import Call, Gradients, NotApplicable
from pullback.verify.oracles import Unavailable, in_floats
from pullback.verify.outcome import Failed, Inconclusive, Verdict

CLOSE = 1e-7  # of the largest entry: near enough to give a mistake its name, which decides nothing
MOST_NUMBERS = 60  # of an input for which the oracle is asked again and again


def diagnose(case: Case, dy: Array) -> dict[str, str]:
    """The fields of a result that a wrong gradient fills: mistake, explanation, example."""
    case = case.with_inputs(np.array)
    if sum(one.size for one in case.inputs) > MOST_NUMBERS:
        return named(_cut_off(case.both(dy)[1][0]))
    found = {**recognise((case, dy), (case, _another(dy))), "example": ""}
    small = smallest(case, dy)
    if small is not None:
        found["example"] = shown(*small)
    return found


def _cut_off(dx: Array) -> str:
    """The name of the mistake where the last rows have no gradient, or the classes from 128 on."""
    if dx.ndim < 2:
        return ""
    rows, columns = (np.flatnonzero(dx.any(axis=axis)) for axis in (-1, -2))
    if columns.size == 128 < dx.shape[-1]:
        return "classes in one byte"
    return "last block dropped" if 0 < rows.size < len(dx) and rows[-1] < len(dx) - 1 else ""


def recognise(*asked: tuple[Case, Array]) -> dict[str, str]:
    """The name of the mistake and its sentence; nothing where it is none that is known.

    It has to be the same at each of the cases and cotangents.
    """
    case, dy = asked[0]
    try:
        if not case.target and len(case.inputs) == 1 and _repaired(case, dy):
            return named("wrong residual")
        calls = [_call(*one) for one in asked]
    except (Unavailable, Verdict):
        return {}
    for mistake in IN_A_BACKWARD:
        if mistake.wrong is not None and all(_is(mistake.wrong, call, g) for call, g in calls):
            return named(mistake.name)
    if all(_one_column(call, g) for call, g in calls):
        return named("one unit dropped")
    if all(_constant_slope(call, g) for call, g in calls):
        return named("constant instead of derivative")
    if all(_rounded(call, g) for call, g in calls):
        return named("float32 in the middle")
    return {}


def _another(dy: Array) -> Array:
    return np.random.default_rng(8).normal(size=dy.shape).astype(dy.dtype)


def _call(case: Case, dy: Array) -> tuple[Call, Gradients]:
    """The call with the oracle's pullback, remembered, and what backward returned to it."""
    y, gradients = case.both(dy)
    known: dict[Any, Gradients] = {}

    def right(asked: Case, cotangent: Any) -> Gradients:
        key = tuple(np.asarray(one).tobytes() for one in (*asked.inputs, *asked.target, cotangent))
        if key not in known:
            known[key] = tuple(one.middle for one in in_floats(asked, np.asarray(cotangent)))
        return known[key]

    return Call(case, y, dy, right), gradients


def _is(wrong: Any, call: Call, found: Gradients) -> bool:
    try:
        with np.errstate(all="ignore"):
            predicted = wrong(call)
        changed = not _allnear(predicted, call.gradients)
    except (NotApplicable, Unavailable, UnitError, ValueError, IndexError):
        return False
    return changed and _allnear(predicted, found)


def _allnear(a: Gradients, b: Gradients) -> bool:
    return len(a) == len(b) and all(map(near, a, b))


def near(a: Any, b: Any) -> bool:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        return False
    scale = max(abs(a).max(initial=0), abs(b).max(initial=0), 1e-300)
    return bool((abs(a - b) <= CLOSE * scale).all())


def _repaired(case: Case, dy: Array) -> bool:
    """Whether backward is right once input and output have changed places in the residual."""
    y, residual = case.forward()
    try:
        found = case.backward(swap(residual, case.inputs[0], y), dy)
    except (NotApplicable, UnitError):
        return False
    truth = [one.middle for one in in_floats(case, dy)]
    return bool(np.isfinite(found[0]).all()) and _allnear(found, tuple(truth))


def _one_column(call: Call, found: Gradients) -> bool:
    """One column of the first gradient is 0 and the rest of it is right."""
    right = call.gradients[0]
    if right.shape != found[0].shape or right.shape[-1:] < (2,):
        return False
    columns = range(right.shape[-1])
    empty = [i for i in columns if not found[0][..., i].any() and right[..., i].any()]
    rest = [i for i in columns if i not in empty]
    return len(empty) == 1 and near(found[0][..., rest], right[..., rest])


def _constant_slope(call: Call, found: Gradients) -> bool:
    if len(found) > 1 or call.case.target or found[0].shape != call.dy.shape:
        return False
    with np.errstate(all="ignore"):
        slope = found[0] / call.dy
    return bool(np.isfinite(slope).all()) and near(slope, np.full_like(slope, slope.flat[0]))


def _rounded(call: Call, found: Gradients) -> bool:
    """The error is below one ulp of float32, and far above those of float64."""
    errors = [abs(a - b).max(initial=0) for a, b in zip(found, call.gradients, strict=True)]
    scale = max(abs(one).max(initial=0) for one in call.gradients)
    return bool(1e-10 * scale < max(errors) < 4e-7 * scale)


def smallest(case: Case, dy: Array) -> tuple[Case, Array] | None:
    """Fewer rows, fewer columns and rounder numbers, as long as backward stays wrong."""
    current = (case, dy) if _fails(case, dy) else None
    if current is None:
        return None
    again = True
    while again:
        again = False
        for smaller in _smaller(*current):
            if _fails(*smaller):
                current, again = smaller, True
                break
    return current


def _fails(case: Case, dy: Array) -> bool:
    try:
        y, _ = case.forward()
        if y.shape != dy.shape:
            return False
        hold(case, dy)
    except UnitError:
        return False
    except Failed:
        return True
    except Inconclusive:
        return False
    return False


def _smaller(case: Case, dy: Array) -> Iterator[tuple[Case, Array]]:
    x, *params = case.inputs
    if len(x) > 1:
        for row in range(len(x)):
            one = slice(row, row + 1)
            target = tuple(t[one] for t in case.target)
            yield replace(case, inputs=(x[one], *params), target=target), dy[one]
    if not params and x.ndim > 1 and x.shape[-1] > 1:
        for column in range(x.shape[-1]):
            yield from _without(case, dy, column)
    for digits in (0, 1):
        rounder = replace(case, inputs=tuple(np.round(one, digits) + 0.0 for one in case.inputs))
        if not all(map(np.array_equal, rounder.inputs, case.inputs)):
            yield rounder, dy
        if not np.array_equal(np.round(dy, digits), dy):
            yield case, np.round(dy, digits) + 0.0


def _without(case: Case, dy: Array, column: int) -> Iterator[tuple[Case, Array]]:
    """One column less of the input, of the cotangent if it has it, and of a target that does."""
    x = case.inputs[0]
    targets = []
    for target in case.target:
        if target.shape == x.shape:
            targets.append(np.delete(target, column, axis=-1))
        elif (target == column).any():
            return
        else:
            targets.append(np.where(target > column, target - 1, target))
    cotangent = np.delete(dy, column, axis=-1) if dy.shape == x.shape else dy
    fewer = np.delete(x, column, axis=-1)
    yield replace(case, inputs=(fewer,), target=tuple(targets)), cotangent


def shown(case: Case, dy: Array) -> str:
    """The example in a line: inputs, target and cotangent, found and right gradients."""
    _, found = case.both(dy)
    right = [one.middle for one in in_floats(case, dy)]
    names = [*case.names, *(["target"] if case.target else [])]
    given = dict(zip(names, (*case.inputs, *case.target), strict=True))
    told = [f"{name} = {_numbers(one)}" for name, one in given.items()]
    arrives = "dℓ" if case.target else "dy"
    pairs = zip(case.names, found, right, strict=True)
    gives = [
        f"d{n} = {_apart(g, r)}, and not {_apart(r, g)}" for n, g, r in pairs if (g != r).any()
    ]
    return f"{', '.join([*told, f'{arrives} = {_numbers(dy)}'])} give {'; '.join(gives)}"


def _numbers(array: Any, precision: int = 4) -> str:
    text = np.array2string(np.asarray(array), precision=precision, separator=", ")
    return " ".join(text.split())


def _apart(array: Any, other: Any) -> str:
    """An array with as many digits as tell it from the other."""
    texts = ((_numbers(array, n), _numbers(other, n)) for n in range(4, 18))
    return next((mine for mine, theirs in texts if mine != theirs), _numbers(array, 17))
