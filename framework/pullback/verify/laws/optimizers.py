"""What every optimizer has to obey, a function each.

A check takes a subject and looks at it as it is given and with its other options, alone and
crossed. What it compares it compares bit for bit, at points where the arithmetic is exact (θ = 0, a
power of two), or within the rounding that the optimizer's own code accounts for
(:mod:`pullback.verify.exact`). None knows a unit, and none takes a tolerance.

Two names of options mean something here. ``weight_decay``, where there is one, can be switched off
with 0; ``maximize``, where there is one, turns the direction round and is left as it is.
"""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pullback.options import options_of
from pullback.units import Array, State
from pullback.verify.cases import Check, Subject, carried_out, variants
from pullback.verify.laws.bits import frozen, memory, nothing_new
from pullback.verify.laws.stepping import (
    DTYPES,
    ENTRIES,
    KINDS,
    MANY,
    RATE,
    STEPS,
    Generator,
    Point,
    Problem,
    Quadratic,
    Training,
    certified,
    copied,
    each,
    far_from_zero,
    first_step,
    identical,
    in_turn,
    is_array,
    points,
    require_same,
    run,
    spoiled,
    start,
    step,
    steps,
    takes_out,
)
from pullback.verify.outcome import Failed, Inconclusive, Skipped

DESCENT = 10  # steps


REVERSING = "maximize"


def over_options(check: Callable[[Any, Generator], float | None]) -> Check:
    """A check of one optimizer as a check of a subject: as it is given, then with other options.

    The verdict and the digits are those of the unit as it is given; of the others only a failure
    counts.
    """

    @functools.wraps(check)
    def over(subject: Subject) -> float | None:
        digits = check(subject.unit, subject.rng(0))
        for label, unit in _other_options(subject.unit):
            try:
                check(unit, subject.rng(0))
            except Failed as failed:
                told = f"with {label}: {failed.message}"
                raise Failed(told, failed.evidence, **failed.facts) from failed
            except (Skipped, Inconclusive):
                continue
        return digits

    return over


@over_options
def descends(unit: Any, rng: Generator) -> None:
    """Is a quadratic lowered at its own learning rate?

    An anisotropic one, in float32 and in float64.
    """
    lr = _own_rate(unit)
    for dtype in DTYPES:
        f = Quadratic.drawn(rng)
        theta = far_from_zero(rng, max(1.0, 16 * lr)).astype(dtype)
        first, state = f.value(theta), start(unit, theta)
        for count in range(1, DESCENT + 1):
            theta, state = step(unit, theta, f.gradient(theta), state, lr)
            _require_finite(theta, f"after {steps(count)} down a quadratic")
            if not f.value(theta) < first:
                raise Failed(
                    f"½ θᵀAθ is {f.value(theta):.9g} after {steps(count)} at lr {lr:g} in "
                    f"{dtype}, and was {first:.9g} before: it is not lowered"
                )


@over_options
def learning_rate(unit: Any, rng: Generator) -> None:
    """Is the first step proportional to lr, and 0 at lr = 0?

    Bit for bit.
    """
    for dtype in DTYPES:
        problem = Problem.drawn(rng, dtype=dtype)
        theta, _ = run(unit, problem, 0.0)
        require_same((theta, {}), (problem.theta, {}), "after steps with lr = 0", "before them")
        _require_twice(_undecayed(unit) or unit, problem.gradients[0])


@over_options
def gradient_scale(unit: Any, rng: Generator) -> None:
    """Is the first step downhill, and its length in bounds?

    Twice the gradient gives one to two times that step.
    """
    g = rng.normal(size=ENTRIES).astype(np.float32)  # the shortest range
    step = first_step(unit, np.zeros_like(g), g)
    if not step.any():
        raise Failed("the first step from θ = 0 does not move")
    along = float(np.dot(step, g.astype(float)))
    if not along < 0:
        raise Failed(f"the first step points uphill: ⟨step, g⟩ is {along:.3g}")
    for factor in (2, 256):
        _require_in_family(first_step(unit, np.zeros_like(g), factor * g), step, factor)


