"""A backward's own gradients, in exact numbers or in floats, held against an oracle's intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pullback.units import Array
from pullback.verify.account import Computed, account, run_on
from pullback.verify.cases import Case
from pullback.verify.exact import CONSTANTS
from pullback.verify.functions import SAME, mp
from pullback.verify.oracles import (
    EPS,
    ROUNDINGS,
    Derivative,
    Places,
    Unavailable,
    derivative,
    directional,
    hull,
    in_floats,
    slope_in_floats,
)
from pullback.verify.outcome import Failed, Inconclusive
from pullback.verify.scalars import each_exactly

HALF = -math.log10(EPS) / 2  # half the digits of a float64: fewer decide nothing
MOST = 50.0  # digits that anything is certified to
SMOOTH = 1e-6  # one-sided slopes that are nearer, relative, belong to no kink
JUMP = 1e20  # one-sided slopes so far apart are those of a forward that jumps
BLOCK = 6  # coordinates of an input that are looked at one by one where it is large


def own_gradients(case: Case, dy: Array, truth: list[Derivative]) -> list[Computed]:
    """What backward returns: exactly, up to the rounding of its constants, or else in float64.

    Then it may lose what the steps of a plain unit that it stands for may.
    """
    try:
        return exact_gradients(case, dy)[1]
    except Unavailable:
        wide, dy = case.astype(np.float64), dy.astype(np.float64)
    found, steps = float_gradients(wide, dy, truth), account(wide, dy)
    if steps is None:
        return found
    errors = [np.asarray(one.error, dtype=float) for one in steps[1:]]
    return [
        replace(one, error=np.maximum(one.error, error))
        for one, error in zip(found, errors, strict=True)
    ]


def exact_gradients(case: Case, dy: Array) -> tuple[Array, list[Computed]]:
    """y, and what backward returns, exactly up to the rounding of its constants."""
    y, gradients = run_on(CONSTANTS, case, dy)
    return y.value, _shaped(case, gradients)


def float_gradients(case: Case, dy: Array, truth: list[Derivative]) -> list[Computed]:
    """What backward returns in float64, with some roundings of what is added up."""
    _, gradients = case.both(dy)
    roundings = [ROUNDINGS * EPS * one.size for one in truth]
    return _shaped(case, list(map(Computed, gradients, roundings)))


def _shaped(case: Case, gradients: list[Computed]) -> list[Computed]:
    """The gradients; Inconclusive where one has not the shape of its value."""
    for name, one, value in zip(case.names, gradients, case.inputs, strict=True):
        if one.value.shape != value.shape:
            raise Inconclusive(f"d{name} has shape {one.value.shape}: see the check shapes")
    return gradients


def certify(case: Case, dy: Array) -> float:
    """The digits to which backward is the pullback of forward; Failed where it is not.

    In 110 digits one random direction, and one side of it, shows every wrong entry, for none hides
    behind another to the last of them. Where it shows one, where constants have errors to hide
    behind, or for want of exact numbers, it is place by place.
    """
    try:
        y, gradients = exact_gradients(case, dy)
        digits = _digits_along(case, dy, gradients, _direction(case, np.random.default_rng(2)), y)
    except Unavailable:
        digits = 0.0
    return digits if digits >= HALF else hold(case, dy)


def _direction(case: Case, rng: np.random.Generator) -> tuple[Array, ...]:
    """A random one, of all inputs."""
    return tuple(rng.normal(size=one.shape) for one in case.inputs)


def _digits_along(
    case: Case, dy: Array, gradients: list[Computed], v: tuple[Array, ...], y: Array
) -> float:
    """Those that a direction certifies; 0 where it does not."""
    v = tuple(map(each_exactly, v))
    _, off, allowed = _along(case, dy, gradients, v, y, (1,))
    size = sum(abs(g.value * one).sum() for g, one in zip(gradients, v, strict=True))
    unsure = off + allowed
    if not unsure <= SAME * size:
        return 0.0
    return float(min(MOST, -mp.log10(mp.mpf(unsure) / mp.mpf(size)))) if unsure else MOST


def _along(
    case: Case,
    dy: Array,
    gradients: list[Computed],
    v: tuple[Array, ...],
    y: Array,
    signs: tuple[int, ...] = (1, -1),
) -> tuple[Any, Any, Any]:
    """The width of the interval of ⟨dy, J v⟩, how far ⟨g, v⟩ lies outside, and how far it may."""
    v = tuple(map(each_exactly, v))
    low, high, bound = directional(case, dy, v, y, signs)
    found = sum((g.value * one).sum() for g, one in zip(gradients, v, strict=True))
    error = sum((g.error * abs(one)).sum() for g, one in zip(gradients, v, strict=True))
    return high - low, max(low - found, found - high), bound + error


def hold(case: Case, dy: Array, places: Places | None = None) -> float:
    """The digits to which backward is the pullback of forward; Failed where it is not."""
    try:
        truth = derivative(case, dy, places)
    except Unavailable as reason:
        raise Inconclusive(f"no oracle: {reason}") from reason
    found = own_gradients(case, dy, truth)
    pairs = list(zip(found, truth, strict=True))
    if any(deviation(one, of).any() for one, of in pairs) and any(map(_has_kink, truth)):
        truth = hull(case, dy, truth, places)
    digits, known = MOST, False
    for name, one, of in zip(case.names, found, truth, strict=True):
        _refuse(case, dy, name, one, of)
        known = known or any(_is_known(of, at) for at in np.ndindex(of.low.shape))
        digits = min(digits, _certified(one, of))
    if not known and dy.size:
        raise Inconclusive(f"forward has no finite derivative at {case.label}: give it samples()")
    if digits < HALF:
        raise Inconclusive(
            f"{truth[0].oracle} know the gradient to {max(digits, 0):.1f} digits only, "
            f"at {case.label}"
        )
    return digits


def hold_along(case: Case, dy: Array, *seeds: int) -> None:
    """⟨g, v⟩ = ⟨dy, J v⟩ along random v's: in 110 digits no wrong entry hides behind another."""
    try:
        y, gradients = exact_gradients(case, dy)
    except Unavailable:
        y, gradients = None, []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        v = _direction(case, rng)
        part = v if y is None else _wrong_part(case, dy, gradients, v, y)
        if part is not None:
            hold(case, dy, _some(part, rng))


