"""How a unit treats what it is given: shapes, types, memory, buffers, threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from pullback.units import Array, takes
from pullback.verify.account import expected, output_names, within
from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.laws.bits import (
    frozen,
    memory,
    nothing_new,
    same,
    same_each,
    shapes_of,
)
from pullback.verify.laws.reach import MANY_CLASSES
from pullback.verify.mistakes import named
from pullback.verify.outcome import Failed, Skipped

THREADS = 4
ROUNDS = 4  # in which each thread makes every call


def shapes(subject: Subject) -> None:
    """Is every gradient of the shape of its value?

    And y has the rows of x, and a loss one value for each.
    """
    for case in subject.cases():
        x = case.inputs[0]
        y, residual = case.forward()
        if case.target and y.shape != x.shape[:-1]:
            column = "loss in a column" if y.shape == (*x.shape[:-1], 1) else ""
            raise Failed(
                f"ℓ has shape {y.shape}; one value for each row of x is {x.shape[:-1]}",
                **named(column),
            )
        if y.shape[:1] != x.shape[:1]:
            raise Failed(f"y has shape {y.shape} for x of shape {x.shape}: other rows")
        shapes_of(case, case.backward(residual, case.cotangent(y)))


def dtypes(subject: Subject) -> None:
    """Is float32 kept float32, and float64 float64?

    In y and in every gradient.
    """
    for case in subject.cases():
        for dtype in (np.float32, np.float64):
            typed = case.astype(dtype)
            y, residual = typed.forward()
            results = (y, *typed.backward(residual, typed.cotangent(y).astype(dtype)))
            for name, one in zip(output_names(case), results, strict=True):
                if one.dtype != dtype:
                    raise Failed(
                        f"{name} of {np.dtype(dtype)} inputs is {one.dtype}",
                        input=name,
                        **named("float64 constant" if one.dtype == np.float64 else ""),
                    )


def pure(subject: Subject) -> None:
    """Is nothing written to, and nothing kept between calls?

    Inputs, targets, residual, cotangent; the unit, its class.
    """
    with _writes_named():
        _pure(subject)


@contextmanager
def _writes_named() -> Iterator[None]:
    """A write into a read-only array is the mistake that it is."""
    try:
        yield
    except UnitError as error:
        if "read-only" not in error.message:
            raise
        way = error.message.split()[0]
        mistake = "damage in place" if way == "backward" else "input written to"
        raise Failed(
            f"{way} writes into an array that it was given ({error.message})", **named(mistake)
        ) from error


def _pure(subject: Subject) -> None:
    for case, other in zip(subject.cases(), subject.cases(1), strict=True):
        case = replace(case, unit=replace(case.unit)).with_inputs(frozen)
        case = replace(case, target=tuple(map(frozen, case.target)))
        kept = memory(case.unit)
        y, residual = case.forward()
        dy = frozen(case.cotangent(y))
        first_y, first = y.copy(), [one.copy() for one in case.backward(residual, dy)]
        results = (y, *case.backward(residual, dy))
        same_each(case, results, (first_y, *first), "for the second time", "residual used up")
        other.forward()
        results = (y, *case.backward(residual, dy))
        same_each(case, results, (first_y, *first), "after another forward", "stale state on self")
        again, residual = case.forward()
        results = (again, *case.backward(residual, dy))
        same_each(case, results, (first_y, *first), "of another forward")
        nothing_new(case.unit, kept)


def layout(subject: Subject) -> None:
    """Is the memory layout of the arrays without effect?

    Inputs and cotangents that are not contiguous give the same.
    """
    for case in subject.cases():
        y, gradients = case.both()
        dy = case.cotangent(y)
        bounds = expected(case, dy)
        within(bounds, case, (y, *gradients), "with contiguous memory")
        for name, lay in {"columns first": _fortran, "every second": _strided}.items():
            laid = replace(case, target=tuple(map(lay, case.target))).with_inputs(lay)
            y, residual = laid.forward()
            results = (y, *laid.backward(residual, lay(dy)))
            within(bounds, case, results, f"with memory {name}", "memory order assumed")


def _fortran(array: Any) -> Any:
    return np.array(array, order="F", copy=True)


def _strided(array: Any) -> Any:
    wide = np.repeat(array, 2, axis=-1) if array.ndim else array
    wide[..., 1::2] = 7 if array.dtype.kind in "iu" else np.nan
    return wide[..., ::2]


def out(subject: Subject) -> None:
    """Is out= filled and returned, with the same bits?

    In each method that takes it.
    """
    cls = subject.cls
    into = [way for way in ("forward", "backward") if takes(cls, way, "out")]
    if not into and not takes(cls, "backward", "needs_dx"):
        raise Skipped("it takes no out= and no needs_dx=")
    for case in subject.cases():
        _outputs(case, into)


def _outputs(case: Case, into: list[str]) -> None:
    y, residual = case.forward()
    dy = case.cotangent(y)
    gradients = case.backward(residual, dy.copy())
    names = [f"d{name}" for name in case.names]
    if "forward" in into:
        buffer = np.full_like(y, np.nan)
        found, residual_of_out = case.forward(out=buffer)
        if found is not buffer:
            raise Failed("forward returns something else than its out", **named("out ignored"))
        same(found, y, "forward into out", "added into the buffer")
        for name, one, right in zip(
            names, case.backward(residual_of_out, dy.copy()), gradients, strict=True
        ):
            same(one, right, f"{name} after a forward into out")
    if "backward" in into:
        buffers = tuple(np.full_like(one, np.nan) for one in gradients)
        found = case.backward(residual, dy.copy(), out=buffers if len(buffers) > 1 else buffers[0])
        for name, one, buffer, right in zip(names, found, buffers, gradients, strict=True):
            if one is not buffer:
                told = f"backward returns something else than its out for {name}"
                raise Failed(told, **named("out ignored"))
            same(one, right, f"{name} into out", "added into the buffer")
    cls: type = type(case.unit)
    if takes(cls, "backward", "needs_dx"):
        without = case.unit.backward(residual, dy, needs_dx=False)[1:]
        for name, one, right in zip(names[1:], without, gradients[1:], strict=True):
            same(one, right, f"{name} without dx", "other gradients left out with dx")


def at_once(subject: Subject) -> None:
    """Is value_and_gradient what forward and backward are?

    Of a loss that has it; for many classes, too, and into out= with the same bits.
    """
    if not hasattr(subject.unit, "value_and_gradient"):
        raise Skipped("it has no value_and_gradient")
    cases, many = subject.cases(), subject.sized(2, MANY_CLASSES)
    if not subject.has_samples and many.fits():
        cases.append(many.case())
    with _writes_named():
        for case in cases:
            for dtype in (np.float64, np.float32):
                _at_once(case.astype(dtype))


def _at_once(case: Case) -> None:
    dl = frozen(case.cotangent(case.forward()[0]))
    case = replace(case.with_inputs(frozen), target=tuple(map(frozen, case.target)))
    found = case.at_once(dl)
    try:
        within(expected(case, dl), case, found, "at once")
    except Failed as failed:
        asked = replace(case, unit=_OfBoth(case.unit)), dl
        raise Failed(failed.message, evidence=asked, **failed.facts) from failed
    cls: type = type(case.unit)
    if takes(cls, "value_and_gradient", "out"):
        buffer = np.full_like(found[1], np.nan)
        losses, dy = case.at_once(dl, out=buffer)
        if dy is not buffer:
            told = "value_and_gradient returns something else than its out"
            raise Failed(told, **named("out ignored"))
        same_each(case, (losses, dy), found, "at once into out", "added into the buffer")


class _OfBoth:
    """A loss whose backward is the gradient that another gives at once."""

    def __init__(self, unit: Any) -> None:
        self.unit = unit

    def forward(self, y: Any, target: Any) -> tuple[Any, Any]:
        return self.unit.forward(y, target)[0], (y, target)

    def backward(self, residual: Any, dl: Any) -> Any:
        return self.unit.value_and_gradient(*residual, dl)[1]


def stacked(subject: Subject) -> None:
    """Is each of two stacked runs as it is alone, bit for bit?

    On a leading axis over both.
    """
    for pair in zip(subject.cases(), subject.cases(1), strict=True):
        case = pair[0]
        inputs = tuple(map(np.stack, zip(*(one.inputs for one in pair), strict=True)))
        target = tuple(map(np.stack, zip(*(one.target for one in pair), strict=True)))
        both = replace(case, inputs=inputs, target=target)
        y, residual = both.forward()
        dy = both.cotangent(y)
        results = (y, *both.backward(residual, dy.copy()))
        for run, alone in enumerate(pair):
            if y.shape[:1] != (2,):
                raise Failed(f"y of two stacked runs has shape {y.shape}")
            right = alone.both(dy[run])
            mine = [one[run] for one in results]
            when, mistake = f"of run {run} of two", "first axis for the last but one"
            same_each(case, mine, (right[0], *right[1]), when, mistake)


def deterministic(subject: Subject) -> None:
    """Is every call the same, bit for bit, in any thread?

    At each call, and from several threads at once.
    """
    calls = []
    for seed, case in enumerate([*subject.cases(), *subject.cases(1)]):
        dy = case.cotangent(case.forward()[0], seed)
        calls.append((case, dy, _results(case, dy)))
    for case, dy, right in calls:
        same_each(case, _results(case, dy), right, "another time", "random order of summation")
    _in_threads(calls)


def _results(case: Case, dy: Array) -> tuple[Any, ...]:
    y, gradients = case.both(dy)
    return (y, *gradients)


def _in_threads(calls: list[tuple[Case, Array, tuple[Any, ...]]]) -> None:
    """The calls in several threads, each beginning with another one; the first difference."""
    failures: list[Failed] = []
    together = threading.Barrier(THREADS)
    when, mistake = "while other threads compute", "scratch shared by threads"

    def run(first: int) -> None:
        together.wait()
        try:
            for case, dy, right in (calls[first:] + calls[:first]) * ROUNDS:
                same_each(case, _results(case, dy), right, when, mistake)
        except Failed as failed:
            failures.append(failed)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(n % len(calls),)) for n in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]