@over_options
def zero_gradient(unit: Any, rng: Generator) -> None:
    """Is θ left alone by a zero gradient, but for decay?

    Bit for bit; a decay of the weights may only shrink it.
    """
    for dtype in DTYPES:
        for first in (far_from_zero(rng).astype(dtype), np.zeros(ENTRIES, dtype)):
            problem = Problem(first, np.zeros((STEPS, *first.shape), dtype))
            theta, _ = run(unit, problem)
            _require_finite(theta, "after steps with a zero gradient")
            if (np.abs(theta) > np.abs(first)).any():
                raise Failed(f"a zero gradient moves θ away from 0: from {first} to {theta}")
            still = _undecayed(unit)
            if still is not None:
                after = run(still, problem)[0]
                told = "after steps with a zero gradient and no decay"
                require_same((after, {}), (first, {}), told, "before them")


@over_options
def extremes(unit: Any, rng: Generator) -> None:
    """Is θ finite for gradients from 1e-45 to 4e15?

    In float32 and in float64.
    """
    single = np.finfo(np.float32)
    large = math.sqrt(single.max) * 2.0**-12
    sizes = [single.smallest_subnormal, single.tiny, math.sqrt(single.tiny), single.eps, 1, large]
    for dtype in DTYPES:
        g = (np.array(sizes, float) * rng.choice([-1, 1], len(sizes))).astype(dtype)
        problem = Problem(np.ones_like(g), np.stack([g] * STEPS))
        for theta, _ in points(unit, problem):
            for size, one in zip(g, theta, strict=True):
                if not np.isfinite(one):
                    raise Failed(f"θ is {one} in {dtype} for a gradient of {size:.3g}")


@over_options
def pure(unit: Any, rng: Generator) -> None:
    """Is nothing written to, and nothing kept between calls?

    Two trajectories taken in turn do not mix.
    """
    here, there = Problem.drawn(rng), Problem.drawn(rng)
    kept = memory(unit)
    theta, state = here.theta.copy(), start(unit, frozen(here.theta))
    for g in here.gradients:
        theta, state = _untouched_step(unit, theta, g, state)
    nothing_new(unit, kept)
    apart = [run(replace(unit), one) for one in (here, there)]
    for found, alone in zip(in_turn(unit, here, there), apart, strict=True):
        require_same(found, alone, "taken in turn with another trajectory", "alone")


@over_options
def out(unit: Any, rng: Generator) -> None:
    """Is out= filled and returned, with the same bits?

    Its own inputs among the buffers.
    """
    if not takes_out(unit):
        raise Skipped("step has no out=")
    problem = Problem.drawn(rng)
    for fresh_theta in (False, True):
        for fresh_state in (False, True):
            _require_filled(unit, problem, fresh_theta, fresh_state)


@over_options
def dtypes(unit: Any, rng: Generator) -> None:
    """Is float32 kept float32, and float64 float64?

    In θ and in the arrays of its shape in the state.
    """
    for dtype in DTYPES:
        problem = Problem.drawn(rng, dtype=dtype)
        _require_dtype({"θ": problem.theta} | start(unit, problem.theta), dtype, "in init")
        for theta, state in points(unit, problem):
            _require_dtype({"θ": theta} | state, dtype, "after a step")


@over_options
def stacked(unit: Any, rng: Generator) -> None:
    """Is each of several stacked runs as alone, bit for bit?

    The θ of several runs on a leading axis.
    """
    problem = Problem.drawn(rng, 3, ENTRIES)
    theta, state = run(unit, problem)
    for i in range(len(theta)):
        alone = run(unit, Problem(problem.theta[i], problem.gradients[:, i]))
        part = {
            key: _of_run(i, value, np.ndim(alone[1].get(key, value)), len(theta))
            for key, value in state.items()
        }
        require_same((theta[i], part), alone, f"stacked, run {i}", "alone")