def _wrong_part(
    case: Case, dy: Array, gradients: list[Computed], v: tuple[Array, ...], y: Array
) -> tuple[Array, ...] | None:
    """The smallest part of v that backward is wrong along; None where it is right along v.

    All of v where the exact numbers end on the way.
    """
    try:
        off = _is_off(case, dy, gradients, v, y)
        return _smallest_part(case, dy, gradients, v, y) if off else None
    except Unavailable:
        return v


def hold_block(case: Case, dy: Array, seed: int) -> None:
    """A few coordinates of each input, one by one."""
    rng = np.random.default_rng(seed)
    hold(case, dy, _some(tuple(np.ones_like(one) for one in case.inputs), rng))


def hold_in_floats(case: Case, dy: Array, seed: int) -> None:
    """The same for sizes where 110 digits take too long: they are asked for what looks wrong."""
    case, rng = case.astype(np.float64), np.random.default_rng(seed)
    v = _direction(case, rng)
    places = _some(v, rng)
    if not _looks_right(case, dy, v, places):
        hold_along(case, dy, seed)
        hold(case, dy, places)


def _looks_right(case: Case, dy: Array, v: tuple[Array, ...], places: Places) -> bool:
    """Whether in float64 the gradients are right at these places, and along v."""
    truth = in_floats(case, dy, places)
    found = float_gradients(case, dy, truth)
    if any(deviation(one, of).any() for one, of in zip(found, truth, strict=True)):
        return False
    slope, bound = slope_in_floats(case, dy, v)
    along = sum(float((g.value * one).sum()) for g, one in zip(found, v, strict=True))
    lost = sum(float((abs(g.value) + abs(dy).max()).sum()) for g in found)
    return bool(abs(along - slope) <= bound + sum(g.value.size for g in found) * EPS * lost)


def _some(v: tuple[Array, ...], rng: np.random.Generator) -> Places:
    """The coordinates where v is not 0, or a few of them."""
    places = [list(zip(*map(np.ndarray.tolist, np.nonzero(one)), strict=True)) for one in v]
    return [
        [one[i] for i in rng.permutation(len(one))[:BLOCK]] if len(one) > BLOCK else one
        for one in places
    ]


def _is_off(
    case: Case, dy: Array, gradients: list[Computed], v: tuple[Array, ...], y: Array
) -> bool:
    width, off, allowed = _along(case, dy, gradients, v, y)
    return bool(mp.isfinite(width) and width < JUMP and not off <= allowed)


