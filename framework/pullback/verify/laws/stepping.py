"""An optimizer at work: steps, trajectories, a checkpoint, and what must be the same in two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from pullback.state import Progress
from pullback.units import Array, State, takes
from pullback.verify.cases import UnitError, carried_out
from pullback.verify.exact import Rounding, errors, rounding
from pullback.verify.functions import mp
from pullback.verify.gradients import MOST
from pullback.verify.laws.bits import fingerprint
from pullback.verify.outcome import Failed, Inconclusive, Skipped
from pullback.verify.scalars import Numbers, exactly, values

Generator: TypeAlias = np.random.Generator
Point: TypeAlias = tuple[Array, State]
DTYPES = ("float32", "float64")
ENTRIES, STEPS = 5, 4
MANY, KINDS = 1009, 4  # a prime: no size of a block divides it
RATE = 2.0**-7  # a power of two, so that twice the rate is twice the step, bit for bit


@dataclass(frozen=True)
class Problem:
    """θ, and the gradient of each step."""

    theta: Array
    gradients: Array

    @classmethod
    def drawn(
        cls, rng: Generator, *shape: int, steps: int = STEPS, dtype: str = "float64"
    ) -> Problem:
        shape = shape or (ENTRIES,)
        theta = rng.normal(size=shape).astype(dtype)
        return cls(theta, rng.normal(size=(steps, *shape)).astype(dtype))


@dataclass(frozen=True)
class Quadratic:
    """f = ½ θᵀAθ where A is 1 along one axis, oblique to all entries, and 1/8 across it."""

    axis: Array

    @classmethod
    def drawn(cls, rng: Generator) -> Quadratic:
        axis = rng.normal(size=ENTRIES)
        return cls(axis / np.linalg.norm(axis))

    def value(self, theta: Array) -> float:
        exact = theta.astype(float)
        return 0.5 * float(exact @ self.gradient(exact))

    def gradient(self, theta: Array) -> Array:
        exact = theta.astype(float)
        along = self.axis * float(self.axis @ exact)
        gradient: Array = (exact / 8 + 7 / 8 * along).astype(theta.dtype)
        return gradient


def far_from_zero(rng: Generator, size: float = 1.0) -> Array:
    drawn: Array = size * rng.uniform(2, 4, ENTRIES) * rng.choice([-1, 1], ENTRIES)
    return drawn


def takes_out(unit: Any) -> bool:
    cls: Any = type(unit)
    return takes(cls, "step", "out")


def start(unit: Any, theta: Array) -> State:
    state = carried_out(unit.init, theta)
    if not isinstance(state, dict):
        raise UnitError(f"init returned {type(state).__name__}, and not a dict of arrays")
    return state


def step(
    unit: Any, theta: Array, g: Array, state: State, lr: float = RATE, **options: Any
) -> Point:
    """θ and the state after a step; UnitError where step raises or returns something else."""
    pair = carried_out(unit.step, theta, g, state, lr, **options)
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], dict)):
        raise UnitError(f"step returned {type(pair).__name__}, and not (θ, state)")
    moved, kept = pair
    if not is_array(moved):
        raise UnitError(f"step returned {type(moved).__name__} for θ, no array")
    if moved.shape != theta.shape:
        raise UnitError(f"step took a θ of shape {theta.shape} and returned one of {moved.shape}")
    if moved.dtype.kind != theta.dtype.kind:
        raise UnitError(f"step took a θ of {theta.dtype} and returned one of {moved.dtype}")
    return np.asanyarray(moved), kept


def points(unit: Any, problem: Problem, lr: float = RATE) -> Iterator[Point]:
    """θ and the state after each step. The unit gets copies, so that it can spoil nothing."""
    theta = problem.theta.copy()
    state = start(unit, theta)
    for g in problem.gradients:
        theta, state = copied(*step(unit, theta, g.copy(), state, lr))
        yield copied(theta, state)


def run(unit: Any, problem: Problem, lr: float = RATE) -> Point:
    *_, last = points(unit, problem, lr)
    return last


def first_step(unit: Any, theta: Array, g: Array, lr: float = RATE) -> Array:
    """θ′ − θ in float64."""
    moved, _ = run(unit, Problem(theta, g[None]), lr)
    return np.asarray(moved.astype(float) - theta.astype(float))


def each(convert: Callable[[Array], Array], state: State) -> State:
    """The state with its arrays converted; what else it may hold stays as it is."""
    return {
        key: convert(value) if isinstance(value, np.ndarray) else value
        for key, value in state.items()
    }


def copied(theta: Array, state: State) -> Point:
    return theta.copy(), each(np.copy, state)


def spoiled(array: Array) -> Array:
    """A buffer with something in it that nobody may use."""
    return np.full_like(array, 77)


def steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def require_same(found: Point, expected: Point, told: str, otherwise: str) -> None:
    """Failed, with the first number that differs, unless θ and the state have the same bits."""
    mine, theirs = ({"θ": theta} | state for theta, state in (found, expected))
    if mine.keys() != theirs.keys():
        raise Failed(f"{told} the state has {list(found[1])}, and {list(expected[1])} {otherwise}")
    for key, value in mine.items():
        if not identical(value, theirs[key]):
            place, a, b = _first_different(value, theirs[key])
            raise Failed(f"{told} {key}{place} is {a}, and {b} {otherwise}")


def identical(a: Any, b: Any) -> bool:
    if not (is_array(a) and is_array(b)):
        return fingerprint(a) == fingerprint(b)
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic)


def _first_different(a: Any, b: Any) -> tuple[str, str, str]:
    """The place of the first entries that differ, and these; the kinds of the two if they do."""
    if not (is_array(a) and is_array(b)):
        return "", repr(a), repr(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return "", _kind(a), _kind(b)
    at = next(at for at in np.ndindex(a.shape) if not identical(a[at], b[at]))
    return str(list(at)) if at else "", repr(a[at].item()), repr(b[at].item())


def _kind(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}"


def in_turn(unit: Any, *problems: Problem) -> list[Point]:
    """Trajectories with one instance, a step of each in turn; no result is copied."""
    points = [(one.theta.copy(), start(unit, one.theta.copy())) for one in problems]
    for count in range(STEPS):
        for i, one in enumerate(problems):
            theta, state = points[i]
            points[i] = step(unit, theta, one.gradients[count].copy(), state)
    return points


class Training:
    """An optimizer as training drives it: in place where it can, with its progress."""

    def __init__(self, unit: Any, theta: Array) -> None:
        self.unit, self.theta = unit, theta.copy()
        self.state = start(unit, self.theta)
        self.layout = _layout(self.state, np.ndarray)
        net: Any = SimpleNamespace(theta=self.theta, params={}, dtype=self.theta.dtype)
        self.progress = Progress(net, unit, self.state)

    def go(self, gradients: Array) -> None:
        for g in gradients:
            self.update(g.copy())

    def update(self, g: Array) -> None:
        room: Any = {"out": (self.theta, self.state)} if takes_out(self.unit) else {}
        moved, kept = step(self.unit, self.theta, g, self.state, **room)
        layout = _layout(kept, np.ndarray, np.generic)
        if layout != self.layout:
            raise Failed(
                f"init gives the state {self.layout} and a step {layout}: a checkpoint is "
                f"restored into what init gives"
            )
        self.theta[...] = moved
        for key, value in kept.items():
            self.state[key][...] = value


def _layout(state: State, *kinds: type) -> dict[str, str]:
    """The arrays of a state; Failed where it holds what no checkpoint can keep."""
    for key, value in state.items():
        if not isinstance(value, kinds) or value.dtype == object:
            what = "an array of objects" if isinstance(value, kinds) else type(value).__name__
            raise Failed(
                f"the state holds {what} as '{key}': a checkpoint keeps arrays of numbers, and "
                f"they are restored in place"
            )
    return {key: _kind(value) for key, value in state.items()}


class _Unnarrowed(Numbers):
    """Numbers that a narrower type cannot round: there the code loses digits that it should not."""

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        if np.dtype(dtype).kind == "f":
            return self + 0  # accounts for one rounding
        return super().astype(dtype, *args, **options)


class _Account(Rounding):
    """The arithmetic of such numbers."""

    def view(self, objects: Array) -> Numbers:
        numbers = objects.view(_Unnarrowed)
        numbers.arithmetic = self
        return numbers


def certified(unit: Any, problem: Problem) -> float:
    """The digits of θ after the steps; Failed where a float is farther off than its roundings."""
    dtype = problem.theta.dtype
    floats = list(points(unit, problem))
    try:
        exact = [(values(theta), errors(theta)) for theta in _exact_points(unit, problem)]
    except (UnitError, TypeError) as error:
        raise Skipped(f"step does not run on exact numbers ({error})") from error
    for count, ((theta, _), (value, bound)) in enumerate(zip(floats, exact, strict=True), 1):
        for at in np.ndindex(theta.shape):
            off = abs(exactly(theta[at]) - value[at])
            if not off <= bound[at]:
                raise Failed(
                    f"after {steps(count)} in {dtype} θ is {float(theta[at]):.17g}, exactly "
                    f"{mp.nstr(value[at], 20)}: {mp.nstr(off, 2)} off, and the roundings of its "
                    f"code add up to {mp.nstr(bound[at], 2)}",
                    place=at,
                    found=float(theta[at]),
                    expected=float(value[at]),
                    oracle="exact numbers",
                )
    return _digits(value, bound, dtype)


def _exact_points(unit: Any, problem: Problem) -> Iterator[Array]:
    """θ after each step of the unit's own code on numbers that keep account of their error."""
    of_dtype = rounding(problem.theta.dtype.name)
    own = {one.name: getattr(of_dtype, one.name) for one in fields(of_dtype) if one.init}
    account = _Account(**own)
    shape = problem.theta.shape

    def exact(array: Array) -> Array:
        return account.array(array) if array.shape == shape and array.dtype.kind == "f" else array

    theta: Array = account.array(problem.theta)
    state = each(exact, start(unit, problem.theta.copy()))
    for g in problem.gradients:
        theta, state = step(unit, theta, account.array(g), state)
        yield theta


def _digits(value: Array, bound: Array, dtype: Any) -> float:
    size, error, digits = max(map(abs, value.flat)), max(bound.flat), MOST
    if error and size:
        digits = float(-mp.log10(mp.mpf(error) / size))
    if not digits > np.finfo(dtype).precision / 2:
        raise Inconclusive(f"its code bounds θ in {dtype} to {max(digits, 0):.1f} digits only")
    return digits