@over_options
def alike(unit: Any, rng: Generator) -> None:
    """Is a step the same wherever its entry stands in θ?

    Among many entries those that are alike take the same steps.
    """
    few, kind = Problem.drawn(rng, KINDS), rng.integers(KINDS, size=MANY)
    theta, state = run(unit, Problem(few.theta[kind], few.gradients[:, kind]))
    for key, value in ({"θ": theta} | state).items():
        if np.shape(value) != theta.shape:
            continue
        for one in range(KINDS):
            among = np.flatnonzero(kind == one)
            other = among[value[among] != value[among[0]]]
            if len(other):
                raise Failed(
                    f"{key}[{other[0]}] is {value[other[0]]!r} after {steps(STEPS)} and "
                    f"{key}[{among[0]}] is {value[among[0]]!r}, which had the same θ and gradients"
                )


@over_options
def restored(unit: Any, rng: Generator) -> None:
    """Is a run from a checkpoint as if undisturbed?

    Bit for bit, from its state.
    """
    problem = Problem.drawn(rng)
    whole = run(replace(unit), problem)
    half = STEPS // 2
    before = Training(replace(unit), problem.theta)
    before.go(problem.gradients[:half])
    after = Training(replace(unit), problem.theta)
    with tempfile.TemporaryDirectory() as directory:
        carried_out(before.progress.save, Path(directory))
        carried_out(after.progress.restore, Path(directory))
    after.go(problem.gradients[half:])
    require_same((after.theta, after.state), whole, "restored from a checkpoint", "undisturbed")


@over_options
def precision(unit: Any, rng: Generator) -> float:
    """Is no more lost than the rounding of its own steps?

    A trajectory is the exact one up to these. The digits are those of float64.
    """
    digits = [certified(unit, Problem.drawn(rng, 2, steps=2, dtype=dtype)) for dtype in DTYPES]
    return digits[-1]


CHECKS: list[Check] = [
    descends,
    learning_rate,
    gradient_scale,
    zero_gradient,
    extremes,
    precision,
    dtypes,
    pure,
    out,
    stacked,
    alike,
    restored,
]


def _other_options(unit: Any) -> list[tuple[str, Any]]:
    """The unit with other options, and what it refuses alone together with another (nesterov)."""
    found = _variants(unit)
    names = {option.name for option in options_of(type(unit))} - {REVERSING}
    left = {name for name in names if not any(_differs(one, unit, name) for _, one in found)}
    for label, other in list(found):
        for more, one in _variants(other) if left else []:
            new = {name for name in left if _differs(one, unit, name)}
            if new:
                found.append((f"{label} {more}", one))
                left -= new
    return found


def _made(_unit: Any) -> None:
    """That it can be made is all that is asked: a step that raises is a failure, no refusal."""


def _variants(unit: Any) -> list[tuple[str, Any]]:
    every = variants(unit, _made)
    return [(label, one) for label, one in every if not _differs(one, unit, REVERSING)]


def _differs(one: Any, other: Any, option: str) -> bool:
    return bool(getattr(one, option, None) != getattr(other, option, None))


def _undecayed(unit: Any) -> Any:
    """The unit without a decay of the weights; None where none can be switched off."""
    if "weight_decay" not in {field.name for field in fields(unit)}:
        return None
    try:
        return replace(unit, weight_decay=0.0)
    except (ValueError, TypeError):
        return None


def _own_rate(unit: Any) -> float:
    lr = getattr(unit, "lr", None)
    if not isinstance(lr, float | int):
        raise Failed("it has no number lr, which training multiplies by the schedule's factor")
    if not lr > 0:
        raise Skipped(f"its lr is {lr:g}")
    return float(lr)