def _smallest_part(
    case: Case, dy: Array, gradients: list[Computed], v: tuple[Array, ...], y: Array
) -> tuple[Array, ...]:
    """A direction along one coordinate, or two, that is still off, by halving."""
    while sum(np.count_nonzero(one) for one in v) > 1:
        halves = _halves(v)
        off = next((half for half in halves if _is_off(case, dy, gradients, half, y)), None)
        if off is None:
            break
        v = off
    return v


def _halves(v: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
    flat = np.concatenate([one.ravel() for one in v])
    where = np.flatnonzero(flat)
    for part in np.array_split(where, 2):
        half = np.zeros_like(flat)
        half[part] = flat[part]
        pieces = np.split(half, np.cumsum([one.size for one in v])[:-1])
        yield tuple(piece.reshape(one.shape) for piece, one in zip(pieces, v, strict=True))


def deviation(found: Computed, truth: Derivative) -> Array:
    """How far outside of the interval a gradient lies, beyond every bound; 0 inside."""
    allowed = truth.bound + found.error
    outside = np.maximum(truth.low - found.value, found.value - truth.high)
    beyond = np.empty(outside.shape)
    for at in np.ndindex(outside.shape):
        beyond[at] = float(outside[at]) if _out(outside[at], allowed[at], truth, at) else 0.0
    return beyond


def _out(outside: Any, allowed: Any, truth: Derivative, at: tuple[int, ...]) -> bool:
    return _is_known(truth, at) and not outside <= allowed


def _is_known(truth: Derivative, at: tuple[int, ...]) -> bool:
    """Whether the place was asked for and forward is finite and continuous there."""
    width = truth.high[at] - truth.low[at]
    return bool(mp.isfinite(truth.high[at]) and mp.isfinite(width) and width < JUMP)


def _has_kink(truth: Derivative) -> bool:
    """Whether the slopes of the two sides differ somewhere."""
    return any(
        _is_known(truth, at) and truth.high[at] - truth.low[at] > SMOOTH * truth.size[at]
        for at in np.ndindex(truth.low.shape)
    )


def _refuse(case: Case, dy: Array, name: str, found: Computed, truth: Derivative) -> None:
    beyond = deviation(found, truth)
    if not beyond.any() and not np.isnan(beyond).any():
        return
    with np.errstate(all="ignore"):
        worst = np.nan_to_num(beyond / truth.size, nan=np.inf)
    place = tuple(int(i) for i in np.unravel_index(worst.argmax(), worst.shape))
    value, right = float(found.value[place]), _nearest(truth, place, found.value[place])
    raise Failed(
        f"gradient of {name} is off by {abs(value - right):.2g} at {place}: "
        f"backward {told_apart(value, right)}, {truth.oracle} {told_apart(right, value)}",
        evidence=(case, dy),
        input=name,
        place=place,
        found=value,
        expected=right,
        oracle=truth.oracle,
    )


def told_apart(value: float, other: float) -> str:
    """A number with as many digits as tell it from the other; 3 at least."""
    texts = ((f"{value:.{n}g}", f"{other:.{n}g}") for n in range(3, 18))
    return next((mine for mine, theirs in texts if mine != theirs), f"{value:.17g}")


def _nearest(truth: Derivative, at: tuple[int, ...], value: Any) -> float:
    return float(min(max(value, truth.low[at]), truth.high[at]))


def _certified(found: Computed, truth: Derivative) -> float:
    """Decimal digits, relative to the largest of the gradient, away from kinks and jumps."""
    width = truth.high - truth.low
    outside = np.maximum(np.maximum(truth.low - found.value, found.value - truth.high), 0)
    unsure = width + outside + truth.bound + found.error
    smooth = [at for at in np.ndindex(width.shape) if width[at] <= SMOOTH * truth.size[at]]
    smooth = [at for at in smooth if mp.isfinite(unsure[at])]
    if not smooth:
        return MOST
    scale, size = (max(abs(one[at]) for at in smooth) for one in (truth.low, truth.size))
    scale = scale if scale > SAME * size else size  # below, all that is known is that it is 0
    error = max(unsure[at] for at in smooth)
    if not scale or not error:
        return MOST
    return min(MOST, float(-mp.log10(mp.mpf(error) / mp.mpf(scale))))