def _of_run(i: int, value: Any, ndim: int, runs: int) -> Any:
    """One run's part of the state of a stack; what has no axis of the runs is one for all."""
    return value[i] if np.ndim(value) > ndim and len(value) == runs else value


def _require_finite(theta: Array, told: str) -> None:
    if not np.isfinite(theta).all():
        raise Failed(f"θ of {theta.dtype} is not finite {told}: {theta}")


def _require_twice(unit: Any, g: Array) -> None:
    """From θ = 0 twice the rate is twice the step, and four times it four times, bit for bit."""
    theta = np.zeros_like(g)
    once = first_step(unit, theta, g)
    for factor in (2, 4):
        found = first_step(unit, theta, g, factor * RATE)
        for one, other in zip(found, factor * once, strict=True):
            if one != other:
                raise Failed(
                    f"{factor} times the lr gives a first step of {one:.9g} in {g.dtype}, and "
                    f"{factor} times that of the lr itself is {other:.9g}"
                )


def _require_in_family(found: Array, step: Array, factor: int) -> None:
    """The step for a gradient that is ``factor`` times longer is 1 to ``factor`` times as long."""
    moves = step != 0
    ratio = np.abs(found[moves]) / np.abs(step[moves])
    slack = 1 + 8 * float(np.finfo(np.float32).eps)
    for wrong in ratio[~((ratio * slack >= 1) & (ratio <= factor * slack))]:
        raise Failed(
            f"{factor} times the gradient gives {wrong:.6g} times the first step: it must be from "
            f"1 (a step of a fixed size) to {factor} (one in proportion)"
        )


def _require_dtype(arrays: State, dtype: str, told: str) -> None:
    shape = arrays["θ"].shape
    for key, value in arrays.items():
        like_theta = is_array(value) and value.shape == shape
        if like_theta and value.dtype.kind in "fc" and value.dtype != dtype:
            raise Failed(f"from a θ of {dtype}, {key} is {value.dtype} {told}")


def _untouched_step(unit: Any, theta: Array, g: Array, state: State) -> Point:
    """A step; Failed where an input is another after it, or cannot be read-only."""
    given, gradient, arrays = copied(theta, state), g.copy(), dict(state)
    step(unit, theta, gradient, state)
    if state.keys() != arrays.keys() or any(state[key] is not arrays[key] for key in arrays):
        raise Failed("without out=, step changes the dict of the state that it is given")
    require_same((theta, state), given, "after a step without out= the given", "before it")
    if not identical(gradient, g):
        raise Failed("step writes to the gradient that it is given")
    return step(unit, frozen(theta), frozen(g), each(frozen, state))


def _require_filled(unit: Any, problem: Problem, fresh_theta: bool, fresh_state: bool) -> None:
    """step with out= fills these buffers, returns them, and gives what it gives without them."""
    told = f"with out= {'another buffer' if fresh_theta else 'θ itself'} and "
    told += "other buffers for the state" if fresh_state else "the state itself"
    theta = problem.theta.copy()
    state = start(unit, theta)
    for g, expected in zip(problem.gradients, points(unit, problem), strict=True):
        room = spoiled(theta) if fresh_theta else theta
        kept = each(spoiled, state) if fresh_state else state
        buffers = dict(kept)
        before = copied(theta, state)
        moved, after = step(unit, theta, frozen(g), state, out=(room, kept))
        if moved is not room or not _are(after, buffers):
            raise Failed(f"{told}, step returns other arrays than these")
        require_same((moved, after), expected, f"{told},", "without out=")
        if fresh_theta and fresh_state:
            require_same((theta, state), before, f"{told}, the given", "before the step")
        theta, state = moved, after


def _are(state: State, buffers: State) -> bool:
    """Whether the arrays of a state are these, and no others of the same name."""
    pairs = ((state.get(key), one) for key, one in buffers.items() if isinstance(one, np.ndarray))
    return all(found is one for found, one in pairs)
